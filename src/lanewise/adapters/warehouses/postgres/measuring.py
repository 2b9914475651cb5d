"""How PostgreSQL measures: an ``Engine`` over slices that are rows of versions' tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import errors as pg

from lanewise.adapters.warehouses.measuring.checks import Checker
from lanewise.adapters.warehouses.measuring.comparing import Comparer
from lanewise.adapters.warehouses.measuring.engine import Cell
from lanewise.adapters.warehouses.postgres.hashing import hashable, row_hash
from lanewise.adapters.warehouses.postgres.locations import by_relation, number_of
from lanewise.adapters.warehouses.postgres.place import Place
from lanewise.adapters.warehouses.postgres.reading import rows_of
from lanewise.adapters.warehouses.postgres.server import Server, first_line
from lanewise.domain.comparison import TableComparison
from lanewise.domain.evidence import CheckResult
from lanewise.domain.project import Check, Column, Table
from lanewise.domain.publication import Slice, TableMap
from lanewise.errors import NotFound, WarehouseUnavailable, WrongInput
from lanewise.publication import sql
from lanewise.publication.mapped_views import SLICE
from lanewise.publication.postgres_types import postgres_type
from lanewise.publication.types import is_float, joint_columns, plain_type
from lanewise.publication.views import PARTITION

_PATIENCE = "10min"  # what one query of a data check may take
_OUTSIDE = {"08", "53", "57", "58"}  # classes of errors: the connection, resources, an operator, the system
_SESSION = (
    "SELECT set_config('TimeZone', 'UTC', false), set_config('DateStyle', 'ISO', false), "
    "set_config('IntervalStyle', 'postgres', false), set_config('extra_float_digits', '1', false), "
    "set_config('bytea_output', 'hex', false), set_config('work_mem', '64MB', false)"
)


@dataclass(frozen=True)
class Measuring:
    """What the port ``Warehouse`` promises about looking at slices. Logs in as the publisher, and only reads."""

    server: Server
    place: Place

    def evaluate(
        self, table: Table, checks: Sequence[Check], slices: Sequence[Slice], live: TableMap | None
    ) -> tuple[CheckResult, ...]:
        """The checks over these slices; ``live`` is the table as it is published."""
        with self._engine() as engine:
            return Checker(engine, table, slices, live).results(checks)

    def columns(self, slices: Sequence[Slice]) -> tuple[Column, ...]:
        """Their columns, as they were staged."""
        if not slices:
            return ()
        with self._engine() as engine:
            return engine.columns(slices)

    def offset(self, table: Table, slices: Sequence[Slice]) -> str | None:
        """The maximum of the offset column, as text."""
        if not table.offset or not any(s.rows for s in slices):
            return None
        with self._engine() as engine:
            held = engine.columns(slices)
            column = next((c for c in held if c.name.lower() == (table.offset or "").lower()), None)
            if column is None:
                raise NotFound(f"column of {table.name}", table.offset, known=[c.name for c in held])
            newest = sql.cast(sql.call("max", sql.identifier(column.name)), "VARCHAR")
            rows = engine.rows(sql.select([newest], sql.subquery(engine.relation([column], slices), "rows")))
        return None if not rows or rows[0][0] is None else str(rows[0][0])

    def compare(self, table: Table, old: Sequence[Slice], new: Sequence[Slice]) -> TableComparison:
        """Old against new, by partition and key."""
        with self._engine() as engine:
            return Comparer(engine, table, old, new).compare()

    @contextmanager
    def _engine(self) -> Iterator[PostgresEngine]:
        with self.server.session(autocommit=True) as connection:
            connection.execute(_SESSION)
            connection.read_only = True  # of every transaction; naming a query happens outside of one
            yield PostgresEngine(connection, self.place)


@dataclass(frozen=True)
class PostgresEngine:
    """Satisfies ``measuring.engine.Engine``. The connection is in autocommit and makes its transactions read-only."""

    connection: psycopg.Connection[Any]
    place: Place
    whole_type: str = "numeric"

    def columns(self, slices: Sequence[Slice]) -> tuple[Column, ...]:
        """As the store has them on record."""
        return joint_columns(version.columns for version in self._versions(slices).values())

    def relation(self, columns: Sequence[Column], slices: Sequence[Slice]) -> str:
        """Over exactly these slices' rows."""
        if slices:
            return rows_of(self.connection, self.place, columns, slices).as_string(self.connection)
        nothing = [sql.aliased(_cast("NULL", c.type), c.name) for c in columns]
        return sql.select([*nothing, sql.aliased(sql.cast("NULL", "text"), PARTITION)], "(VALUES (1)) AS nothing",
                          where="false")  # fmt: skip

    def name(self, view: str, query: str) -> None:
        """A temporary view."""
        self.connection.execute(sql.create_view(view, query, temporary=True).encode())

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """The answer, of one statement in a transaction that can't write."""
        try:
            with self.connection.transaction():
                return self.connection.execute(query.encode(), prepare=True).fetchall()
        except pg.UndefinedTable as error:
            raise WarehouseUnavailable(f"slices can't be read: {first_line(error)}") from error

    def asked(self, query: str, what: str, *, foreign: bool = False) -> list[tuple[Any, ...]]:
        """The answer, to a foreign query within ``_PATIENCE``. The transaction is read-only and rolled back all the
        same (some servers let large objects pass); prepared, a text that holds two statements is refused."""
        try:
            with self.connection.transaction(force_rollback=True):
                if foreign:
                    self.connection.execute("SELECT set_config('statement_timeout', %s, true)", [_PATIENCE])
                return self.connection.execute(query.encode(), prepare=True).fetchall()
        except psycopg.Error as error:
            if foreign and isinstance(error, pg.QueryCanceled):
                raise WrongInput(f"{what} can't be evaluated: it took longer than {_PATIENCE}") from error
            if (error.sqlstate or "08")[:2] in _OUTSIDE and isinstance(error, psycopg.OperationalError):
                raise
            raise WrongInput(f"{what} can't be evaluated: {first_line(error)}") from error

    def checksums(
        self, columns: Sequence[Column], cells: Sequence[Cell], slices: Sequence[Slice]
    ) -> Mapping[str, tuple[int, int]]:
        """One pass over each version's table, by the slices' numbers: the partitions' names are not joined to rows."""
        versions, queries = self._versions(slices), []
        for relation, numbers in by_relation(slices).items():
            held = {c.name.lower(): c for c in versions[relation].columns}
            items = [sql.aliased(_stored(held.get(c.name.lower()), c.type), c.name) for c in columns]
            # to look most numbers up in a list takes longer than to hash the few rows that nobody asked for
            few = 2 * len(numbers) <= versions[relation].slices
            wanted = f"{SLICE} IN ({', '.join(map(str, numbers))})" if few else ""
            stored = f"{sql.identifier(self.place.store)}.{sql.identifier(relation)}"
            rows = sql.subquery(sql.select([SLICE, *items], stored, where=wanted), "side")
            queries.append(sql.select([SLICE, "count(*)", sql.call("sum", self.row_hash(cells))], rows, group=SLICE))
        partitions = {number_of(s): s.partition for s in slices}
        found: dict[str, tuple[int, int]] = {}
        for number, count, total in self.rows(sql.union_all(queries)) if queries else ():
            if number in partitions:
                before = found.get(partitions[number], (0, 0))
                found[partitions[number]] = (before[0] + count, before[1] + int(total))
        return found

    def compared_as(self, type_: str) -> str:
        """Text for what has no hash (xml, point, bit) or one that overlooks something."""
        return type_ if hashable(type_) else "VARCHAR"

    def row_hash(self, cells: Sequence[Cell]) -> str:
        """From the fields' own hashes."""
        return row_hash(cells)

    def sum_text(self, value: str, type_: str) -> str:
        """Floats are summed as exact decimals: a float's own sum depends on the order, and may overflow."""
        if not is_float(type_):
            return sql.cast(sql.call("sum", value), "text")
        exact = sql.cast(sql.cast(value, "FLOAT8"), "numeric")
        return sql.cast(f"trim_scale(round(sum({exact}), 6))", "text")

    def quantiles(self, value: str, fractions: Sequence[float], condition: str) -> str:
        """All in one sort."""
        wanted = f"'{{{', '.join(map(str, fractions))}}}'::float8[]"
        return f"percentile_cont({wanted}) WITHIN GROUP (ORDER BY {value}) FILTER (WHERE {condition})"

    def _versions(self, slices: Sequence[Slice]) -> Mapping[str, _Version]:
        wanted, store = list(by_relation(slices)), sql.identifier(self.place.store)
        counted = sql.select(["count(*)"], f"{store}.slices", where="version = versions.id")
        query = sql.select(["relation", "columns", f"({counted})"], f"{store}.versions", where="relation = any(%s)")
        rows = self.connection.execute(query.encode(), [wanted]).fetchall()
        found = {row[0]: _Version(tuple(Column(*c) for c in row[1]), row[2]) for row in rows}
        gone = [relation for relation in wanted if relation not in found]
        if gone:
            raise WarehouseUnavailable(f"{gone[0]} is gone: its slices can't be read")
        return found


@dataclass(frozen=True)
class _Version:
    """A version's table: its columns, and how many slices are registered for it."""

    columns: tuple[Column, ...]
    slices: int


def _cast(value: str, type_: str) -> str:
    return f"CAST({value} AS {postgres_type(type_)})"


def _stored(held: Column | None, type_: str) -> str:
    """A stored column in the wanted type; a typed NULL where the version lacks it."""
    if held is None:
        return _cast("NULL", type_)
    name = sql.identifier(held.name)
    return name if plain_type(held.type) == plain_type(type_) else _cast(name, type_)
