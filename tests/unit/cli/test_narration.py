"""What is told while it happens: each state once, verdicts below, no sentence twice."""

from __future__ import annotations

import sys

import pytest

from lanewise.cli.narration import Narration
from lanewise.domain.evidence import Moment, Result, Verdict
from lanewise.domain.promotion import State

LONG = "2 partitions of 2 tables differ only as declared, by themselves, or within what is tolerated"


def verdict(result: Result, reason: str, gate: str = "canary") -> Verdict:
    return Verdict(gate, Moment.CANDIDATE, result, reason)


@pytest.fixture
def narration() -> Narration:
    return Narration()


def said(capsys: pytest.CaptureFixture[str]) -> list[str]:
    out, err = capsys.readouterr()
    assert out == "", "progress is no data"
    return err.splitlines()


def test_states_and_verdicts_are_in_columns(narration: Narration, capsys: pytest.CaptureFixture[str]) -> None:
    narration.moved("prod-1", State.JUDGING, "step 1 of 3 is computed")
    narration.judged(verdict(Result.PASS, "3 checks passed", "quality"))
    narration.judged(verdict(Result.INCONCLUSIVE, "no run", "soak"))
    assert said(capsys) == [
        "  prod-1    JUDGING            step 1 of 3 is computed",
        "            ✓ quality          3 checks passed",
        "            ? soak             inconclusive: no run",
    ]


def test_a_reason_that_a_gate_has_told_is_not_told_again(
    narration: Narration, capsys: pytest.CaptureFixture[str]
) -> None:
    narration.judged(verdict(Result.FAIL, "12 keys are gone"))
    narration.judged(verdict(Result.FAIL, "a column is gone", "schema"))
    narration.moved("prod-1", State.REVERTING, "canary: 12 keys are gone; schema: a column is gone")
    narration.moved("prod-1", State.REVERTED, "canary: 12 keys are gone; schema: a column is gone")
    assert said(capsys)[2:] == [
        "  prod-1    REVERTING          going back",
        "  prod-1    REVERTED           readers see what they saw before",
    ]


def test_a_reason_that_is_news_is_told(narration: Narration, capsys: pytest.CaptureFixture[str]) -> None:
    narration.judged(verdict(Result.FAIL, "12 keys are gone"))
    narration.moved("prod-1", State.REVERTING, "canary: 12 keys are gone, and the disk is full")
    assert said(capsys)[-1].endswith("canary: 12 keys are gone, and the disk is full")


def test_a_long_name_moves_what_follows(narration: Narration, capsys: pytest.CaptureFixture[str]) -> None:
    narration.moved("production-eu-12", State.GATING, "1 gate")
    narration.judged(verdict(Result.PASS, "fine"))
    one, two = said(capsys)
    assert one.index("GATING") == two.index("✓")
    assert one.index("1 gate") == two.index("fine")


def test_on_a_terminal_a_long_reason_stays_in_its_column(
    narration: Narration, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("NO_COLOR", "1")
    narration.judged(verdict(Result.PASS, LONG))
    lines = said(capsys)
    assert len(lines) > 1
    assert all(len(line) <= 80 for line in lines)
    assert all(line[:31].strip() == "" for line in lines[1:])
    assert " ".join(line[31:] for line in lines) == LONG


def test_in_a_log_a_line_stays_a_line(
    narration: Narration, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    narration.judged(verdict(Result.PASS, LONG))
    assert len(said(capsys)) == 1


def test_what_is_done_at_once_is_not_counted(narration: Narration, capsys: pytest.CaptureFixture[str]) -> None:
    narration.advance("partitions", 8, 8)
    assert said(capsys) == []


def test_on_a_terminal_a_count_is_rewritten_and_ended_before_the_next_line(
    narration: Narration, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    narration.advance("partitions", 1, 3)
    narration.say("waiting")
    narration.advance("partitions", 2, 3)
    narration.advance("partitions", 3, 3)
    narration.say("done")
    _, err = capsys.readouterr()
    assert err.splitlines()[-1] == "  done"
    assert "1 of 3\n  waiting\n" in err.replace("\r", "")
    assert err.count("\n") == 4
