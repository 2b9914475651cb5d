"""Who may say yes or no, what a yes is bound to, and what a person makes of a held promotion."""

from __future__ import annotations

from pathlib import Path

import pytest

from lanewise.domain.evidence import Result
from lanewise.domain.promotion import State
from lanewise.errors import ApprovalRefused, NotFound, Refused
from lanewise.service.approve import abort, accept, approve, reject, retry
from lanewise.service.authors import authors_of
from lanewise.service.promote import drive

from .lanes import APPROVED, CANARY, DAYS, Lanes, SayingGate, plug_in

ORACLE = APPROVED.replace("[quality, schema, retained]", "[quality, oracle]")


@pytest.fixture
def lanes(tmp_path: Path) -> Lanes:
    """v1 waits for approval."""
    found = Lanes(tmp_path / "orders", APPROVED)
    assert found.promote(found.build("v1")).state is State.AWAITING_APPROVAL
    return found


def test_the_one_who_asked_may_not_approve_and_is_told_whom_to_ask(lanes: Lanes) -> None:
    with pytest.raises(ApprovalRefused, match="nobody approves their own request") as caught:
        approve(lanes.ctx("ana"), "prod-1")
    assert caught.value.hint == "ask ben or cleo"


def test_somebody_outside_the_groups_may_not_approve(lanes: Lanes) -> None:
    with pytest.raises(ApprovalRefused, match="eve is not in leads"):
        approve(lanes.ctx("eve"), "prod-1")


def test_an_approval_carries_it_through_at_the_next_promote(lanes: Lanes) -> None:
    done = approve(lanes.ctx("ben"), "prod-1", "looks good")
    assert (done.missing, done.by, done.promotion.approvals[0].reason) == (0, "ben", "looks good")
    assert drive(lanes.ctx("ana"), "prod-1").state is State.SUCCEEDED
    assert lanes.seen() == dict.fromkeys(DAYS, "v1")


def test_go_carries_it_through_at_once(lanes: Lanes) -> None:
    assert lanes.approve("prod-1", go=True).state is State.SUCCEEDED


def test_who_built_from_a_tree_with_uncommitted_changes_counts_as_its_author(tmp_path: Path) -> None:
    import subprocess

    lanes = Lanes(tmp_path / "orders", APPROVED)
    for words in (["init", "--quiet"], ["add", "."], ["-c", "user.name=Ben", "-c", "user.email=ben@orders.example",
                                                      "commit", "--quiet", "--message", "first"]):  # fmt: skip
        subprocess.run(["git", *words], cwd=lanes.root, check=True)
    waiting = lanes.promote(lanes.build("v1"))
    assert set(authors_of(lanes.ctx(), waiting)) == {"Ben <ben@orders.example>", "dan"}
    with pytest.raises(ApprovalRefused, match="ben wrote the commit"):
        approve(lanes.ctx("ben"), waiting.id)


def test_two_are_needed_where_two_are_asked_for_and_one_counts_once(tmp_path: Path) -> None:
    lanes = Lanes(tmp_path / "orders", APPROVED.replace("count: 1", "count: 2"))
    v1 = lanes.build("v1")
    lanes.promote(v1)
    assert approve(lanes.ctx("ben"), "prod-1").missing == 1
    with pytest.raises(ApprovalRefused, match="has approved prod-1 already"):
        approve(lanes.ctx("ben"), "prod-1")
    assert lanes.promote(v1).state is State.AWAITING_APPROVAL
    assert approve(lanes.ctx("cleo"), "prod-1").missing == 0
    assert lanes.promote(v1).state is State.SUCCEEDED


def test_evidence_that_was_measured_again_voids_the_yes_to_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Oracle(SayingGate):
        pass

    plug_in(monkeypatch, Oracle)
    lanes = Lanes(tmp_path / "orders", ORACLE)
    v1 = lanes.build("v1")
    lanes.promote(v1)
    lanes.approve("prod-1")
    Oracle.says = Result.INCONCLUSIVE
    assert lanes.promote(v1).state is State.GATING
    lanes.wait(minutes=1)
    Oracle.says = Result.PASS
    assert lanes.promote(v1).state is State.AWAITING_APPROVAL
    assert lanes.runs() == []
    assert lanes.approve("prod-1", go=True).state is State.SUCCEEDED


def test_a_yes_is_void_when_the_config_has_changed_since(lanes: Lanes) -> None:
    lanes.environments(APPROVED.replace("threshold: 1", "threshold: 9"))
    from lanewise.service.configure import approve_config, propose

    lanes.approve("prod-1")
    proposed = propose(lanes.ctx("ana"))
    approve_config(lanes.ctx("ben"), proposed.digest)
    done = drive(lanes.ctx("ana"), "prod-1")
    assert done.state is State.SUPERSEDED
    assert lanes.runs() == []


def test_nobody_can_approve_what_has_expired(lanes: Lanes) -> None:
    lanes.wait(days=7)
    with pytest.raises(ApprovalRefused, match="has expired"):
        approve(lanes.ctx("ben"), "prod-1")
    assert drive(lanes.ctx("ana"), "prod-1").state is State.EXPIRED


