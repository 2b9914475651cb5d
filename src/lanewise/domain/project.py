"""What is built: the nouns of ``lanewise.yaml``. It travels inside the build."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class TableKind(StrEnum):
    """How a table is written (design section 5)."""

    FULL = "full"
    PARTITION = "partition"
    MERGE = "merge"
    APPEND = "append"


class Grain(StrEnum):
    """How a partition column is cut into slices. ``value``: each distinct value is a slice."""

    HOUR = "hour"
    DAY = "day"
    MONTH = "month"
    YEAR = "year"
    VALUE = "value"


class History(StrEnum):
    """What a new fingerprint does with the days that are published already."""

    REBUILD = "rebuild"
    INHERIT = "inherit"


@dataclass(frozen=True)
class PartitionSpec:
    """The column that cuts a table into partitions; never NULL."""

    column: str
    grain: Grain = Grain.DAY
    timezone: str = "UTC"


@dataclass(frozen=True)
class Column:
    """A published column, in the engine's SQL type (DuckDB's names, e.g. ``DECIMAL(18,2)``)."""

    name: str
    type: str
    nullable: bool = True


@dataclass(frozen=True)
class Check:
    """One data check. ``name`` is unique in its table.

    ``kind`` is one of ``not_null`` ``unique`` ``row_count`` ``accepted_values`` ``range`` ``sql``.
    ``arguments``: ``not_null``/``unique`` {"columns": [...]}; ``row_count`` {"min", "max" rows, "max_drop",
    "max_rise" fractions of the live rows as decimal text}; ``accepted_values`` {"column", "values"}; ``range``
    {"column", "min", "max"}; ``sql`` {"query" with ``{table}``, counts bad rows, 0 passes}.
    """

    name: str
    kind: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class DeclaredChange:
    """A difference from the live build that this build means to make (design section 5).

    ``what`` is one of ``values`` (of ``columns``, or all), ``rows_added``, ``rows_removed``, ``column_added``,
    ``column_dropped``, ``column_retyped``. ``limit`` bounds the share of a partition's keys it may touch,
    as decimal text ("0.01"); None: any share.
    """

    what: str
    reason: str
    columns: tuple[str, ...] = ()
    limit: str | None = None


@dataclass(frozen=True)
class Table:
    """One published table."""

    name: str
    kind: TableKind = TableKind.FULL
    partition: PartitionSpec | None = None
    key: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()  # empty: taken from what the run writes
    checks: tuple[Check, ...] = ()
    history: History = History.REBUILD
    depends: tuple[str, ...] = ()  # globs of source files it is computed by; empty: all of them
    upstream: tuple[str, ...] = ()  # tables of this project that it is computed from
    settings: tuple[str, ...] = ()  # settings whose value changes its content
    tolerance: Mapping[str, str] = field(default_factory=dict)  # column -> absolute tolerance, decimal text
    changes: tuple[DeclaredChange, ...] = ()
    offset: str | None = None  # append: the column whose maximum is the next run's start


@dataclass(frozen=True)
class Source:
    """Which files of the project's folder are the build."""

    include: tuple[str, ...]
    exclude: tuple[str, ...] = ()
    lock: str | None = None  # the dependency lock file; must be among the included files


@dataclass(frozen=True)
class Project:
    """One pipeline's repository, as ``lanewise.yaml`` says."""

    name: str
    source: Source
    run: str  # the command that computes the tables, split as a POSIX shell would
    tests: str | None = None
    inputs: tuple[str, ...] = ()
    tables: Mapping[str, Table] = field(default_factory=dict)
    environment_variable: str = "LANEWISE_ENV"  # the variable that names the environment, e.g. DEPLOY_ENV
    images: Mapping[str, str] = field(default_factory=dict)  # name -> reference@sha256:…
    wheels: Mapping[str, str] = field(default_factory=dict)  # file -> sha256:…
    effects: tuple[str, ...] = ()  # external effects, off in canaries
    entries: Mapping[str, str] = field(default_factory=dict)  # orchestrator -> its DAG, job or flow that computes this
    batch: int | None = None  # at most so many partitions per call of ``run``

    def entry(self, orchestrator: str) -> str:
        """What is started in an orchestrator of that type to compute the tables: the project's name, unless said."""
        return self.entries.get(orchestrator, self.name)
