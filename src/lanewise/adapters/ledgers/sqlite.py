"""A ledger in a file of SQLite, with the standard library alone: looking at the lanes takes no half second."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from lanewise.adapters.ledgers import statements as sql
from lanewise.adapters.ledgers.database import Result, Row, Writing
from lanewise.adapters.ledgers.sqlite_failures import unavailable
from lanewise.errors import LedgerUnavailable


class SqliteDatabase:
    """Implements ``Database``. Each thread has connections of its own; nothing is made before the first write."""

    clock = "strftime('%Y-%m-%dT%H:%M:%f000+00:00', 'now')"  # it counts milliseconds

    def __init__(self, path: Path, patience: float) -> None:
        """``patience``: seconds to wait for a lock."""
        self.path = path
        self._patience = patience
        self._own = threading.local()

    def rows(self, statement: str, parameters: Mapping[str, Any] | None = None) -> list[Any]:
        """See ``Database.rows``. A file that isn't there yet is an empty ledger."""
        with self._told():
            try:
                connection = self._reading()
                return [] if connection is None else connection.execute(statement, parameters or {}).fetchall()
            except UnicodeEncodeError:
                return []

    def write(self, work: Callable[[Writing], Result]) -> Result:
        """See ``Database.write``. A file's connection is not lost, so nothing is tried twice."""
        with self._told():
            connection = self._writing()
            connection.execute("begin immediate")
            try:
                result = work(_Writing(connection))
                connection.execute("commit")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("rollback")
                raise
        return result

    def now(self) -> datetime:
        """See ``Database.now``. SQLite's clock needs no file."""
        with closing(sqlite3.connect(":memory:")) as clock:
            return datetime.fromisoformat(clock.execute(f"select {self.clock}").fetchone()[0])

    def schema(self) -> str | None:
        """See ``Database.schema``."""
        with self._told():
            connection = self._reading()
            return None if connection is None else _schema(connection, self.path)

    def migrate(self) -> None:
        """See ``Database.migrate``."""
        from lanewise.adapters.ledgers.migrations.upgrade import upgrade  # noqa: PLC0415 - a second, once a ledger

        with self._told():
            upgrade("sqlite://", self._open_writing, "begin immediate")

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise unavailable(self.path, error) from error

    def _reading(self) -> sqlite3.Connection | None:
        """This thread's connection for reading; None while there is no ledger in the file."""
        connection: sqlite3.Connection | None = getattr(self._own, "reading", None)
        if connection is None and self.path.exists():
            connection = self._open_reading()
            if _schema(connection, self.path) is None:
                connection.close()
                return None
            self._own.reading = connection
        return connection

    def _writing(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._own, "writing", None)
        if connection is None:
            connection = self._own.writing = self._open_writing()
        return connection

    def _open_reading(self) -> sqlite3.Connection:
        uri = f"{self.path.absolute().as_uri()}?mode=ro"
        try:
            return _tried(uri, self._patience)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_READONLY_ROLLBACK:
                # a writer was killed before the file was write-ahead: only a writer may undo what it left
                _tried(uri.replace("?mode=ro", "?mode=rw"), self._patience).close()
                return _tried(uri, self._patience)
            refused = error.sqlite_errorcode & 0xFF in {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY}
            if refused and not any(Path(f"{self.path}{rest}").exists() for rest in ("-wal", "-journal")):
                # SQLite wants to lay files beside it, and may not: nobody is writing, so the file is all there is
                return _tried(f"{uri}&immutable=1", self._patience)
            raise

    def _open_writing(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self.path, timeout=self._patience, isolation_level=None)  # begun by hand
        try:
            _use_wal(connection, self._patience)
            connection.execute("pragma synchronous = full")
        except sqlite3.Error:
            connection.close()
            raise
        return connection


class _Writing:
    """Implements ``Writing``."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def ask(self, statement: str, parameters: Mapping[str, Any]) -> Row | None:
        row: Row | None = self._connection.execute(statement, parameters).fetchone()
        return row

    def tell(self, statement: str, rows: Sequence[Mapping[str, Any]]) -> None:
        for row in rows:
            self._connection.execute(statement, row)


def _tried(uri: str, patience: float) -> sqlite3.Connection:
    connection = sqlite3.connect(uri, uri=True, timeout=patience)
    try:
        connection.execute("select count(*) from sqlite_master")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _use_wal(connection: sqlite3.Connection, patience: float) -> None:
    """Switch a new file to write-ahead logging. SQLite does not wait for other processes doing the same."""
    end = time.monotonic() + patience
    while True:
        try:
            connection.execute("pragma journal_mode = wal")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(0.01)
        else:
            return


def _schema(connection: sqlite3.Connection, path: Path) -> str | None:
    if not connection.execute("select 1 from sqlite_master where name = 'alembic_version'").fetchone():
        return None
    row = connection.execute(sql.SCHEMA_OF).fetchone()
    if row and row[0] > sql.SCHEMA:
        raise LedgerUnavailable(
            f"the ledger {path} was written by a newer Lanewise (schema {row[0]})", hint="upgrade lanewise"
        )
    return row[0] if row else None
