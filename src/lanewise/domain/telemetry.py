"""What those are told who watch from outside: facts, as they happen, and the port that takes them.

Nearly all of it is an event of the ledger, so that a trace tells what the record tells. Three things are in no event:
the inputs that a run was given, the slices that it left, and how its command went on some machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from lanewise.domain.environment import Environment
from lanewise.domain.event import Event
from lanewise.domain.project import Column, Table
from lanewise.domain.publication import InputPin, Slice
from lanewise.domain.run import RunOutcome, RunRequest


@dataclass(frozen=True)
class Recorded:
    """An event was written. ``stream`` is its stream up to it, and it is the last; ``promotion`` that of the promotion
    which a run belongs to; ``lane`` the environment, where it is known yet."""

    event: Event
    stream: tuple[Event, ...]
    promotion: tuple[Event, ...] = ()
    lane: Environment | None = None


@dataclass(frozen=True)
class Opened:
    """A run got a room of its own, and these inputs to read."""

    request: RunRequest
    tables: tuple[Table, ...]
    inputs: tuple[InputPin, ...]
    lane: Environment


@dataclass(frozen=True)
class Staged:
    """What a run wrote was staged, by table. ``columns`` are those that it wrote; ``at`` is seconds since 1970."""

    request: RunRequest
    tables: tuple[Table, ...]
    slices: Mapping[str, tuple[Slice, ...]]
    columns: Mapping[str, tuple[Column, ...]]
    lane: Environment
    at: float = 0.0


@dataclass(frozen=True)
class Attempted:
    """A command was carried out, well or not. ``place`` is where its span stands: the trace, the span, the one above,
    in hex; the first two are what its own spans hang below.

    ``began`` and ``ended`` are seconds since 1970; ``log`` and ``offset`` say where its own lines begin; ``error`` why
    it could not be carried out at all (then there is no outcome).
    """

    request: RunRequest
    place: tuple[str, str, str]
    began: float
    ended: float
    outcome: RunOutcome | None = None
    error: str = ""
    log: Path | None = None
    offset: int = 0


@dataclass(frozen=True)
class Said:
    """A line of Lanewise's own log. ``at`` is seconds since 1970, ``level`` as ``logging`` names it."""

    at: float
    level: str
    text: str
    labels: Mapping[str, str] = field(default_factory=dict)


Fact = Recorded | Opened | Staged | Attempted | Said


class Observer(Protocol):
    """Takes facts and tells them elsewhere, in its own time."""

    def notice(self, fact: Fact) -> None:
        """Take one. Never raises, never waits."""

    def close(self) -> None:
        """Tell what is left, for a short while at most, and stop. Never raises; closing twice is nothing."""
