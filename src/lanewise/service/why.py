"""Gather what ``lane why`` explains, and what comes after a success."""

from __future__ import annotations

from lanewise.domain.canonical import short
from lanewise.domain.promotion import Promotion, State
from lanewise.promotion.explain import Explanation
from lanewise.promotion.explain import why as explain
from lanewise.promotion.freeze import open_window
from lanewise.service import promotions
from lanewise.service.configure import would_be_in_force
from lanewise.service.context import Context
from lanewise.service.ground import recorded_plan
from lanewise.service.lease import is_dead
from lanewise.service.releases import paused, stream_of


def why(ctx: Context, promotion_id: str) -> Explanation:
    """What a promotion waits for, who can do what, and the command to type."""
    promotion = promotions.load(ctx, promotion_id)
    closed = paused(ctx.ledger.read(stream_of(ctx, promotion.environment)))
    if closed is not None and promotion.state is State.READY:
        return _paused(promotion, closed)
    holder = ctx.ledger.holder(f"{promotion.project}/{promotion.environment}")
    config, now = would_be_in_force(ctx), ctx.ledger.now()
    rules = config.environment(promotion.environment).rules
    return explain(
        promotion, recorded_plan(ctx, promotion) if promotion.plan else None, now=now, rule=rules.approvals,
        people=config.people, freeze=open_window(rules.freeze, now),
        holder=None if holder is None or is_dead(holder.holder) else holder,
    )  # fmt: skip


def what_next(ctx: Context, done: Promotion) -> Explanation:
    """After a success: the promotion that waits in the next environment, else the one to ask for, else how to undo."""
    following = would_be_in_force(ctx).after(done.environment)
    if following is None:
        return Explanation(f"to take it back: lane rollback {done.environment}")
    for waiting in promotions.open_promotions(ctx, following.name):
        if waiting.build == done.build:
            return why(ctx, waiting.id)
    closed = paused(ctx.ledger.read(stream_of(ctx, following.name)))
    if closed is not None:
        return Explanation(f"{following.name} comes after {done.environment}, and is paused ({closed})",
                           command=f"lane resume {following.name}")  # fmt: skip
    return Explanation(f"{following.name} comes after {done.environment}",
                       command=f"lane promote {short(done.build)} --to {following.name}")  # fmt: skip


def _paused(promotion: Promotion, reason: str) -> Explanation:
    name = promotion.environment
    sentence = f"{promotion.id} is ready, and waits: {name} is paused ({reason})"
    return Explanation(
        sentence, (f"then type lane promote {short(promotion.build)} --to {name}",), f"lane resume {name}"
    )
