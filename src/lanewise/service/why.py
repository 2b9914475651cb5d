"""Gather what ``lane why`` explains."""

from __future__ import annotations

from lanewise.promotion.explain import Explanation
from lanewise.promotion.explain import why as explain
from lanewise.promotion.freeze import open_window
from lanewise.service import promotions
from lanewise.service.configure import in_force
from lanewise.service.context import Context
from lanewise.service.ground import recorded_plan
from lanewise.service.lease import is_dead


def why(ctx: Context, promotion_id: str) -> Explanation:
    """What a promotion waits for, who can do what, and the command to type."""
    promotion = promotions.load(ctx, promotion_id)
    holder = ctx.ledger.holder(f"{promotion.project}/{promotion.environment}")
    config, now = in_force(ctx), ctx.ledger.now()
    rules = config.environment(promotion.environment).rules
    return explain(
        promotion, recorded_plan(ctx, promotion) if promotion.plan else None, now=now, rule=rules.approvals,
        people=config.people, freeze=open_window(rules.freeze, now),
        holder=None if holder is None or is_dead(holder.holder) else holder,
    )  # fmt: skip
