"""What a run left for one table, looked at before anything is staged: its columns, its types, its partitions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb

from lanewise.adapters.warehouses.embedded.engine import first_line
from lanewise.adapters.warehouses.embedded.rooms import Output
from lanewise.domain.project import Column, Grain, PartitionSpec, Table, TableKind
from lanewise.domain.publication import TableMap
from lanewise.errors import RunFailed
from lanewise.publication import sql
from lanewise.publication.types import holds, plain_type
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
        return None if self.table.kind is TableKind.FULL else self.table.partition

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
    if any(c.name.lower() == PARTITION for c in written):
        raise RunFailed(f"{table.name}: the column name {PARTITION} is taken", hint="name it otherwise")
    if table.columns:
        _check_declared(table, written)
        return Reading(table, output.source, table.columns)
    return Reading(table, output.source, _kept(connection, output, written, live.columns if live else ()))


def column_named(table: Table, columns: Sequence[Column], name: str) -> Column:
    """The column of that name, in any case; ``RunFailed`` when the output has none."""
    for column in columns:
        if column.name.lower() == name.lower():
            return column
    raise RunFailed(f"{table.name} has no column {name}", hint=f"it has {', '.join(c.name for c in columns)}")


def count_partitions(connection: duckdb.DuckDBPyConnection, reading: Reading) -> Mapping[str | None, int]:
    """Rows per partition; None for those whose partition is NULL. Checks the columns that may not be NULL."""
    required = [c.name for c in reading.columns if not c.nullable]
    items = [PARTITION, "count(*)", *(sql.count_if(sql.identifier(name) + " IS NULL") for name in required)]
    query = sql.select(items, sql.subquery(reading.query(), "written"), group=PARTITION)
    rows = guarded(connection, query, reading).fetchall()
    for position, name in enumerate(required, start=2):
        missing = sum(row[position] for row in rows)
        if missing:
            raise RunFailed(f"{reading.table.name}.{name} may not be NULL, and {missing} rows have none there")
    return {row[0]: row[1] for row in rows}


def guarded(connection: duckdb.DuckDBPyConnection, query: str, reading: Reading) -> duckdb.DuckDBPyConnection:
    """Run a query over a reading; a value that is not of its column's type becomes ``RunFailed`` naming the column."""
    try:
        return connection.execute(query)
    except (duckdb.ConversionException, duckdb.OutOfRangeException, duckdb.InvalidInputException) as error:
        raise RunFailed(_misfit(connection, reading) or f"{reading.table.name}: {first_line(error)}") from error


def _misfit(connection: duckdb.DuckDBPyConnection, reading: Reading) -> str:
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


def _check_declared(table: Table, written: Sequence[Column]) -> None:
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


def _kept(
    connection: duckdb.DuckDBPyConnection, output: Output, written: Sequence[Column], live: Sequence[Column]
) -> tuple[Column, ...]:
    """The written columns in the live order, in the live types where those hold every written value."""
    before = {c.name.lower(): c for c in live}
    doubtful = [c for c in written if c.name.lower() in before and not holds(before[c.name.lower()].type, c.type)]
    counts: tuple[int, ...] = ()
    if doubtful:  # a column of NULLs alone says nothing about its type
        items = [sql.call("count", sql.identifier(c.name)) for c in doubtful]
        counts = connection.execute(sql.select(items, output.source)).fetchone() or ()
    retyped = {c.name for c, values in zip(doubtful, counts, strict=True) if values}
    found = {
        c.name.lower(): c if c.name in retyped else Column(c.name, before.get(c.name.lower(), c).type) for c in written
    }
    order = [c.name.lower() for c in live if c.name.lower() in found]
    return tuple(found[name] for name in [*order, *(n for n in found if n not in order)])
