"""What is demanded of what a run left for a table, in whichever engine it lies, and the words of a refusal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from lanewise.domain.partition import ALL, parse_partition
from lanewise.domain.project import Column, Grain, History, PartitionSpec, Table, TableKind
from lanewise.domain.publication import Slice, TableMap
from lanewise.domain.run import RunRequest
from lanewise.errors import RunFailed
from lanewise.publication.types import holds
from lanewise.publication.views import PARTITION

Filled = Callable[[Sequence[Column]], Sequence[int]]
"""How many values each of these columns has that are not NULL."""


def cut_of(table: Table) -> PartitionSpec | None:
    """How its output is partitioned; None for one slice."""
    return None if table.kind is TableKind.FULL else table.partition


def settled(table: Table, written: Sequence[Column], live: TableMap | None, filled: Filled) -> tuple[Column, ...]:
    """The columns to store: those declared, else the written ones in the live order, in the live types where those
    hold every written value. ``RunFailed`` when what was written breaks the contract."""
    if any(c.name.lower() == PARTITION for c in written):
        raise RunFailed(f"{table.name}: the column name {PARTITION} is taken", hint="name it otherwise")
    if table.columns:
        _demand_declared(table, written)
        return table.columns
    return _kept(written, live.columns if live else (), filled)


def column_named(table: Table, columns: Sequence[Column], name: str) -> Column:
    """The column of that name, in any case; ``RunFailed`` when the output has none."""
    for column in columns:
        if column.name.lower() == name.lower():
            return column
    raise RunFailed(f"{table.name} has no column {name}", hint=f"it has {', '.join(c.name for c in columns)}")


def demand_filled(table: Table, missing: Mapping[str, int]) -> None:
    """``missing``: how many rows have NULL in a column that may not be."""
    for name, rows in missing.items():
        if rows:
            raise RunFailed(f"{table.name}.{name} may not be NULL, and {rows} rows have none there")


def demand_inside(table: Table, counts: Mapping[str | None, int], wanted: Sequence[str]) -> dict[str, int]:
    """Rows by partition: none where it is NULL, none in a partition that was not asked for."""
    found = dict(counts)
    nulls = found.pop(None, 0)
    if nulls:
        cut = cut_of(table)
        column = cut.column if cut else ""
        raise RunFailed(f"{table.name}: {nulls} rows lie in no partition, because {column} is NULL there")
    outside = {str(p): n for p, n in found.items() if p not in set(wanted)}
    if outside:
        shown = ", ".join(f"{p}: {outside[p]}" for p in sorted(outside)[:5])
        raise RunFailed(
            f"{table.name}: {sum(outside.values())} rows lie outside of the partitions that were asked for ({shown}"
            f"{', …' if len(outside) > 5 else ''})",
            hint="write only rows of run.partitions, or run those partitions too",
        )
    return {str(p): n for p, n in found.items()}


def demand_key(table: Table) -> tuple[str, ...]:
    """What a merge goes by."""
    if not table.key:
        raise RunFailed(f"{table.name} is merged by key, and has none",
                        hint=f"give {table.name} a key in lanewise.yaml")  # fmt: skip
    return table.key


def demand_mergeable(table: Table, nulls: int, double: int) -> None:
    """``nulls``: rows with a NULL in the key; ``double``: keys that came more than once."""
    if nulls:
        raise RunFailed(f"{table.name}: {nulls} rows have a NULL in the key, so they can't be merged")
    if double:
        raise RunFailed(
            f"{table.name}: {double} keys came twice from the same run, so which row is newer can't be told"
        )


def demand_all(wanted: Sequence[Table], left: Mapping[str, object]) -> None:
    """Every wanted table was written to."""
    missing = [t.name for t in wanted if t.name not in left]
    if missing:
        raise RunFailed(
            f"the run wrote nothing for {', '.join(missing)}",
            hint="a table without rows is written too, with its columns",
        )


def wanted_partitions(table: Table, partitions: Sequence[str]) -> tuple[str, ...]:
    """The partitions of this table that were asked for, each once; ``WrongInput`` for one that is none of its cut."""
    cut = cut_of(table)
    if cut is None:
        return (ALL,)
    if cut.grain is not Grain.VALUE:
        for name in partitions:
            parse_partition(name, cut.grain)
    return tuple(dict.fromkeys(partitions))


def version_of(request: RunRequest, table: Table) -> str:
    """The fingerprint that the run's output of the table belongs to."""
    if table.name not in request.fingerprints:
        raise RunFailed(f"the run {request.id} names no version of {table.name}")
    return request.fingerprints[table.name]


def continues(table: Table, held: TableMap, version: str) -> bool:
    """Whether this version of a table goes on from its live state. A merge always does; an append does unless its
    code has changed and its history is to be rebuilt; the others never do."""
    if table.kind is TableKind.APPEND:
        same = any(s.version == version for slices in held.slices.values() for s in slices)
        return same or table.history is History.INHERIT
    return table.kind is TableKind.MERGE


def standing(table: Table, request: RunRequest, before: Sequence[Slice], *, written: bool) -> tuple[Slice, ...]:
    """Which of the slices that a partition had go on serving it: an append's older ones beside what the run has
    ``written``, and the state as it was where it wrote nothing."""
    if written:
        older = before if table.kind is TableKind.APPEND else ()
        return tuple(s for s in older if s.rows and s.run != request.id)
    if table.kind is TableKind.APPEND:
        return tuple(before)
    version = version_of(request, table)  # nothing new: it stands under the version that now answers for it
    return tuple(
        s if s.version == version else Slice(s.table, s.partition, version, s.location, s.rows, s.bytes, request.id,
                                             request.build, s.inputs)
        for s in before
    )  # fmt: skip


def _demand_declared(table: Table, written: Sequence[Column]) -> None:
    names = {c.name.lower() for c in written}
    declared = {c.name.lower() for c in table.columns}
    missing = [c.name for c in table.columns if c.name.lower() not in names]
    extra = [c.name for c in written if c.name.lower() not in declared]
    if missing:
        raise RunFailed(f"{table.name}: the run did not write the declared columns {', '.join(missing)}")
    if extra:
        raise RunFailed(
            f"{table.name}: the run wrote columns that are not declared: {', '.join(extra)}",
            hint="declare them in lanewise.yaml, or leave them out",
        )


def _kept(written: Sequence[Column], live: Sequence[Column], filled: Filled) -> tuple[Column, ...]:
    before = {c.name.lower(): c for c in live}
    doubtful = [c for c in written if c.name.lower() in before and not holds(before[c.name.lower()].type, c.type)]
    counts = filled(doubtful) if doubtful else ()  # a column of NULLs alone says nothing about its type
    retyped = {c.name for c, values in zip(doubtful, counts, strict=True) if values}
    found = {
        c.name.lower(): c if c.name in retyped else Column(c.name, before.get(c.name.lower(), c).type) for c in written
    }
    order = [c.name.lower() for c in live if c.name.lower() in found]
    return tuple(found[name] for name in [*order, *(n for n in found if n not in order)])
