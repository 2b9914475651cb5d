"""What a run left for one table, looked at before anything is staged: its columns, its types, its partitions.

Statements here are composed whole and take no parameters: a percent sign in a name would be taken for one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import errors as pg
from psycopg import sql

from lanewise.adapters.warehouses.demands import column_named, cut_of, demand_filled, settled
from lanewise.adapters.warehouses.postgres.harmless import demand_harmless
from lanewise.adapters.warehouses.postgres.locations import by_relation, number_of
from lanewise.adapters.warehouses.postgres.place import Place
from lanewise.adapters.warehouses.postgres.server import first_line
from lanewise.adapters.warehouses.postgres.types import check_storable, columns_of
from lanewise.domain.partition import ALL
from lanewise.domain.project import Column, Grain, PartitionSpec, Table
from lanewise.domain.publication import Slice, TableMap
from lanewise.errors import RunFailed, WrongInput
from lanewise.publication.mapped_views import SLICE
from lanewise.publication.postgres_types import postgres_type
from lanewise.publication.types import plain_type
from lanewise.publication.views import PARTITION

_FORMATS = {Grain.HOUR: 'YYYY-MM-DD"T"HH24', Grain.DAY: "YYYY-MM-DD", Grain.MONTH: "YYYY-MM", Grain.YEAR: "YYYY"}
_MISFITS = (pg.DataError, pg.CannotCoerce, pg.UndefinedFunction)

_FEW = 100  # slices


@dataclass(frozen=True)
class Reading:
    """One output, with the columns it is to be stored with. ``names``: stored column -> the written one, which may
    be spelt in another case."""

    table: Table
    source: sql.Composable
    columns: tuple[Column, ...]
    names: Mapping[str, str]

    def value(self, column: Column) -> sql.Composed:
        """The column in its stored type."""
        return cast(sql.Identifier(self.names[column.name]), column.type)

    def query(self) -> sql.Composed:
        """The rows in their stored types, with the name of each one's partition (NULL when its column is)."""
        items = [aliased(self.value(c), c.name) for c in self.columns]
        return sql.SQL("select {} from {}").format(
            sql.SQL(", ").join([*items, aliased(self.partition(), PARTITION)]), self.source
        )

    def partition(self) -> sql.Composed:
        """The name of the partition that a row lies in."""
        cut = cut_of(self.table)
        if cut is None:
            return sql.Literal(ALL) + sql.SQL("::text")
        column = column_named(self.table, self.columns, cut.column)
        return partition_expression(cut, self.value(column), column.type)


def partition_expression(cut: PartitionSpec, value: sql.Composable, type_: str) -> sql.Composed:
    """The name of the partition that a value lies in. Instants are cut in the table's time zone; a timestamp without
    zone is taken to be in it already."""
    kind = plain_type(type_)
    if cut.grain is Grain.VALUE:
        return cast(value, "VARCHAR")
    if kind == "TIMESTAMP WITH TIME ZONE":
        value = sql.SQL("({} at time zone {})").format(value, sql.Literal(cut.timezone))
    elif kind not in {"DATE", "TIMESTAMP"}:
        value = cast(value, "TIMESTAMP")
    return sql.SQL("to_char({}, {})").format(value, sql.Literal(_FORMATS[cut.grain]))


def read(
    connection: psycopg.Connection[Any], schema: str, relation: str, table: Table, live: TableMap | None
) -> Reading:
    """Look at an output's columns and settle the stored ones. ``RunFailed`` when they break the contract."""
    demand_harmless(connection, schema, relation, table.name)
    written, source = columns_of(connection, schema, relation), sql.Identifier(schema, relation)

    def filled(doubtful: Sequence[Column]) -> Sequence[int]:
        counts = [sql.SQL("count({})").format(sql.Identifier(c.name)) for c in doubtful]
        query = sql.SQL("select {} from {}").format(sql.SQL(", ").join(counts), source)
        return connection.execute(query).fetchone() or ()

    names = {c.name.lower(): c.name for c in written}
    if len(names) < len(written):
        twice = sorted(c.name for c in written if names[c.name.lower()] != c.name)
        raise RunFailed(f"{table.name}: {', '.join(twice)} is written twice, in upper and lower case",
                        hint="name columns so that they differ in more than case")  # fmt: skip
    columns = settled(table, written, live, filled)
    try:
        check_storable(table.name, columns)
    except WrongInput as error:
        raise RunFailed(error.message, hint=error.hint) from error
    return Reading(table, source, columns, {c.name: names[c.name.lower()] for c in columns})


