"""Who may approve, and what an approval is bound to."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lanewise.domain.environment import ApprovalRule, Person
from lanewise.domain.promotion import Approval, Promotion, State
from lanewise.errors import ApprovalRefused
from lanewise.promotion.approvals import (
    Missing,
    Satisfied,
    approved,
    binding,
    bound_to,
    eligible,
    expired,
    may_approve,
)

ASKED = "2026-11-02T10:00:00+00:00"
PROMOTION = Promotion("prod-7", "orders", "prod", "sha256:b", "sha256:c", "ann", ASKED, state=State.AWAITING_APPROVAL,
                      evidence={"tests@before": "sha256:t", "quality@candidate": "sha256:q"})  # fmt: skip
RULE = ApprovalRule(count=1, groups=("data-leads",))
PEOPLE = {
    "ann": Person("ann", ("ann@example.com",), ("data-leads",)),
    "dana": Person("dana", ("dana@example.com",), ("data-leads",)),
    "eve": Person("eve", ("eve@example.com",), ("analysts",)),
    "dd": Person("dd", ("dana@example.com",), ("data-leads",)),  # dana's other login
}


def ask(actor, emails=(), *, promotion=PROMOTION, rule=RULE, people=PEOPLE, authors=()):
    may_approve(actor, emails, promotion=promotion, rule=rule, people=people, authors=authors)


def given_by(*names: str, bound: str | None = None) -> Promotion:
    bound = bound or bound_to(PROMOTION)
    return replace(PROMOTION, approvals=tuple(Approval(name, bound, ASKED) for name in names))


def test_somebody_in_the_group_who_neither_asked_nor_wrote_it_may():
    ask("dana", authors=["Ann Lee <ann@example.com>"])


@pytest.mark.parametrize("actor", ["ann", "ANN", " Ann "])
def test_nobody_approves_their_own_request(actor):
    with pytest.raises(ApprovalRefused, match="own request") as caught:
        ask(actor)
    assert caught.value.hint == "ask dana or dd"


def test_a_second_name_with_the_same_address_is_the_same_person():
    with pytest.raises(ApprovalRefused, match="own request"):
        ask("dd", promotion=replace(PROMOTION, requester="dana"))
    with pytest.raises(ApprovalRefused, match="own request"):
        ask("somebody", ["ANN@example.com"])


@pytest.mark.parametrize(
    "author",
    ["Dana Roe <DANA@Example.com>", "dana <x@y.z>", "Dana", "dana@example.com", "Roe, Dana <dana@example.com>",
     '"D" <dana@example.com>  '],
)  # fmt: skip
def test_nobody_approves_their_own_commit(author):
    with pytest.raises(ApprovalRefused, match="wrote the commit"):
        ask("dana", authors=["Bob <bob@example.com>", author])


def test_an_address_that_the_identity_proves_counts_like_a_listed_one():
    with pytest.raises(ApprovalRefused, match="wrote the commit"):
        ask("dana", ["dana@home.example"], authors=["D <dana@home.example>"])


def test_the_login_in_an_address_counts_for_somebody_of_whom_no_address_is_known():
    anyone = ApprovalRule(count=1)
    with pytest.raises(ApprovalRefused, match="wrote the commit"):
        ask("frank", rule=anyone, people={}, authors=["F. Miller <frank@example.com>"])
    ask("frank", ["fm@example.com"], rule=anyone, people={}, authors=["Other <frank@other.example>"])


def test_somebody_outside_the_groups_is_told_whom_to_ask():
    with pytest.raises(ApprovalRefused, match="eve is not in data-leads") as caught:
        ask("eve")
    assert caught.value.hint == "ask dana or dd"


def test_when_nobody_is_left_to_ask_the_hint_says_where_to_add_somebody():
    with pytest.raises(ApprovalRefused) as caught:
        ask("ann", people={"ann": PEOPLE["ann"]})
    assert "environments.yaml" in caught.value.hint


def test_nobody_approves_twice_unless_what_they_saw_has_changed():
    with pytest.raises(ApprovalRefused, match="has approved prod-7 already"):
        ask("dana", promotion=given_by("dana"))
    with pytest.raises(ApprovalRefused, match="dana has approved prod-7 already"):
        ask("dd", promotion=given_by("dana"))
    ask("dana", promotion=given_by("dana", bound="sha256:old"))


def test_without_groups_anybody_else_may_even_unlisted():
    ask("zoe", rule=ApprovalRule(count=1))


def test_eligible_are_those_whom_may_approve_lets_through():
    promotion = given_by("zoe")
    for rule in (RULE, ApprovalRule(count=2), ApprovalRule(count=1, groups=("analysts", "data-leads"))):
        passed = []
        for name in PEOPLE:
            try:
                ask(name, promotion=promotion, rule=rule, authors=["Eve <eve@example.com>"])
            except ApprovalRefused:
                continue
            passed.append(name)
        assert eligible(promotion, rule, PEOPLE, ["Eve <eve@example.com>"]) == tuple(sorted(passed))


def test_enough_different_people_satisfy_a_rule():
    two = ApprovalRule(count=2)
    bound = bound_to(PROMOTION)
    assert approved(PROMOTION, ApprovalRule(), bound) == Satisfied(())
    assert approved(given_by("dana"), two, bound) == Missing(1, ())
    assert approved(given_by("dana", "DANA"), two, bound) == Missing(1, ())
    assert approved(given_by("dana", "eve"), two, bound) == Satisfied(("dana", "eve"))


def test_the_requesters_own_yes_never_counts_whoever_wrote_it_down():
    assert approved(given_by("Ann"), RULE, bound_to(PROMOTION)) == Missing(1, ("data-leads",))


def test_a_yes_to_something_else_is_void_and_named():
    assert approved(given_by("dana"), RULE, "sha256:other") == Missing(1, ("data-leads",), ("dana",))


def test_who_approved_anew_is_not_named_as_void():
    again = replace(PROMOTION, approvals=(*given_by("dana", bound="x").approvals, *given_by("dana").approvals))
    assert approved(again, ApprovalRule(count=2), bound_to(again)) == Missing(1, ())


@given(st.lists(st.text(max_size=5), max_size=5), st.randoms())
@settings(deadline=None)
def test_a_binding_minds_what_was_seen_and_not_in_which_order(digests, random):
    shuffled = list(digests)
    random.shuffle(shuffled)
    assert binding("b", "c", digests) == binding("b", "c", shuffled)
    assert binding("b", "c", digests) != binding("b", "c", [*digests, "more"])
    assert len({binding("b", "c", digests), binding("b2", "c", digests), binding("b", "c2", digests)}) == 3


def test_a_promotion_is_bound_to_what_was_measured_before_and_not_to_what_comes_later():
    later = replace(PROMOTION, evidence={**PROMOTION.evidence, "quality@candidate": "sha256:new"})
    earlier = replace(PROMOTION, evidence={**PROMOTION.evidence, "tests@before": "sha256:new"})
    assert bound_to(later) == bound_to(PROMOTION) == binding("sha256:b", "sha256:c", ["sha256:t"])
    assert bound_to(earlier) != bound_to(PROMOTION)


def test_a_request_expires_at_the_end_of_its_time_unless_it_has_begun():
    rule = ApprovalRule(count=1, expires=timedelta(days=1))
    end = datetime(2026, 11, 3, 10, tzinfo=UTC)
    assert not expired(PROMOTION, rule, end - timedelta(seconds=1))
    assert expired(PROMOTION, rule, end)
    for state in (State.CANARY, State.ACQUIRING, State.SUCCEEDED):
        assert not expired(replace(PROMOTION, state=state), rule, end)
