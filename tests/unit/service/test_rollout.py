"""A rollout among others who publish, with ports that fail, and back again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.e2e.road import SCRIPT

from lanewise.bootstrap import Workshop
from lanewise.domain.evidence import Moment, Result
from lanewise.domain.promotion import State
from lanewise.errors import GroundMoved, LeaseHeld, NotFound, Refused, WarehouseUnavailable
from lanewise.service.hold import lane, resume
from lanewise.service.lease import held
from lanewise.service.live import run_live
from lanewise.service.promote import Asked, finish_interrupted, promote
from lanewise.service.releases import as_released
from lanewise.service.rollback import roll_back

from .lanes import CANARY, DAYS, ONE, Lanes, SayingGate, plug_in


def at_state(lanes: Lanes, state: State, nth: int, work: Any) -> None:
    """Do something just as a promotion comes into a state for the nth time."""
    seen: list[State] = []
    done: list[State] = []

    def look(promotion: str, now: State) -> None:
        seen.append(now)
        if now is state and seen.count(state) == nth and not done:
            done.append(now)
            work()

    lanes.told.on_move = look


class Port:
    """A port of which one method does something else."""

    def __init__(self, port: Any, **instead: Any) -> None:
        self._port, self._instead = port, instead

    def __getattr__(self, name: str) -> Any:
        return self._instead.get(name) or getattr(self._port, name)


def with_warehouse(ctx: Workshop, **instead: Any) -> Workshop:
    opened = ctx._open_warehouse
    ctx._open_warehouse = lambda environment: Port(opened(environment), **instead)  # type: ignore[method-assign]
    return ctx


class TestRunsMeanwhile:
    @pytest.fixture
    def lanes(self, tmp_path: Path) -> Lanes:
        found = Lanes(tmp_path / "orders", CANARY)
        found.through(found.build("v1"))
        return found

    def test_a_new_day_of_the_old_build_ends_up_from_the_new_one(self, lanes: Lanes) -> None:
        v2 = lanes.build("v2")
        at_state(lanes, State.CANARY, 2, lambda: run_live(lanes.ctx(), "prod", ["2013-01-05"]))
        assert lanes.promote(v2).state is State.SUCCEEDED
        assert lanes.seen() == dict.fromkeys((*DAYS, "2013-01-05"), "v2")

    def test_a_day_that_was_run_again_is_not_covered_up_by_the_step_that_saw_older_data(self, lanes: Lanes) -> None:
        v2 = lanes.build("v2")
        (day,) = lanes.plan(v2).steps[0].partitions
        at_state(lanes, State.JUDGING, 1, lambda: run_live(lanes.ctx(), "prod", [day]))
        shown: list[dict[str, str]] = []
        original = lanes.told.on_move

        def watch(promotion: str, state: State) -> None:
            original(promotion, state)
            if state is State.CANARY:
                shown.append(lanes.seen())

        lanes.told.on_move = watch
        assert lanes.promote(v2).state is State.SUCCEEDED
        assert [found[day] for found in shown] == ["v1", "v1", "v1"], "not from v2 before v2 has seen the same input"
        assert lanes.seen() == dict.fromkeys(DAYS, "v2")
        computed = [run for run in lanes.runs() if run[1] == v2 and day in run[2]]
        assert len(computed) == 2, "the day was computed once more, from what the run saw"

    def test_a_revert_leaves_the_days_of_others_alone(self, lanes: Lanes) -> None:
        plan = lanes.plan(lanes.build("v2"))
        late = plan.steps[1].partitions[0][-2:]
        fault = SCRIPT.replace("for id in 1 2 3; do", f'for id in 1 2 3; do [ "$day$id" = {late}3 ] && continue;')
        at_state(lanes, State.CANARY, 2, lambda: run_live(lanes.ctx(), "prod", ["2013-01-05"]))
        done = lanes.promote(lanes.build("v2", fault))
        assert (done.state, done.exposed) == (State.REVERTED, 1)
        assert lanes.seen() == dict.fromkeys((*DAYS, "2013-01-05"), "v1")


class TestWhoIsAtWork:
    def test_somebody_elses_lease_is_waited_for_or_told(self, tmp_path: Path) -> None:
        lanes = Lanes(tmp_path / "orders")
        v1 = lanes.build("v1")
        with held(lanes.ctx(), "orders/prod"), pytest.raises(LeaseHeld, match="orders/prod is held by"):
            lanes.promote(v1)
        assert lanes.get("prod-1").state is State.READY
        assert lanes.promote(v1).state is State.SUCCEEDED

    def test_a_rollback_takes_the_lease_from_whoever_has_it(self, tmp_path: Path) -> None:
        lanes = Lanes(tmp_path / "orders", CANARY)
        lanes.through(lanes.build("v1"))
        at_state(lanes, State.CANARY, 3, lambda: roll_back(lanes.ctx("ben"), "prod"))
        with pytest.raises((GroundMoved, Refused)):
            lanes.promote(lanes.build("v2"))
        assert lanes.seen() == dict.fromkeys(DAYS, "v1")
        assert lanes.get("prod-2").state is State.REVERTED


class TestAfterTheRelease:
    @pytest.fixture
    def oracle(self, monkeypatch: pytest.MonkeyPatch) -> type[SayingGate]:
        class Oracle(SayingGate):
            moments = (Moment.AFTER,)
            says = Result.FAIL

        plug_in(monkeypatch, Oracle)
        return Oracle

    def test_a_gate_that_fails_on_what_was_released_takes_it_back(
        self, tmp_path: Path, oracle: type[SayingGate]
    ) -> None:
        lanes = Lanes(tmp_path / "orders", ONE.replace("retained]", "oracle]"))
        oracle.says = Result.PASS
        v1, v2 = lanes.build("v1"), lanes.build("v2")
        lanes.through(v1)
        before = lanes.live()
        oracle.says = Result.FAIL
        assert lanes.promote(v2).state is State.REVERTED
        after = lanes.live()
        assert (after.tables, after.build, after.config) == (before.tables, before.build, before.config)
        assert [(r.build, r.kind) for r in lanes.releases()] == [(v1, "promotion"), (v2, "promotion"), (v1, "rollback")]
        assert lane(lanes.ctx(), "prod").quarantined == (v2,)

    def test_a_first_release_that_is_taken_back_leaves_nothing_live(
        self, tmp_path: Path, oracle: type[SayingGate]
    ) -> None:
        lanes = Lanes(tmp_path / "orders", ONE.replace("retained]", "oracle]"))
        v1 = lanes.build("v1")
        assert lanes.promote(v1).state is State.REVERTED
        assert lanes.releases() == ()
        assert as_released(lanes.ctx(), "prod") is None
        assert lanes.live().tables == {}
        with pytest.raises(Refused, match="nothing is live in prod"):
            run_live(lanes.ctx(), "prod", ["2013-01-01"])
        oracle.says = Result.PASS
        resume_and_promote = resume(lanes.ctx(), "prod", build=v1)
        assert resume_and_promote.quarantined == ()
        assert lanes.promote(v1).state is State.SUCCEEDED


class TestWhenPortsFail:
    def test_a_warehouse_that_is_away_stops_it_where_it_is_and_the_next_promote_goes_on(self, tmp_path: Path) -> None:
        lanes = Lanes(tmp_path / "orders")
        v1 = lanes.build("v1")

        def away(*_: Any, **__: Any) -> None:
            raise WarehouseUnavailable("the disk is full", hint="free some room")

        with pytest.raises(WarehouseUnavailable, match="the disk is full"):
            promote(with_warehouse(lanes.ctx(), prepare=away), v1, "prod", Asked())
        assert lanes.get("prod-1").state is State.CUTOVER
        assert lanes.seen() == {}
        assert lanes.promote(v1).state is State.SUCCEEDED
        assert "prod-1 was interrupted in CUTOVER: finishing it first" in lanes.told.lines
        assert len(lanes.runs()) == 1, "what was computed is not computed again"

    def test_a_revert_that_fails_locks_the_lane_until_a_rollback_and_a_person(self, tmp_path: Path) -> None:
        lanes = Lanes(tmp_path / "orders", CANARY)
        v1 = lanes.build("v1")
        lanes.through(v1)
        plan = lanes.plan(lanes.build("v2"))
        late = plan.steps[1].partitions[0][-2:]
        fault = SCRIPT.replace("for id in 1 2 3; do", f'for id in 1 2 3; do [ "$day$id" = {late}3 ] && continue;')
        v2 = lanes.build("v2", fault)
        published: list[int] = []

        class Failing(Port):
            def publish(self, target: Any, *, base: int, fence: int) -> None:
                if published:
                    raise NotFound("map", "1")
                published.append(target.number)
                self._port.publish(target, base=base, fence=fence)

        ctx = lanes.ctx()
        opened = ctx._open_warehouse
        ctx._open_warehouse = lambda environment: Failing(opened(environment))  # type: ignore[method-assign]
        done = promote(ctx, v2, "prod", Asked())
        assert done.state is State.REVERT_FAILED
        assert "no map named '1'" in done.reason
        with pytest.raises(Refused, match="prod is paused: prod-2 could not be reverted"):
            lanes.promote(lanes.build("v3"))
        assert "v2" in lanes.seen().values()
        back = roll_back(lanes.ctx(), "prod")
        assert (back.left, back.back) == (v2, v1)
        assert lanes.seen() == dict.fromkeys(DAYS, "v1")
        assert lanes.live().tables == lanes.map_at(1).tables
        assert lane(lanes.ctx(), "prod").quarantined == (v2,)
        with pytest.raises(Refused, match="no earlier release"):
            roll_back(lanes.ctx(), "prod")
        resume(lanes.ctx(), "prod")
        lanes.through(lanes.build("v3"))

    def test_a_revert_that_the_outside_stops_goes_on_with_the_next_command(self, tmp_path: Path) -> None:
        lanes = Lanes(tmp_path / "orders", CANARY)
        v1 = lanes.build("v1")
        lanes.through(v1)
        late = lanes.plan(lanes.build("v2")).steps[1].partitions[0][-2:]
        fault = SCRIPT.replace("for id in 1 2 3; do", f'for id in 1 2 3; do [ "$day$id" = {late}3 ] && continue;')
        v2 = lanes.build("v2", fault)
        published: list[int] = []
        ctx = lanes.ctx()
        opened = ctx._open_warehouse

        class Full(Port):
            def publish(self, target: Any, *, base: int, fence: int) -> None:
                if published:
                    raise WarehouseUnavailable("the disk is full")
                published.append(target.number)
                self._port.publish(target, base=base, fence=fence)

        ctx._open_warehouse = lambda environment: Full(opened(environment))  # type: ignore[method-assign]
        with pytest.raises(WarehouseUnavailable):
            promote(ctx, v2, "prod", Asked())
        assert lanes.get("prod-2").state is State.REVERTING
        finish_interrupted(lanes.ctx(), "prod")
        assert lanes.get("prod-2").state is State.REVERTED
        assert lanes.seen() == dict.fromkeys(DAYS, "v1")

    def test_readers_never_see_a_step_that_could_not_be_published(self, tmp_path: Path) -> None:
        lanes = Lanes(tmp_path / "orders", CANARY)
        lanes.through(lanes.build("v1"))
        tried: list[int] = []

        def moved(target: Any, **_: Any) -> None:
            tried.append(target.number)
            raise GroundMoved("somebody was quicker")

        with pytest.raises(GroundMoved, match="was published to 5 times"):
            promote(with_warehouse(lanes.ctx(), publish=moved), lanes.build("v2"), "prod", Asked())
        assert len(tried) == 5
        assert lanes.seen() == dict.fromkeys(DAYS, "v1")
