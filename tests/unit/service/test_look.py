"""What a gate sees, on the real parts."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from lanewise.domain.evidence import Moment
from lanewise.service.candidate import open_candidate
from lanewise.service.live import run_live
from lanewise.service.look import Eyes
from lanewise.service.rollback import roll_back

from .lanes import DAYS, TWO, Lanes


@pytest.fixture
def lanes(tmp_path: Path) -> Lanes:
    """v1 is live in both, v2 in stage."""
    found = Lanes(tmp_path / "orders", TWO)
    found.through(found.build("v1"), "stage", "prod")
    found.through(found.build("v2"), "stage")
    return found


def eyes(lanes: Lanes, build: str | None = None, moment: Moment = Moment.BEFORE) -> Eyes:
    ctx = lanes.ctx()
    build = build or lanes.build("v2")
    target = ctx.config.environment("prod")
    return Eyes(ctx, open_candidate(ctx, build), lanes.plan(build), target, ctx.config.environment("stage"),
                ctx.warehouse(target), moment)  # fmt: skip


def test_it_knows_the_environments_and_the_candidates_own_project(lanes: Lanes) -> None:
    look = replace(eyes(lanes), order=("stage", "prod"))
    assert look.environments == ("stage", "prod")
    assert list(look.project.tables) == ["orders_daily", "totals_daily"]


def test_published_gives_columns_and_rows_a_partition(lanes: Lanes) -> None:
    columns, rows = eyes(lanes).published("stage")["orders_daily"]
    assert [c.name for c in columns] == ["day", "id", "build"]
    assert rows == dict.fromkeys(DAYS, 3)


def test_an_environment_where_nothing_is_live_publishes_nothing(tmp_path: Path) -> None:
    lanes = Lanes(tmp_path / "orders", TWO)
    lanes.through(lanes.build("v1"), "stage")
    assert eyes(lanes, lanes.build("v1")).published("prod") == {}


def test_runs_are_the_candidates_own_that_have_ended_oldest_first(lanes: Lanes) -> None:
    run_live(lanes.ctx(), "stage", ["2013-01-05"])
    lanes.wait(hours=1)
    run_live(lanes.ctx(), "stage", ["2013-01-05"])
    assert [(r.purpose, r.partitions, r.ok) for r in eyes(lanes).runs("stage")] == [
        ("scheduled", ("2013-01-05",), True), ("rerun", ("2013-01-05",), True),
    ]  # fmt: skip
    assert eyes(lanes, lanes.build("v1")).runs("stage") == []


def test_since_when_it_is_live_without_a_break(lanes: Lanes) -> None:
    released = lanes.releases("stage")[-1]
    look = eyes(lanes)
    since = look.released_at("stage")
    assert since is not None
    assert since == datetime.fromisoformat(released.at)
    assert look.released_at("prod") is None
    roll_back(lanes.ctx(), "stage")
    assert eyes(lanes).released_at("stage") is None
    again = eyes(lanes, lanes.build("v1")).released_at("stage")
    assert again is not None, "it is back, since the rollback"


def test_what_a_rollback_needs_is_there(lanes: Lanes) -> None:
    found = eyes(lanes).retained()
    assert [one.present for one in found] == [True, True, True]
    assert "map 1" in [one.what for one in found]


def test_a_lost_build_is_missed_before_a_promotion_begins(lanes: Lanes) -> None:
    look = eyes(lanes)
    look.ctx.builds.remove(look.plan.base_build)
    found = {one.what: one.present for one in look.retained()}
    assert found[f"build {look.plan.base_build[7:15]}"] is False


def test_a_map_that_is_gone_is_missed(lanes: Lanes) -> None:
    look = eyes(lanes)
    look = replace(look, plan=replace(look.plan, base_map=99))
    assert {one.what: one.present for one in look.retained()}["map 99"] is False


def test_a_first_release_has_nothing_to_retain(tmp_path: Path) -> None:
    lanes = Lanes(tmp_path / "orders", TWO)
    lanes.through(lanes.build("v1"), "stage")
    assert eyes(lanes, lanes.build("v1")).retained() == ()


def test_afterwards_the_checks_look_at_what_is_live(lanes: Lanes) -> None:
    after = eyes(lanes, moment=Moment.AFTER).checks()
    assert {(c.table, c.rows, c.bad) for c in after} == {("orders_daily", 12, 0), ("totals_daily", 4, 0)}
    candidate = eyes(lanes, moment=Moment.CANDIDATE).checks()
    assert {c.rows for c in candidate} == {0}, "nothing was computed, so there is nothing to look at"


def test_columns_are_those_of_the_side_that_is_asked_for(lanes: Lanes) -> None:
    look = eyes(lanes, moment=Moment.CANDIDATE)
    assert set(look.columns("live")) == {"orders_daily", "totals_daily"}
    assert look.columns("candidate") == {}