def test_what_was_approved_in_time_does_not_expire_while_it_waits(lanes: Lanes) -> None:
    lanes.wait(days=6, hours=23)
    lanes.approve("prod-1")
    lanes.wait(hours=2)
    assert drive(lanes.ctx("ana"), "prod-1").state is State.SUCCEEDED


def test_a_no_ends_it(lanes: Lanes) -> None:
    after = reject(lanes.ctx("cleo"), "prod-1", "not this week")
    assert (after.state, after.reason) == (State.REJECTED, "cleo: not this week")
    with pytest.raises(Refused, match="is REJECTED and awaits no approval"):
        approve(lanes.ctx("ben"), "prod-1")
    with pytest.raises(Refused, match="can't be rejected any more"):
        reject(lanes.ctx("cleo"), "prod-1", "again")


def test_a_promotion_that_nobody_knows_is_told_with_its_nearest(lanes: Lanes) -> None:
    with pytest.raises(NotFound) as caught:
        approve(lanes.ctx("ben"), "prd-1")
    assert "prod-1" in caught.value.hint
    with pytest.raises(NotFound) as caught:
        approve(lanes.ctx("ben"), "v1")
    assert "prod-12" in caught.value.hint


def test_aborting_what_waits_changes_nothing(lanes: Lanes) -> None:
    after = abort(lanes.ctx("dan"), "prod-1", "")
    assert (after.state, after.reason) == (State.ABORTED, "aborted by dan: no reason given")
    with pytest.raises(Refused, match="has ended already"):
        abort(lanes.ctx("dan"), "prod-1", "")


class TestHeld:
    """v2's first step is computed, and a gate can't tell what to make of it."""

    @pytest.fixture
    def oracle(self, monkeypatch: pytest.MonkeyPatch) -> type[SayingGate]:
        from lanewise.domain.evidence import Moment

        class Oracle(SayingGate):
            moments = (Moment.CANDIDATE,)

        plug_in(monkeypatch, Oracle)
        return Oracle

    @pytest.fixture
    def held(self, tmp_path: Path, oracle: type[SayingGate]) -> Lanes:
        approvals = "[oracle], approvals: {count: 1, from: [leads]}"
        lanes = Lanes(tmp_path / "orders", CANARY.replace("[quality, schema, retained]", approvals))
        lanes.promote(lanes.build("v1"))
        lanes.approve("prod-1", go=True)
        lanes.promote(lanes.build("v2"))
        oracle.says = Result.INCONCLUSIVE
        assert lanes.approve("prod-2", go=True).state is State.HELD
        return lanes

    def test_it_stays_held_until_somebody_decides(self, held: Lanes) -> None:
        build = held.get("prod-2").build
        assert held.promote(build).state is State.HELD
        with pytest.raises(Refused, match="prod-2 is HELD in prod"):
            held.promote(held.build("v3"))

    def test_retry_computes_the_step_again(self, held: Lanes, oracle: type[SayingGate]) -> None:
        oracle.says = Result.PASS
        before = len([run for run in held.runs() if run[0] == "canary"])
        retry(held.ctx("ana"), "prod-2")
        assert drive(held.ctx("ana"), "prod-2").state is State.SUCCEEDED
        assert len([run for run in held.runs() if run[0] == "canary"]) == before + 3
        assert held.seen() == dict.fromkeys(DAYS, "v2")

    def test_a_person_who_may_approve_can_accept_the_doubt_with_a_reason(self, held: Lanes) -> None:
        with pytest.raises(Refused, match="needs a reason"):
            accept(held.ctx("ben"), "prod-2", " ")
        with pytest.raises(ApprovalRefused, match="eve is not in leads"):
            accept(held.ctx("eve"), "prod-2", "a holiday")
        with pytest.raises(ApprovalRefused, match="own request"):
            accept(held.ctx("ana"), "prod-2", "a holiday")
        accept(held.ctx("ben"), "prod-2", "a holiday")
        done = drive(held.ctx("ben"), "prod-2")
        assert (done.state, done.step) == (State.HELD, 1), "the doubt about the next step is another one"

    def test_abort_gives_back_what_readers_saw(self, held: Lanes) -> None:
        accept(held.ctx("ben"), "prod-2", "a holiday")
        drive(held.ctx("ben"), "prod-2")
        assert sorted(set(held.seen().values())) == ["v1", "v2"]
        abort(held.ctx("ana"), "prod-2", "enough")
        done = drive(held.ctx("ana"), "prod-2")
        assert (done.state, done.reason) == (State.REVERTED, "aborted by ana: enough")
        assert held.seen() == dict.fromkeys(DAYS, "v1")

    def test_only_what_is_held_can_be_decided(self, held: Lanes) -> None:
        with pytest.raises(Refused, match="prod-1 is SUCCEEDED, not held"):
            retry(held.ctx("ana"), "prod-1")
