"""A gate's words: what was measured, when, on what; and what it means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Result(StrEnum):
    """``inconclusive`` (no, empty, stale or zero-row evidence) stops a promotion like ``fail`` does."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    ERROR = "error"


class Moment(StrEnum):
    """When a gate looks: the build's record in the previous environment, the computed but unpublished output,
    or the released one."""

    BEFORE = "before"
    CANDIDATE = "candidate"
    AFTER = "after"


@dataclass(frozen=True)
class Evidence:
    """What one gate measured. ``subject`` names what was looked at (build, environment, map number, run ids);
    ``facts`` are the figures; ``measured_at`` is ISO 8601 UTC, by the ledger's clock."""

    gate: str
    moment: Moment
    subject: Mapping[str, Any]
    facts: Mapping[str, Any]
    measured_at: str
    expires_at: str


@dataclass(frozen=True)
class Verdict:
    """What a gate makes of its evidence, with the reason in one sentence and, where there is one, what to do."""

    gate: str
    moment: Moment
    result: Result
    reason: str
    hint: str = ""
    details: tuple[Mapping[str, Any], ...] = field(default=())

    @property
    def passes(self) -> bool:
        """True for ``pass`` alone: doubt never passes."""
        return self.result is Result.PASS


@dataclass(frozen=True)
class CheckResult:
    """One data check evaluated over some slices. ``rows`` is what it looked at, ``bad`` how many rows broke it;
    ``facts`` carries what a row count needs (``live_rows`` of the same partitions, and ``paired_rows``, those of the
    looked-at rows whose partition is live) and, for people, up to five example keys."""

    table: str
    check: str
    kind: str
    rows: int
    bad: int
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class CommandReport:
    """What a command gate's command left: exit code, the cases it reports (JUnit or SARIF) when it does."""

    exit_code: int
    seconds: float
    tests: int | None = None  # None: no report was found
    failures: int = 0
    skipped: int = 0
    messages: tuple[str, ...] = ()
    tail: str = ""
