"""Files into tables of a run's room, by ADBC: what a command left that knows nothing of Lanewise, and file inputs.

DuckDB reads the files as the embedded warehouse would, with its refusals and words, and hands Arrow batches to the
driver, which writes them with COPY. Types that the two spell differently on the wire (UUID, JSON) travel as text and
are cast at the end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg import sql
from psycopg.conninfo import make_conninfo

from lanewise.adapters.warehouses.demands import settled
from lanewise.adapters.warehouses.embedded.layout import Layout, encoded
from lanewise.adapters.warehouses.embedded.rooms import Output
from lanewise.adapters.warehouses.postgres.place import Place
from lanewise.adapters.warehouses.postgres.rooms import note, of_run
from lanewise.adapters.warehouses.postgres.server import Server, first_line, where
from lanewise.adapters.warehouses.postgres.types import check_storable
from lanewise.domain.environment import Role
from lanewise.domain.project import Column, Table
from lanewise.errors import RunFailed, WarehouseUnavailable, WrongInput
from lanewise.publication import sql as text
from lanewise.publication.postgres_types import postgres_type
from lanewise.publication.types import plain_type

if TYPE_CHECKING:
    import duckdb

_AS_IT_IS = ("BOOLEAN", "SMALLINT", "INTEGER", "BIGINT", "FLOAT", "DOUBLE", "DATE", "TIMESTAMP", "VARCHAR", "BLOB",
             "TIMESTAMP WITH TIME ZONE", "TIME")  # fmt: skip
_WIDER = {"TINYINT": "SMALLINT", "UTINYINT": "SMALLINT", "USMALLINT": "INTEGER", "UINTEGER": "BIGINT",
          "TIMESTAMP_S": "TIMESTAMP", "TIMESTAMP_MS": "TIMESTAMP", "TIMESTAMP_NS": "TIMESTAMP"}  # fmt: skip
_READERS = {"csv": "read_csv", "parquet": "read_parquet", "json": "read_json"}
_DECIMAL = re.compile(r"DECIMAL\((\d+),(\d+)\)")
_MOST_DIGITS = 38  # of a decimal number in DuckDB and Arrow
_BATCH = 100_000  # rows handed to the driver at a time


@dataclass(frozen=True)
class Loader:
    """Loads files by the runner's login, one table a transaction: a table of a room is whole or not there."""

    server: Server
    place: Place
    layout: Layout

    def load(self, run: str, files: Sequence[Output], tables: Mapping[str, Table]) -> None:
        """Load what a run left as files; nothing for those that are loaded as they are now. ``RunFailed`` for a file
        that breaks the table's contract, and for a table that was written in SQL as well."""
        with self.server.session(Role.RUNNER) as connection:
            noted = {said["table"]: said for said in of_run(connection, self.place, run).values() if said.get("table")}
        for output in files:
            stamp, said = self._stamp(run, output.table), noted.get(output.table)
            if said is not None and "file" not in said:
                hint = "write it in one way, so that nothing is missing and nothing comes twice"
                raise RunFailed(f"{output.table} was written in SQL and left as a file", hint=hint)
            if said is None or said["file"] != stamp:
                relation = self.place.output(run, output.table)
                comment = note(self.place, run, output.table, file=stamp)
                with self._engine() as engine:
                    self._fill(engine, relation, output, tables[output.table], comment)

    def load_input(self, run: str, name: str, found: Mapping[str, Any]) -> str:
        """Load a file input, as ``Sources.engine_input`` tells of it, for one run; the relation's name."""
        relation = self.place.input(run, name)
        comment = note(self.place, run, "", input=name)
        with self._engine(str(found.get("path") or "")) as engine:
            if found["kind"] == "files":
                paths = "[" + ", ".join(text.file_literal(path) for path in found["paths"]) + "]"
                source = text.call(_READERS[found["format"]], paths)
            else:
                source = ".".join(["source", *(text.identifier(part) for part in found["relation"].split("."))])
            self._fill(engine, relation, Output(name, source), Table(name), comment)
        return relation

    def _fill(
        self, engine: duckdb.DuckDBPyConnection, relation: str, output: Output, table: Table, comment: str
    ) -> None:
        import duckdb  # noqa: PLC0415 - 170 ms, only for runs that leave or read files; here and below
        import pyarrow as pa  # noqa: PLC0415 - as above
        from adbc_driver_postgresql import dbapi  # noqa: PLC0415 - as above

        from lanewise.adapters.warehouses.embedded.reading import Reading, misfit  # noqa: PLC0415 - as above

        columns, source = _columns(engine, output, table)
        wire = Reading(table, source, tuple(Column(c.name, _wire(c.type)) for c in columns))
        items = [text.aliased(text.cast(text.identifier(c.name), c.type), c.name) for c in wire.columns]
        with self._connection() as connection, connection.cursor() as cursor:
            try:
                self._execute(cursor, _made(self.place, relation, wire.columns))
                rows = engine.sql(text.select(items, source)).to_arrow_reader(_BATCH)
                cursor.adbc_ingest(relation, rows, mode="append", db_schema_name=self.place.rooms)
                self._execute(cursor, _finished(self.place, relation, columns, comment))
                connection.commit()
            except (dbapi.Error, duckdb.Error, pa.ArrowException) as error:
                said = misfit(engine, wire)
                if isinstance(error, dbapi.OperationalError | dbapi.InternalError) and not said:
                    raise WarehouseUnavailable(f"{where(self.server.connection)}: {_said(error)}") from error
                raise RunFailed(said or f"{table.name} can't be loaded: {_said(error)}") from error

    def _execute(self, cursor: Any, statements: Sequence[sql.Composable]) -> None:
        for statement in statements:
            cursor.execute(statement.as_string())

    @contextmanager
    def _connection(self) -> Iterator[Any]:
        """The driver's own connection, by the login that has just worked."""
        from adbc_driver_postgresql import dbapi  # noqa: PLC0415 - see ``_fill``

        with self.server.session(Role.RUNNER) as session:
            login = make_conninfo(session.info.dsn, password=session.info.password or None)
            try:
                connection = dbapi.connect(login)
            except dbapi.Error as error:
                raise WarehouseUnavailable(f"{where(self.server.connection)}: {_said(error)}") from error
        with connection:
            yield connection

    @contextmanager
    def _engine(self, attached: str = "") -> Iterator[duckdb.DuckDBPyConnection]:
        from lanewise.adapters.warehouses.embedded.engine import engine, engine_of_its_own  # noqa: PLC0415 - as above

        scratch = self.layout.home / "tmp"
        if not attached:
            with engine(scratch) as connection:
                yield connection
            return
        with engine_of_its_own(scratch) as connection:
            connection.execute(" ".join(["ATTACH", text.literal(attached), "AS source (READ_ONLY)"]))
            yield connection

    def _stamp(self, run: str, table: str) -> list[list[Any]]:
        """What is there for a table now: name, bytes and time of each file."""
        folder, name = self.layout.run(run) / "outputs", encoded(table)
        files = [folder / f"{name}.parquet", *sorted((folder / name).glob("*.parquet")), folder / f"{name}.csv"]
        found = [(file.name, file.stat()) for file in files if file.is_file()]
        return [[file, stat.st_size, stat.st_mtime_ns] for file, stat in found]


