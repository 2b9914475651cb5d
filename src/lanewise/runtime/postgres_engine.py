"""The PostgreSQL engine of a run: SQL runs in the warehouse itself, as the run's own login, and outputs are tables that
no reader sees. One transaction a block."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import psycopg  # 100 ms: this module is imported when a run begins, never by `lanewise.current()`
from psycopg import errors as pg
from psycopg import sql
from psycopg.pq import TransactionStatus

from lanewise.errors import LoginRefused, NotFound, RunFailed, SecretUnavailable, WarehouseUnavailable, WrongInput
from lanewise.runtime.blocks import Block
from lanewise.runtime.connection import resolve
from lanewise.runtime.relations import inserts_into, quoted

_STEADY = (
    "set transaction isolation level repeatable read; set timezone = 'UTC'; set datestyle = 'ISO, YMD';"
    " set intervalstyle = 'postgres'"
)
"""Every statement of a block reads one state of the inputs, and gives the same text of a value everywhere."""

_REFUSALS = ("authentication failed", "no password supplied", "is not permitted to log in")
_SPELT = {"DOUBLE": "double precision", "TINYINT": "smallint", "HUGEINT": "numeric", "UBIGINT": "numeric",
          "UINTEGER": "bigint", "BLOB": "bytea", "UNBOUNDED DECIMAL": "numeric", "DATETIME": "timestamp"}  # fmt: skip


class Rows:
    """What a statement gave. Each statement has rows of its own, held in memory."""

    def __init__(self, cursor: psycopg.Cursor[Any]) -> None:
        self._cursor = cursor

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Every row that was not fetched yet; none for a statement that gives no rows."""
        return self._cursor.fetchall() if self._cursor.description else []

    def fetchone(self) -> tuple[Any, ...] | None:
        """The next row; None after the last."""
        found: tuple[Any, ...] | None = self._cursor.fetchone() if self._cursor.description else None
        return found

    def arrow(self) -> Any:
        """Every row that was not fetched yet, as a ``pyarrow.Table``."""
        from lanewise.runtime.postgres_arrow import table_of  # noqa: PLC0415 - only code that asks pays for pyarrow

        return table_of(self._cursor)


