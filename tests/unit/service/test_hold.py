"""Pausing a lane, and letting it go on."""

from __future__ import annotations

from pathlib import Path

import pytest

from lanewise.errors import NotFound, Refused
from lanewise.service.hold import lane, pause, resume
from lanewise.service.live import run_live
from lanewise.service.rollback import roll_back

from .lanes import Lanes


@pytest.fixture
def lanes(tmp_path: Path) -> Lanes:
    return Lanes(tmp_path / "orders")


def test_a_pause_tells_its_reason_until_it_is_resumed(lanes: Lanes) -> None:
    assert pause(lanes.ctx(), "prod", "stocktaking").paused == "stocktaking"
    assert resume(lanes.ctx(), "prod").paused is None
    assert lane(lanes.ctx(), "prod").paused is None


def test_the_newest_reason_counts(lanes: Lanes) -> None:
    pause(lanes.ctx(), "prod", "stocktaking")
    assert pause(lanes.ctx(), "prod", "an audit").paused == "an audit"
    assert resume(lanes.ctx(), "prod").paused is None


def test_what_is_not_paused_cannot_be_resumed(lanes: Lanes) -> None:
    with pytest.raises(Refused, match="prod is not paused"):
        resume(lanes.ctx(), "prod")


def test_a_wrong_environment_is_told_with_the_nearest(lanes: Lanes) -> None:
    for work in (lambda: pause(lanes.ctx(), "prd", "x"), lambda: resume(lanes.ctx(), "prd")):
        with pytest.raises(NotFound) as caught:
            work()
        assert caught.value.hint == "did you mean prod?"


def test_runs_and_rollbacks_go_on_while_it_is_paused(lanes: Lanes) -> None:
    lanes.through(lanes.build("v1"))
    lanes.through(lanes.build("v2"))
    pause(lanes.ctx(), "prod", "stocktaking")
    run_live(lanes.ctx(), "prod", ["2013-01-05"])
    roll_back(lanes.ctx(), "prod")
    assert set(lanes.seen().values()) == {"v1"}


def test_a_quarantine_is_lifted_by_its_build_alone(lanes: Lanes) -> None:
    v1, v2 = lanes.build("v1"), lanes.build("v2")
    lanes.through(v1)
    lanes.through(v2)
    roll_back(lanes.ctx(), "prod")
    with pytest.raises(Refused, match="is not in quarantine in prod"):
        resume(lanes.ctx(), "prod", build=v1)
    assert lane(lanes.ctx(), "prod").paused is not None, "nothing was resumed by the refused command"
    after = resume(lanes.ctx(), "prod", build=v2[7:15])
    assert (after.paused, after.quarantined) == (None, ())


def test_an_unknown_build_is_told_with_the_nearest(lanes: Lanes) -> None:
    lanes.through(lanes.build("v1"))
    with pytest.raises(NotFound, match="no build named 'v9'"):
        resume(lanes.ctx(), "prod", build="v9")
