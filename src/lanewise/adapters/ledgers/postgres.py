"""A ledger on PostgreSQL, shared by several machines. Readers wait for nobody; writers take turns.

An append is two round trips: begin, lock and look in one, then write and commit in the other. The server ends a writer
that vanished between them, so that nobody waits for its lock for long.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from typing import Any

import psycopg
from psycopg import errors as pg
from psycopg import sql as quoted

from lanewise.adapters.ledgers import statements as sql
from lanewise.adapters.ledgers.database import Result, Row, Writing
from lanewise.adapters.ledgers.postgres_address import Address
from lanewise.adapters.ledgers.postgres_failures import unavailable
from lanewise.adapters.ledgers.postgres_session import Sessions
from lanewise.domain.ports import Secrets
from lanewise.errors import LedgerUnavailable

_WRITERS = 0x1A9E_0002  # advisory locks: the ledger's number, and the schema's by its name
_MIGRATORS = 0x1A9E_0003
_PAUSE = 0.1  # seconds between two tries to reach a server whose answer to a commit was lost


class PostgresDatabase:
    """Implements ``Database``. Connects to nothing before it is asked."""

    clock = """to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"')"""

    def __init__(self, address: Address, secrets: Secrets | None, patience: float) -> None:
        """``patience``: seconds to wait for a lock, and for a server that went away while a write was committed."""
        self.address = address
        self.sessions = Sessions(address, secrets, patience)
        self._patience = patience

    def rows(self, statement: str, parameters: Mapping[str, Any] | None = None) -> list[Any]:
        """See ``Database.rows``. A schema without the tables is an empty ledger."""

        def look(connection: psycopg.Connection[Any]) -> list[Any]:
            if self.sessions.schema() is None:
                return []
            return connection.execute(_translated(statement), parameters).fetchall()

        try:
            return self._twice(look)
        except (UnicodeEncodeError, psycopg.DataError):
            return []

    def write(self, work: Callable[[Writing], Result]) -> Result:
        """See ``Database.write``. A server that is away before anything was sent to it is an error at once; one that
        went away during a commit is waited for, to find out what came of it."""
        deadline, doubt = 0.0, False
        while True:
            try:
                return self._attempt(work)
            except _Lost as lost:
                deadline = deadline or time.monotonic() + self._patience
                doubt = lost.committing or (doubt and not lost.looked)
                if (lost.connecting and not doubt) or time.monotonic() > deadline:
                    raise _in_doubt(self.address, lost.error) if doubt else lost.error from None
                time.sleep(_PAUSE if lost.connecting else 0)

    def now(self) -> datetime:
        """See ``Database.now``."""
        row = self._twice(lambda connection: connection.execute(_translated(f"select {self.clock}")).fetchone())
        return datetime.fromisoformat(row[0]) if row else datetime.min  # noqa: DTZ901 - a select without FROM has a row

    def schema(self) -> str | None:
        """See ``Database.schema``."""
        return self._twice(lambda _: self.sessions.schema())

    def migrate(self) -> None:
        """See ``Database.migrate``. ``LedgerUnavailable`` with the way on where this login may not."""
        from lanewise.adapters.ledgers.migrations.upgrade import upgrade  # noqa: PLC0415 - a second, once a ledger

        lock = f"select pg_advisory_xact_lock({_MIGRATORS}, hashtext(current_schema()))"
        try:
            with self.sessions.connect() as connection:  # closed at the end
                connection.execute("select pg_advisory_lock(%s, hashtext(%s))", [_MIGRATORS, self.address.schema])
                _require_unicode(connection, self.address)
                if not _exists(connection, self.address.schema):
                    connection.execute(quoted.SQL("create schema {}").format(quoted.Identifier(self.address.schema)))
                connection.execute("select pg_advisory_unlock_all()")
            upgrade("postgresql+psycopg://", lambda: self.sessions.connect(autocommit=False), lock)
            self.sessions.look_again()
        except pg.InsufficientPrivilege:
            raise _may_not_migrate(self.address, self.sessions.schema()) from None
        except psycopg.Error as error:
            raise unavailable(self.address, error) from None

    def _attempt(self, work: Callable[[Writing], Result]) -> Result:
        try:
            connection = self.sessions.session()
        except LedgerUnavailable as error:
            raise _Lost(error, connecting=True) from None
        writing = _PostgresWriting(connection)
        try:
            with self._rolled_back(connection), writing.transaction():
                return work(writing)
        except psycopg.Error as error:
            told = unavailable(self.address, error)
            if connection.closed:
                raise _Lost(told, committing=writing.committing, looked=writing.looked) from None
            raise told from None

    @contextmanager
    def _rolled_back(self, connection: psycopg.Connection[Any]) -> Iterator[None]:
        """Leave no transaction behind, whatever happened in it; a connection that can't is closed."""
        try:
            yield
        except BaseException:
            try:
                connection.rollback()
            except psycopg.Error:
                connection.close()
            raise

    def _twice(self, look: Callable[[psycopg.Connection[Any]], Result]) -> Result:
        """Look once more on a new connection where the one at hand was lost since."""
        for last in (False, True):
            connection = self.sessions.session()
            try:
                return look(connection)
            except psycopg.Error as error:
                if isinstance(error, psycopg.DataError) and error.sqlstate is None:
                    raise  # the driver's: no text of PostgreSQL's holds that
                if last or not connection.closed:
                    raise unavailable(self.address, error) from None
        raise AssertionError("the second look returns or raises")


