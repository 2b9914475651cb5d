"""Where a promotion can stand, and which moves are legal.

::

    REQUESTED -> GATING -> AWAITING_APPROVAL -> READY -> ACQUIRING        no lock before ACQUIRING
                   |  ^_____________|  ^_________|____________|           (what was decided is decided again)
                   '-----------------------> READY                        no approval is asked for

    ACQUIRING -> PREPARING -> CANARY(k) <-> JUDGING(k) -> CUTOVER -> VERIFYING -> SUCCEEDED
                     |                         |  ^                     |
                     |            inconclusive v  | retry, accept       | fail
                     |                        HELD                      |
                     '--- any of them: fail, abort, a rollback -----> REVERTING -> REVERTED | REVERT_FAILED

    FROZEN(until)   waits for a freeze to end: from any state before the lock, and between canary steps (from
                    PREPARING, JUDGING and HELD); goes on where it was
    before the lock also REJECTED (a gate failed, or a person said no), SUPERSEDED, EXPIRED, ABORTED

A plan that computes nothing leaves the canary out: PREPARING -> CUTOVER.

Once something may have been prepared, the only ways out are SUCCEEDED and REVERTING. ACQUIRING has changed
nothing yet, so it may still end like the states before the lock.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from lanewise.domain.promotion import Promotion, State

FINAL = frozenset({
    State.SUCCEEDED, State.REVERTED, State.REVERT_FAILED,
    State.REJECTED, State.SUPERSEDED, State.EXPIRED, State.ABORTED,
})  # fmt: skip
"""Nothing leaves these. REVERT_FAILED is one of them: its environment is locked until a rollback repairs it."""

HOLDS_LEASE = frozenset({
    State.ACQUIRING, State.PREPARING, State.CANARY, State.JUDGING, State.HELD,
    State.CUTOVER, State.VERIFYING, State.REVERTING,
})  # fmt: skip
"""The states in which a promotion has the lane to itself. A promotion frozen between canary steps has it too, which
its state alone can't tell: ask ``holds_lock``."""

_EARLY_ENDS = frozenset({State.REJECTED, State.SUPERSEDED, State.EXPIRED, State.ABORTED})
_EARLY = frozenset({State.FROZEN}) | _EARLY_ENDS

_BEFORE_THE_LOCK = {
    State.REQUESTED: {State.GATING},
    State.GATING: {State.AWAITING_APPROVAL, State.READY},
    State.AWAITING_APPROVAL: {State.READY, State.GATING},
    State.READY: {State.ACQUIRING, State.GATING, State.AWAITING_APPROVAL},
    State.ACQUIRING: {State.PREPARING, State.READY, State.GATING, State.AWAITING_APPROVAL},
}
_UNDER_THE_LOCK = {
    State.PREPARING: {State.CANARY, State.CUTOVER, State.FROZEN, State.REVERTING},
    State.CANARY: {State.JUDGING, State.REVERTING},
    State.JUDGING: {State.CANARY, State.CUTOVER, State.HELD, State.FROZEN, State.REVERTING},
    State.HELD: {State.CANARY, State.JUDGING, State.CUTOVER, State.FROZEN, State.REVERTING},
    State.CUTOVER: {State.VERIFYING, State.REVERTING},
    State.VERIFYING: {State.SUCCEEDED, State.REVERTING},
    State.REVERTING: {State.REVERTED, State.REVERT_FAILED},
}
# FROZEN -> FROZEN: another window has opened, or this one grew longer.
_THAW_EARLY = frozenset({State.GATING, State.AWAITING_APPROVAL, State.READY}) | _EARLY
_THAW_LATE = frozenset({State.CANARY, State.CUTOVER, State.FROZEN, State.REVERTING})

TRANSITIONS: Mapping[State, frozenset[State]] = MappingProxyType(
    {state: frozenset(after) | _EARLY for state, after in _BEFORE_THE_LOCK.items()}
    | {state: frozenset(after) for state, after in _UNDER_THE_LOCK.items()}
    | {State.FROZEN: _THAW_EARLY | _THAW_LATE}
    | {state: frozenset() for state in FINAL}
)
"""State -> the states that may follow it."""


class IllegalMove(RuntimeError):
    """A move that the diagram does not have. Nobody can ask for one: it is a bug of ours."""

    def __init__(self, before: State, after: State) -> None:
        super().__init__(f"a promotion never goes from {before.value} to {after.value}")
        self.before, self.after = before, after


def check_move(before: State, after: State, *, came_from: State | None = None) -> None:
    """Raise ``IllegalMove`` unless ``after`` may follow ``before``.

    ``came_from`` is the state that a frozen promotion was frozen in: with it, one that never took the lock can't thaw
    into the rollout, and one that is half exposed can't end as if nothing had happened.
    """
    allowed = TRANSITIONS[before]
    if before is State.FROZEN and came_from is not None:
        allowed = _THAW_LATE if _is_under_the_lock(came_from) else _THAW_EARLY
    if after not in allowed:
        raise IllegalMove(before, after)


def holds_lock(promotion: Promotion) -> bool:
    """Whether the promotion has the lane to itself: nobody supersedes it, and it yields to a rollback only."""
    if promotion.state is State.FROZEN:
        return promotion.came_from is not None and _is_under_the_lock(promotion.came_from)
    return promotion.state in HOLDS_LEASE


def abort_to(promotion: Promotion) -> State:
    """Where an abort leads: REVERTING once anything may be prepared or exposed, ABORTED before that."""
    if holds_lock(promotion) and promotion.state is not State.ACQUIRING:
        return State.REVERTING
    return State.ABORTED


def _is_under_the_lock(state: State) -> bool:
    return state in _UNDER_THE_LOCK
