"""Break-glass skips what is named, for a reason, with a limit; and never what guards integrity."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from lanewise.domain.promotion import BrokenGlass, Promotion
from lanewise.errors import NotFound, Refused
from lanewise.promotion.breakglass import FREEZE, INTEGRITY, Waiver, follow_up, skippable, skips

NOW = datetime(2026, 11, 6, 12, tzinfo=UTC)
GATES = ("tests", "quality", "soak", "retained")
WAIVER = Waiver("ann", "prod is down", second="dana")
PROMOTION = Promotion("prod-7", "orders", "prod", "sha256:b", "sha256:c", "ann", "2026-11-06T11:00:00+00:00")


def test_only_the_named_gates_are_skipped_and_once_each():
    assert skippable(GATES, ["soak", "tests", "soak"], waiver=WAIVER, now=NOW) == ("soak", "tests")


def test_a_freeze_may_be_broken_by_name():
    assert skippable(GATES, [FREEZE], waiver=WAIVER, now=NOW) == (FREEZE,)


@pytest.mark.parametrize("name", sorted(INTEGRITY))
def test_what_guards_integrity_is_never_skipped(name):
    with pytest.raises(Refused, match="never skipped"):
        skippable((*GATES, name), ["tests", name], waiver=WAIVER, now=NOW)


@pytest.mark.parametrize("name", ["approvals", "rollout", "canary"])
def test_approvals_and_the_rollout_are_no_gates(name):
    with pytest.raises(Refused, match="no gate"):
        skippable(GATES, [name], waiver=WAIVER, now=NOW)


def test_a_gate_that_is_not_asked_for_is_named_with_the_nearest():
    with pytest.raises(NotFound) as caught:
        skippable(GATES, ["tets"], waiver=WAIVER, now=NOW)
    assert "tests" in caught.value.hint


@pytest.mark.parametrize(
    ("waiver", "told"),
    [
        (replace(WAIVER, reason="  "), "needs a reason"),
        (replace(WAIVER, second=""), "a second person or an expiry"),
        (replace(WAIVER, second=" ANN "), "can't be their own second person"),
        (Waiver("ann", "down", expires=NOW), "has passed already"),
    ],
)
def test_a_waiver_without_a_reason_or_a_limit_is_refused(waiver, told):
    with pytest.raises(Refused, match=told):
        skippable(GATES, ["tests"], waiver=waiver, now=NOW)


def test_naming_nothing_skips_nothing():
    with pytest.raises(Refused, match="none is named"):
        skippable(GATES, [], waiver=WAIVER, now=NOW)


def test_an_expiry_to_come_stands_in_for_a_second_person():
    waiver = Waiver("ann", "down", expires=NOW + timedelta(hours=1))
    assert skippable(GATES, ["tests"], waiver=waiver, now=NOW) == ("tests",)


def test_a_broken_glass_ends_with_its_expiry():
    glass = BrokenGlass(("tests",), "down", "ann", NOW.isoformat(), expires=(NOW + timedelta(hours=1)).isoformat())
    promotion = replace(PROMOTION, glass=(glass,))
    assert skips(promotion, "tests", NOW + timedelta(minutes=59))
    assert not skips(promotion, "tests", NOW + timedelta(hours=1))
    assert not skips(promotion, "soak", NOW)


def test_every_skipped_gate_is_owed_afterwards():
    glass = BrokenGlass(("tests", FREEZE), "prod is down", "ann", NOW.isoformat(), second="dana")
    owed = follow_up(PROMOTION, glass)
    assert [(o.gate, o.due) for o in owed] == [("tests", NOW + timedelta(days=3)), (FREEZE, NOW + timedelta(days=3))]
    assert all("prod-7" in o.what and "prod is down" in o.what for o in owed)


def test_what_is_owed_is_due_when_the_glass_ends():
    ends = NOW + timedelta(hours=2)
    glass = BrokenGlass(("tests",), "down", "ann", NOW.isoformat(), expires=ends.isoformat())
    assert follow_up(PROMOTION, glass)[0].due == ends
