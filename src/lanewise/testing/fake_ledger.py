"""A ledger in memory, for tests: the same promises as the real one, and a clock that can be moved."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from threading import RLock

from lanewise.domain.event import Draft, Event, Lease
from lanewise.errors import GroundMoved, LeaseHeld
from lanewise.ledger.chain import EMPTY, require_printable, seal

_NEVER = datetime.min.replace(tzinfo=UTC)


class FakeLedger:
    """Implements ``Ledger``; passes ``lanewise.testing.ledger.LedgerContract``.

    ``clock``: the time at which it stands still; without one it follows the machine's clock. ``advance`` moves both.
    """

    def __init__(self, clock: datetime | None = None) -> None:
        self._clock = clock
        self._shift = timedelta(0)
        self._events: list[Event] = []
        self._leases: dict[str, Lease] = {}
        self._lock = RLock()

    def advance(self, by: timedelta) -> None:
        """Let time pass."""
        self._shift += by

    def append(
        self, stream: str, drafts: Sequence[Draft], *, actor: str, expect: int | None = None
    ) -> tuple[Event, ...]:
        """See ``Ledger.append``."""
        require_printable(stream=stream, actor=actor)
        with self._lock:
            length = len(self.read(stream))
            if expect not in {None, length}:
                raise GroundMoved(f"{stream} has {length} events, not {expect}", hint="look again and decide anew")
            at = self.now().isoformat(timespec="microseconds")
            head, written = self.head(), list[Event]()
            for version, draft in enumerate(drafts, start=length + 1):
                written.append(seal(draft, head=head, stream=stream, version=version, at=at, actor=actor))
                head = (written[-1].seq, written[-1].hash)
            self._events += written
            return tuple(written)

    def read(self, stream: str, *, after: int = 0, types: Sequence[str] = ()) -> tuple[Event, ...]:
        """See ``Ledger.read``."""
        found = (event for event in self._events if event.stream == stream and event.version > after)
        return tuple(event for event in found if not types or event.type in types)

    def last(self, stream: str, *types: str) -> Event | None:
        """See ``Ledger.last``."""
        fits = (event for event in reversed(self.read(stream)) if not types or event.type in types)
        return next(fits, None)

    def streams(self, prefix: str, *, without: Sequence[str] = ()) -> tuple[str, ...]:
        """See ``Ledger.streams``."""
        closed = {event.stream for event in self._events if event.type in without}
        names = dict.fromkeys(event.stream for event in self._events if event.stream.startswith(prefix))
        return tuple(name for name in names if name not in closed)

    def events(self, *, after: int = 0, limit: int | None = None, newest_first: bool = False) -> Iterator[Event]:
        """See ``Ledger.events``."""
        found = [event for event in self._events if event.seq > after]
        return islice(reversed(found) if newest_first else iter(found), limit)

    def acquire(self, scope: str, holder: str, ttl: timedelta, *, take_over: bool = False) -> Lease:
        """See ``Ledger.acquire``."""
        with self._lock:
            held = self.holder(scope)
            if held and held.holder != holder and not take_over:
                raise LeaseHeld(scope, held.holder, until=held.until.isoformat(timespec="seconds"))
            fence = self._leases[scope].fence + 1 if scope in self._leases else 1
            self._leases[scope] = Lease(scope, holder, fence, self.now() + ttl)
            return self._leases[scope]

    def renew(self, lease: Lease, ttl: timedelta) -> Lease:
        """See ``Ledger.renew``."""
        with self._lock:
            if not self._ours(lease):
                held = self.holder(lease.scope)
                raise LeaseHeld(lease.scope, held.holder if held else "nobody: this lease has ended")
            self._leases[lease.scope] = Lease(lease.scope, lease.holder, lease.fence, self.now() + ttl)
            return self._leases[lease.scope]

    def release(self, lease: Lease) -> None:
        """See ``Ledger.release``."""
        with self._lock:
            if self._ours(lease):
                self._leases[lease.scope] = Lease(lease.scope, "", lease.fence, _NEVER)

    def holder(self, scope: str) -> Lease | None:
        """See ``Ledger.holder``."""
        lease = self._leases.get(scope)
        return lease if lease and lease.until > self.now() else None

    def now(self) -> datetime:
        """See ``Ledger.now``."""
        return (self._clock or datetime.now(UTC)) + self._shift

    def head(self) -> tuple[int, str]:
        """See ``Ledger.head``."""
        return (self._events[-1].seq, self._events[-1].hash) if self._events else EMPTY

    def _ours(self, lease: Lease) -> bool:
        kept = self._leases.get(lease.scope)
        return kept is not None and (kept.holder, kept.fence) == (lease.holder, lease.fence)
