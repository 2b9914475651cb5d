"""What a gate is, and all that it may look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from lanewise.domain.environment import Environment
from lanewise.domain.evidence import CheckResult, CommandReport, Evidence, Moment, Verdict
from lanewise.domain.plan import Plan
from lanewise.domain.project import Column, Project


@dataclass(frozen=True)
class RunRecord:
    """A finished run, as the ledger tells it. ``ok``: the command ended well and the audit passed."""

    id: str
    environment: str
    build: str
    purpose: str
    partitions: tuple[str, ...]
    ok: bool
    finished_at: str  # ISO 8601 UTC


@dataclass(frozen=True)
class Retained:
    """One thing that a rollback would need, and whether it is there."""

    what: str
    present: bool


class Look(Protocol):
    """A gate's eyes. Each method measures now; a gate asks for what it needs and nothing else."""

    @property
    def moment(self) -> Moment:
        """When this look happens."""

    @property
    def plan(self) -> Plan:
        """What would be done."""

    @property
    def project(self) -> Project:
        """The candidate build's own project file."""

    @property
    def target(self) -> Environment:
        """Where the build is to go."""

    @property
    def previous(self) -> Environment | None:
        """The environment before it in the promotion order; None for the first."""

    @property
    def environments(self) -> tuple[str, ...]:
        """The names of all environments in the promotion order."""

    def command(self, command: str, *, timeout: float) -> CommandReport:
        """Run a command inside the verified candidate build, with the target's settings and the last JUnit or SARIF
        report it leaves read back. ``timeout`` in seconds."""

    def checks(self) -> Sequence[CheckResult]:
        """Every data check of every moved table: on the candidate's slices (candidate), on the live ones (after)."""

    def columns(self, side: str) -> Mapping[str, tuple[Column, ...]]:
        """Published columns per table: ``side`` is ``live`` or ``candidate``."""

    def published(self, environment: str) -> Mapping[str, tuple[tuple[Column, ...], Mapping[str, int]]]:
        """Per table that is live in an environment: its columns and the rows per partition."""

    def runs(self, environment: str) -> Sequence[RunRecord]:
        """The candidate build's finished runs in an environment, oldest first."""

    def released_at(self, environment: str) -> datetime | None:
        """Since when the candidate build is live in an environment; None when it isn't."""

    def retained(self) -> Sequence[Retained]:
        """What a rollback out of the target would need."""

    def isolation(self) -> Mapping[str, Any]:
        """The newest measurement of isolation as it was recorded, with ``at`` (when) and ``walls_now`` (the config that
        it would be made under now, to compare with its ``walls``); ``{"walls_now": …}`` alone when there is none."""


class Gate(Protocol):
    """A condition. Built from its arguments in config (``soak: {runs: 1}``); raises ``ConfigError`` for wrong ones."""

    name: str
    moments: tuple[Moment, ...]

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        """Check and keep the arguments."""

    def measure(self, look: Look) -> Mapping[str, Any]:
        """The facts, as JSON data. Asks only through ``look``."""

    def judge(self, evidence: Evidence | None, now: datetime) -> Verdict:
        """Pure. None, empty, expired or zero-row evidence is ``inconclusive``."""
