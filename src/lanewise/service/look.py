"""A gate's eyes, on the real ports: whatever a gate asks is measured now."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from lanewise.domain.canonical import short
from lanewise.domain.environment import Environment
from lanewise.domain.evidence import CheckResult, CommandReport, Moment
from lanewise.domain.gate import Retained, RunRecord
from lanewise.domain.plan import Plan
from lanewise.domain.ports import Warehouse
from lanewise.domain.project import Column, Project, Table
from lanewise.domain.publication import Slice, TableMap
from lanewise.errors import LaneError, NotFound
from lanewise.service.candidate import Candidate
from lanewise.service.command import run_command
from lanewise.service.context import Context
from lanewise.service.isolation import recorded
from lanewise.service.releases import as_released, environment_of, releases

Slices = Mapping[str, Sequence[Slice]]

_NAMED = 3
"""How many lost files are told by name."""


@dataclass(frozen=True)
class Eyes:
    """Satisfies ``domain.gate.Look``. ``slices`` are the candidate's, staged and not yet published."""

    ctx: Context
    candidate: Candidate
    plan: Plan
    target: Environment
    previous: Environment | None
    warehouse: Warehouse
    moment: Moment
    slices: Slices = field(default_factory=dict)
    order: tuple[str, ...] = ()

    @property
    def project(self) -> Project:
        """The candidate build's own project file."""
        return self.candidate.project

    @property
    def environments(self) -> tuple[str, ...]:
        """The names of all environments in the promotion order."""
        return self.order

    def command(self, command: str, *, timeout: float) -> CommandReport:
        """Run inside the verified build with the target's settings; its report is read back."""
        with tempfile.TemporaryDirectory(prefix="lane-gate-") as scratch:
            return run_command(self.ctx, self.candidate, self.target, command,
                               timeout=timeout, scratch=Path(scratch))  # fmt: skip

    def checks(self) -> Sequence[CheckResult]:
        """Every check of every moved table, on the candidate's slices or on what is live."""
        looked_at = self._live_slices() if self.moment is Moment.AFTER else self.slices
        found: list[CheckResult] = []
        for table in self._moved():
            found += self.warehouse.evaluate(table, table.checks, looked_at.get(table.name, ()))
        return found

    def columns(self, side: str) -> Mapping[str, tuple[Column, ...]]:
        """Published columns per table, live or the candidate's."""
        if side == "live":
            return {name: table.columns for name, table in self.warehouse.live().tables.items()}
        return {name: self.warehouse.columns(found) for name, found in self.slices.items() if found}

    def published(self, environment: str) -> Mapping[str, tuple[tuple[Column, ...], Mapping[str, int]]]:
        """What is live in an environment: columns and rows per partition of each table."""
        released = releases(self.ctx, environment)
        if not released:
            return {}
        live = self.ctx.warehouse(environment_of(self.ctx, environment, released[-1])).live()
        return {name: (table.columns, _rows(table)) for name, table in live.tables.items()}

    def runs(self, environment: str) -> Sequence[RunRecord]:
        """The candidate build's finished runs there, oldest first."""
        found = []
        for stream in self.ctx.ledger.streams(f"run/{self.plan.project}/{environment}/"):
            record = _record(self.ctx, stream, environment)
            if record is not None and record.build == self.plan.build:
                found.append(record)
        return found

    def released_at(self, environment: str) -> datetime | None:
        """Since when the candidate build is live there without a break; None when it isn't."""
        since = None
        for release in releases(self.ctx, environment):
            if release.build != self.plan.build:
                since = None
            elif since is None:
                since = datetime.fromisoformat(release.at)
        return since

    def retained(self) -> Sequence[Retained]:
        """The build, the config and the map that a rollback out of the target would go back to."""
        if self.plan.first_release:
            return ()
        build, number = self.plan.base_build, self.plan.base_map
        return (
            Retained(f"build {short(build)}", _there(lambda: self.ctx.builds.whole(build))),
            Retained("the config of its release", _there(self._has_base_config)),
            Retained(f"map {number}", _there(lambda: self.warehouse.map_at(number).number == number)),
            *(Retained(f"{name} of map {number}", present=False) for name in _lost(self.warehouse, number)),
        )

    def isolation(self) -> Mapping[str, Any]:
        """The newest measurement in the ledger, and what it is to be compared with."""
        return recorded(self.ctx)

    def _has_base_config(self) -> bool:
        """Its document is still in the ledger, and still says what the plan saw."""
        released = as_released(self.ctx, self.target.name)
        return released is not None and released.digest == self.plan.base_config

    def _moved(self) -> tuple[Table, ...]:
        return self.candidate.tables(tuple(t.table for t in self.plan.moved))

    def _live_slices(self) -> Slices:
        live = self.warehouse.live().tables
        return {name: [s for part in table.slices.values() for s in part] for name, table in live.items()}


def _rows(table: TableMap) -> dict[str, int]:
    return {partition: sum(s.rows for s in slices) for partition, slices in table.slices.items()}


def _there(look: Callable[[], bool]) -> bool:
    """Whether it is; what can't be looked at is not there for a rollback either."""
    try:
        return look()
    except LaneError:
        return False


def _lost(warehouse: Warehouse, number: int) -> list[str]:
    """What the map names and is gone: the first few by name, the others counted."""
    try:
        missing = warehouse.missing(number)
    except NotFound:  # the map itself is, and told as such
        return []
    except LaneError:
        return ["what can't be looked at"]
    more = len(missing) - _NAMED
    return [*missing[:_NAMED], *([f"{more} more"] if more > 0 else [])]


def _record(ctx: Context, stream: str, environment: str) -> RunRecord | None:
    """A run's stream told in one line; None while it is under way, and for a command that is not the build's own."""
    events = ctx.ledger.read(stream)
    ends = [e for e in events if e.type in {"run.published", "run.failed"}]
    if not events or not ends or events[0].data.get("command"):
        return None
    first = events[0].data
    return RunRecord(
        id=stream.rpartition("/")[2], environment=environment, build=first["build"], purpose=first["purpose"],
        partitions=tuple(first["partitions"]), ok=ends[-1].type == "run.published", finished_at=ends[-1].at,
    )  # fmt: skip
