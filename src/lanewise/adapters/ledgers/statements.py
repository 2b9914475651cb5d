"""The ledger's SQL, written once for every database. Parameters are named (``:stream``), as ``sqlite3`` has them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from lanewise.domain.event import Event, Lease
from lanewise.errors import LedgerTampered

SCHEMA = "0002"
"""The newest migration that this code was written for."""

FIELDS = ("seq", "stream", "version", "type", "at", "actor", "data", "previous", "hash")
_EVENTS = f"select {', '.join(FIELDS)} from events"  # noqa: S608 - constants

SCHEMA_OF = "select version_num from alembic_version"
HEAD = "select seq, hash from events order by seq desc limit 1"
HASH = "select hash from events where seq = :seq"
READ = f"{_EVENTS} where stream = :stream and version > :after order by version"
READ_OF_TYPE = f"{_EVENTS} where stream = :stream and type = :type and version > :after order by version"
LAST = f"{_EVENTS} where stream = :stream order by version desc limit 1"
LAST_OF_TYPE = f"{_EVENTS} where stream = :stream and type = :type order by version desc limit 1"
FORWARD = f"{_EVENTS} where seq > :after order by seq limit :limit"
BACKWARD = f"{_EVENTS} where seq > :after and seq < :before order by seq desc limit :limit"
WRITE = f"insert into events ({', '.join(FIELDS)}) values ({', '.join(f':{name}' for name in FIELDS)})"  # noqa: S608 - constants
GRANT = "insert into leases (scope, holder, fence, until) values (:scope, :holder, :fence, :until)"
KEEP = "update leases set holder = :holder, fence = :fence, until = :until where scope = :scope"


def ground(clock: str) -> str:
    """The statement that says all that an append is decided on, in one row: the stream's length, the newest event's
    ``seq`` and ``hash``, the time. ``clock``: the database's own expression for ISO 8601 UTC with microseconds."""
    return (
        "select (select coalesce(max(version), 0) from events where stream = :stream), "  # noqa: S608 - constants
        f"coalesce(newest.seq, 0), coalesce(newest.hash, ''), {clock} "
        f"from (select 1) one left join ({HEAD}) newest on true"
    )


def lease(clock: str) -> str:
    """The statement for a scope's lease, in one row: the time, then holder, fence and end (NULL without a lease)."""
    return (
        f"select {clock}, kept.holder, kept.fence, kept.until "  # noqa: S608 - constants
        "from (select 1) one left join leases kept on kept.scope = :scope"
    )


def streams(prefix: str, without: Sequence[str]) -> tuple[str, Mapping[str, object]]:
    """The statement and parameters for ``Ledger.streams``. A range, not LIKE: it uses the index of first events,
    and ``%`` and ``_`` are themselves. Needs a byte-wise collation, which the columns have."""
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
    """Turn a row of ``FIELDS`` into an event. Raises ``LedgerTampered`` when its data was edited into non-JSON."""
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


def to_lease(scope: str, row: Sequence[Any]) -> tuple[datetime, Lease | None]:
    """Turn a row of ``lease`` into the time and the lease, whether or not it has run out."""
    now, holder, fence, until = row
    kept = None if fence is None else Lease(scope, holder, fence, datetime.fromisoformat(until))
    return datetime.fromisoformat(now), kept


def from_lease(lease: Lease) -> dict[str, Any]:
    """Turn a lease into the parameters of ``GRANT`` and ``KEEP``."""
    return {**vars(lease), "until": lease.until.isoformat(timespec="microseconds")}
