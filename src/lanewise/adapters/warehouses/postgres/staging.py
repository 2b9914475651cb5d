"""Turn what a run wrote into slices: rows of their version's table under numbers of their own, seen by no reader.

A second attempt after a crash takes new numbers and disturbs nothing; slices that no map names are dropped when
garbage is collected.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from lanewise.adapters.warehouses.demands import (
    column_named,
    continues,
    demand_inside,
    demand_key,
    demand_mergeable,
    standing,
    version_of,
    wanted_partitions,
)
from lanewise.adapters.warehouses.postgres.locations import location
from lanewise.adapters.warehouses.postgres.place import Place
from lanewise.adapters.warehouses.postgres.reading import Reading, count_partitions, guarded, rows_of
from lanewise.adapters.warehouses.postgres.store import index_version, version_table
from lanewise.domain.project import Table, TableKind
from lanewise.domain.publication import Slice, TableMap
from lanewise.domain.run import RunRequest
from lanewise.errors import RunFailed
from lanewise.publication.mapped_views import SLICE
from lanewise.publication.sql import qualified
from lanewise.publication.views import PARTITION


@dataclass(frozen=True)
class Version:
    """The table in the store that a run's rows go into."""

    id: int
    relation: str


@dataclass(frozen=True)
class Stager:
    """Stages one run, in the publisher's transaction. ``live`` is what its merges and appends start from."""

    place: Place
    request: RunRequest
    live: Mapping[str, TableMap]
    connection: psycopg.Connection[Any]

    def stage(self, reading: Reading) -> tuple[Slice, ...]:
        """The slices of one table, in order of the requested partitions."""
        table = reading.table
        wanted = wanted_partitions(table, self.request.partitions)
        counts = demand_inside(table, count_partitions(self.connection, reading), wanted)
        if table.kind is TableKind.MERGE:
            self._check_keys(reading)
        held = self.live.get(table.name)
        if held is not None and not continues(table, held, version_of(self.request, table)):
            held = None
        before = {p: held.slices.get(p, ()) if held else () for p in wanted}
        written = [p for p in wanted if counts.get(p)]
        fresh = self._write(reading, counts, [p for p in wanted if p in written or not before[p]])
        found: list[Slice] = []
        for p in wanted:
            found += standing(table, self.request, before[p], written=p in fresh)
            found += [fresh[p]] if p in fresh else []
        return tuple(found)

    def _check_keys(self, reading: Reading) -> None:
        key = [sql.Identifier(column_named(reading.table, reading.columns, k).name)
               for k in demand_key(reading.table)]  # fmt: skip
        unkeyed = sql.SQL(" or ").join(sql.SQL("{} is null").format(k) for k in key)
        grouped = sql.SQL("select count(*) as n, {} as unkeyed from ({}) as written group by {}").format(
            unkeyed, reading.query(), sql.SQL(", ").join([sql.Identifier(PARTITION), *key])
        )
        query = sql.SQL(
            "select coalesce(sum(n) filter (where unkeyed), 0), count(*) filter (where n > 1 and not unkeyed)"
            " from ({}) as keys"
        ).format(grouped)
        nulls, double = guarded(self.connection, query, reading).fetchone() or (0, 0)
        demand_mergeable(reading.table, int(nulls), int(double))

    def _write(self, reading: Reading, counts: Mapping[str, int], partitions: Sequence[str]) -> dict[str, Slice]:
        """Partition -> its new slice; one of no rows where nothing was written."""
        table = reading.table
        fingerprint = version_of(self.request, table)
        made = version_table(self.connection, self.place, table, reading.columns, fingerprint, indexed=False)
        version = Version(*made)
        numbers = dict(zip(partitions, self._numbers(len(partitions)), strict=True))
        written = {p: numbers[p] for p in partitions if counts.get(p)}
        rows = self._insert(reading, version, written, counts) if written else {}
        index_version(self.connection, self.place, version.relation, table, reading.columns)
        width = self._width(version, sum(rows.values()))
        slices = {
            p: Slice(table.name, p, fingerprint, location(version.relation, number), rows.get(number, 0),
                     int(rows.get(number, 0) * width), self.request.id, self.request.build, self.request.inputs)
            for p, number in numbers.items()
        }  # fmt: skip
        self._register(version, numbers, slices)
        return slices

    def _numbers(self, count: int) -> list[int]:
        sequence = sql.Literal(qualified(self.place.store, "slice_numbers"))
        query = sql.SQL("select nextval({}) from generate_series(1, {})").format(sequence, sql.Literal(count))
        return [int(row[0]) for row in self.connection.execute(query).fetchall()]

    def _insert(
        self, reading: Reading, version: Version, numbers: Mapping[str, int], counts: Mapping[str, int]
    ) -> dict[int, int]:
        """Slice number -> its rows."""
        into, slot = sql.Identifier(self.place.store, version.relation), sql.Identifier(SLICE)
        columns = sql.SQL(", ").join(sql.Identifier(c.name) for c in reading.columns)
        state = self._state(reading, list(numbers))
        named = sql.SQL("(select unnest({}::text[]) as name, unnest({}::bigint[]) as number) as named").format(
            sql.Literal(list(numbers)), sql.Literal(list(numbers.values()))
        )
        taken = sql.SQL(", ").join(sql.Identifier("fresh", c.name) for c in reading.columns)
        shape = sql.SQL(  # in order: a partition's rows lie together, and the indexes grow at their end
            "insert into {} ({}, {}) select {}, named.number from ({}) as fresh join {} on {} = named.name"
            " order by named.number"
        )
        part, rows = sql.Identifier("fresh", PARTITION), _merged(reading, state)
        query = shape.format(into, columns, slot, taken, rows, named, part)
        inserted = guarded(self.connection, query, reading).rowcount
        if state is None:
            counted = sum(counts.values())
            if inserted != counted:
                raise RunFailed(f"{reading.table.name}: {counted} rows were counted and {inserted} staged",
                                hint="the run is still writing: see that it has ended, then run it again")  # fmt: skip
            return {number: counts[p] for p, number in numbers.items()}
        tally = sql.SQL("select {}, count(*) from {} where {} = any({}::bigint[]) group by 1").format(
            slot, into, slot, sql.Literal(list(numbers.values()))
        )
        return {int(row[0]): int(row[1]) for row in self.connection.execute(tally).fetchall()}

    def _state(self, reading: Reading, partitions: Sequence[str]) -> sql.Composed | None:
        """The live rows that a merge starts from; None where there are none."""
        held = self.live.get(reading.table.name)
        if reading.table.kind is not TableKind.MERGE or held is None:
            return None
        slices = [s for p in partitions for s in held.slices.get(p, ())]
        return rows_of(self.connection, self.place, reading.columns, slices) if slices else None

    def _width(self, version: Version, rows: int) -> float:
        """Bytes that a row takes in the version's table, indexes included; an estimate."""
        if not rows:
            return 0.0
        before = sql.SQL("(select coalesce(sum(row_count), 0) from {} where version = {})").format(
            sql.Identifier(self.place.store, "slices"), sql.Literal(version.id)
        )
        query = sql.SQL("select pg_total_relation_size({}::regclass), {}").format(
            sql.Literal(qualified(self.place.store, version.relation)), before
        )
        size, others = self.connection.execute(query).fetchone() or (0, 0)
        return int(size) / (int(others) + rows)

    def _register(self, version: Version, numbers: Mapping[str, int], slices: Mapping[str, Slice]) -> None:
        ordered = list(numbers)
        query = sql.SQL(
            "insert into {} (id, version, part, row_count, byte_count, run) select *, {} from unnest({}::bigint[],"
            " array_fill({}::bigint, array[{}]), {}::text[], {}::bigint[], {}::bigint[])"
        ).format(
            sql.Identifier(self.place.store, "slices"), sql.Literal(self.request.id),
            sql.Literal([numbers[p] for p in ordered]), sql.Literal(version.id), sql.Literal(len(ordered)),
            sql.Literal(ordered), sql.Literal([slices[p].rows for p in ordered]),
            sql.Literal([slices[p].bytes for p in ordered]),
        )  # fmt: skip
        self.connection.execute(query)


def _merged(reading: Reading, state: sql.Composed | None) -> sql.Composed:
    """The written rows, over the state that they are merged into where there is one."""
    if state is None:
        return reading.query()
    table = reading.table
    key = [PARTITION, *(column_named(table, reading.columns, k).name for k in table.key)]
    same = sql.SQL(" and ").join(sql.SQL("{} = {}").format(sql.Identifier("w", k), sql.Identifier("s", k)) for k in key)
    older = sql.SQL("select s.* from ({}) as s where not exists (select from ({}) as w where {})")
    return sql.SQL("{} union all {}").format(reading.query(), older.format(state, reading.query(), same))


def newest_offset(connection: psycopg.Connection[Any], place: Place, table: Table, held: TableMap) -> str | None:
    """The maximum of the offset column over what is live, as text."""
    slices = [s for found in held.slices.values() for s in found]
    if not table.offset or not any(s.rows for s in slices):
        return None
    column = column_named(table, held.columns, table.offset)
    query = sql.SQL("select max({})::text from ({}) as held").format(
        sql.Identifier(column.name), rows_of(connection, place, [column], slices)
    )
    row = connection.execute(query).fetchone()
    return None if row is None or row[0] is None else str(row[0])
