"""What a promotion waits for, and what comes after a success."""

from __future__ import annotations

from pathlib import Path

import pytest

from lanewise.domain.promotion import State
from lanewise.errors import NotFound, Refused
from lanewise.service.hold import pause
from lanewise.service.why import what_next, why

from .lanes import APPROVED, TWO, TWO_APPROVED, Lanes


def test_it_names_who_can_do_what_and_the_command(tmp_path: Path) -> None:
    lanes = Lanes(tmp_path / "orders", APPROVED)
    lanes.promote(lanes.build("v1"))
    told = why(lanes.ctx(), "prod-1")
    assert told.sentence == "prod-1 waits for 1 more approval from leads"
    assert told.details[0].startswith("ben or cleo can approve it")
    assert told.command == "lane approve prod-1"


def test_what_is_ready_and_paused_waits_for_the_pause_to_end(tmp_path: Path) -> None:
    lanes = Lanes(tmp_path / "orders", APPROVED)
    lanes.promote(lanes.build("v1"))
    pause(lanes.ctx(), "prod", "stocktaking")
    with pytest.raises(Refused, match="paused"):
        lanes.approve("prod-1", go=True)
    told = why(lanes.ctx(), "prod-1")
    assert told.sentence == "prod-1 is ready, and waits: prod is paused (stocktaking)"
    assert told.command == "lane resume prod"


def test_an_unknown_promotion_is_told_with_the_nearest_also_when_that_has_ended(tmp_path: Path) -> None:
    lanes = Lanes(tmp_path / "orders")
    lanes.through(lanes.build("v1"))
    with pytest.raises(NotFound) as caught:
        why(lanes.ctx(), "prod-7")
    assert "prod-1" in caught.value.hint


def test_after_a_success_comes_the_next_environment(tmp_path: Path) -> None:
    lanes = Lanes(tmp_path / "orders", TWO)
    v1 = lanes.build("v1")
    told = what_next(lanes.ctx(), lanes.through(v1, "stage"))
    assert told.command == f"lane promote {v1[7:15]} --to prod"
    told = what_next(lanes.ctx(), lanes.through(v1, "prod"))
    assert (told.sentence, told.command) == ("to take it back: lane rollback prod", "")


def test_after_a_success_comes_the_approval_that_was_opened(tmp_path: Path) -> None:
    lanes = Lanes(tmp_path / "orders", TWO_APPROVED)
    done = lanes.through(lanes.build("v1"), "stage")
    assert what_next(lanes.ctx(), done).command == "lane approve prod-1"


def test_after_a_success_a_paused_lane_is_told(tmp_path: Path) -> None:
    lanes = Lanes(tmp_path / "orders", TWO)
    pause(lanes.ctx(), "prod", "stocktaking")
    told = what_next(lanes.ctx(), lanes.through(lanes.build("v1"), "stage"))
    assert told.sentence == "prod comes after stage, and is paused (stocktaking)"
    assert told.command == "lane resume prod"


def test_every_end_can_be_explained(tmp_path: Path) -> None:
    lanes = Lanes(tmp_path / "orders")
    lanes.through(lanes.build("v1"))
    reverted = lanes.promote(lanes.build("v2", "exit 7\n"))
    assert reverted.state is State.REVERTED
    assert "7" in why(lanes.ctx(), reverted.id).sentence
