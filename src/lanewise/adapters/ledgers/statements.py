"""The ledger's SQL, written once for both halves. Named parameters (``:stream``) suit ``sqlite3`` and SQLAlchemy."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from lanewise.domain.event import Event, Lease
from lanewise.errors import LedgerTampered

SCHEMA = "0001"
"""The newest migration that this code was written for."""

_COLUMNS = "seq, stream, version, type, at, actor, data, previous, hash"
_EVENTS = f"select {_COLUMNS} from events"  # noqa: S608 - a constant

SCHEMA_OF = "select version_num from alembic_version"
HEAD = "select seq, hash from events order by seq desc limit 1"
LENGTH = "select coalesce(max(version), 0) from events where stream = :stream"
READ = f"{_EVENTS} where stream = :stream and version > :after order by version"
READ_OF_TYPE = f"{_EVENTS} where stream = :stream and type = :type and version > :after order by version"
LAST = f"{_EVENTS} where stream = :stream order by version desc limit 1"
LAST_OF_TYPE = f"{_EVENTS} where stream = :stream and type = :type order by version desc limit 1"
FORWARD = f"{_EVENTS} where seq > :after order by seq limit :limit"
BACKWARD = f"{_EVENTS} where seq > :after and seq < :before order by seq desc limit :limit"
LEASE = "select holder, fence, until from leases where scope = :scope"
CLOCK = {"sqlite": "select strftime('%Y-%m-%dT%H:%M:%f000+00:00', 'now')"}
"""ISO 8601 UTC with microseconds, by database: SQLite's clock counts milliseconds."""


def streams(prefix: str, without: Sequence[str]) -> tuple[str, Mapping[str, object]]:
    """The statement and parameters for ``Ledger.streams``. A range, not LIKE: it uses the index of first events,
    and ``%`` and ``_`` are themselves. Needs a byte-wise collation, which is SQLite's own."""
    where, parameters = ["first.version = 1"], dict[str, object]()
    if prefix:
        where.append("first.stream >= :low and first.stream < :high")
        parameters.update(low=prefix, high=_after(prefix))
    if without:
        names = {f"type{number}": name for number, name in enumerate(without)}
        listed = ", ".join(f":{name}" for name in names)
        where.append(f"not exists (select 1 from events e where e.stream = first.stream and e.type in ({listed}))")  # noqa: S608 - parameter names alone are put in
        parameters.update(names)
    return f"select first.stream from events first where {' and '.join(where)} order by first.seq", parameters  # noqa: S608 - as above


def _after(prefix: str) -> str:
    """The least text above every text that starts with ``prefix``. Streams are printable, so no last character is
    the last one of all, nor the one before the surrogates."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)


def to_event(row: Sequence[Any]) -> Event:
    """Turn a row of ``_COLUMNS`` into an event. Raises ``LedgerTampered`` when its data was edited into non-JSON."""
    seq, stream, version, kind, at, actor, data, previous, digest = row
    try:
        return Event(seq, stream, version, kind, at, actor, json.loads(data), previous, digest)
    except (TypeError, ValueError) as error:
        raise LedgerTampered(
            f"event {seq}: its data is no longer JSON", hint="the ledger was edited; restore it from a backup"
        ) from error


def to_row(event: Event) -> dict[str, Any]:
    """Turn an event into a row; its data is JSON text."""
    return {**vars(event), "data": json.dumps(event.data, ensure_ascii=False, separators=(",", ":"), sort_keys=True)}


def to_lease(scope: str, row: Sequence[Any]) -> Lease:
    """Turn a row of ``LEASE`` into a lease."""
    holder, fence, until = row
    return Lease(scope, holder, fence, datetime.fromisoformat(until))
