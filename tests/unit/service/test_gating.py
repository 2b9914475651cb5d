"""Asking gates, and what is written of it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from lanewise.domain.environment import GateSpec
from lanewise.domain.evidence import Moment, Result
from lanewise.domain.promotion import Promotion, State
from lanewise.errors import ConfigError, NotFound
from lanewise.promotion.breakglass import Waiver
from lanewise.service.candidate import open_candidate
from lanewise.service.gating import evidence_of, judge_gates, open_gate, still_stands
from lanewise.service.look import Eyes
from lanewise.service.promotions import Journal

from .lanes import APPROVED, Lanes, SayingGate, plug_in

COMMAND = APPROVED.replace("[quality, schema, retained]", "[command: {name: lint, run: 'true'}]")


class Oracle(SayingGate):
    asked = 0

    def measure(self, look):  # type: ignore[no-untyped-def] - a gate that counts
        type(self).asked += 1
        return super().measure(look)


@pytest.fixture
def lanes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lanes:
    """v1 waits for approval; the oracle has said yes."""
    Oracle.says, Oracle.asked = Result.PASS, 0
    plug_in(monkeypatch, Oracle)
    found = Lanes(tmp_path / "orders", APPROVED.replace("[quality, schema, retained]", "[quality, oracle]"))
    assert found.promote(found.build("v1")).state is State.AWAITING_APPROVAL
    return found


def eyes(lanes: Lanes, moment: Moment = Moment.BEFORE) -> tuple[Journal, Eyes]:
    ctx = lanes.ctx()
    promotion = lanes.get("prod-1")
    target = ctx.config.environment("prod")
    candidate = open_candidate(ctx, promotion.build)
    plan = lanes.plan(promotion.build)
    return Journal(ctx, promotion), Eyes(ctx, candidate, plan, target, None, ctx.warehouse(target), moment)


def verdicts(promotion: Promotion) -> dict[str, Result]:
    return {v.gate: v.result for v in promotion.verdicts}


def test_a_gate_is_found_by_name_and_a_wrong_name_gets_the_nearest() -> None:
    assert open_gate(GateSpec("soak", {"runs": 2})).name == "soak"
    with pytest.raises(NotFound) as caught:
        open_gate(GateSpec("sok"))
    assert "soak" in caught.value.hint
    with pytest.raises(ConfigError):
        open_gate(GateSpec("soak", {"runns": 2}))


def test_only_the_gates_of_the_moment_are_asked(lanes: Lanes) -> None:
    assert verdicts(lanes.get("prod-1")) == {"oracle": Result.PASS}


def test_what_was_measured_is_written_with_its_subject_and_its_end(lanes: Lanes) -> None:
    journal, _ = eyes(lanes)
    found = evidence_of(journal, "oracle", Moment.BEFORE)
    assert found is not None
    assert found.facts == {"says": "pass"}
    assert found.subject["build"] == lanes.get("prod-1").build
    assert found.subject["environment"] == "prod"
    assert found.expires_at > found.measured_at
    assert evidence_of(journal, "oracle", Moment.AFTER) is None
    assert evidence_of(journal, "quality", Moment.BEFORE) is None


def test_a_fresh_pass_is_not_written_because_it_would_void_the_approvals(lanes: Lanes) -> None:
    journal, look = eyes(lanes)
    before = len(journal.events())
    assert [v.result for v in still_stands(journal, look)] == [Result.PASS]
    assert Oracle.asked == 2
    assert len(journal.events()) == before


def test_a_pass_that_no_longer_holds_is_written(lanes: Lanes) -> None:
    journal, look = eyes(lanes)
    Oracle.says = Result.FAIL
    still_stands(journal, look)
    assert verdicts(lanes.get("prod-1")) == {"oracle": Result.FAIL}


def test_the_newest_evidence_counts(lanes: Lanes) -> None:
    journal, look = eyes(lanes)
    lanes.wait(hours=1)
    Oracle.says = Result.FAIL
    judge_gates(journal, look)
    found = evidence_of(journal, "oracle", Moment.BEFORE)
    assert found is not None
    assert found.facts == {"says": "fail"}


def test_what_a_command_showed_stands_until_it_expires(tmp_path: Path) -> None:
    lanes = Lanes(tmp_path / "orders", COMMAND)
    v1 = lanes.build("v1")
    assert lanes.promote(v1).state is State.AWAITING_APPROVAL
    journal, look = eyes(lanes)
    assert [v.result for v in still_stands(journal, look)] == [Result.PASS]
    lanes.approve("prod-1")
    lanes.wait(hours=25)
    again = lanes.promote(v1)
    assert again.state is State.AWAITING_APPROVAL, "the command was run anew, so people look anew"
    assert lanes.runs() == []
    assert lanes.approve("prod-1", go=True).state is State.SUCCEEDED


def test_a_command_is_skipped_by_the_name_that_it_was_given(tmp_path: Path) -> None:
    lanes = Lanes(tmp_path / "orders", COMMAND.replace("'true'", "'false'"))
    v1 = lanes.build("v1")
    assert verdicts(lanes.promote(v1)) == {"command:lint": Result.FAIL}
    done = lanes.promote(v1, skip=("command:lint",), waiver=Waiver("ana", "prod is down", "ben"))
    assert (done.id, done.state) == ("prod-2", State.AWAITING_APPROVAL)


def test_a_skipped_gate_is_not_asked_until_the_skip_has_run_out(lanes: Lanes) -> None:
    until = lanes.ledger.now() + timedelta(hours=1)
    build = lanes.get("prod-1").build
    lanes.promote(build, skip=("oracle",), waiver=Waiver("ana", "prod is down", "", until))
    journal, look = eyes(lanes)
    assert still_stands(journal, look) == ()
    lanes.wait(hours=1)
    journal, look = eyes(lanes)
    assert [v.gate for v in still_stands(journal, look)] == ["oracle"]