class PostgresEngine:
    """``document`` is the compiled file; its ``engine`` is ``Space.engine``. Tables of the project that this run need
    not write may be written all the same, into temporary tables."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._space: dict[str, Any] = document["engine"]
        self._declared: dict[str, list[list[Any]]] = document["run"]["declared"]
        self._document = document
        self._made: set[str] = set()
        self._pending: set[str] = set()
        self.connection = self._login()
        self.connection.execute(_STEADY)
        self._block = Block(self._space["directory"])

    def input(self, name: str) -> str:
        """The relation of a declared input."""
        inputs = self._space["inputs"]
        if name not in inputs:
            raise NotFound("input", name, known=inputs)
        return str(inputs[name]["relation"])

    def output(self, table: str) -> str:
        """The table to write to. It exists once its columns are known: declared, or from the first insert."""
        if table not in self._declared:
            raise NotFound("table", table, known=self._declared)
        if table not in self._made | self._pending:
            self._make(table)
        return self._relation(table)

    def state(self, table: str) -> str:
        """The relation of the table as it is published now."""
        if table not in self._declared:
            raise NotFound("table", table, known=self._declared)
        if table in self._space["own"]:
            return str(self._space["own"][table])
        columns = self._declared[table]
        if not columns:
            raise NotFound("published table", table, hint=f"nothing is published yet: declare the columns of {table} "
                           "in lanewise.yaml and an empty relation stands in")  # fmt: skip
        name = quoted(f"lanewise_state_{table}"[:50])
        self.connection.execute(_sql(f"create temp table if not exists {name} ({self._columns(table)})"))
        return f"pg_temp.{name}"

    def sql(self, text: str, parameters: Any = None) -> Rows:
        """Run SQL. The first ``insert into OUTPUT select …`` of a table without declared columns makes it."""
        text, made = self._made_by_insert(text)
        try:
            cursor = self.connection.execute(_sql(text), parameters)
        except pg.UndefinedTable as error:
            missing = [table for table in sorted(self._pending) if self._relation(table) in text]
            if not missing or made:
                raise
            raise WrongInput(
                f"{missing[0]} has no columns yet, and this statement does not begin with `insert into OUTPUT select`",
                hint=f"declare the columns of {missing[0]} in lanewise.yaml, or begin with "
                "`create table OUTPUT as select …`",
            ) from error
        self._pending -= made
        self._made |= made
        return Rows(cursor)

    def write(self) -> None:
        """Commit what the block wrote; at the very end the block is marked as done. Without that mark nothing of the
        run is looked at. ``RunFailed`` when a statement failed and the code went on: the server has undone it all."""
        if self.connection.info.transaction_status is TransactionStatus.INERROR:
            self.close()
            raise RunFailed("a statement of this block failed, so the server has undone all that the block wrote",
                            hint="let the error pass out of the block, or try the statement in "
                            "`with run.connection.transaction():`")  # fmt: skip
        outputs = self._space["outputs"]
        written = [t for t in outputs if t in self._made or (t in self._pending and self._exists(t))]
        with self._told():
            for table in written:
                self._note(self.connection, table)
            self.connection.commit()
        self._block.done(written)
        self.close()

    def close(self) -> None:
        """Let the engine go; what was not committed is undone."""
        self.connection.close()

    def _make(self, table: str) -> None:
        columns, wanted = self._declared[table], table in self._space["outputs"]
        if not columns:
            if self._exists(table):  # an earlier block of the same run wrote to it: this one adds
                self._made.add(table)
            else:
                self._pending.add(table)
            return
        if not wanted:
            statement = f"create temp table {self._relation(table)} ({self._columns(table)})"
            self.connection.execute(_sql(statement))
        elif not self._exists(table):
            self._make_for_all(table)
        self._made.add(table)

    def _make_for_all(self, table: str) -> None:
        """In a transaction of its own, so that blocks of one run that work beside each other all find it."""
        with self._told(), self._login() as connection:
            connection.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", [self._relation(table)])
            connection.execute(_sql(f"create table if not exists {self._relation(table)} ({self._columns(table)})"))
            self._note(connection, table)
        connection.close()

    def _note(self, connection: psycopg.Connection[Any], table: str) -> None:
        """A table of the room says whose it is."""
        comment = sql.SQL(" is {}").format(sql.Literal(self._space["outputs"][table]["comment"])).as_string(connection)
        connection.execute(_sql(f"comment on table {self._relation(table)}{comment}"))

    def _relation(self, table: str) -> str:
        found = self._space["outputs"].get(table)
        return str(found["relation"]) if found else f"pg_temp.{quoted(f'lanewise_aside_{table}'[:50])}"

    def _columns(self, table: str) -> str:
        """The columns of a table that is made. A NULL where none may be is the audit's to tell of, with its count."""
        found = self._space["outputs"].get(table)
        columns = found["columns"] if found else [[n, _SPELT.get(t.upper(), t), o] for n, t, o in self._declared[table]]
        return ", ".join(f"{quoted(name)} {type_}" for name, type_, _ in columns)

    def _exists(self, table: str) -> bool:
        found = self.connection.execute("select to_regclass(%s) is not null", [self._relation(table)]).fetchone()
        return bool(found and found[0])

    def _made_by_insert(self, text: str) -> tuple[str, set[str]]:
        for table in self._pending:
            query = inserts_into(self._relation(table), text)
            if query and not self._exists(table):
                return f"create table {self._relation(table)} as {query}", {table}
        return text, set()

    def _login(self) -> psycopg.Connection[Any]:
        """As the run's own login; with the older password where the newer one is refused and one is declared."""
        fields, password = self._space["connection"], self._space.get("password")
        with self._told():
            if not password:
                return psycopg.connect(**fields)
            try:
                return psycopg.connect(**fields, password=resolve(password["text"], self._document))
            except psycopg.OperationalError:
                if not password.get("previous"):
                    raise
                with contextlib.suppress(SecretUnavailable, psycopg.OperationalError):
                    older = resolve(password["previous"], self._document, previous_of=password["text"])
                    return psycopg.connect(**fields, password=older)
                raise

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """The driver's errors in our words, without the statement."""
        try:
            yield
        except psycopg.OperationalError as error:
            fields = self._space["connection"]
            said = (str(error).strip().splitlines() or [type(error).__name__])[0]
            kind = LoginRefused if any(refusal in str(error) for refusal in _REFUSALS) else WarehouseUnavailable
            raise kind(f"{fields.get('host', 'localhost')}/{fields.get('dbname', '')}: {said}") from None


def _sql(text: str) -> sql.SQL:
    """The pipeline's own text, or one that was put together from quoted names."""
    return sql.SQL(text)
