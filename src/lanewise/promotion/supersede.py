"""Who gives way to whom. A newer forward promotion replaces older ones that have not begun; one that has begun
yields to a rollback alone."""

from __future__ import annotations

from collections.abc import Sequence

from lanewise.domain.promotion import Promotion
from lanewise.promotion.states import FINAL, holds_lock


def superseded_by(open_: Sequence[Promotion], newcomer: Promotion) -> tuple[Promotion, ...]:
    """Those of the open promotions that ``newcomer`` replaces: older ones into the same environment of the same
    project, before their lock. Never itself, never one that is under way, never a newer one."""
    return tuple(
        p for p in open_ if _same_lane(p, newcomer) and _number(p) < _number(newcomer) and may_be_superseded(p)
    )


def may_be_superseded(promotion: Promotion) -> bool:
    """False once it has the lane to itself (also while frozen or held between canary steps) or has ended."""
    return promotion.state not in FINAL and not holds_lock(promotion)


def _same_lane(one: Promotion, other: Promotion) -> bool:
    return (one.project, one.environment) == (other.project, other.environment)


def _number(promotion: Promotion) -> int:
    return int(promotion.id.rpartition("-")[2])
