"""Which trace a thing belongs to, and which span it hangs below.

The identifiers come from the hashes of the ledger's events. So every command that carries a promotion on, on whatever
machine, adds to the same trace, and no identifier has to be kept anywhere.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from lanewise.domain.event import Event

_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")


@dataclass(frozen=True)
class Place:
    """Where a span stands: 32 and 16 hex digits; an empty ``parent`` for the root of a trace."""

    trace: str
    span: str
    parent: str = ""

    @property
    def traceparent(self) -> str:
        """The place as W3C Trace Context has it, for a child process. Sampled: somebody wants to see it."""
        return f"00-{self.trace}-{self.span}-01"

    def below(self, *names: object) -> Place:
        """The place of a span that hangs below this one; the same names give the same place."""
        return Place(self.trace, identifier(16, self.trace, self.span, *names), self.span)


def identifier(digits: int, *names: object) -> str:
    """So many hex digits that these names stand for."""
    return hashlib.sha256("\0".join(map(str, names)).encode()).hexdigest()[:digits]


def read(traceparent: str) -> Place | None:
    """The span that a traceparent names; None when it names none."""
    found = _TRACEPARENT.fullmatch(traceparent.strip())
    if found is None or not (found[1].strip("0") and found[2].strip("0")):
        return None
    return Place(found[1], found[2])


def of_promotion(stream: Sequence[Event]) -> Place:
    """The root of a promotion's trace."""
    first = stream[0].hash
    return Place(identifier(32, "trace", first), identifier(16, "promotion", first))


def of_state(stream: Sequence[Event]) -> Place:
    """The state that a promotion is in after these events."""
    entered = next((e for e in reversed(stream) if e.type == "promotion.moved"), stream[0])
    return of_promotion(stream).below("state", entered.hash)


def of_run(stream: Sequence[Event], promotion: Sequence[Event], outer: Place | None) -> Place:
    """A run's span: below the state of its promotion, or below whoever started this command, or a trace of its own."""
    first = stream[0].hash
    if promotion:
        return of_state(promotion).below("run", first)
    if outer is not None:
        return outer.below("run", first)
    return Place(identifier(32, "trace", first), identifier(16, "run", first))


def of_rollback(intended: Event, outer: Place | None) -> Place:
    """A rollback's span."""
    if outer is not None:
        return outer.below("rollback", intended.hash)
    return Place(identifier(32, "trace", intended.hash), identifier(16, "rollback", intended.hash))
