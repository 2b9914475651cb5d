"""The gate `soak`."""

from dataclasses import replace
from datetime import timedelta
from typing import ClassVar

import pytest

from lanewise.domain.evidence import Result
from lanewise.domain.gate import RunRecord
from lanewise.errors import ConfigError
from lanewise.promotion.gates.soak import SoakGate
from lanewise.testing.gate import NOW, FakeLook, GateContract, evidence, judged

RELEASED = NOW - timedelta(days=3)


def run(hours_ago, *, ok=True, partition="2026-02-28", purpose="scheduled"):
    at = NOW - timedelta(hours=hours_ago)
    return RunRecord(f"run-{hours_ago}", "stage", "sha256:new", purpose, (partition,), ok, at.isoformat())


def look(*runs, released=RELEASED):
    return FakeLook(runs_of={"stage": runs}, released_of={"stage": released} if released else {})


def result(arguments, *runs):
    return judged(SoakGate(arguments), look(*runs)).result


class TestContract(GateContract):
    gate_class = SoakGate
    arguments: ClassVar = {"runs": 2, "for": "1d", "intervals": 2}

    def passing_look(self):
        return look(run(40, partition="a"), run(20, partition="b"))


def test_one_good_run_is_asked_for_when_nothing_else_is():
    assert result({}, run(5)) is Result.PASS
    assert judged(SoakGate({}), look(run(5))).reason == "1 good run over 1 partition in stage"


def test_no_run_leaves_doubt_however_long_it_was_live():
    verdict = judged(SoakGate({"for": "1h"}), look())
    assert verdict.result is Result.INCONCLUSIVE
    assert verdict.hint == "lane run stage"


def test_too_few_runs_leave_doubt_and_say_how_many_there_are():
    verdict = judged(SoakGate({"runs": 3}), look(run(5), run(4)))
    assert verdict.result is Result.INCONCLUSIVE
    assert "2 of 3 good runs" in verdict.reason


def test_runs_before_the_release_do_not_count():
    assert result({}, run(24 * 3 + 1)) is Result.INCONCLUSIVE
    assert result({}, run(24 * 3)) is Result.PASS


@pytest.mark.parametrize("purpose", ["promotion", "canary", "baseline", "tests", "shadow"])
def test_only_runs_that_publish_on_schedule_count(purpose):
    assert result({}, run(5, purpose=purpose)) is Result.INCONCLUSIVE
    assert result({}, run(5), run(4, ok=False, purpose=purpose)) is Result.PASS


def test_a_later_failure_takes_an_earlier_pass_back():
    assert result({}, run(5)) is Result.PASS
    verdict = judged(SoakGate({}), look(run(5), run(2, ok=False)))
    assert verdict.result is Result.FAIL
    assert "run-2" in verdict.reason


def test_after_a_failure_everything_is_counted_anew():
    assert result({"runs": 2}, run(9), run(8), run(5, ok=False), run(2)) is Result.INCONCLUSIVE
    assert result({"runs": 2}, run(9), run(5, ok=False), run(3), run(2)) is Result.PASS
    assert result({"for": "6h"}, run(9), run(5, ok=False), run(2)) is Result.INCONCLUSIVE
    assert result({"for": "4h"}, run(9), run(5, ok=False), run(2)) is Result.PASS


def test_the_order_in_which_runs_are_told_does_not_matter():
    assert result({}, run(2, ok=False), run(5)) is Result.FAIL


def test_intervals_are_distinct_partitions():
    assert result({"intervals": 2}, run(5, partition="a"), run(4, partition="a")) is Result.INCONCLUSIVE
    assert result({"intervals": 2}, run(5, partition="a"), run(4, partition="b")) is Result.PASS


def test_time_counts_up_to_the_measurement_not_to_the_judging():
    gate = SoakGate({"for": "73h"})
    measured = evidence(gate, look(run(5)))
    assert gate.judge(measured, NOW + timedelta(hours=2)).result is Result.INCONCLUSIVE


def test_a_build_that_is_no_longer_live_there_leaves_doubt():
    verdict = judged(SoakGate({}), look(run(5), released=None))
    assert verdict.result is Result.INCONCLUSIVE
    assert "not live in stage" in verdict.reason


def test_in_the_first_environment_it_is_an_error_and_says_what_to_do():
    verdict = judged(SoakGate({}), replace(look(), previous=None))
    assert verdict.result is Result.ERROR
    assert "first environment" in verdict.reason
    assert "take soak out" in verdict.hint


@pytest.mark.parametrize("arguments", [{"runs": 0}, {"for": "0d"}, {"for": "1x"}, {"intervals": 0}, {"for": "1d 2h"}])
def test_a_wrong_argument_is_refused(arguments):
    with pytest.raises(ConfigError, match="gate soak"):
        SoakGate(arguments)
