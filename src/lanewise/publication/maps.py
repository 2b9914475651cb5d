"""Pure operations on partition maps. Lists are exhaustive: a partition is in a map because it is named there.

A map made here keeps the number of the map it was made from; the caller numbers it when it is to be prepared.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from lanewise.domain.plan import Move, Plan
from lanewise.domain.project import Column, Project, Table
from lanewise.domain.publication import PartitionMap, Slice, TableMap
from lanewise.errors import NotFound, WrongInput

Slices = Mapping[str, Sequence[Slice]]
Columns = Mapping[str, tuple[Column, ...]]


def overlay(live: PartitionMap, slices: Slices, project: Project, columns: Columns | None = None) -> PartitionMap:
    """The partitions of ``slices`` from them, every other one as it is live: a canary step that is exposed, a
    scheduled run, a rerun. The release stays.

    ``columns`` are what the warehouse says these slices have. A table's contract is what it declares, else these
    (after the live columns, which keep their order), else what is live.
    """
    tables = dict(live.tables)
    for name, found in slices.items():
        held = live.tables.get(name)
        fresh = by_partition(found)
        kept = dict(held.slices) if held else {}
        tables[name] = _table(_declared(project, name), {**kept, **fresh}, held, columns)
    return replace(live, tables=_sorted(tables))


def cut_over(
    live: PartitionMap, plan: Plan, slices: Slices, project: Project, columns: Columns | None = None
) -> PartitionMap:
    """The plan carried out in full, under the plan's release: rebuilt and new tables from ``slices`` alone,
    inherited ones with ``slices`` over what is live, the reused as they are, the dropped gone."""
    tables: dict[str, TableMap] = {}
    for move in plan.tables:
        held = live.tables.get(move.table)
        if move.move is Move.DROP:
            continue
        fresh = by_partition(slices.get(move.table, ()))
        if move.move is Move.REUSE:
            if held is not None:
                tables[move.table] = _table(_declared(project, move.table), held.slices, held, None)
            continue
        if move.move is Move.INHERIT and held is not None:  # what was computed to be judged is not shown
            fresh = {**fresh, **held.slices}
        before = held if move.move is Move.INHERIT else None
        tables[move.table] = _table(_declared(project, move.table), fresh, before or held, columns)
    return replace(live, build=plan.build, config=plan.config, tables=_sorted(tables))


def uncovered(
    live: PartitionMap, plan: Plan, slices: Slices, base: PartitionMap, project: Project
) -> dict[str, tuple[str, ...]]:
    """Live partitions that a candidate still has to compute, per table that it rebuilds: those it has no slice of,
    and those that somebody else has published since ``base`` (their input may be newer than what the candidate saw).

    What the candidate itself has exposed is its own; inherited history stays with whoever published it; and a table
    that the candidate cuts in another way shares no partition with what is live.
    """
    missing: dict[str, tuple[str, ...]] = {}
    for move in plan.moved:
        held, before = live.tables.get(move.table), base.tables.get(move.table)
        if held is None or move.move is Move.INHERIT or held.partition != _declared(project, move.table).partition:
            continue
        mine = by_partition(slices.get(move.table, ()))
        runs = {s.run for found in mine.values() for s in found}
        moved_on = {
            p for p in _differing(before, held) if p in held.slices and not all(s.run in runs for s in held.slices[p])
        }
        wanted = (set(held.slices) - set(mine)) | moved_on
        if wanted:
            missing[move.table] = tuple(sorted(wanted))
    return missing


def give_back(live: PartitionMap, base: PartitionMap, runs: Collection[str]) -> PartitionMap:
    """Take ``runs`` out of the live map: what they wrote is as it was in ``base`` again (or gone, where base had
    nothing), tables that left since return, the release is base's. What others have published since stays."""
    tables: dict[str, TableMap] = {}
    for name in {*live.tables, *base.tables}:
        held, before = live.tables.get(name), base.tables.get(name)
        if held is None:
            if before is not None:
                tables[name] = before
            continue
        kept = {p: found for p, found in held.slices.items() if not any(s.run in runs for s in found)}
        back = {p: found for p, found in before.slices.items() if p not in kept} if before else {}
        if before is None and not kept:
            continue
        tables[name] = replace(before or held, slices=_ordered({**kept, **back}))
    return replace(live, build=base.build, config=base.config, tables=_sorted(tables))


def gap(before: PartitionMap, after: PartitionMap) -> dict[str, tuple[str, ...]]:
    """Partitions per table that only ``before``, the newer map, has: what going back to ``after`` leaves unserved."""
    found = {}
    for name, table in before.tables.items():
        held = after.tables.get(name)
        missing = set(table.slices) - set(held.slices if held else ())
        if missing:
            found[name] = tuple(sorted(missing))
    return found


def differing(one: PartitionMap, other: PartitionMap) -> dict[str, tuple[str, ...]]:
    """Partitions per table that the two maps serve from different slices, or only one of them serves."""
    names = sorted({*one.tables, *other.tables})
    found = {name: tuple(sorted(_differing(one.tables.get(name), other.tables.get(name)))) for name in names}
    return {name: partitions for name, partitions in found.items() if partitions}


def by_partition(slices: Iterable[Slice]) -> dict[str, tuple[Slice, ...]]:
    """Slices grouped by their partition, in order; a NULL or empty name is refused."""
    found: dict[str, tuple[Slice, ...]] = {}
    for one in slices:
        if one.partition is None:
            raise WrongInput(f"a slice of {one.table} names no partition")
        found[one.partition] = (*found.get(one.partition, ()), one)
    return _ordered(found)


def _differing(one: TableMap | None, other: TableMap | None) -> set[str]:
    here, there = (one.slices if one else {}), (other.slices if other else {})
    return {p for p in {*here, *there} if here.get(p) != there.get(p)}


def _table(
    table: Table, slices: Mapping[str, tuple[Slice, ...]], held: TableMap | None, columns: Columns | None
) -> TableMap:
    return TableMap(
        name=table.name,
        kind=table.kind,
        columns=_contract(table, held, (columns or {}).get(table.name, ())),
        slices=_ordered(slices),
        partition=table.partition,
        offset=held.offset if held else None,
    )


def _contract(table: Table, held: TableMap | None, written: tuple[Column, ...]) -> tuple[Column, ...]:
    if table.columns:
        return table.columns
    if not written:
        return held.columns if held else ()
    new = {c.name: c for c in written}
    order = [c.name for c in held.columns if c.name in new] if held else []
    return tuple(new[name] for name in [*order, *(n for n in new if n not in order)])


def _declared(project: Project, name: str) -> Table:
    if name not in project.tables:
        raise NotFound("table", name, known=project.tables)
    return project.tables[name]


def _ordered(slices: Mapping[str, tuple[Slice, ...]]) -> dict[str, tuple[Slice, ...]]:
    return {partition: tuple(slices[partition]) for partition in sorted(slices)}


def _sorted(tables: Mapping[str, TableMap]) -> dict[str, TableMap]:
    return {name: tables[name] for name in sorted(tables)}
