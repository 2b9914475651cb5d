"""The reading half. It imports no more than the database's own driver."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from lanewise.adapters.ledgers import statements as sql
from lanewise.adapters.ledgers.database import Database
from lanewise.domain.event import Event, Lease
from lanewise.ledger.chain import EMPTY

_PAGE = 1000
_BEYOND = 2**63 - 1


class Reader:
    """Reads a ledger and never writes to it. One that isn't there yet reads as an empty one."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rows = database.rows

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
        for row in self._rows(sql.lease(self._database.clock), {"scope": scope}):
            now, kept = sql.to_lease(scope, row)
            return kept if kept and kept.until > now else None
        return None

    def now(self) -> datetime:
        """See ``Ledger.now``."""
        return self._database.now()
