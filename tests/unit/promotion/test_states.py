"""The diagram: every promotion can end, ends once, and works on the lane only after it has taken it."""

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lanewise.domain.promotion import Promotion, State
from lanewise.promotion.states import (
    FINAL,
    HOLDS_LEASE,
    TRANSITIONS,
    IllegalMove,
    abort_to,
    check_move,
    holds_lock,
)

BEFORE_THE_LOCK = [State.REQUESTED, State.GATING, State.AWAITING_APPROVAL, State.READY]


def promotion(state: State, came_from: State | None = None) -> Promotion:
    return Promotion("prod-1", "orders", "prod", "sha256:b", "sha256:c", "ann", "2026-11-02T10:00:00+00:00",
                     state=state, came_from=came_from)  # fmt: skip


@st.composite
def walks(draw: st.DrawFn) -> list[State]:
    """A legal walk from REQUESTED, minding where a frozen one was frozen."""
    walk, came_from = [State.REQUESTED], None
    for _ in range(draw(st.integers(0, 25))):
        options = [after for after in State if legal(walk[-1], after, came_from)]
        if not options:
            break
        after = draw(st.sampled_from(options))
        came_from = came_from if after is walk[-1] else walk[-1]
        walk.append(after)
    return walk


def legal(before: State, after: State, came_from: State | None) -> bool:
    try:
        check_move(before, after, came_from=came_from)
    except IllegalMove:
        return False
    return True


def reachable(start: State) -> set[State]:
    found, todo = set(), [start]
    while todo:
        for after in TRANSITIONS[todo.pop()] - found:
            found.add(after)
            todo.append(after)
    return found


@pytest.mark.parametrize("state", [s for s in State if s not in FINAL])
def test_from_every_state_that_is_not_final_a_final_one_can_be_reached(state):
    assert reachable(state) & FINAL


@pytest.mark.parametrize("state", sorted(FINAL))
def test_nothing_leaves_a_final_state(state):
    assert TRANSITIONS[state] == frozenset()


def test_every_state_is_in_the_diagram_and_can_be_reached():
    assert set(TRANSITIONS) == set(State)
    assert reachable(State.REQUESTED) | {State.REQUESTED} == set(State)


def test_nothing_before_acquiring_holds_a_lease():
    assert not HOLDS_LEASE & {*BEFORE_THE_LOCK, State.FROZEN} | HOLDS_LEASE & FINAL


@given(walks())
@settings(deadline=None)
def test_a_promotion_works_on_the_lane_only_after_it_has_taken_it(walk):
    for at, state in enumerate(walk):
        if state in HOLDS_LEASE - {State.ACQUIRING}:
            assert State.ACQUIRING in walk[:at]


@given(walks())
@settings(deadline=None)
def test_what_may_be_exposed_ends_only_by_success_or_by_going_back(walk):
    if State.PREPARING in walk:
        after = set(walk[walk.index(State.PREPARING) :])
        assert not after & {State.REJECTED, State.SUPERSEDED, State.EXPIRED, State.ABORTED, *BEFORE_THE_LOCK}


@pytest.mark.parametrize("state", sorted(HOLDS_LEASE - {State.ACQUIRING}))
def test_nothing_that_may_be_prepared_is_left_lying(state):
    ends = TRANSITIONS[state] & FINAL
    assert not ends & {State.REJECTED, State.SUPERSEDED, State.EXPIRED, State.ABORTED}
    assert ends <= {State.SUCCEEDED} or state is State.REVERTING


@given(walks())
@settings(deadline=None)
def test_every_walk_can_still_come_to_an_end(walk):
    assert walk[-1] in FINAL or reachable(walk[-1]) & FINAL


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (State.REQUESTED, State.ACQUIRING),
        (State.AWAITING_APPROVAL, State.PREPARING),
        (State.JUDGING, State.SUCCEEDED),
        (State.CANARY, State.CUTOVER),
        (State.VERIFYING, State.HELD),
        (State.REVERTING, State.SUCCEEDED),
        (State.GATING, State.HELD),
        (State.SUCCEEDED, State.REVERTING),
    ],
)
def test_a_move_that_the_diagram_does_not_have_is_a_bug_of_ours(before, after):
    with pytest.raises(IllegalMove, match=f"never goes from {before.value} to {after.value}"):
        check_move(before, after)


def test_one_that_was_frozen_before_the_lock_does_not_thaw_into_the_rollout():
    with pytest.raises(IllegalMove):
        check_move(State.FROZEN, State.CANARY, came_from=State.READY)
    check_move(State.FROZEN, State.READY, came_from=State.READY)


def test_one_that_was_frozen_half_exposed_does_not_end_as_if_nothing_had_happened():
    for end in (State.ABORTED, State.SUPERSEDED, State.EXPIRED, State.REJECTED, State.READY):
        with pytest.raises(IllegalMove):
            check_move(State.FROZEN, end, came_from=State.JUDGING)
    check_move(State.FROZEN, State.CANARY, came_from=State.JUDGING)


def test_a_freeze_between_canary_steps_keeps_the_lane():
    assert holds_lock(promotion(State.FROZEN, State.JUDGING))
    assert not holds_lock(promotion(State.FROZEN, State.READY))
    assert not holds_lock(promotion(State.FROZEN, State.ACQUIRING))


@pytest.mark.parametrize(
    ("state", "came_from", "end"),
    [
        (State.HELD, State.JUDGING, State.REVERTING),
        (State.FROZEN, State.JUDGING, State.REVERTING),
        (State.CANARY, State.PREPARING, State.REVERTING),
        (State.ACQUIRING, State.READY, State.ABORTED),
        (State.FROZEN, State.READY, State.ABORTED),
        (State.AWAITING_APPROVAL, State.GATING, State.ABORTED),
    ],
)
def test_an_abort_goes_back_once_anything_may_be_prepared(state, came_from, end):
    assert abort_to(promotion(state, came_from)) is end
    check_move(state, end, came_from=came_from)


def test_the_reference_page_lists_every_state_with_its_moves():
    page = Path(__file__).parents[3] / "docs/reference/promotion-states.md"
    early = {State.REJECTED, State.SUPERSEDED, State.EXPIRED, State.ABORTED}
    listed = {}
    for line in page.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) == 5 and cells[1].startswith("`"):
            moves = {State(name) for name in re.findall(r"`(\w+)`", cells[3])}
            listed[State(cells[1].strip("`"))] = moves | (early if "the early ends" in cells[3] else set())
    assert listed == {state: set(after) for state, after in TRANSITIONS.items()}