def count_partitions(connection: psycopg.Connection[Any], reading: Reading) -> Mapping[str | None, int]:
    """Rows per partition; None for those whose partition is NULL. Checks the columns that may not be NULL."""
    required = [c for c in reading.columns if not c.nullable]
    missing = [
        sql.SQL("count(*) filter (where {} is null)").format(sql.Identifier(reading.names[c.name])) for c in required
    ]
    query = sql.SQL("select {} from {} group by 1").format(
        sql.SQL(", ").join([reading.partition(), sql.SQL("count(*)"), *missing]), reading.source
    )
    rows = guarded(connection, query, reading).fetchall()
    demand_filled(reading.table, {c.name: sum(row[at] for row in rows) for at, c in enumerate(required, start=2)})
    return {row[0]: row[1] for row in rows}


def guarded(connection: psycopg.Connection[Any], query: sql.Composed, reading: Reading) -> psycopg.Cursor[Any]:
    """Run a query over a reading; a value that is not of its column's type becomes ``RunFailed`` naming the column."""
    try:
        with connection.transaction():
            return connection.execute(query)
    except _MISFITS as error:
        raise RunFailed(_misfit(connection, reading) or f"{reading.table.name}: {first_line(error)}") from error


def _misfit(connection: psycopg.Connection[Any], reading: Reading) -> str:
    for column in reading.columns:
        query = sql.SQL("select count({}) from {}").format(reading.value(column), reading.source)
        try:
            with connection.transaction():
                connection.execute(query)
        except _MISFITS:
            return f"{reading.table.name}.{column.name}: it has values that are no {column.type}"
    return ""


def rows_of(
    connection: psycopg.Connection[Any], place: Place, columns: Sequence[Column], slices: Sequence[Slice]
) -> sql.Composed:
    """A query of the rows of these slices: the columns in their types (a typed NULL where a version lacks one), and
    the name of each row's partition."""
    parts = {number_of(one): one.partition for one in slices}
    queries = []
    for relation, numbers in by_relation(slices).items():
        held = {c.name.lower(): c for c in columns_of(connection, place.store, relation)}
        items = [aliased(cast(_named(relation, held.get(c.name.lower())), c.type), c.name) for c in columns]
        named = sql.SQL("(select unnest({}::bigint[]) as number, unnest({}::text[]) as name) as named").format(
            sql.Literal(numbers), sql.Literal([parts[n] for n in numbers])
        )
        slot = sql.Identifier(relation, SLICE)
        queries.append(
            sql.SQL("select {}, named.name as {} from {} join {} on named.number = {} where {}").format(
                sql.SQL(", ").join(items), sql.Identifier(PARTITION), sql.Identifier(place.store, relation), named,
                slot, _among(slot, numbers),
            )
        )  # fmt: skip
    return sql.SQL(" union all ").join(queries)


def _among(slot: sql.Composable, numbers: Sequence[int]) -> sql.Composed:
    """What the index on slices can find them by: a few one by one, many by the range that they lie in."""
    if len(numbers) <= _FEW:
        return sql.SQL("{} = any({}::integer[])").format(slot, sql.Literal(list(numbers)))
    return sql.SQL("{} between {} and {}").format(slot, sql.Literal(min(numbers)), sql.Literal(max(numbers)))


def _named(relation: str, column: Column | None) -> sql.Composable:
    return sql.SQL("null") if column is None else sql.Identifier(relation, column.name)


def cast(value: sql.Composable, type_: str) -> sql.Composed:
    """The value in a contract's type."""
    return sql.SQL("cast({} as {})").format(value, sql.SQL(postgres_type(type_)))


def aliased(value: sql.Composable, name: str) -> sql.Composed:
    """The value under a name."""
    return sql.SQL("{} as {}").format(value, sql.Identifier(name))