def _columns(engine: duckdb.DuckDBPyConnection, output: Output, table: Table) -> tuple[tuple[Column, ...], str]:
    """The columns of a file in the types that they are to have, declared or else as they are found, and how it is
    read for that."""
    import duckdb  # noqa: PLC0415 - see ``Loader._fill``

    from lanewise.adapters.warehouses.embedded.engine import first_line  # noqa: PLC0415 - as above

    try:
        rows = engine.execute("DESCRIBE " + text.select(["*"], output.source)).fetchall()
    except duckdb.Error as error:
        raise RunFailed(f"what the run left for {table.name} can't be read: {first_line(error)}") from error
    written = tuple(Column(str(row[0]), str(row[1])) for row in rows)
    columns = settled(table, written, None, lambda _: ())
    try:
        check_storable(table.name, columns)
    except WrongInput as error:
        raise RunFailed(error.message, hint=error.hint) from error
    return columns, output.read_as(written, columns) if table.columns else output.source


def _wire(type_: str) -> str:
    """The type that a column travels in: its own, a wider one, or text; of a list, its elements."""
    if type_.endswith("]"):
        return _wire(type_.rpartition("[")[0]) + "[]"
    plain = plain_type(type_)
    digits = _DECIMAL.fullmatch(plain)
    if plain in _AS_IT_IS or (digits and int(digits[1]) <= _MOST_DIGITS):
        return plain
    return _WIDER.get(plain, "VARCHAR")


def _made(place: Place, relation: str, wire: Sequence[Column]) -> tuple[sql.Composable, ...]:
    name = sql.Identifier(place.rooms, relation)
    columns = [sql.SQL("{} {}").format(sql.Identifier(c.name), sql.SQL(postgres_type(c.type))) for c in wire]
    return (
        sql.SQL("drop table if exists {}").format(name),
        sql.SQL("create table {} ({})").format(name, sql.SQL(", ").join(columns)),
    )


def _finished(place: Place, relation: str, columns: Sequence[Column], comment: str) -> tuple[sql.Composable, ...]:
    """Give the columns that travelled as text their type, and the table its note."""
    name = sql.Identifier(place.rooms, relation)
    changes = [
        sql.SQL("alter {} type {} using cast({} as {})").format(
            sql.Identifier(c.name), sql.SQL(postgres_type(c.type)), sql.Identifier(c.name),
            sql.SQL(postgres_type(c.type)),
        )
        for c in columns if postgres_type(c.type) != postgres_type(_wire(c.type))
    ]  # fmt: skip
    retyped = [sql.SQL("alter table {} {}").format(name, sql.SQL(", ").join(changes))] if changes else []
    return (
        *retyped,
        sql.SQL("comment on table {} is {}").format(name, sql.Literal(comment)),
        sql.SQL("analyze {}").format(name),
    )


def _said(error: BaseException) -> str:
    """The server's words without the driver's, and without the row that they may quote."""
    line = first_line(error)
    return line.partition("ERROR:  ")[2] or line.partition("FATAL:  ")[2] or line
