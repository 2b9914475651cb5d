"""The hash chain: every event's hash covers all its other fields and the hash of the event before it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from lanewise.domain.canonical import canonical_json, digest
from lanewise.domain.event import Draft, Event
from lanewise.errors import WrongInput

Head = tuple[int, str]
"""``(seq, hash)`` of the newest event."""

EMPTY: Head = (0, "")


class Fault(StrEnum):
    """What is wrong with an event."""

    EDITED = "edited"  # its content no longer has its hash
    MISSING = "missing"  # an event that was there is not
    REORDERED = "reordered"  # it belongs at another place
    FOREIGN = "foreign"  # whole in itself, but it does not follow the event before it


@dataclass(frozen=True)
class Broken:
    """The first place where the chain does not hold."""

    seq: int
    fault: Fault
    explanation: str


def seal(draft: Draft, *, head: Head, stream: str, version: int, at: str, actor: str) -> Event:
    """Make the event that follows ``head``. ``at`` is ISO 8601 UTC with microseconds.

    Its data is what a reader will get back: JSON's own types. Raises ``WrongInput`` for data that JSON can't hold
    (NaN, lone surrogates, foreign types) and for an empty or unprintable stream, actor or type.
    """
    require_printable(stream=stream, actor=actor, type=draft.type)
    try:
        data = json.loads(canonical_json(draft.data))
    except (TypeError, ValueError) as error:
        raise WrongInput(f"the data of {draft.type} for {stream} is not JSON: {_reason(error)}") from error
    seq, previous = head[0] + 1, head[1]
    return _sealed(Event(seq, stream, version, draft.type, at, actor, data, previous, ""))


def require_printable(**names: str) -> None:
    """Raise ``WrongInput`` for a name that is empty or unprintable: not every store could hold it, nor every
    terminal show it."""
    for what, name in names.items():
        if not name or not name.isprintable():
            raise WrongInput(f"an event's {what} must be printable text, not {name!r}")


def verify_chain(events: Iterable[Event], *, after: Head = EMPTY) -> Broken | None:
    """Find the first event that breaks the chain, or None. ``events`` are those after ``after``, as stored, in
    order of ``seq``. A cut-off end can't show here: compare the last event with a signed checkpoint."""
    rest = iter(events)
    head = after
    lengths: dict[str, int] = {}
    for event in rest:
        broken = _misplaced(event, head) or _unsealed(event, head, rest) or _uncounted(event, lengths)
        if broken:
            return broken
        head = (event.seq, event.hash)
        lengths[event.stream] = event.version
    return None


def _misplaced(event: Event, head: Head) -> Broken | None:
    expected = head[0] + 1
    if event.seq > expected:
        span = f"event {expected}" if event.seq == expected + 1 else f"events {expected} to {event.seq - 1}"
        return Broken(expected, Fault.MISSING, f"{span} missing before event {event.seq}")
    if event.seq < expected:
        return Broken(event.seq, Fault.REORDERED, f"event {event.seq} stands where event {expected} belongs")
    return None


def _unsealed(event: Event, head: Head, rest: Iterator[Event]) -> Broken | None:
    linked = event.previous == head[1]
    if has_its_hash(event):
        if linked:
            return None
        return Broken(event.seq, Fault.FOREIGN, f"event {event.seq} does not follow event {head[0]} as it is here")
    if not linked:
        for later in rest:
            if later.previous == head[1]:
                text = f"event {later.seq} is the one that followed event {head[0]}"
                return Broken(event.seq, Fault.REORDERED, text)
    return Broken(event.seq, Fault.EDITED, f"the content of event {event.seq} does not have its hash")


def _uncounted(event: Event, lengths: dict[str, int]) -> Broken | None:
    expected = lengths.get(event.stream, event.version - 1) + 1
    if event.version == expected:
        return None
    text = f"event {event.seq} is number {event.version} of {event.stream}, where number {expected} belongs"
    return Broken(event.seq, Fault.MISSING if event.version > expected else Fault.REORDERED, text)


def has_its_hash(event: Event) -> bool:
    """Whether the event's content has the hash that it carries."""
    try:
        return _sealed(event).hash == event.hash
    except (TypeError, ValueError):  # a field was edited into something that no event can hold
        return False


def _sealed(event: Event) -> Event:
    fields = {**vars(event)}
    del fields["hash"]
    return Event(**fields, hash=digest(fields))


def _reason(error: Exception) -> str:
    """Say what is wrong without showing the data: an encoder's message may quote it."""
    return str(error) if isinstance(error, TypeError) else type(error).__name__
