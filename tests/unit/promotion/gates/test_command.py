"""The gate `command`."""

from typing import ClassVar

import pytest

from lanewise.domain.evidence import CommandReport, Moment, Result
from lanewise.errors import ConfigError
from lanewise.promotion.gates.command import CommandGate
from lanewise.testing.gate import NOW, FakeLook, GateContract, evidence, judged


class TestContract(GateContract):
    gate_class = CommandGate
    arguments: ClassVar = {"run": "ruff check pipelines", "name": "lint"}

    def passing_look(self):
        return FakeLook(report=CommandReport(0, 0.4))


@pytest.mark.parametrize(
    ("how", "report", "result"),
    [
        ("exit", CommandReport(0, 1), Result.PASS),
        ("exit", CommandReport(1, 1, tail="E501 line too long"), Result.FAIL),
        ("exit", CommandReport(-9, 1), Result.FAIL),
        ("junit", CommandReport(0, 1, tests=3), Result.PASS),
        ("junit", CommandReport(0, 1, tests=0), Result.INCONCLUSIVE),
        ("junit", CommandReport(0, 1, tests=None), Result.INCONCLUSIVE),
        ("sarif", CommandReport(0, 1, tests=0), Result.INCONCLUSIVE),
        ("sarif", CommandReport(0, 1, tests=2, failures=1), Result.FAIL),
        ("sarif", CommandReport(2, 1, tests=2), Result.FAIL),
    ],
)
def test_it_goes_by_what_it_was_told_to_read(how, report, result):
    assert judged(CommandGate({"run": "x", "report": how}), FakeLook(report=report)).result is result


def test_it_looks_when_it_was_told_to():
    assert CommandGate({"run": "x"}).moments == (Moment.BEFORE,)
    assert CommandGate({"run": "x", "moment": "after"}).moments == (Moment.AFTER,)


def test_two_commands_are_told_apart_by_name():
    assert CommandGate({"run": "x", "name": "lint"}).name == "command:lint"
    assert CommandGate({"run": "x"}).name == "command"


def test_evidence_of_another_command_is_no_evidence():
    recorded = evidence(CommandGate({"run": "true"}), FakeLook(report=CommandReport(0, 1)))
    assert CommandGate({"run": "make check"}).judge(recorded, NOW).result is Result.INCONCLUSIVE


def test_what_a_failed_command_said_last_is_shown_and_that_of_a_good_one_is_not_kept():
    gate = CommandGate({"run": "x"})
    assert judged(gate, FakeLook(report=CommandReport(1, 1, tail="a\nb\nc\nd\ne\nf\n"))).details == tuple(
        {"message": line} for line in "bcdef"
    )
    assert evidence(gate, FakeLook(report=CommandReport(0, 1, tail="customer 17 is fine"))).facts["tail"] == []


def test_a_reason_stays_on_one_line_when_the_command_does_not():
    assert "\n" not in judged(CommandGate({"run": "a &&\n  b"}), FakeLook(report=CommandReport(1, 1))).reason


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"run": " "},
        {"run": 7},
        {"run": "x", "moment": "later"},
        {"run": "x", "report": "xml"},
        {"run": "x", "name": ""},
    ],
)
def test_a_wrong_argument_is_refused(arguments):
    with pytest.raises(ConfigError):
        CommandGate(arguments)
