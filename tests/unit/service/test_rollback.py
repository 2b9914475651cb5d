"""Going back: exactly the map before, with its code and config; nothing is computed, and nothing is guessed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.road import PROJECT, SCRIPT

from lanewise.domain.environment import Environment
from lanewise.domain.promotion import State
from lanewise.domain.publication import PartitionMap
from lanewise.errors import GroundMoved, NotFound, Refused, WarehouseUnavailable
from lanewise.service.hold import lane, resume
from lanewise.service.live import run_live
from lanewise.service.releases import as_released
from lanewise.service.rollback import RolledBack, rerun_missing, roll_back
from lanewise.service.status import status

from .lanes import CANARY, DAYS, ONE, Lanes


@pytest.fixture
def lanes(tmp_path: Path) -> Lanes:
    """v1, then v2 is live."""
    found = Lanes(tmp_path / "orders")
    found.through(found.build("v1"))
    found.through(found.build("v2"))
    return found


def back(lanes: Lanes, **how: object) -> RolledBack:
    return roll_back(lanes.ctx(), "prod", **how)  # type: ignore[arg-type] - a test's own words


def content(found: PartitionMap) -> tuple[object, ...]:
    return (found.build, found.config, found.tables)


def test_the_map_is_exactly_the_one_before(lanes: Lanes) -> None:
    before, runs = lanes.map_at(1), lanes.runs()
    done = back(lanes, reason="odd numbers")
    assert content(lanes.live()) == content(before)
    assert (done.left, done.back, done.map, done.missing) == (lanes.map_at(2).build, before.build, 3, {})
    assert lanes.runs() == runs, "nothing is computed"
    assert lanes.seen() == dict.fromkeys(DAYS, "v1")


def test_the_build_that_left_is_quarantined_and_the_lane_paused(lanes: Lanes) -> None:
    done = back(lanes, reason="odd numbers")
    now = lane(lanes.ctx(), "prod")
    assert (now.paused, now.quarantined) == ("rollback: odd numbers", (done.left,))


def test_runs_after_it_use_the_build_and_the_settings_that_are_back(tmp_path: Path) -> None:
    threshold = """$(grep -o '"threshold":[^0-9]*[0-9]*' "$LANEWISE_COMPILED" | grep -o '[0-9]*$')"""
    script = SCRIPT.replace("@BUILD@", f"@BUILD@-{threshold}")
    lanes = Lanes(tmp_path / "orders")
    v1 = lanes.build("v1", script)
    lanes.through(v1)
    lanes.environments(ONE.replace("threshold: 1", "threshold: 7"))
    lanes.through(v1)
    run_live(lanes.ctx(), "prod", ["2013-01-05"])
    back(lanes)
    released = as_released(lanes.ctx(), "prod")
    assert released is not None
    assert released.settings["threshold"] == 1
    run_live(lanes.ctx(), "prod", ["2013-01-06"])
    assert lanes.seen()["2013-01-06"] == "v1-1"


def test_twice_goes_further_back_and_never_to_what_is_in_quarantine(lanes: Lanes) -> None:
    lanes.through(lanes.build("v3"))
    assert content(lanes.live()) == content(lanes.map_at(3))
    back(lanes)
    assert content(lanes.live()) == content(lanes.map_at(2))
    back(lanes)
    assert content(lanes.live()) == content(lanes.map_at(1))
    with pytest.raises(Refused, match="no earlier release"):
        back(lanes)


def test_a_named_build_comes_back_even_out_of_quarantine(lanes: Lanes) -> None:
    v2 = lanes.live().build
    back(lanes)
    done = back(lanes, build=v2[7:15])
    assert done.back == v2
    assert content(lanes.live()) == content(lanes.map_at(2))


def test_a_build_that_was_never_live_is_refused(lanes: Lanes) -> None:
    v3 = lanes.build("v3")
    with pytest.raises(Refused, match=f"build {v3[7:15]} was never live in prod"):
        back(lanes, build=v3)
    with pytest.raises(NotFound, match="no build named 'v9'"):
        back(lanes, build="v9")
    assert len(lanes.releases()) == 2


def test_a_dry_run_says_where_and_changes_nothing(lanes: Lanes) -> None:
    length = lanes.ledger.head()[0]
    told = back(lanes, dry_run=True)
    assert (told.back, told.map, told.missing) == (lanes.map_at(1).build, 1, {})
    assert lanes.ledger.head()[0] == length
    assert lanes.live().number == 2


def test_nothing_released_means_nothing_to_go_back_to(tmp_path: Path) -> None:
    lanes = Lanes(tmp_path / "orders")
    with pytest.raises(Refused, match="nothing has been released in prod"):
        back(lanes)
    lanes.through(lanes.build("v1"))
    with pytest.raises(Refused, match="no earlier release"):
        back(lanes)
    assert lane(lanes.ctx(), "prod").paused is None


def test_days_that_only_the_new_build_has_are_listed_and_can_be_run_again(lanes: Lanes) -> None:
    run_live(lanes.ctx(), "prod", ["2013-01-05"])
    done = back(lanes)
    assert done.missing == {"orders_daily": ("2013-01-05",), "totals_daily": ("2013-01-05",)}
    assert lanes.seen() == dict.fromkeys(DAYS, "v1")
    rerun_missing(lanes.ctx(), "prod", done.missing)
    assert lanes.seen() == dict.fromkeys((*DAYS, "2013-01-05"), "v1")


def test_a_table_that_the_old_build_does_not_know_is_nothing_to_run_again(tmp_path: Path) -> None:
    lanes = Lanes(tmp_path / "orders", ONE, PROJECT[: PROJECT.index("  totals_daily:")])
    lanes.through(lanes.build("v1"))
    lanes.project(PROJECT)
    lanes.through(lanes.build("v2"))
    assert back(lanes).missing == {}
    assert list(lanes.live().tables) == ["orders_daily"]


def test_days_that_the_new_build_published_anew_are_older_again_listed_and_can_be_run_again(lanes: Lanes) -> None:
    run_live(lanes.ctx(), "prod", [DAYS[1], "2013-01-05"])
    again = {"orders_daily": (DAYS[1],), "totals_daily": (DAYS[1],)}
    assert back(lanes, dry_run=True).stale == again
    done = back(lanes)
    assert done.stale == again
    assert done.missing == dict.fromkeys(again, ("2013-01-05",))
    rerun_missing(lanes.ctx(), "prod", done.missing, done.stale)
    _, v1, partitions = lanes.runs()[-1]
    assert (v1, partitions) == (done.back, [DAYS[1], "2013-01-05"])


class TestOfARolloutThatTheLiveBuildPublishedIn:
    """While v2 was at its canary, v1 published a new day and one day anew; then v2 was released."""

    @pytest.fixture
    def lanes(self, tmp_path: Path) -> Lanes:
        lanes = Lanes(tmp_path / "orders", CANARY)
        lanes.through(lanes.build("v1"))
        seen: list[State] = []

        def publish_once(promotion: str, state: State) -> None:
            seen.append(state)
            if seen.count(State.CANARY) == 2 and state is State.CANARY:
                run_live(lanes.ctx(), "prod", ["2013-01-05"])
                run_live(lanes.ctx(), "prod", [DAYS[0]])

        lanes.told.on_move = publish_once
        lanes.through(lanes.build("v2"))
        lanes.told.on_move = lambda promotion, state: None
        assert lanes.seen() == dict.fromkeys((*DAYS, "2013-01-05"), "v2")
        return lanes

    def test_what_it_published_is_there_again(self, lanes: Lanes) -> None:
        told = back(lanes, dry_run=True)
        done = back(lanes)
        assert lanes.seen() == dict.fromkeys((*DAYS, "2013-01-05"), "v1")
        assert (done.missing, done.stale, told.missing, told.stale) == ({}, {}, {}, {})
        slices = lanes.live().tables["orders_daily"].slices
        assert slices[DAYS[0]] != lanes.map_at(1).tables["orders_daily"].slices[DAYS[0]]
        assert lanes.live().build == done.back

    def test_where_that_map_can_not_be_made_it_goes_back_without_and_says_so(self, lanes: Lanes) -> None:
        ctx = lanes.ctx()
        warehouse: Any = ctx.warehouse(release_of(lanes))

        class Full:
            def __getattr__(self, name: str) -> Any:
                return getattr(warehouse, name)

            def prepare(self, target: PartitionMap) -> None:
                raise WarehouseUnavailable("the disk is full")

        ctx._open_warehouse = lambda environment: Full()  # type: ignore[method-assign, return-value, assignment]
        done = roll_back(ctx, "prod")
        assert lanes.seen() == dict.fromkeys(DAYS, "v1")
        assert done.missing["orders_daily"] == ("2013-01-05",)


class Meddling:
    """A warehouse that does something just before each of the first ``times`` reverts."""

    def __init__(self, warehouse: Any, meddle: Callable[[], object], times: int) -> None:
        self._warehouse, self._meddle, self._times = warehouse, meddle, times

    def __getattr__(self, name: str) -> Any:
        return getattr(self._warehouse, name)

    def revert(self, *where: Any, **how: Any) -> int:
        if self._times:
            self._times -= 1
            self._meddle()
        number: int = self._warehouse.revert(*where, **how)
        return number


@pytest.mark.parametrize("times", [1, 3])
def test_a_run_that_publishes_in_between_does_not_stop_it(lanes: Lanes, times: int) -> None:
    ctx = lanes.ctx()
    meddling = Meddling(ctx.warehouse(release_of(lanes)), lambda: run_live(lanes.ctx(), "prod", ["2013-01-05"]), times)
    ctx._open_warehouse = lambda environment: meddling  # type: ignore[method-assign] - this lane's only one
    done = roll_back(ctx, "prod")
    assert lanes.seen() == dict.fromkeys(DAYS, "v1")
    assert done.missing["orders_daily"] == ("2013-01-05",)
    assert [r.map for r in lanes.releases()] == [1, 2, 3 + times]


def test_runs_that_never_stop_publishing_are_named(lanes: Lanes, monkeypatch: pytest.MonkeyPatch) -> None:
    ctx = lanes.ctx()

    def moved() -> None:
        raise GroundMoved("map 9 is live")

    meddling = Meddling(ctx.warehouse(release_of(lanes)), moved, 99)
    ctx._open_warehouse = lambda environment: meddling  # type: ignore[method-assign] - as above
    monkeypatch.setattr("lanewise.service.rollback._TRIES", 2)
    with pytest.raises(GroundMoved, match="runs kept publishing to prod"):
        roll_back(ctx, "prod")


def test_a_ledger_from_a_backup_counts_on_above_the_warehouse(lanes: Lanes) -> None:
    for name in ("v3", "v4", "v5"):
        lanes.through(lanes.build(name))
    before = lanes.ctx().warehouse(release_of(lanes)).pointer().fence
    lanes.ledger._leases.clear()
    back(lanes)
    assert set(lanes.seen().values()) == {"v4"}
    assert lanes.ctx().warehouse(release_of(lanes)).pointer().fence > before


def release_of(lanes: Lanes) -> Environment:
    found = as_released(lanes.ctx(), "prod")
    assert found is not None
    return found


class TestWhereAConfigHasMovedTheWarehouse:
    """v1 is live in the old place, v2 in the new one: no promotion does that any more, and a ledger may tell of it."""

    NEW = "connections: {elsewhere: {type: duckdb, path: elsewhere}}\n" + ONE.replace(
        "threshold: 1", "threshold: 1, dst_conn: elsewhere"
    )

    @pytest.fixture
    def lanes(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lanes:
        monkeypatch.setattr("lanewise.service.ground._require_same_place", lambda live, target: None)
        found = Lanes(tmp_path / "orders")
        found.through(found.build("v1"))
        found.environments(self.NEW)
        found.promote(found.build("v2"))
        assert len(found.releases()) == 2
        return found

    def test_the_old_place_is_live_again_as_it_was(self, lanes: Lanes) -> None:
        new = lanes.live()
        run_live(lanes.ctx(), "prod", ["2013-01-05"])
        assert back(lanes, dry_run=True).map == 1
        done = back(lanes)
        assert (done.back, done.map) == (lanes.releases()[0].build, 1)
        assert done.missing["orders_daily"] == ("2013-01-05",)
        assert lanes.seen() == dict.fromkeys(DAYS, "v1")
        assert release_of(lanes).connection("dst").fields.get("path") is None
        assert lanes.live().number == new.number + 1, "nothing is taken from the readers of the new place"
        assert status(lanes.ctx()).lanes[0].astray == ""
        run_live(lanes.ctx(), "prod", ["2013-01-05"])
        assert lanes.seen()["2013-01-05"] == "v1"

    def test_and_the_new_one_when_its_build_is_asked_for(self, lanes: Lanes) -> None:
        v2 = lanes.live().build
        back(lanes)
        assert back(lanes, build=v2).back == v2
        assert release_of(lanes).connection("dst").fields["path"] == "elsewhere"
        assert lanes.live().build == v2

    def test_a_place_that_shows_something_else_by_now_is_refused(self, lanes: Lanes) -> None:
        lanes.environments(ONE)
        ctx = lanes.ctx()
        old = ctx.warehouse(ctx.config.environment("prod"))
        old.revert(0, base=1, fence=old.pointer().fence)
        with pytest.raises(Refused, match=r"prod was in another warehouse .* no longer shows it"):
            back(lanes)


def interrupted_after_release(lanes: Lanes, build: str) -> None:
    """The build is released; its promotion stands in VERIFYING."""

    def stop(promotion: str, state: State) -> None:
        if state is State.SUCCEEDED:
            raise KeyboardInterrupt

    lanes.told.on_move = stop
    with pytest.raises(KeyboardInterrupt):
        lanes.promote(build)
    lanes.told.on_move = lambda promotion, state: None
    assert lanes.get("prod-2").state is State.VERIFYING


def test_what_a_release_that_was_not_looked_at_yet_has_published_goes_with_it(tmp_path: Path) -> None:
    lanes = Lanes(tmp_path / "orders")
    lanes.through(lanes.build("v1"))
    interrupted_after_release(lanes, lanes.build("v2"))
    run_live(lanes.ctx(), "prod", [DAYS[0], "2013-01-05"])
    done = back(lanes)
    assert lanes.seen() == dict.fromkeys(DAYS, "v1")
    assert (done.missing["orders_daily"], done.stale["orders_daily"]) == (("2013-01-05",), (DAYS[0],))


class TestWithAPromotionUnderWay:
    """v2 has shown its first step and stands there: a freeze has opened."""

    @pytest.fixture
    def lanes(self, tmp_path: Path) -> Lanes:
        freeze = "freeze: [{start: 2026-01-05T15:00:00, end: 2026-01-05T18:00:00}], rollout:"
        lanes = Lanes(tmp_path / "orders", CANARY.replace("rollout:", freeze))
        lanes.through(lanes.build("v1"))
        seen: list[State] = []

        def into_the_freeze(promotion: str, state: State) -> None:
            seen.append(state)
            if seen.count(State.CANARY) == 2 and lanes.ledger.now().hour == 12:
                lanes.wait(hours=4)

        lanes.told.on_move = into_the_freeze
        assert lanes.promote(lanes.build("v2")).state is State.FROZEN
        assert "v2" in lanes.seen().values()
        return lanes

    def test_a_dry_run_names_the_map_that_it_began_on(self, lanes: Lanes) -> None:
        told = back(lanes, dry_run=True)
        assert (told.taken_over, told.map) == ("prod-2", 1)

    def test_it_ends_the_promotion_and_restores_the_map(self, lanes: Lanes) -> None:
        before = lanes.map_at(1)
        done = back(lanes)
        assert (done.taken_over, done.back) == ("prod-2", before.build)
        assert content(lanes.live()) == content(before)
        assert lanes.get("prod-2").state is State.REVERTED

    def test_what_the_live_build_has_published_meanwhile_stays(self, lanes: Lanes) -> None:
        (shown,) = [day for day, name in lanes.seen().items() if name == "v2"]
        run_live(lanes.ctx(), "prod", ["2013-01-05"])
        run_live(lanes.ctx(), "prod", [DAYS[0]])
        held = lanes.live().tables["orders_daily"].slices
        told = back(lanes, dry_run=True)
        done = back(lanes)
        now = lanes.live()
        assert lanes.seen() == dict.fromkeys((*DAYS, "2013-01-05"), "v1")
        assert (done.missing, done.stale, told.missing, told.stale) == ({}, {}, {}, {})
        for day in ({*DAYS, "2013-01-05"} - {shown}) | {DAYS[0]}:
            assert now.tables["orders_daily"].slices[day] == held[day]
        assert now.build == lanes.map_at(1).build
        assert lanes.get("prod-2").state is State.REVERTED

    def test_days_of_the_live_build_alone_are_nothing_to_take_back(self, tmp_path: Path) -> None:
        lanes = Lanes(tmp_path / "quiet", CANARY)
        lanes.through(lanes.build("v1"))

        def stop(promotion: str, state: State) -> None:
            if state is State.JUDGING:
                raise KeyboardInterrupt

        lanes.told.on_move = stop
        with pytest.raises(KeyboardInterrupt):
            lanes.promote(lanes.build("v2"))
        run_live(lanes.ctx(), "prod", ["2013-01-05"])
        number = lanes.live().number
        assert back(lanes).map == number
        assert lane(lanes.ctx(), "prod").quarantined == (), "readers have seen nothing of it"

    def test_what_readers_saw_of_it_stays_out_until_a_person_lets_it_in(self, lanes: Lanes) -> None:
        done = back(lanes)
        now = lane(lanes.ctx(), "prod")
        assert now.paused is not None
        assert now.quarantined == (done.left,)
        resume(lanes.ctx(), "prod", build=done.left)

    def test_a_rollback_waits_for_no_freeze(self, lanes: Lanes) -> None:
        assert back(lanes).seconds < 60
        assert set(lanes.seen().values()) == {"v1"}
