"""The lanes at a glance."""

from __future__ import annotations

from pathlib import Path

import pytest

from lanewise.errors import NotFound
from lanewise.service.build import make_build
from lanewise.service.rollback import roll_back
from lanewise.service.status import status

from .lanes import TWO, TWO_APPROVED, Lanes


def test_nothing_is_live_before_the_first_release(tmp_path: Path) -> None:
    lanes = Lanes(tmp_path / "orders", TWO)
    found = status(lanes.ctx())
    assert [(lane.environment, lane.live, lane.coming) for lane in found.lanes] == [
        ("stage", None, ()),
        ("prod", None, ()),
    ]


def test_it_shows_what_is_live_and_what_is_coming(tmp_path: Path) -> None:
    lanes = Lanes(tmp_path / "orders", TWO_APPROVED)
    v1 = lanes.build("v1")
    make_build(lanes.ctx(), tag="v1")
    lanes.through(v1, "stage")
    stage, prod = status(lanes.ctx()).lanes
    assert stage.live is not None
    assert (stage.live.build, stage.live.kind, stage.live.map, stage.tags) == (v1, "promotion", 1, ("v1",))
    assert [(p.id, p.build, p.state) for p in prod.coming] == [("prod-1", v1, "AWAITING_APPROVAL")]


def test_a_rollback_shows_with_its_pause_and_its_quarantine(tmp_path: Path) -> None:
    lanes = Lanes(tmp_path / "orders")
    v1, v2 = lanes.build("v1"), lanes.build("v2")
    lanes.through(v1)
    lanes.through(v2)
    roll_back(lanes.ctx(), "prod", reason="odd numbers")
    (prod,) = status(lanes.ctx()).lanes
    assert prod.live is not None
    assert (prod.live.build, prod.live.kind) == (v1, "rollback")
    assert (prod.paused, prod.quarantined) == ("rollback: odd numbers", (v2,))


def test_one_lane_can_be_asked_for_and_a_wrong_one_is_told(tmp_path: Path) -> None:
    lanes = Lanes(tmp_path / "orders", TWO)
    assert [lane.environment for lane in status(lanes.ctx(), "prod").lanes] == ["prod"]
    with pytest.raises(NotFound) as caught:
        status(lanes.ctx(), "prd")
    assert caught.value.hint == "did you mean prod?"
