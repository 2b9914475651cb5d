"""Who gives way to whom."""

import pytest

from lanewise.domain.promotion import Promotion, State
from lanewise.promotion.states import FINAL, HOLDS_LEASE
from lanewise.promotion.supersede import superseded_by


def promotion(number: int, state: State = State.GATING, environment: str = "prod", **more: object) -> Promotion:
    return Promotion(f"{environment}-{number}", "orders", environment, "sha256:b", "sha256:c", "ann",
                     "2026-11-02T10:00:00+00:00", state=state, **more)  # fmt: skip


def test_older_ones_give_way_and_newer_ones_do_not():
    open_ = [promotion(8), promotion(9), promotion(10), promotion(11)]
    assert superseded_by(open_, promotion(10)) == (open_[0], open_[1])


@pytest.mark.parametrize("state", sorted(HOLDS_LEASE | FINAL))
def test_one_that_has_the_lane_or_has_ended_does_not_give_way(state):
    assert superseded_by([promotion(1, state)], promotion(2)) == ()


def test_one_that_is_frozen_between_steps_does_not_give_way_and_one_frozen_before_does():
    between = promotion(1, State.FROZEN, came_from=State.JUDGING)
    before = promotion(2, State.FROZEN, came_from=State.READY)
    assert superseded_by([between, before], promotion(3)) == (before,)


def test_other_lanes_and_other_projects_are_left_alone():
    from dataclasses import replace

    others = [promotion(1, environment="stage"), replace(promotion(1), project="flights")]
    assert superseded_by(others, promotion(2)) == ()


def test_environments_with_dashes_are_counted_by_their_last_number():
    assert superseded_by([promotion(9, environment="eu-west-1")], promotion(10, environment="eu-west-1"))
