"""The writing half: every write is one transaction that begins by taking the write lock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from lanewise.adapters.ledgers import statements as sql
from lanewise.adapters.ledgers.database import Database, Writing
from lanewise.domain.event import Draft, Event, Lease
from lanewise.errors import GroundMoved, LeaseHeld
from lanewise.ledger.chain import require_printable, seal

_ENDED = datetime.min.replace(tzinfo=UTC)


class Writer:
    """Appends events, grants leases. Made at a process's first write; brings the schema up to date then."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._ground, self._lease = sql.ground(database.clock), sql.lease(database.clock)
        if database.schema() != sql.SCHEMA:
            database.migrate()

    def append(
        self, stream: str, drafts: Sequence[Draft], *, actor: str, expect: int | None = None
    ) -> tuple[Event, ...]:
        """See ``Ledger.append``."""
        require_printable(stream=stream, actor=actor)
        sealed: list[Event] = []  # by the try before, whose answer may have been lost

        def work(writing: Writing) -> tuple[Event, ...]:
            if sealed and writing.ask(sql.HASH, {"seq": sealed[-1].seq}) == (sealed[-1].hash,):
                return tuple(sealed)
            sealed[:] = self._sealed(writing, stream, drafts, actor, expect)
            writing.tell(sql.WRITE, [sql.to_row(each) for each in sealed])
            return tuple(sealed)

        return self._database.write(work)

    def _sealed(
        self, writing: Writing, stream: str, drafts: Sequence[Draft], actor: str, expect: int | None
    ) -> list[Event]:
        length, seq, digest, at = writing.ask(self._ground, {"stream": stream}) or (0, 0, "", "")
        if expect not in {None, length}:
            raise GroundMoved(f"{stream} has {length} events, not {expect}", hint="look again and decide anew")
        head, sealed = (seq, digest), list[Event]()
        for version, draft in enumerate(drafts, start=length + 1):
            sealed.append(seal(draft, head=head, stream=stream, version=version, at=at, actor=actor))
            head = (sealed[-1].seq, sealed[-1].hash)
        return sealed

    def acquire(self, scope: str, holder: str, ttl: timedelta, *, take_over: bool = False) -> Lease:
        """See ``Ledger.acquire``."""

        def work(writing: Writing) -> Lease:
            now, kept = self._kept(writing, scope)
            if kept and kept.until > now and kept.holder != holder and not take_over:
                raise LeaseHeld(scope, kept.holder, until=kept.until.isoformat(timespec="seconds"))
            lease = Lease(scope, holder, kept.fence + 1 if kept else 1, now + ttl)
            writing.tell(sql.KEEP if kept else sql.GRANT, [sql.from_lease(lease)])
            return lease

        return self._database.write(work)

    def renew(self, lease: Lease, ttl: timedelta) -> Lease:
        """See ``Ledger.renew``."""

        def work(writing: Writing) -> Lease:
            now, kept = self._kept(writing, lease.scope)
            if not _same(kept, lease):
                by = kept.holder if kept and kept.until > now else "nobody: this lease has ended"
                raise LeaseHeld(lease.scope, by)
            renewed = replace(lease, until=now + ttl)
            writing.tell(sql.KEEP, [sql.from_lease(renewed)])
            return renewed

        return self._database.write(work)

    def release(self, lease: Lease) -> None:
        """See ``Ledger.release``. The row stays: it remembers the fence."""

        def work(writing: Writing) -> None:
            if _same(self._kept(writing, lease.scope)[1], lease):
                writing.tell(sql.KEEP, [sql.from_lease(replace(lease, holder="", until=_ENDED))])

        self._database.write(work)

    def _kept(self, writing: Writing, scope: str) -> tuple[datetime, Lease | None]:
        return sql.to_lease(scope, writing.ask(self._lease, {"scope": scope}) or (_ENDED.isoformat(), "", None, ""))


def _same(kept: Lease | None, lease: Lease) -> bool:
    return kept is not None and (kept.holder, kept.fence) == (lease.holder, lease.fence)
