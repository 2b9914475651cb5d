"""The ledger on a SQL database: today SQLite; its schema and migrations are fit for PostgreSQL.

Importing this module is light. Reading uses the standard library; SQLAlchemy comes in with the first write, and
Alembic only when the schema is not there yet.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from lanewise.adapters.ledgers.sqlite_reader import SqliteReader
from lanewise.domain.event import Draft, Event, Lease
from lanewise.errors import WrongInput

if TYPE_CHECKING:
    from lanewise.adapters.ledgers.sql_writer import SqlWriter


class SqlLedger:
    """Implements ``Ledger``: a reading half and a writing half over the same tables."""

    def __init__(self, path: Path, patience: float) -> None:
        self._reader = SqliteReader(path, patience)
        self._patience = patience

    @cached_property
    def _writer(self) -> SqlWriter:
        from lanewise.adapters.ledgers.sql_writer import SqlWriter  # noqa: PLC0415 - SQLAlchemy: 500 ms for writers only

        return SqlWriter(self._reader, self._patience)

    def append(
        self, stream: str, drafts: Sequence[Draft], *, actor: str, expect: int | None = None
    ) -> tuple[Event, ...]:
        """See ``Ledger.append``."""
        return self._writer.append(stream, drafts, actor=actor, expect=expect)

    def read(self, stream: str, *, after: int = 0, types: Sequence[str] = ()) -> tuple[Event, ...]:
        """See ``Ledger.read``."""
        return self._reader.read(stream, after=after, types=types)

    def last(self, stream: str, *types: str) -> Event | None:
        """See ``Ledger.last``."""
        return self._reader.last(stream, *types)

    def streams(self, prefix: str, *, without: Sequence[str] = ()) -> tuple[str, ...]:
        """See ``Ledger.streams``."""
        return self._reader.streams(prefix, without=without)

    def events(self, *, after: int = 0, limit: int | None = None, newest_first: bool = False) -> Iterator[Event]:
        """See ``Ledger.events``."""
        return self._reader.events(after=after, limit=limit, newest_first=newest_first)

    def acquire(self, scope: str, holder: str, ttl: timedelta, *, take_over: bool = False) -> Lease:
        """See ``Ledger.acquire``."""
        return self._writer.acquire(scope, holder, ttl, take_over=take_over)

    def renew(self, lease: Lease, ttl: timedelta) -> Lease:
        """See ``Ledger.renew``."""
        return self._writer.renew(lease, ttl)

    def release(self, lease: Lease) -> None:
        """See ``Ledger.release``."""
        self._writer.release(lease)

    def holder(self, scope: str) -> Lease | None:
        """See ``Ledger.holder``."""
        return self._reader.holder(scope)

    def now(self) -> datetime:
        """See ``Ledger.now``."""
        return self._reader.now()

    def head(self) -> tuple[int, str]:
        """See ``Ledger.head``."""
        return self._reader.head()


def open_ledger(url: str, *, base: Path, patience: float = 15.0) -> SqlLedger:
    """Open the ledger at ``url``: ``sqlite:///relative/to/base.db`` or ``sqlite:////absolute.db``.

    Nothing is made before the first write, folders included. ``patience``: seconds to wait for a lock.
    Raises ``WrongInput`` for any other URL, without showing it: it may hold a password.
    """
    scheme, _, place = url.partition(":///")
    if scheme != "sqlite" or not place:
        name = url.partition(":")[0]
        raise WrongInput(
            f"no ledger can be kept at this {name}: URL", hint="use sqlite:///PATH, e.g. sqlite:///.lanewise/ledger.db"
        )
    return SqlLedger(base / place, patience)
