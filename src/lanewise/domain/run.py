"""A run: one execution of a build in an environment over some partitions, labelled with both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from lanewise.domain.canonical import short
from lanewise.domain.project import Column


class Purpose(StrEnum):
    """Why a run happens; every log line, metric and ledger entry of it says so."""

    SCHEDULED = "scheduled"
    RERUN = "rerun"
    PROMOTION = "promotion"  # the candidate, in full
    CANARY = "canary"  # the candidate, on the chosen partitions
    BASELINE = "baseline"  # the live build beside a canary (also A/A)
    TESTS = "tests"


@dataclass(frozen=True)
class RunRequest:
    """What is to be run. ``tables`` are those wanted; the others may be computed but are not staged.

    ``partitions`` are the slices to compute, in order; ``("all",)`` for unpartitioned projects.
    ``command`` overrides the build's own (``lane run ENV -- COMMAND``).
    """

    id: str
    project: str
    environment: str
    build: str
    config: str
    purpose: Purpose
    partitions: tuple[str, ...]
    tables: tuple[str, ...]
    command: tuple[str, ...]
    fingerprints: Mapping[str, str] = field(default_factory=dict)  # table -> version the output belongs to
    promotion: str = ""
    inputs: str = ""  # digest of the input pins
    by_hand: bool = False  # the command is not the build's own, so the output is not either

    @property
    def labels(self) -> dict[str, str]:
        """What every log line of the run carries."""
        return {
            "environment": self.environment,
            "build": short(self.build),
            "project": self.project,
            "purpose": self.purpose.value,
            "run": self.id,
        }


@dataclass(frozen=True)
class Launch:
    """A request made concrete for one machine: where the verified build lies, and the compiled file that
    ``lanewise.current()`` reads. ``environment`` holds the child's variables in full: nothing else is inherited."""

    request: RunRequest
    directory: Path
    compiled: Path
    environment: Mapping[str, str]
    log: Path
    timeout: float | None = None  # seconds, after which the command and all that it started are killed


@dataclass(frozen=True)
class Finding:
    """One thing that an orchestrator judged while it ran a build: a task, a test, an asset check. ``passed`` is None
    where it came to no result (skipped, or never begun); ``severe``: it must pass for the run to count."""

    name: str
    kind: str  # task | test | check
    passed: bool | None
    severe: bool = True
    message: str = ""


@dataclass(frozen=True)
class RunOutcome:
    """How the command ended. ``seconds`` is wall time; ``tail`` the last lines it printed, redacted.

    ``findings`` is what the orchestrator itself found (its tasks, tests and asset checks), and ``url`` where it shows
    the run to people.
    """

    exit_code: int
    seconds: float
    tail: str = ""
    log: str = ""
    timed_out: bool = False
    findings: tuple[Finding, ...] = ()
    url: str = ""


@dataclass(frozen=True)
class Space:
    """A run's own room in a warehouse. ``engine`` is what the runtime needs to write there, as JSON data."""

    run: str
    engine: Mapping[str, Any]


@dataclass(frozen=True)
class Written:
    """What a run left in its space for one table, before anything is staged."""

    table: str
    columns: tuple[Column, ...]
    partitions: Mapping[str, int]  # partition -> rows
    null_partitions: int = 0  # rows whose partition is NULL: always a refusal
