"""The writing half: SQLAlchemy Core, every write in one transaction that begins by taking the write lock."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, create_engine, event, insert, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry

from lanewise.adapters.ledgers import statements as sql
from lanewise.adapters.ledgers.failures import unavailable
from lanewise.adapters.ledgers.schema import events, leases
from lanewise.adapters.ledgers.sqlite_reader import SqliteReader
from lanewise.domain.event import Draft, Event, Lease
from lanewise.errors import GroundMoved, LeaseHeld
from lanewise.ledger.chain import EMPTY, require_printable, seal

_ENDED = "0001-01-01T00:00:00.000000+00:00"


class SqlWriter:
    """Appends events, grants leases. Made at a process's first write; brings the schema up to date then."""

    def __init__(self, reader: SqliteReader, patience: float) -> None:
        self._path = reader.path
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unavailable(self._path, error) from error
        self._engine = _engine(self._path, patience)
        if reader.schema() != sql.SCHEMA:
            self._migrate()

    def append(
        self, stream: str, drafts: Sequence[Draft], *, actor: str, expect: int | None = None
    ) -> tuple[Event, ...]:
        """See ``Ledger.append``."""
        require_printable(stream=stream, actor=actor)
        written: list[Event] = []
        with self._transaction() as connection:
            length = connection.execute(text(sql.LENGTH), {"stream": stream}).scalar_one()
            if expect not in {None, length}:
                raise GroundMoved(f"{stream} has {length} events, not {expect}", hint="look again and decide anew")
            newest = connection.execute(text(sql.HEAD)).one_or_none()
            head = EMPTY if newest is None else (newest.seq, newest.hash)
            at = _clock(connection)
            for version, draft in enumerate(drafts, start=length + 1):
                written.append(seal(draft, head=head, stream=stream, version=version, at=at, actor=actor))
                head = (written[-1].seq, written[-1].hash)
            if written:
                connection.execute(insert(events), [sql.to_row(each) for each in written])
        return tuple(written)

    def acquire(self, scope: str, holder: str, ttl: timedelta, *, take_over: bool = False) -> Lease:
        """See ``Ledger.acquire``."""
        with self._transaction() as connection:
            now = datetime.fromisoformat(_clock(connection))
            kept = _kept(connection, scope)
            if kept and kept.until > now and kept.holder != holder and not take_over:
                raise LeaseHeld(scope, kept.holder, until=kept.until.isoformat(timespec="seconds"))
            lease = Lease(scope, holder, kept.fence + 1 if kept else 1, now + ttl)
            if kept:
                _keep(connection, lease, _text(lease.until))
            else:
                connection.execute(insert(leases).values({**vars(lease), "until": _text(lease.until)}))
        return lease

    def renew(self, lease: Lease, ttl: timedelta) -> Lease:
        """See ``Ledger.renew``."""
        with self._transaction() as connection:
            now = datetime.fromisoformat(_clock(connection))
            kept = _kept(connection, lease.scope)
            if not _same(kept, lease):
                by = kept.holder if kept and kept.until > now else "nobody: this lease has ended"
                raise LeaseHeld(lease.scope, by)
            renewed = Lease(lease.scope, lease.holder, lease.fence, now + ttl)
            _keep(connection, renewed, _text(renewed.until))
        return renewed

    def release(self, lease: Lease) -> None:
        """See ``Ledger.release``. The row stays: it remembers the fence."""
        with self._transaction() as connection:
            if _same(_kept(connection, lease.scope), lease):
                _keep(connection, Lease(lease.scope, "", lease.fence, lease.until), _ENDED)

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except DBAPIError as error:
            raise unavailable(self._path, error.orig) from error
        except sqlite3.Error as error:  # while connecting: not SQLAlchemy's yet
            raise unavailable(self._path, error) from error

    def _migrate(self) -> None:
        from lanewise.adapters.ledgers.migrations.upgrade import upgrade  # noqa: PLC0415 - Alembic: 400 ms, once a ledger

        with self._transaction() as connection:
            upgrade(connection)


def _engine(path: Path, patience: float) -> Engine:
    url = URL.create("sqlite", database=str(path))
    engine = create_engine(url, connect_args={"timeout": patience}, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def connected(connection: sqlite3.Connection, entry: ConnectionPoolEntry) -> None:  # noqa: ARG001 - the event's signature
        connection.isolation_level = None  # the transaction is begun below, not by the driver at some later statement
        _use_wal(connection, patience)
        connection.execute("pragma synchronous = full")

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        connection.exec_driver_sql("begin immediate")

    return engine


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


def _clock(connection: Connection) -> str:
    now: str = connection.execute(text(sql.CLOCK[connection.dialect.name])).scalar_one()
    return now


def _kept(connection: Connection, scope: str) -> Lease | None:
    row = connection.execute(text(sql.LEASE), {"scope": scope}).one_or_none()
    return None if row is None else sql.to_lease(scope, tuple(row))


def _keep(connection: Connection, lease: Lease, until: str) -> None:
    values = {"holder": lease.holder, "fence": lease.fence, "until": until}
    connection.execute(update(leases).where(leases.c.scope == lease.scope).values(values))


def _same(kept: Lease | None, lease: Lease) -> bool:
    return kept is not None and (kept.holder, kept.fence) == (lease.holder, lease.fence)


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds")
