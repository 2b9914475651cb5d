"""What a command showed, as facts, and what its test cases mean: shared by ``tests`` and ``command``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lanewise.domain.evidence import CommandReport, Verdict
from lanewise.promotion.gates.evidence import Speaker

_MESSAGES = 10


def outcome_facts(command: str, report: CommandReport) -> Mapping[str, Any]:
    """The report's figures. Of what the command printed only the last lines are kept, and only when it failed."""
    tail = report.tail.strip().splitlines()[-5:] if report.exit_code else []
    return {
        "command": command,
        "exit_code": report.exit_code,
        "seconds": round(report.seconds, 3),
        "tests": report.tests,
        "failures": report.failures,
        "skipped": report.skipped,
        "messages": list(report.messages[:_MESSAGES]),
        "tail": tail,
    }


def judge_cases(  # noqa: PLR0911 - one return a reason reads best
    say: Speaker, facts: Mapping[str, Any], least: int, noun: str = "tests"
) -> Verdict:
    """A report of cases: at least ``least`` must have run, and none failed."""
    tests, failures, skipped = facts.get("tests"), facts.get("failures", 0), facts.get("skipped", 0)
    exit_code, details = facts.get("exit_code"), shown(facts)
    if failures:
        first = (facts.get("messages") or [""])[0]
        tail = f": {first}" if first else ""
        return say.fails(f"{failures:,} of {tests or failures:,} {noun} failed{tail}", details=details)
    if tests is None:
        why = (facts.get("messages") or ["no report was found"])[0]
        return say.doubts(
            f"{why}; the command exited with {exit_code}",
            "have it write JUnit XML or SARIF into the folder that LANEWISE_REPORTS names",
            details,
        )
    if not tests:
        return say.doubts(f"the report holds no {noun}; the command exited with {exit_code}", details=details)
    ran = tests - skipped
    if ran <= 0:
        return say.doubts(f"all {tests:,} {noun} were skipped", details=details)
    if exit_code != 0:
        return say.fails(f"the command exited with {exit_code}, though none of {ran:,} {noun} failed", details=details)
    if ran < least:
        return say.doubts(f"only {ran:,} {noun} ran; at least {least:,} must", details=details)
    beside = f", {skipped:,} skipped" if skipped else ""
    noun = noun.removesuffix("s") if ran == 1 else noun
    return say.passes(f"{ran:,} {noun} passed{beside} ({facts.get('seconds')} s)", details)


def shown(facts: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """For people: the failed cases, or else the command's last lines."""
    lines = facts.get("messages") or facts.get("tail") or []
    return tuple({"message": line} for line in lines)
