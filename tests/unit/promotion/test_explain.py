"""`lane why` always has an answer, and where there is something to do, the command to type."""

import shlex
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lanewise.domain.environment import ApprovalRule, GateSpec, Person
from lanewise.domain.event import Lease
from lanewise.domain.evidence import Moment, Result, Verdict
from lanewise.domain.plan import CanaryStep, Plan
from lanewise.domain.promotion import Approval, BrokenGlass, Promotion, State
from lanewise.promotion.approvals import bound_to
from lanewise.promotion.explain import why
from lanewise.promotion.freeze import OpenFreeze
from lanewise.promotion.states import FINAL

NOW = datetime(2026, 11, 6, 12, tzinfo=UTC)
BUILD = "sha256:3f9a2c71" + "0" * 56
RULE = ApprovalRule(1, ("data-leads",))
PEOPLE = {"ann": Person("ann", (), ("data-leads",)), "dana": Person("dana", (), ("data-leads",)), "eve": Person("eve")}
PROMOTION = Promotion("prod-7", "orders", "prod", BUILD, "sha256:c", "ann", (NOW - timedelta(hours=1)).isoformat(),
                      fence=5)  # fmt: skip
PLAN = Plan("orders", "prod", BUILD, "sha256:c", 3, "sha256:o", "sha256:c", (), (CanaryStep(1, ()),) * 3, "canary",
            (GateSpec("tests"), GateSpec("soak")), RULE)  # fmt: skip
FREEZE = OpenFreeze(NOW + timedelta(days=2), "weekend")
SOAK = Verdict("soak", Moment.BEFORE, Result.INCONCLUSIVE, "0 of 1 runs", "run it in stage")
COMMANDS = {"promote", "approve", "decide", "rollback", "status"}


def ask(state: State, plan: Plan | None = PLAN, freeze=None, holder=None, rule=RULE, **more):
    promotion = replace(PROMOTION, state=state, **more)
    return why(promotion, plan, now=NOW, rule=rule, people=PEOPLE, freeze=freeze, holder=holder)


def lease(fence: int = 9, holder: str = "other:1", minutes: int = 5) -> Lease:
    return Lease("orders/prod", holder, fence, NOW + timedelta(minutes=minutes))


@given(
    state=st.sampled_from(State),
    plan=st.sampled_from([None, PLAN]),
    freeze=st.sampled_from([None, FREEZE]),
    holder=st.sampled_from([None, lease(), lease(fence=5), lease(minutes=-5)]),
    rule=st.sampled_from([RULE, ApprovalRule(), ApprovalRule(2), ApprovalRule(1, expires=timedelta(0))]),
    came_from=st.sampled_from([None, State.READY, State.JUDGING]),
    verdicts=st.sampled_from([(), (SOAK,)]),
    reason=st.sampled_from(["", "because"]),
)
@settings(deadline=None)
def test_every_state_has_an_answer_and_a_command_or_nothing_to_do(state, plan, freeze, holder, rule, **more):
    told = ask(state, plan, freeze, holder, rule, **more)
    assert told.sentence.strip()
    assert "prod-7" in told.sentence
    assert all(line.strip() for line in told.details)
    if told.command:
        lane, command, *arguments = shlex.split(told.command)
        assert (lane, command in COMMANDS) == ("lane", True)
        assert set(arguments) & {"prod", "prod-7"}
    else:
        assert state in FINAL


@pytest.mark.parametrize("state", [s for s in State if s not in FINAL])
def test_whoever_is_not_at_the_end_has_something_to_type(state):
    assert ask(state).command


def test_an_open_gate_says_why_and_what_helps():
    told = ask(State.GATING, verdicts=(SOAK, Verdict("tests", Moment.BEFORE, Result.PASS, "12 passed")))
    assert told.sentence == "prod-7 waits for gate soak"
    assert told.details[0] == "soak: inconclusive, 0 of 1 runs (run it in stage)"
    assert told.command == "lane promote 3f9a2c71 --to prod"


def test_gates_that_have_not_looked_are_named():
    judged = (Verdict("tests", Moment.BEFORE, Result.PASS, "fine"),)
    assert ask(State.GATING, verdicts=judged).sentence == "prod-7 waits for gates soak to look"


