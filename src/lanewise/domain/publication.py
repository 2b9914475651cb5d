"""A published table is a partition map: which slice of which version serves each partition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lanewise.domain.project import Column, PartitionSpec, TableKind


@dataclass(frozen=True)
class Slice:
    """One partition of one table as one run wrote it; immutable once it is staged.

    ``version`` is the table's fingerprint (``sha256:…``). ``location`` is the warehouse's own name for the data
    (embedded: Parquet paths relative to the warehouse, joined by newlines; for a slice of no rows the folder, with
    a closing slash, whose files have its columns).
    ``inputs`` is the digest of the input pins that it was computed from. ``build`` is who computed it.
    """

    table: str
    partition: str
    version: str
    location: str
    rows: int
    bytes: int
    run: str
    build: str
    inputs: str = ""


@dataclass(frozen=True)
class TableMap:
    """One published table: its contract (columns in order) and the exhaustive list of its slices."""

    name: str
    kind: TableKind
    columns: tuple[Column, ...]
    slices: Mapping[str, tuple[Slice, ...]]  # partition -> slices (several only for append)
    partition: PartitionSpec | None = None
    offset: str | None = None  # append: the maximum of the offset column, as text


@dataclass(frozen=True)
class PartitionMap:
    """All published tables of a pipeline in one environment, at one moment. ``number`` grows by one a publication
    and is 0 when nothing has been published; ``build`` and ``config`` are the release that is live with it."""

    pipeline: str
    number: int = 0
    build: str = ""
    config: str = ""
    tables: Mapping[str, TableMap] = field(default_factory=dict)

    def partitions(self, table: str) -> tuple[str, ...]:
        """The published partitions of a table, in order; empty when it has none."""
        found = self.tables.get(table)
        return tuple(sorted(found.slices)) if found else ()


@dataclass(frozen=True)
class Pointer:
    """What is live, cheap to read: the map's number, the fencing number it was published under, the release, and
    the earlier map that it repeats (0: none) when a rollback published it."""

    number: int
    fence: int
    build: str
    config: str
    repeats: int = 0


@dataclass(frozen=True)
class Break:
    """What readers of a published table would notice: ``changes`` says what happens to which column, a sentence each;
    ``dependants`` are the relations that are built upon it, in whose way the change stands while there are any."""

    table: str
    changes: tuple[str, ...]
    dependants: tuple[str, ...] = ()


@dataclass(frozen=True)
class InputPin:
    """One declared input as it was when it was pinned: its digest changes when its content does."""

    name: str
    digest: str
    release: str = ""  # the upstream map it reads, "pipeline@number", when it is one


@dataclass(frozen=True)
class Holding:
    """Something that takes room in the warehouse, for retention: a slice's file, a map, or a run's leftovers."""

    kind: str  # slice | map | run
    name: str
    bytes: int
    maps: tuple[int, ...] = ()  # the maps that need it
    modified: str = ""  # ISO 8601 UTC: a young holding of a run under way is kept