class _PostgresWriting:
    """Implements ``Writing``: words are queued and sent with the commit."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self.looked = False  # the lock is ours, and what was before it is known
        self.committing = False  # the commit may have been sent

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """A transaction that has the ledger to itself; committed at the end, or an error."""
        with self._connection.pipeline():
            self._connection.execute("begin isolation level read committed")
            self._connection.execute(f"select pg_advisory_xact_lock({_WRITERS}, hashtext(current_schema()))")
            yield
            self.committing = True
            done = self._connection.execute("commit")
        if done.statusmessage != "COMMIT":
            raise psycopg.InternalError("the server did not commit")

    def ask(self, statement: str, parameters: Mapping[str, Any]) -> Row | None:
        row: Row | None = self._connection.execute(_translated(statement), parameters).fetchone()
        self.looked = True
        return row

    def tell(self, statement: str, rows: Sequence[Mapping[str, Any]]) -> None:
        for row in rows:
            self._connection.execute(_translated(statement), row)


class _Lost(Exception):
    """The connection is gone, or could not be made."""

    def __init__(
        self, error: LedgerUnavailable, *, connecting: bool = False, committing: bool = False, looked: bool = False
    ) -> None:
        super().__init__(error.message)
        self.error, self.connecting, self.committing, self.looked = error, connecting, committing, looked


@cache
def _translated(statement: str) -> Any:
    """The driver's way to name parameters. The clock's format has colons too, before capitals."""
    return re.sub(r"(?<!:):([a-z]\w*)", r"%(\1)s", statement)


def _exists(connection: psycopg.Connection[Any], schema: str) -> bool:
    return connection.execute("select 1 from pg_namespace where nspname = %s", [schema]).fetchone() is not None


def _require_unicode(connection: psycopg.Connection[Any], address: Address) -> None:
    (encoding,) = connection.execute("show server_encoding").fetchone() or ("",)
    if encoding != "UTF8":
        raise LedgerUnavailable(
            f"the ledger {address}: the database is encoded in {encoding}, and the history may hold any text",
            hint="make a database with encoding UTF8",
        )


def _may_not_migrate(address: Address, found: str | None) -> LedgerUnavailable:
    state = f"has schema {found}, and this Lanewise writes {sql.SCHEMA}" if found else "is not there yet"
    return LedgerUnavailable(
        f"the ledger {address} {state}; this login may not bring it up to date",
        hint=f"an operator runs as its owner: python -m lanewise.adapters.ledgers.provision --schema {address.schema}"
        + (f" --from {found}" if found else "") + " | psql …",
    )  # fmt: skip


def _in_doubt(address: Address, error: LedgerUnavailable) -> LedgerUnavailable:
    return LedgerUnavailable(
        f"the ledger {address} went away while it was writing, and whether it has written is not known: "
        f"{error.message}",
        hint="once it is back, `lane history` shows, and the same command goes on from there",
    )
