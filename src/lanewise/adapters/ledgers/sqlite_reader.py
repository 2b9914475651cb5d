"""The reading half on SQLite: the standard library alone, so that looking at the lanes takes no half second."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

from lanewise.adapters.ledgers import statements as sql
from lanewise.adapters.ledgers.failures import unavailable
from lanewise.domain.event import Event, Lease
from lanewise.errors import LedgerUnavailable
from lanewise.ledger.chain import EMPTY

_PAGE = 1000
_BEYOND = 2**63 - 1


class SqliteReader:
    """Reads a ledger's file and never writes to it. A file that isn't there yet reads as an empty ledger."""

    def __init__(self, path: Path, patience: float) -> None:
        """``patience``: seconds to wait for a lock."""
        self.path = path
        self._patience = patience
        self._own = threading.local()

    def read(self, stream: str, *, after: int = 0, types: Sequence[str] = ()) -> tuple[Event, ...]:
        """See ``Ledger.read``: one index seek a type."""
        wanted = {"stream": stream, "after": after}
        if not types:
            return tuple(map(sql.to_event, self._rows(sql.READ, wanted)))
        kinds = dict.fromkeys(types)
        rows = [row for kind in kinds for row in self._rows(sql.READ_OF_TYPE, {**wanted, "type": kind})]
        return tuple(sorted(map(sql.to_event, rows), key=lambda event: event.version))

    def last(self, stream: str, *types: str) -> Event | None:
        """See ``Ledger.last``: one index seek a type."""
        rows = [row for kind in types for row in self._rows(sql.LAST_OF_TYPE, {"stream": stream, "type": kind})]
        if not types:
            rows = self._rows(sql.LAST, {"stream": stream})
        return max(map(sql.to_event, rows), key=lambda event: event.version, default=None)

    def streams(self, prefix: str, *, without: Sequence[str] = ()) -> tuple[str, ...]:
        """See ``Ledger.streams``."""
        if not prefix.isprintable():
            return ()
        return tuple(name for (name,) in self._rows(*sql.streams(prefix, without)))

    def events(self, *, after: int = 0, limit: int | None = None, newest_first: bool = False) -> Iterator[Event]:
        """See ``Ledger.events``. Page by page, so that a slow reader holds no snapshot open."""
        left, before = _BEYOND if limit is None else limit, _BEYOND
        while left > 0:
            statement = sql.BACKWARD if newest_first else sql.FORWARD
            rows = self._rows(statement, {"after": after, "before": before, "limit": min(left, _PAGE)})
            yield from map(sql.to_event, rows)
            if len(rows) < _PAGE:
                return
            left -= len(rows)
            after, before = (after, rows[-1][0]) if newest_first else (rows[-1][0], before)

    def head(self) -> tuple[int, str]:
        """See ``Ledger.head``."""
        return next(((seq, digest) for seq, digest in self._rows(sql.HEAD)), EMPTY)

    def holder(self, scope: str) -> Lease | None:
        """See ``Ledger.holder``."""
        leases = [sql.to_lease(scope, row) for row in self._rows(sql.LEASE, {"scope": scope})]
        return next((lease for lease in leases if lease.until > self.now()), None)

    def now(self) -> datetime:
        """See ``Ledger.now``. SQLite's clock needs no file."""
        with closing(sqlite3.connect(":memory:")) as clock:
            return datetime.fromisoformat(clock.execute(sql.CLOCK["sqlite"]).fetchone()[0])

    def schema(self) -> str | None:
        """The migration that the file was brought to; None before the first. ``LedgerUnavailable`` for one that a
        newer Lanewise made."""
        connection = self._connection()
        return None if connection is None else _schema(connection, self.path)

    def _rows(self, statement: str, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        try:
            connection = self._connection()
            return [] if connection is None else connection.execute(statement, parameters or {}).fetchall()
        except UnicodeEncodeError:  # asked for something that isn't Unicode text, which no event can hold
            return []
        except sqlite3.Error as error:
            raise unavailable(self.path, error) from error

    def _connection(self) -> sqlite3.Connection | None:
        """This thread's connection; None while there is no ledger in the file."""
        connection: sqlite3.Connection | None = getattr(self._own, "connection", None)
        if connection is None and self.path.exists():
            try:
                connection = self._open()
                if _schema(connection, self.path) is None:
                    connection.close()
                    return None
            except sqlite3.Error as error:
                raise unavailable(self.path, error) from error
            self._own.connection = connection
        return connection

    def _open(self) -> sqlite3.Connection:
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


def _tried(uri: str, patience: float) -> sqlite3.Connection:
    connection = sqlite3.connect(uri, uri=True, timeout=patience)
    try:
        connection.execute("select count(*) from sqlite_master")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _schema(connection: sqlite3.Connection, path: Path) -> str | None:
    if not connection.execute("select 1 from sqlite_master where name = 'alembic_version'").fetchone():
        return None
    row = connection.execute(sql.SCHEMA_OF).fetchone()
    if row and row[0] > sql.SCHEMA:
        raise LedgerUnavailable(
            f"the ledger {path} was written by a newer Lanewise (schema {row[0]})", hint="upgrade lanewise"
        )
    return row[0] if row else None
