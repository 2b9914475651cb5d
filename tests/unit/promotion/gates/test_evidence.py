"""What evidence may be judged at all."""

from dataclasses import replace
from datetime import timedelta

import pytest

from lanewise.domain.evidence import Moment, Result
from lanewise.promotion.gates.evidence import fresh, stale
from lanewise.promotion.gates.retained import RetainedGate
from lanewise.testing.gate import NOW, FakeLook, evidence

GATE = RetainedGate({})
GOOD = evidence(GATE, FakeLook(first_release=True))


def test_fresh_evidence_is_judged():
    assert stale(GATE, GOOD, NOW) is None
    assert fresh(GATE, GOOD, NOW) is GOOD


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"facts": {}}, "empty"),
        ({"gate": "soak"}, "soak"),
        ({"moment": Moment.AFTER}, "after"),
        ({"expires_at": NOW.isoformat()}, "expired"),
        ({"expires_at": "", "measured_at": ""}, "does not say when"),
        ({"expires_at": "some day"}, "does not say when"),
        ({"measured_at": (NOW + timedelta(hours=1)).isoformat()}, "in the future"),
    ],
)
def test_evidence_in_doubt_is_inconclusive_and_says_why(changes, words):
    verdict = stale(GATE, replace(GOOD, **changes), NOW)
    assert verdict is not None
    assert verdict.result is Result.INCONCLUSIVE
    assert words in verdict.reason


def test_a_clock_read_a_moment_before_measuring_is_no_future():
    assert stale(GATE, replace(GOOD, measured_at=(NOW + timedelta(seconds=5)).isoformat()), NOW) is None


def test_times_without_an_offset_are_utc():
    assert stale(GATE, replace(GOOD, expires_at="2026-03-01T12:00:01"), NOW) is None
