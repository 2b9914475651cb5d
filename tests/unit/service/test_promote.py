"""A promotion from request to end: the ways it goes, what stops it, and who comes first."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.e2e.road import PROJECT, SCRIPT

from lanewise.domain.evidence import Result
from lanewise.domain.plan import Move
from lanewise.domain.promotion import State
from lanewise.errors import GroundMoved, NotFound, Quarantined, Refused, WarehouseUnavailable
from lanewise.promotion.breakglass import Waiver
from lanewise.service.ground import read_plan, write_plan
from lanewise.service.hold import pause, resume
from lanewise.service.live import run_live
from lanewise.service.releases import follow_ups
from lanewise.service.rollback import roll_back
from lanewise.service.status import status

from .lanes import APPROVED, BLUE_GREEN, CANARY, DAYS, ONE, TWO, TWO_APPROVED, Lanes, SayingGate, plug_in

ORACLE = ONE.replace("[quality, schema, retained]", "[quality, oracle]")
FREEZE = ONE.replace("retained]", "retained], freeze: [{start: 2026-01-05, end: 2026-01-06, reason: stocktaking}]")


@pytest.fixture
def lanes(tmp_path: Path) -> Lanes:
    return Lanes(tmp_path / "orders")


def states(lanes: Lanes, promotion: str) -> list[str]:
    return [state.value for name, state in lanes.told.moves if name == promotion]


class TestTheWaysThatItGoes:
    def test_a_first_release_computes_what_the_data_policy_names(self, lanes: Lanes) -> None:
        done = lanes.promote(lanes.build("v1"))
        assert done.state is State.SUCCEEDED
        assert lanes.seen() == dict.fromkeys(DAYS, "v1")
        assert states(lanes, "prod-1") == ["GATING", "READY", "ACQUIRING", "PREPARING", "CANARY", "JUDGING", "CUTOVER",
                                           "VERIFYING", "SUCCEEDED"]  # fmt: skip

    def test_all_at_once_shows_every_day_in_one_map(self, lanes: Lanes) -> None:
        lanes.through(lanes.build("v1"))
        before = lanes.live().number
        lanes.through(lanes.build("v2"))
        assert lanes.seen() == dict.fromkeys(DAYS, "v2")
        assert lanes.live().number == before + 1
        assert [purpose for purpose, _, _ in lanes.runs()] == ["promotion", "promotion"]

    def test_blue_green_compares_everything_and_shows_it_in_one_map(self, tmp_path: Path) -> None:
        lanes = Lanes(tmp_path / "orders", BLUE_GREEN)
        lanes.through(lanes.build("v1"))
        done = lanes.promote(lanes.build("v2"))
        assert done.state is State.SUCCEEDED
        assert lanes.live().number == 2
        assert {v.gate for v in done.verdicts} >= {"canary", "quality", "schema", "retained"}

    def test_a_canary_exposes_each_step_only_after_it_was_judged(self, tmp_path: Path) -> None:
        lanes = Lanes(tmp_path / "orders", CANARY)
        lanes.through(lanes.build("v1"))
        done = lanes.promote(lanes.build("v2"))
        assert done.state is State.SUCCEEDED
        assert lanes.seen() == dict.fromkeys(DAYS, "v2")
        new = [sum(s[0].build == done.build for s in lanes.map_at(n).tables["orders_daily"].slices.values())
               for n in (1, 2, 3, 4)]  # fmt: skip
        assert new == [0, 1, 2, 4]

    def test_a_failed_canary_takes_back_nothing_because_nothing_was_shown(self, tmp_path: Path) -> None:
        lanes = Lanes(tmp_path / "orders", CANARY)
        lanes.through(lanes.build("v1"))
        before = lanes.live()
        done = lanes.promote(lanes.build("v2", SCRIPT.replace("for id in 1 2 3", "for id in 1 2")))
        assert (done.state, done.exposed) == (State.REVERTED, 0)
        assert "keys removed" in done.reason
        assert lanes.live() == before
        assert len(lanes.releases()) == 1

    def test_a_fault_in_a_later_step_takes_back_the_steps_that_readers_saw(self, tmp_path: Path) -> None:
        lanes = Lanes(tmp_path / "orders", CANARY)
        lanes.through(lanes.build("v1"))
        before = lanes.live()
        plan = lanes.plan(lanes.build("v2"))
        late = plan.steps[1].partitions[0][-2:]
        fault = SCRIPT.replace("for id in 1 2 3; do", f'for id in 1 2 3; do [ "$day$id" = {late}3 ] && continue;')
        done = lanes.promote(lanes.build("v2", fault))
        assert (done.state, done.exposed) == (State.REVERTED, 1)
        assert lanes.seen() == dict.fromkeys(DAYS, "v1")
        after = lanes.live()
        assert (after.tables, after.build, after.config) == (before.tables, before.build, before.config)

    def test_a_run_that_fails_ends_in_reverted_with_the_reason(self, lanes: Lanes) -> None:
        lanes.through(lanes.build("v1"))
        done = lanes.promote(lanes.build("v2", "echo sorry >&2; exit 3\n"))
        assert done.state is State.REVERTED
        assert "3" in done.reason
        assert lanes.seen() == dict.fromkeys(DAYS, "v1")

    def test_promoting_what_is_live_already_is_nothing(self, lanes: Lanes) -> None:
        v1 = lanes.build("v1")
        lanes.through(v1)
        length = lanes.ledger.head()[0]
        again = lanes.promote(v1)
        assert (again.id, again.state) == ("prod-1", State.SUCCEEDED)
        assert lanes.ledger.head()[0] == length

    def test_a_table_that_did_not_change_is_reused_and_not_computed(self, tmp_path: Path) -> None:
        two = PROJECT.replace("run: sh pipelines/orders.sh", "run: sh pipelines/orders.sh").replace(
            "    key: [day]\n", "    key: [day]\n    depends: [pipelines/totals.txt]\n"
        )
        lanes = Lanes(tmp_path / "orders", ONE, two)
        (lanes.root / "pipelines" / "totals.txt").write_text("one\n")
        lanes.through(lanes.build("v1"))
        before = lanes.live().tables["totals_daily"]
        v2 = lanes.build("v2")
        assert {t.table: t.move for t in lanes.plan(v2).tables} == {
            "orders_daily": Move.REBUILD,
            "totals_daily": Move.REUSE,
        }
        lanes.through(v2)
        assert lanes.live().tables["totals_daily"] == before

    def test_a_table_can_be_added_and_dropped(self, lanes: Lanes) -> None:
        alone = PROJECT[: PROJECT.index("  totals_daily:")]
        lanes.project(alone)
        lanes.through(lanes.build("v1"))
        assert list(lanes.live().tables) == ["orders_daily"]
        lanes.project(PROJECT)
        lanes.through(lanes.build("v2"))
        assert lanes.seen() == dict.fromkeys(DAYS, "v2")
        lanes.project(alone)
        v3 = lanes.build("v3")
        assert {t.table: t.move for t in lanes.plan(v3).tables}["totals_daily"] is Move.DROP

    def test_dropping_a_table_that_nobody_declared_is_rejected_by_the_schema_gate(self, lanes: Lanes) -> None:
        lanes.through(lanes.build("v1"))
        lanes.project(PROJECT[: PROJECT.index("  totals_daily:")])
        done = lanes.promote(lanes.build("v2"))
        assert done.state in {State.REJECTED, State.REVERTED}
        assert "totals_daily" in done.reason
        assert lanes.seen() == dict.fromkeys(DAYS, "v1")

    def test_an_appended_nullable_column_is_null_where_the_old_build_computed(self, tmp_path: Path) -> None:
        inherit = PROJECT.replace("    key: [day]\n", "    key: [day]\n    history: inherit\n")
        lanes = Lanes(tmp_path / "orders", ONE, inherit)
        lanes.through(lanes.build("v1"))
        lanes.project(
            inherit.replace("orders: BIGINT, build: VARCHAR}", "orders: BIGINT, build: VARCHAR, note: VARCHAR}")
        )
        wider = SCRIPT.replace("day,orders,build >", "day,orders,build,note >").replace(
            '3,@BUILD@" >> "$totals', '3,@BUILD@,hi" >> "$totals'
        )
        lanes.through(lanes.build("v2", wider))
        run_live(lanes.ctx(), "prod", ["2013-01-05"])
        import duckdb

        with duckdb.connect(str(lanes.root / ".lanewise/warehouse/prod.duckdb"), read_only=True) as db:
            found = dict(db.execute("select strftime(day, '%d'), note from totals_daily").fetchall())
        assert found == {"01": None, "02": None, "03": None, "04": None, "05": "hi"}

    def test_inherited_history_is_judged_and_never_shown(self, tmp_path: Path) -> None:
        inherit = PROJECT.replace("    key: [day, id]\n", "    key: [day, id]\n    history: inherit\n").replace(
            "    key: [day]\n", "    key: [day]\n    history: inherit\n"
        )
        lanes = Lanes(tmp_path / "orders", CANARY, inherit)
        lanes.through(lanes.build("v1"))
        done = lanes.promote(lanes.build("v2"))
        assert done.state is State.SUCCEEDED
        assert any(v.gate == "canary" and v.details for v in done.verdicts)
        assert lanes.seen() == dict.fromkeys(DAYS, "v1")
        run_live(lanes.ctx(), "prod", ["2013-01-05"])
        assert lanes.seen() == {**dict.fromkeys(DAYS, "v1"), "2013-01-05": "v2"}


class TestConfigAlone:
    def test_it_is_a_promotion_of_the_same_build_that_computes_nothing(self, lanes: Lanes) -> None:
        v1 = lanes.build("v1")
        lanes.through(v1)
        runs = lanes.runs()
        lanes.environments(ONE.replace("threshold: 1", "threshold: 2"))
        assert lanes.plan(v1).config_only
        done = lanes.promote(v1)
        assert done.state is State.SUCCEEDED
        assert lanes.runs() == runs
        assert [r.kind for r in lanes.releases()] == ["promotion", "config"]

    def test_a_rollback_of_it_brings_the_config_back_and_keeps_the_build_out_of_quarantine(self, lanes: Lanes) -> None:
        v1 = lanes.build("v1")
        lanes.through(v1)
        lanes.environments(ONE.replace("threshold: 1", "threshold: 2"))
        lanes.through(v1)
        back = roll_back(lanes.ctx(), "prod")
        assert (back.left, back.back) == (v1, v1)
        one, _, now = lanes.releases()
        assert (now.kind, now.config) == ("rollback", one.config)
        assert not any(e.type == "build.quarantined" for e in lanes.ledger.read("environment/orders/prod"))


class TestGates:
    @pytest.fixture
    def oracle(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Lanes, type[SayingGate]]:
        class Oracle(SayingGate):
            pass

        plug_in(monkeypatch, Oracle)
        return Lanes(tmp_path / "orders", ORACLE), Oracle

    def test_a_fail_rejects(self, oracle: tuple[Lanes, type[SayingGate]]) -> None:
        lanes, gate = oracle
        gate.says = Result.FAIL
        done = lanes.promote(lanes.build("v1"))
        assert (done.state, done.reason) == (State.REJECTED, "oracle: so says the oracle")
        assert lanes.runs() == []

    def test_doubt_waits_and_the_next_promote_asks_again(self, oracle: tuple[Lanes, type[SayingGate]]) -> None:
        lanes, gate = oracle
        v1 = lanes.build("v1")
        gate.says = Result.INCONCLUSIVE
        assert lanes.promote(v1).state is State.GATING
        gate.says = Result.PASS
        done = lanes.promote(v1)
        assert (done.id, done.state) == ("prod-1", State.SUCCEEDED)

    def test_a_gate_that_breaks_is_an_error_and_no_crash(self, oracle: tuple[Lanes, type[SayingGate]]) -> None:
        lanes, gate = oracle
        gate.says = ZeroDivisionError("secret detail")
        done = lanes.promote(lanes.build("v1"))
        (verdict,) = done.verdicts
        assert (done.state, verdict.result) == (State.GATING, Result.ERROR)
        assert verdict.reason == "the gate broke: ZeroDivisionError"

    def test_a_gate_that_cannot_reach_what_it_needs_says_so(self, oracle: tuple[Lanes, type[SayingGate]]) -> None:
        lanes, gate = oracle
        gate.says = WarehouseUnavailable("the warehouse is away", hint="start it")
        (verdict,) = lanes.promote(lanes.build("v1")).verdicts
        assert (verdict.result, verdict.reason, verdict.hint) == (Result.ERROR, "the warehouse is away", "start it")

    def test_a_gate_that_is_not_installed_is_named(self, tmp_path: Path) -> None:
        lanes = Lanes(tmp_path / "orders", ONE.replace("schema", "shcema"))
        with pytest.raises(NotFound) as caught:
            lanes.promote(lanes.build("v1"))
        assert "schema" in caught.value.hint

    def test_a_pass_that_has_become_a_fail_sends_it_back_before_anything_is_done(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Oracle(SayingGate):
            pass

        plug_in(monkeypatch, Oracle)
        lanes = Lanes(tmp_path / "orders", APPROVED.replace("[quality, schema, retained]", "[oracle]"))
        v1 = lanes.build("v1")
        assert lanes.promote(v1).state is State.AWAITING_APPROVAL
        lanes.approve("prod-1")
        Oracle.says = Result.FAIL
        done = lanes.promote(v1)
        assert done.state is State.REJECTED
        assert states(lanes, "prod-1")[-3:] == ["ACQUIRING", "GATING", "REJECTED"]
        assert lanes.runs() == []

    def test_soak_waits_for_runs_in_the_environment_before(self, tmp_path: Path) -> None:
        lanes = Lanes(tmp_path / "orders", TWO.replace("[quality, retained]", "[soak: {runs: 2}]"))
        v1 = lanes.build("v1")
        lanes.through(v1, "stage")
        assert lanes.promote(v1).state is State.GATING
        run_live(lanes.ctx(), "stage", ["2013-01-05"])
        assert "1 of 2 good runs" in lanes.promote(v1).verdicts[0].reason
        run_live(lanes.ctx(), "stage", ["2013-01-06"])
        assert lanes.promote(v1).state is State.SUCCEEDED


class TestOrder:
    def test_a_build_enters_only_after_it_was_live_in_the_environment_before(self, tmp_path: Path) -> None:
        lanes = Lanes(tmp_path / "orders", TWO)
        v1 = lanes.build("v1")
        with pytest.raises(Refused, match="has not been live in stage") as caught:
            lanes.promote(v1)
        assert "--to stage" in caught.value.hint
        lanes.through(v1, "stage", "prod")

    def test_what_was_rolled_back_in_stage_does_not_enter_prod(self, tmp_path: Path) -> None:
        lanes = Lanes(tmp_path / "orders", TWO)
        v1, v2 = lanes.build("v1"), lanes.build("v2")
        lanes.through(v1, "stage", "prod")
        lanes.through(v2, "stage")
        roll_back(lanes.ctx(), "stage")
        with pytest.raises(Quarantined, match="stage"):
            lanes.promote(v2)

    def test_a_second_promote_picks_the_open_promotion_up(self, tmp_path: Path) -> None:
        lanes = Lanes(tmp_path / "orders", APPROVED)
        v1 = lanes.build("v1")
        assert lanes.promote(v1).id == lanes.promote(v1).id == "prod-1"

    def test_a_newer_promotion_supersedes_an_older_one_that_waits(self, tmp_path: Path) -> None:
        lanes = Lanes(tmp_path / "orders", APPROVED)
        lanes.promote(lanes.build("v1"))
        lanes.promote(lanes.build("v2"))
        older = lanes.get("prod-1")
        assert (older.state, older.reason) == (State.SUPERSEDED, "prod-2 came after it")

    def test_a_changed_config_supersedes_what_was_asked_with_the_old_one(self, tmp_path: Path) -> None:
        soaking = TWO.replace("[quality, retained]", "[soak]")
        lanes = Lanes(tmp_path / "orders", soaking)
        v1 = lanes.build("v1")
        lanes.through(v1, "stage")
        assert lanes.promote(v1).state is State.GATING
        lanes.environments(soaking.replace("threshold: 3", "threshold: 4"))
        assert lanes.promote(v1).id == "prod-2"
        assert lanes.get("prod-1").state is State.SUPERSEDED

    def test_a_success_opens_the_promotion_that_people_have_to_approve(self, tmp_path: Path) -> None:
        lanes = Lanes(tmp_path / "orders", TWO_APPROVED)
        lanes.through(lanes.build("v1"), "stage")
        opened = lanes.get("prod-1")
        assert (opened.state, opened.opened_by) == (State.AWAITING_APPROVAL, "stage-1")

    def test_nothing_is_opened_into_a_paused_environment(self, tmp_path: Path) -> None:
        lanes = Lanes(tmp_path / "orders", TWO_APPROVED)
        pause(lanes.ctx(), "prod", "stocktaking")
        lanes.through(lanes.build("v1"), "stage")
        assert lanes.ledger.streams("promotion/orders/prod/") == ()
        assert "no promotion into prod was opened: prod is paused: stocktaking" in lanes.told.lines

    def test_a_success_stays_one_where_the_next_promotion_cannot_be_opened(self, tmp_path: Path) -> None:
        lanes = Lanes(tmp_path / "orders", TWO_APPROVED.replace("retained]", "nosuch]"))
        done = lanes.promote(lanes.build("v1"), "stage")
        assert done.state is State.SUCCEEDED
        assert any("nosuch" in line for line in lanes.told.lines)

    def test_a_paused_environment_takes_nothing_until_it_is_resumed(self, lanes: Lanes) -> None:
        v1 = lanes.build("v1")
        pause(lanes.ctx(), "prod", "stocktaking")
        with pytest.raises(Refused, match="prod is paused: stocktaking"):
            lanes.promote(v1)
        resume(lanes.ctx(), "prod")
        lanes.through(v1)

    def test_a_pause_also_stops_what_was_asked_for_before_it(self, tmp_path: Path) -> None:
        lanes = Lanes(tmp_path / "orders", APPROVED)
        v1 = lanes.build("v1")
        lanes.promote(v1)
        pause(lanes.ctx(), "prod", "stocktaking")
        with pytest.raises(Refused, match="prod is paused"):
            lanes.approve("prod-1", go=True)
        assert lanes.get("prod-1").state is State.READY
        assert lanes.runs() == []
        resume(lanes.ctx(), "prod")
        assert lanes.promote(v1).id == "prod-1"
        assert lanes.get("prod-1").state is State.SUCCEEDED

    def test_a_rolled_back_build_stays_out_until_its_quarantine_is_lifted(self, lanes: Lanes) -> None:
        v1, v2 = lanes.build("v1"), lanes.build("v2")
        lanes.through(v1)
        lanes.through(v2)
        roll_back(lanes.ctx(), "prod")
        resume(lanes.ctx(), "prod")
        with pytest.raises(Quarantined, match=v2[7:15]) as caught:
            lanes.promote(v2)
        assert f"lane resume prod --build {v2[7:15]}" in caught.value.hint
        resume(lanes.ctx(), "prod", build=v2)
        assert lanes.through(v2).id == "prod-3"


class TestFreezes:
    def test_a_freeze_stops_it_before_the_lane_is_taken_and_it_goes_on_afterwards(self, tmp_path: Path) -> None:
        lanes = Lanes(tmp_path / "orders", FREEZE)
        v1 = lanes.build("v1")
        frozen = lanes.promote(v1)
        assert frozen.state is State.FROZEN
        assert "stocktaking" in frozen.reason
        assert lanes.promote(v1).state is State.FROZEN
        assert lanes.runs() == []
        lanes.wait(days=2)
        assert lanes.promote(v1).state is State.SUCCEEDED

    @pytest.fixture
    def half_exposed(self, tmp_path: Path) -> tuple[Lanes, str]:
        """v2 has exposed its first step when a freeze opens."""
        freeze = "freeze: [{start: 2026-01-05T15:00:00, end: 2026-01-05T18:00:00}], rollout:"
        lanes = Lanes(tmp_path / "orders", CANARY.replace("rollout:", freeze))
        lanes.through(lanes.build("v1"))
        v2, canaries = lanes.build("v2"), []

        def into_the_freeze(promotion: str, state: State) -> None:
            canaries.append(state)
            if canaries.count(State.CANARY) == 2:
                lanes.told.on_move = lambda promotion, state: None
                lanes.wait(hours=4)

        lanes.told.on_move = into_the_freeze
        frozen = lanes.promote(v2)
        assert (frozen.state, frozen.exposed) == (State.FROZEN, 1)
        return lanes, v2

    def test_a_freeze_between_steps_keeps_what_is_exposed(self, half_exposed: tuple[Lanes, str]) -> None:
        lanes, v2 = half_exposed
        assert sorted(lanes.seen().values()) == ["v1", "v1", "v1", "v2"]
        assert lanes.promote(v2).state is State.FROZEN
        lanes.wait(hours=3)
        assert lanes.promote(v2).state is State.SUCCEEDED
        assert lanes.seen() == dict.fromkeys(DAYS, "v2")

    def test_nothing_else_gets_past_what_is_half_exposed_but_a_rollback(self, half_exposed: tuple[Lanes, str]) -> None:
        lanes, _ = half_exposed
        v3 = lanes.build("v3")
        with pytest.raises(Refused, match="prod-2 is FROZEN in prod"):
            lanes.promote(v3)
        back = roll_back(lanes.ctx(), "prod")
        assert back.taken_over == "prod-2"
        assert lanes.seen() == dict.fromkeys(DAYS, "v1")
        assert lanes.get("prod-2").state is State.REVERTED

    @pytest.mark.parametrize("begun", [False, True])
    def test_break_glass_passes_a_freeze_that_it_waits_for_already(
        self, tmp_path: Path, begun: bool, request: pytest.FixtureRequest
    ) -> None:
        if begun:
            lanes, build = request.getfixturevalue("half_exposed")
        else:
            lanes = Lanes(tmp_path / "orders", FREEZE)
            build = lanes.build("v1")
            assert lanes.promote(build).state is State.FROZEN
        before = list(lanes.ledger.streams("promotion/orders/prod/"))
        held = lanes.promote(build, skip=("freeze",), waiver=Waiver("ana", "prod is down", "ben"))
        assert held.state in {State.FROZEN, State.AWAITING_APPROVAL}, "ben has not said that he stands by it"
        lanes.approve(held.id, "ben")
        done = lanes.promote(build)
        assert done.state is State.SUCCEEDED
        assert list(lanes.ledger.streams("promotion/orders/prod/")) == before


class TestBreakGlass:
    SOAK = TWO.replace("[quality, retained]", "[soak, retained]")

    def test_it_skips_a_gate_that_the_open_promotion_waits_for(self, tmp_path: Path) -> None:
        lanes = Lanes(tmp_path / "orders", self.SOAK)
        v1 = lanes.build("v1")
        lanes.through(v1, "stage")
        assert lanes.promote(v1).state is State.GATING
        held = lanes.promote(v1, skip=("soak",), waiver=Waiver("ana", "prod is down", "ben"))
        assert (held.state, held.broken_glass) == (State.AWAITING_APPROVAL, ("soak",))
        assert lanes.approve(held.id, "ben").id == held.id
        done = lanes.promote(v1)
        assert (done.id, done.state, done.broken_glass) == ("prod-1", State.SUCCEEDED, ("soak",))

    @pytest.mark.parametrize(
        ("gate", "waiver", "told"),
        [
            ("retained", Waiver("ana", "prod is down", "ben"), "never skipped"),
            ("soak", Waiver("ana", " ", "ben"), "needs a reason"),
            ("soak", Waiver("ana", "prod is down"), "second person or an expiry"),
            ("soak", Waiver("ana", "prod is down", "ana"), "own second person"),
        ],
    )
    def test_what_may_not_be_skipped_leaves_no_promotion_behind(
        self, tmp_path: Path, gate: str, waiver: Waiver, told: str
    ) -> None:
        lanes = Lanes(tmp_path / "orders", self.SOAK)
        v1 = lanes.build("v1")
        lanes.through(v1, "stage")
        with pytest.raises(Refused, match=told):
            lanes.promote(v1, skip=(gate,), waiver=waiver)
        assert lanes.ledger.streams("promotion/orders/prod/") == ()

    def test_somebody_unknown_can_not_stand_by_it(self, tmp_path: Path) -> None:
        lanes = Lanes(tmp_path / "orders", self.SOAK)
        v1 = lanes.build("v1")
        lanes.through(v1, "stage")
        with pytest.raises(NotFound, match="no person named 'nobody'"):
            lanes.promote(v1, skip=("soak",), waiver=Waiver("ana", "prod is down", "nobody"))

    def test_what_was_skipped_is_owed_until_a_success_needs_no_skip(self, tmp_path: Path) -> None:
        lanes = Lanes(tmp_path / "orders", self.SOAK)
        v1 = lanes.build("v1")
        lanes.through(v1, "stage")
        lanes.promote(v1, skip=("soak",), waiver=Waiver("ana", "prod is down", "ben"))
        lanes.approve("prod-1", "ben")
        lanes.promote(v1)
        (owed,) = follow_ups(lanes.ledger.read("environment/orders/prod"))
        assert (owed["gate"], "prod is down" in owed["what"]) == ("soak", True)
        assert "prod is down" in status(lanes.ctx(), "prod").lanes[0].owed[0]
        run_live(lanes.ctx(), "stage", DAYS[:1])
        v2 = lanes.build("v2")
        lanes.through(v2, "stage")
        run_live(lanes.ctx(), "stage", DAYS[:1])
        lanes.through(v2)
        assert status(lanes.ctx(), "prod").lanes[0].owed == ()

    def test_a_skip_that_has_run_out_asks_the_gate_again(self, tmp_path: Path) -> None:
        from datetime import timedelta

        approved = self.SOAK.replace("retained]", "retained], approvals: {count: 1, from: [leads]}")
        lanes = Lanes(
            tmp_path / "orders",
            approved.replace("stage: {gates: [quality]}", "stage: {gates: [quality], opens_next: false}"),
        )
        v1 = lanes.build("v1")
        lanes.through(v1, "stage")
        until = lanes.ledger.now() + timedelta(hours=1)
        assert (
            lanes.promote(v1, skip=("soak",), waiver=Waiver("ana", "prod is down", "", until)).state
            is State.AWAITING_APPROVAL
        )
        lanes.approve("prod-1")
        lanes.wait(hours=2)
        done = lanes.promote(v1)
        assert done.state is State.GATING
        assert lanes.runs() == []


class TestSavedPlans:
    def test_a_saved_plan_is_applied_as_it_is(self, lanes: Lanes, tmp_path: Path) -> None:
        v1 = lanes.build("v1")
        write_plan(lanes.plan(v1), tmp_path / "plan.json")
        saved = read_plan(tmp_path / "plan.json")
        assert lanes.promote(v1, plan=saved).state is State.SUCCEEDED

    def test_a_plan_whose_ground_has_moved_is_refused_and_changes_nothing(self, lanes: Lanes) -> None:
        v1, v2 = lanes.build("v1"), lanes.build("v2")
        lanes.through(v1)
        saved = lanes.plan(v2)
        run_live(lanes.ctx(), "prod", ["2013-01-05"])
        before = lanes.live()
        with pytest.raises(GroundMoved, match="live map of prod"):
            lanes.promote(v2, plan=saved)
        assert lanes.live() == before

    def test_a_plan_that_was_edited_is_refused(self, lanes: Lanes, tmp_path: Path) -> None:
        file = tmp_path / "plan.json"
        write_plan(lanes.plan(lanes.build("v1")), file)
        document = json.loads(file.read_text())
        document["plan"]["gates"] = []
        file.write_text(json.dumps(document))
        with pytest.raises(GroundMoved, match="was changed"):
            read_plan(file)