def test_a_gate_that_was_skipped_is_not_waited_for_until_the_glass_ends():
    glass = BrokenGlass(("soak",), "outage", "ann", NOW.isoformat(), expires=(NOW + timedelta(hours=1)).isoformat())
    past = replace(glass, expires=(NOW - timedelta(hours=1)).isoformat())
    assert "soak" not in ask(State.GATING, verdicts=(SOAK,), glass=(glass,), plan=None).sentence
    assert "soak" in ask(State.GATING, verdicts=(SOAK,), glass=(past,), plan=None).sentence


def test_a_missing_approval_says_how_many_from_whom_and_who_may_not():
    told = ask(State.AWAITING_APPROVAL)
    assert told.sentence == "prod-7 waits for 1 more approval from data-leads"
    assert told.details[0] == "dana can approve it; not ann, who asked, nor whoever wrote the commit"
    assert told.command == "lane approve prod-7"


def test_an_approval_that_no_longer_counts_is_named():
    void = (Approval("dana", "sha256:old", NOW.isoformat()),)
    assert any(
        line.startswith("dana approved something") for line in ask(State.AWAITING_APPROVAL, approvals=void).details
    )


def test_with_enough_approvals_it_can_go_on():
    given_ = (Approval("dana", bound_to(PROMOTION), NOW.isoformat()),)
    told = ask(State.AWAITING_APPROVAL, approvals=given_)
    assert (told.sentence, told.command) == (
        "prod-7 is approved by dana and can go on",
        "lane promote 3f9a2c71 --to prod",
    )


def test_the_rule_that_the_plan_was_made_with_counts_before_the_one_in_force():
    assert "1 more approval" in ask(State.AWAITING_APPROVAL, rule=ApprovalRule()).sentence
    assert "is approved by the rule" in ask(State.AWAITING_APPROVAL, plan=None, rule=ApprovalRule()).sentence


def test_a_ready_one_says_who_has_the_lane_or_which_freeze_is_open():
    assert "waits for other:1" in ask(State.READY, holder=lease()).sentence
    assert "nothing keeps it" in ask(State.READY, holder=lease(minutes=-1)).sentence
    assert (
        ask(State.READY, freeze=FREEZE).sentence
        == "prod-7 waits for a freeze to end at 2026-11-08T12:00+00:00: weekend"
    )
    glass = (BrokenGlass(("freeze",), "outage", "ann", NOW.isoformat(), second="dana"),)
    assert "nothing keeps it" in ask(State.READY, freeze=FREEZE, glass=glass).sentence


def test_a_freeze_that_is_over_is_waited_for_no_longer():
    told = ask(State.FROZEN, came_from=State.READY)
    assert (told.sentence, told.command) == (
        "the freeze that prod-7 waited for is over", "lane promote 3f9a2c71 --to prod")  # fmt: skip


def test_a_freeze_between_steps_says_what_readers_see_meanwhile():
    told = ask(State.FROZEN, freeze=FREEZE, came_from=State.JUDGING, exposed=1)
    assert told.details[0].startswith("1 of its steps stay")
    assert not any("break-glass" in line for line in told.details)


@pytest.mark.parametrize("state", [State.CANARY, State.CUTOVER, State.REVERTING, State.ACQUIRING])
def test_one_under_way_is_waited_for_and_an_interrupted_one_is_finished(state):
    assert "wait for it" in ask(state, holder=lease(fence=5)).sentence
    interrupted = ask(state, holder=lease(fence=5, minutes=-1))
    assert "nobody is at work" in interrupted.sentence
    assert interrupted.command == "lane promote 3f9a2c71 --to prod"


def test_a_held_one_is_retried_accepted_or_aborted():
    told = ask(State.HELD, reason="too few rows")
    assert "too few rows" in told.sentence
    assert told.command == "lane decide prod-7 retry"
    assert sum("lane decide prod-7" in line for line in told.details) == 2


def test_a_failed_revert_asks_for_a_rollback():
    assert ask(State.REVERT_FAILED).command == "lane rollback prod"


def test_a_rejected_one_says_which_gate_it_was():
    told = ask(State.REJECTED, verdicts=(replace(SOAK, result=Result.FAIL),), reason="soak: 0 of 1 runs")
    assert told.sentence == "prod-7 was rejected: soak: 0 of 1 runs"
    assert told.command == ""
