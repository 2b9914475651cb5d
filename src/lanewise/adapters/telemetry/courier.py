"""Bring facts out without making the story wait: a queue, and a thread that packs and sends.

Whoever is told may be away, slow or hanging. Then parcels are kept, up to a bound, and tried again; at the end they are
given up after two seconds, with one word.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from lanewise.adapters.telemetry.post import Away, Rejected
from lanewise.domain.telemetry import Fact

LAST_WAIT = 2.0
"""Seconds that the end of a command may be kept for all that is still to be told."""

_LINGER = 0.2  # seconds in which facts gather, so that they travel together
_MOST_FACTS = 10_000
_MOST_PARCELS = 200
_PAUSES = (1.0, 2.0, 5.0, 10.0, 30.0)  # seconds between tries while nobody answers


@dataclass(frozen=True)
class Parcel:
    """One request's body, for a path below the receiver's address; ``records``: how many are in it."""

    path: str
    body: bytes
    records: int


class Sink(Protocol):
    """One kind of receiver: how facts are put for it, and how a parcel gets there. Used by one thread alone."""

    def pack(self, facts: Iterable[Fact]) -> Iterator[Parcel]:
        """The parcels that tell of these facts."""

    def send(self, parcel: Parcel) -> None:
        """Deliver one. ``Away`` when it may be tried again, ``Rejected`` when that is no use."""


class SinkOpener(Protocol):
    """What an entry point of ``lanewise.telemetry`` is, named by the key of the config."""

    def __call__(self, *, url: str, headers: Mapping[str, str], redact: Callable[[str], str], home: str) -> Sink:
        """``headers`` go with each request; ``redact`` strikes secrets out of text; ``home`` is the project's
        ``.lanewise`` folder. Connects to nothing yet."""


class Courier:
    """Implements ``Observer`` for one sink. ``what`` names it to people: its kind and its address.

    ``sink`` opens it, in the courier's own thread: what has to be imported and looked up for it keeps nobody.
    """

    def __init__(self, what: str, sink: Callable[[], Sink], say: Callable[[str], None]) -> None:
        self._what, self._open, self._say = what, sink, say
        self._facts: queue.SimpleQueue[Fact | None] = queue.SimpleQueue()
        self._parcels: deque[Parcel] = deque()
        self._lost, self._why, self._failed = 0, "", 0
        self._thread: threading.Thread | None = None
        self._closed = False

    def notice(self, fact: Fact) -> None:
        """See ``Observer.notice``."""
        if self._closed or self._facts.qsize() >= _MOST_FACTS:
            self._lost += 1
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=f"telemetry {self._what}", daemon=True)
            self._thread.start()
        self._facts.put(fact)

    def end(self) -> None:
        """Nothing more will come: send what there is."""
        if not self._closed:
            self._closed = True
            self._facts.put(None)

    def close(self) -> None:
        """See ``Observer.close``."""
        self.end()
        self.wait(LAST_WAIT)

    def wait(self, seconds: float) -> None:
        """After ``end``: wait for the thread, and say what was lost."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        thread.join(max(0.0, seconds))
        lost = self._lost + sum(parcel.records for parcel in list(self._parcels))
        if thread.is_alive():
            self._say(f"telemetry: {self._what} did not take everything within {LAST_WAIT:.0f} s; the rest is lost")
        elif lost:
            self._say(f"telemetry: {self._what} missed {lost} record{'s' if lost > 1 else ''}: {self._why}")

    def _work(self) -> None:
        sink: Sink | None = None
        going = True
        while going:
            facts, going = self._gathered()
            try:
                sink = sink or self._open()
                self._keep(sink.pack(facts))
                self._deliver(sink)
            except Exception as error:  # noqa: BLE001 - whatever it is, the story has nothing to do with it
                self._lost += len(facts)
                self._why = str(error) or type(error).__name__

    def _gathered(self) -> tuple[list[Fact], bool]:
        """The next facts, and whether more may come. Waits for one, or for the next try of what is kept."""
        pause = _PAUSES[min(self._failed, len(_PAUSES)) - 1] if self._parcels else None
        facts: list[Fact] = []
        with contextlib.suppress(queue.Empty):
            found = self._facts.get(timeout=pause)
            until = time.monotonic() + _LINGER
            while found is not None:
                facts.append(found)
                found = self._facts.get(timeout=max(0.0, until - time.monotonic()))
            return facts, False
        return facts, True

    def _keep(self, parcels: Iterable[Parcel]) -> None:
        self._parcels.extend(parcels)
        while len(self._parcels) > _MOST_PARCELS:  # the oldest have waited longest already
            self._lost += self._parcels.popleft().records

    def _deliver(self, sink: Sink) -> None:
        while self._parcels:
            try:
                sink.send(self._parcels[0])
            except Away as away:
                self._failed, self._why = self._failed + 1, str(away)
                return
            except Rejected as refused:
                self._lost, self._why = self._lost + self._parcels[0].records, str(refused)
            self._failed = 0
            self._parcels.popleft()


class Couriers:
    """Several observers as one. The end waits for all of them together, not for one after another."""

    def __init__(self, couriers: Iterable[Courier]) -> None:
        self._couriers = tuple(couriers)

    def notice(self, fact: Fact) -> None:
        """See ``Observer.notice``."""
        for courier in self._couriers:
            courier.notice(fact)

    def close(self) -> None:
        """See ``Observer.close``."""
        until = time.monotonic() + LAST_WAIT
        for courier in self._couriers:
            courier.end()
        for courier in self._couriers:
            courier.wait(until - time.monotonic())
