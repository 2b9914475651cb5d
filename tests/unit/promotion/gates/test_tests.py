"""The gate `tests`."""

from dataclasses import replace
from typing import ClassVar

import pytest

from lanewise.domain.evidence import CommandReport, Result
from lanewise.errors import ConfigError
from lanewise.promotion.gates.tests import TestsGate
from lanewise.testing.gate import FakeLook, GateContract, judged

PROJECT = replace(FakeLook().project, tests="pytest -q tests")


def look(report):
    return FakeLook(project=PROJECT, report=report)


class TestContract(GateContract):
    gate_class = TestsGate
    arguments: ClassVar = {"timeout": "5m", "min": 2}

    def passing_look(self):
        return look(CommandReport(0, 1.5, tests=3, skipped=1))


@pytest.mark.parametrize(
    ("report", "result", "words"),
    [
        (CommandReport(0, 1, tests=12), Result.PASS, "12 tests passed"),
        (CommandReport(0, 1, tests=12, skipped=11), Result.PASS, "1 test passed, 11 skipped"),
        (CommandReport(1, 1, tests=12, failures=3, messages=("t.a: boom",)), Result.FAIL, "3 of 12 tests failed: t.a"),
        (CommandReport(0, 1, tests=12, failures=1), Result.FAIL, "1 of 12"),
        (CommandReport(3, 1, tests=12), Result.FAIL, "exited with 3"),
        (CommandReport(0, 1, tests=None), Result.INCONCLUSIVE, "no report"),
        (
            CommandReport(2, 1, tests=None, messages=("the report x holds a document type",)),
            Result.INCONCLUSIVE,
            "type",
        ),
        (CommandReport(5, 1, tests=0), Result.INCONCLUSIVE, "holds no tests"),
        (CommandReport(0, 1, tests=0), Result.INCONCLUSIVE, "holds no tests"),
        (CommandReport(0, 1, tests=4, skipped=4), Result.INCONCLUSIVE, "all 4 tests were skipped"),
    ],
)
def test_what_a_report_means(report, result, words):
    verdict = judged(TestsGate({}), look(report))
    assert verdict.result is result
    assert words in verdict.reason


def test_fewer_tests_than_asked_for_leave_doubt():
    assert judged(TestsGate({"min": 20}), look(CommandReport(0, 1, tests=20))).passes
    verdict = judged(TestsGate({"min": 20}), look(CommandReport(0, 1, tests=20, skipped=1)))
    assert verdict.result is Result.INCONCLUSIVE
    assert "only 19 tests ran; at least 20 must" in verdict.reason


def test_a_build_without_tests_leaves_doubt_and_says_where_to_name_them():
    verdict = judged(TestsGate({}), FakeLook())
    assert verdict.result is Result.INCONCLUSIVE
    assert "lanewise.yaml" in verdict.hint


def test_the_timeout_reaches_the_command_in_seconds():
    asked = []

    class Timed(FakeLook):
        def command(self, command, *, timeout):
            asked.append((command, timeout))
            return CommandReport(0, 1, tests=1)

    judged(TestsGate({"timeout": "1m30s"}), Timed(project=PROJECT))
    judged(TestsGate({"timeout": 7}), Timed(project=PROJECT))
    assert asked == [("pytest -q tests", 90.0), ("pytest -q tests", 7.0)]


@pytest.mark.parametrize("arguments", [{"min": 0}, {"min": True}, {"min": "3"}, {"timeout": "soon"}, {"timeout": -1}])
def test_a_wrong_argument_is_refused_with_what_it_must_be(arguments):
    with pytest.raises(ConfigError) as caught:
        TestsGate(arguments)
    assert "gate tests" in caught.value.message
    assert "must be" in caught.value.hint


def test_a_misspelt_argument_is_answered_with_the_nearest_one():
    with pytest.raises(ConfigError) as caught:
        TestsGate({"timout": "5m"})
    assert caught.value.hint == "did you mean timeout?"
