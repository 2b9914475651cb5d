"""Turn what a run wrote into slices: Parquet files of their own names, durable, and seen by no reader.

Files are written in the run's room under names that never come twice and then renamed into their version's folder,
so a second attempt after a crash disturbs nothing.
"""

from __future__ import annotations

import errno
import shutil
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import duckdb

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
from lanewise.adapters.warehouses.embedded.branches import Schema, columns_of, relation
from lanewise.adapters.warehouses.embedded.failures import disk_errors
from lanewise.adapters.warehouses.embedded.layout import Layout, encoded, partition_folder, sync_file, sync_folder
from lanewise.adapters.warehouses.embedded.reading import Reading, count_partitions, guarded
from lanewise.domain.project import Table, TableKind
from lanewise.domain.publication import Slice, TableMap
from lanewise.domain.run import RunRequest
from lanewise.publication import sql
from lanewise.publication.views import PARTITION

_SLOT = "_lanewise_slot"


@dataclass(frozen=True)
class Stager:
    """Stages one run. ``live`` is what its merges and appends start from."""

    layout: Layout
    request: RunRequest
    live: Mapping[str, TableMap]
    connection: duckdb.DuckDBPyConnection

    def stage(self, reading: Reading) -> tuple[Slice, ...]:
        """The slices of one table, in order of the requested partitions."""
        table = reading.table
        wanted = wanted_partitions(table, self.request.partitions)
        counts = demand_inside(table, count_partitions(self.connection, reading), wanted)
        if table.kind is TableKind.MERGE:
            self._check_keys(reading)
        written = [p for p in wanted if counts.get(p)]
        files = self._write(reading, self._rows(reading, written), written)
        held = self.live.get(table.name)
        if held is not None and not continues(table, held, version_of(self.request, table)):
            held = None
        return tuple(s for p in wanted for s in self._slices(reading, p, files, held))

    def _check_keys(self, reading: Reading) -> None:
        key = [sql.identifier(k) for k in demand_key(reading.table)]
        grouped = sql.select(["count(*) AS n", sql.some(f"{k} IS NULL" for k in key) + " AS unkeyed"],
                             sql.subquery(reading.query(), "written"), group=", ".join([PARTITION, *key]))  # fmt: skip
        items = ["coalesce(sum(n) FILTER (WHERE unkeyed), 0)", sql.count_if("n > 1 AND NOT unkeyed")]
        query = sql.select(items, sql.subquery(grouped, "keys"))
        nulls, double = guarded(self.connection, query, reading).fetchone() or (0, 0)
        demand_mergeable(reading.table, nulls, double)

    def _rows(self, reading: Reading, written: Sequence[str]) -> str:
        held = self.live.get(reading.table.name)
        state = [s for p in written for s in (held.slices.get(p, ()) if held else ())]
        if reading.table.kind is not TableKind.MERGE or not state:
            return reading.query()
        same = sql.every(f"w.{k} = s.{k}" for k in [PARTITION, *(sql.identifier(k) for k in reading.table.key)])
        newer = sql.select(["1"], "(" + reading.query() + ") AS w", where=same)
        older = "(" + relation(self.layout, reading.columns, state) + ") AS s"
        return sql.union_all([reading.query(), sql.select(["s.*"], older, where=f"NOT EXISTS ({newer})")])

    def _write(self, reading: Reading, rows: str, partitions: Sequence[str]) -> Mapping[str, tuple[str, int, int]]:
        """Partition -> its location, rows and bytes."""
        schema = Schema(reading.columns, reading.hive)
        folder = schema.folder(self.layout.version(reading.table.name, version_of(self.request, reading.table)))
        with disk_errors(f"{reading.table.name} can't be staged"):
            schema.write(folder)
            if not partitions:
                return {}
            aside = self.layout.run(self.request.id) / "staged"
            shutil.rmtree(aside, ignore_errors=True)
            aside.mkdir(parents=True)
            copied = self._copy(reading, rows, partitions, aside)
            found = self._move(schema, folder, copied)
            shutil.rmtree(aside, ignore_errors=True)
        return found

    def _copy(
        self, reading: Reading, rows: str, partitions: Sequence[str], aside: Path
    ) -> Mapping[str, list[tuple[Path, int, int]]]:
        items = [sql.identifier(c.name) for c in reading.columns]
        if reading.hive and reading.hive[0] == PARTITION:
            items.append(PARTITION)
        name = f"{encoded(self.request.id)}-{uuid.uuid4().hex[:8]}"
        if len(partitions) == 1:
            query = sql.select(items, sql.subquery(rows, "rows"))
            target, options = aside / _SLOT / f"{name}-0.parquet", "FORMAT parquet, RETURN_STATS"
            target.parent.mkdir()
        else:
            self.connection.execute("CREATE OR REPLACE TEMPORARY TABLE slots AS SELECT unnest($1) AS name, "
                                    "unnest($2) AS slot", [list(partitions), list(range(len(partitions)))])  # fmt: skip
            joined = sql.subquery(rows, "rows") + f" JOIN slots ON rows.{PARTITION} = slots.name"
            query = sql.select([*items, sql.aliased("slots.slot", _SLOT)], joined)
            pattern = sql.literal(name + "-{i}")
            target = aside
            options = f"FORMAT parquet, RETURN_STATS, PARTITION_BY ({_SLOT}), FILENAME_PATTERN {pattern}"
        copy = " ".join(["COPY", "(" + query + ")", "TO", sql.literal(str(target)), "(" + options + ")"])
        found: dict[str, list[tuple[Path, int, int]]] = {}
        cursor = guarded(self.connection, copy, reading)
        names = [column[0] for column in cursor.description or ()]
        for row in cursor.fetchall():
            stats = dict(zip(names, row, strict=True))
            slot = int((stats["partition_keys"] or {}).get(_SLOT, 0))
            file = (Path(stats["filename"]), stats["count"], stats["file_size_bytes"])
            found.setdefault(partitions[slot], []).append(file)
        return found

    def _move(
        self, schema: Schema, folder: Path, copied: Mapping[str, list[tuple[Path, int, int]]]
    ) -> Mapping[str, tuple[str, int, int]]:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(sync_file, [file for files in copied.values() for file, _, _ in files]))
        found, folders = {}, {folder, folder.parent, folder.parent.parent, self.layout.versions, self.layout.lane}
        for partition, files in copied.items():
            inside = folder / partition_folder(schema.hive[0], partition) if schema.hive else folder
            folders.add(inside)
            _move_into([file for file, _, _ in files], inside)
            location = "\n".join(self.layout.relative(inside / file.name) for file, _, _ in files)
            found[partition] = (location, sum(n for _, n, _ in files), sum(size for _, _, size in files))
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(sync_folder, folders))
        return found

    def _slices(
        self, reading: Reading, partition: str, files: Mapping[str, tuple[str, int, int]], held: TableMap | None
    ) -> tuple[Slice, ...]:
        table = reading.table
        before = held.slices.get(partition, ()) if held else ()
        request, version = self.request, version_of(self.request, table)
        if partition in files or before:
            stands = standing(table, request, before, written=partition in files)
            return (*stands, *self._fresh(table, partition, files))
        schema = Schema(reading.columns, reading.hive)
        empty = self.layout.relative(schema.folder(self.layout.version(table.name, version))) + "/"
        return (Slice(table.name, partition, version, empty, 0, 0, request.id, request.build, request.inputs),)

    def _fresh(self, table: Table, partition: str, files: Mapping[str, tuple[str, int, int]]) -> tuple[Slice, ...]:
        if partition not in files:
            return ()
        request, version = self.request, version_of(self.request, table)
        return (
            Slice(table.name, partition, version, *files[partition], request.id, request.build, request.inputs),
        )  # fmt: skip


def _move_into(files: Sequence[Path], folder: Path) -> None:
    """A new partition's folder moves as a whole: one change of the disk instead of three."""
    try:
        files[0].parent.rename(folder)
    except OSError as error:
        if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
            raise
        for file in files:
            file.rename(folder / file.name)


def newest_offset(
    layout: Layout, connection: duckdb.DuckDBPyConnection, table: Table, slices: Sequence[Slice]
) -> str | None:
    """The maximum of the offset column, as text."""
    column = column_named(table, columns_of(layout, slices), table.offset or "")
    newest = sql.cast(sql.call("max", sql.identifier(column.name)), "VARCHAR")
    row = connection.execute(sql.select([newest], sql.subquery(relation(layout, [column], slices), "rows"))).fetchone()
    return None if row is None or row[0] is None else str(row[0])
