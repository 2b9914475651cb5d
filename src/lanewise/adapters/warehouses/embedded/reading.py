"""What a run left for one table, looked at before anything is staged: its columns, its types, its partitions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb

from lanewise.adapters.warehouses.demands import column_named, cut_of, demand_filled, settled
from lanewise.adapters.warehouses.embedded.engine import first_line
from lanewise.adapters.warehouses.embedded.rooms import Output
from lanewise.domain.project import Column, Grain, PartitionSpec, Table
from lanewise.domain.publication import TableMap
from lanewise.errors import RunFailed
from lanewise.publication import sql
from lanewise.publication.types import plain_type
from lanewise.publication.views import PARTITION

_FORMATS = {Grain.HOUR: "%Y-%m-%dT%H", Grain.DAY: "%Y-%m-%d", Grain.MONTH: "%Y-%m", Grain.YEAR: "%Y"}
_PLAIN_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_FOLDER_TYPES = {"VARCHAR", "DATE", "BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT"}


@dataclass(frozen=True)
class Reading:
    """One output, with the columns it is to be stored with."""

    table: Table
    source: str
    columns: tuple[Column, ...]

    @property
    def cut(self) -> PartitionSpec | None:
        """How it is partitioned; None for one slice."""
        return cut_of(self.table)

    @property
    def hive(self) -> tuple[str, str] | None:
        """The (column, type) to name folders for: the partition column itself where its values are the partitions'
        names, so that queries on it skip files; else the hidden one."""
        if self.cut is None:
            return None
        column = column_named(self.table, self.columns, self.cut.column)
        type_ = plain_type(column.type)
        own = type_ == "DATE" if self.cut.grain is Grain.DAY else self.cut.grain is Grain.VALUE
        if own and type_ in _FOLDER_TYPES and _PLAIN_NAME.fullmatch(column.name):
            return column.name, type_
        return PARTITION, "VARCHAR"

    def query(self) -> str:
        """The rows in their stored types, with the name of each one's partition (NULL when its column is)."""
        items = [sql.aliased(sql.cast(sql.identifier(c.name), c.type), c.name) for c in self.columns]
        return sql.select([*items, sql.aliased(self._partition(), PARTITION)], self.source)

    def _partition(self) -> str:
        if self.cut is None:
            return sql.literal("all")
        column = column_named(self.table, self.columns, self.cut.column)
        return partition_expression(self.cut, sql.cast(sql.identifier(column.name), column.type), column.type)


def partition_expression(cut: PartitionSpec, value: str, type_: str) -> str:
    """The name of the partition that a value lies in. Instants are cut in the table's time zone; a timestamp without
    zone is taken to be in it already."""
    kind = plain_type(type_)
    if cut.grain is Grain.VALUE or (cut.grain is Grain.DAY and kind == "DATE"):
        return sql.cast(value, "VARCHAR")
    if kind == "TIMESTAMP WITH TIME ZONE":
        value = sql.call("timezone", sql.literal(cut.timezone), value)
    elif kind != "DATE":
        value = sql.cast(value, "TIMESTAMP")
    return sql.call("strftime", value, sql.literal(_FORMATS[cut.grain]))


def read(connection: duckdb.DuckDBPyConnection, output: Output, table: Table, live: TableMap | None) -> Reading:
    """Look at an output's columns and settle the stored ones. ``RunFailed`` when they break the contract."""
    try:
        rows = connection.execute("DESCRIBE " + sql.select(["*"], output.source)).fetchall()
    except duckdb.Error as error:
        raise RunFailed(f"what the run left for {table.name} can't be read: {first_line(error)}") from error
    written = tuple(Column(str(row[0]), str(row[1])) for row in rows)

    def filled(doubtful: Sequence[Column]) -> Sequence[int]:
        items = [sql.call("count", sql.identifier(c.name)) for c in doubtful]
        return connection.execute(sql.select(items, output.source)).fetchone() or ()

    columns = settled(table, written, live, filled)
    return Reading(table, output.read_as(written, columns) if table.columns else output.source, columns)


def count_partitions(connection: duckdb.DuckDBPyConnection, reading: Reading) -> Mapping[str | None, int]:
    """Rows per partition; None for those whose partition is NULL. Checks the columns that may not be NULL."""
    required = [c.name for c in reading.columns if not c.nullable]
    items = [PARTITION, "count(*)", *(sql.count_if(sql.identifier(name) + " IS NULL") for name in required)]
    query = sql.select(items, sql.subquery(reading.query(), "written"), group=PARTITION)
    rows = guarded(connection, query, reading).fetchall()
    demand_filled(reading.table, {name: sum(row[at] for row in rows) for at, name in enumerate(required, start=2)})
    return {row[0]: row[1] for row in rows}


def guarded(connection: duckdb.DuckDBPyConnection, query: str, reading: Reading) -> duckdb.DuckDBPyConnection:
    """Run a query over a reading; a value that is not of its column's type becomes ``RunFailed`` naming the column."""
    try:
        return connection.execute(query)
    except (duckdb.ConversionException, duckdb.OutOfRangeException, duckdb.InvalidInputException) as error:
        raise RunFailed(misfit(connection, reading) or f"{reading.table.name}: {first_line(error)}") from error


def misfit(connection: duckdb.DuckDBPyConnection, reading: Reading) -> str:
    """Which column has values that are not of its type, in words; empty when none has."""
    checks = [
        sql.count_if(sql.identifier(c.name) + " IS NOT NULL AND "
                     + sql.try_cast(sql.identifier(c.name), c.type) + " IS NULL")
        for c in reading.columns
    ]  # fmt: skip
    try:
        counts = connection.execute(sql.select(checks, reading.source)).fetchone() or ()
    except duckdb.Error:  # the source itself does not read: the first error says more
        return ""
    for column, bad in zip(reading.columns, counts, strict=True):
        if bad:
            return f"{reading.table.name}.{column.name}: {bad} values are no {column.type}"
    return ""
