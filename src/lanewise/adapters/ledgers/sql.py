"""The ledger on a SQL database: a file of SQLite, or PostgreSQL.

Importing this module is light. Reading and writing use the database's driver alone (``sqlite3``, ``psycopg``);
SQLAlchemy and Alembic come in when the schema is not there yet.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from lanewise.adapters.ledgers.reader import Reader
from lanewise.domain.event import Draft, Event, Lease
from lanewise.errors import WrongInput

if TYPE_CHECKING:
    from lanewise.adapters.ledgers.database import Database
    from lanewise.adapters.ledgers.writer import Writer
    from lanewise.domain.ports import Secrets


class SqlLedger:
    """Implements ``Ledger``: a reading half and a writing half over the same tables."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._reader = Reader(database)

    @cached_property
    def _writer(self) -> Writer:
        from lanewise.adapters.ledgers.writer import Writer  # noqa: PLC0415 - for writers only

        return Writer(self.database)

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


def open_ledger(url: str, *, base: Path, secrets: Secrets | None = None, patience: float = 15.0) -> SqlLedger:
    """Open the ledger at ``url``: ``sqlite:///relative/to/base.db``, ``sqlite:////absolute.db``, or
    ``postgresql://user@host/database?schema=…&password=REFERENCE``, whose reference ``secrets`` resolves.

    Nothing is made or connected to before it is needed. ``patience``: seconds to wait for a lock. Raises ``WrongInput``
    for any other URL, without showing it: it may hold a password.
    """
    scheme, _, place = url.partition("://")
    if scheme == "sqlite" and place.startswith("/") and place != "/":
        from lanewise.adapters.ledgers.sqlite import SqliteDatabase  # noqa: PLC0415 - only the driver that is used

        return SqlLedger(SqliteDatabase(base / place[1:], patience))
    if scheme in {"postgresql", "postgres"}:
        return SqlLedger(_postgres(url, secrets, patience))
    name = f"{scheme}: " if scheme.isalpha() and "://" in url else ""
    raise WrongInput(
        f"no ledger can be kept at this {name}URL",
        hint="use sqlite:///PATH (sqlite:///.lanewise/ledger.db) or postgresql://USER@HOST/DATABASE",
    )


def _postgres(url: str, secrets: Secrets | None, patience: float) -> Database:
    try:
        from lanewise.adapters.ledgers.postgres import PostgresDatabase  # noqa: PLC0415 - as above
        from lanewise.adapters.ledgers.postgres_address import parse  # noqa: PLC0415
    except ImportError:
        raise WrongInput("a ledger on PostgreSQL needs its driver", hint="pip install 'lanewise[postgres]'") from None
    address = parse(url)
    if address.password is not None and secrets is None:
        raise WrongInput("the ledger's URL refers to a secret, and there is nothing here to resolve it")
    return PostgresDatabase(address, secrets, patience)
