"""The nouns of measured isolation: who was tried, on what, with which words, and what the server said.

The wall between two environments is declared in config, built out of grants, and *measured*: each identity is tried
on everything that is another environment's, and each try must be refused by the server itself. What could not be
tried proves nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from lanewise.domain.canonical import digest
from lanewise.domain.environment import Config, Connection, Environment
from lanewise.domain.ports import Secrets
from lanewise.domain.project import Project


class Outcome(StrEnum):
    """What a try came to. ``unreachable`` is doubt, whatever its cause: no answer proves nothing."""

    ALLOWED = "allowed"
    DENIED = "denied"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, order=True)
class Identity:
    """Somebody who can log in. ``role`` is what they log in as (``runner``, ``publisher``, ``reader``, or ``login``
    where a connection has one login for everything); ``user`` is the name by which the server knows them."""

    environment: str
    connection: str
    role: str
    user: str

    def __str__(self) -> str:
        return f"{self.environment}'s {self.role} {self.user}"


@dataclass(frozen=True, order=True)
class Target:
    """What an environment owns. ``kind``: server, database, schema, table, view, sequence, function, role, future
    tables, foreign server, bucket, secret, queue, orchestrator, connection."""

    environment: str
    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True)
class Attempt:
    """One try. ``statement`` is what was sent (it holds no data and no secret), ``answer`` what the server said."""

    identity: Identity
    target: Target
    action: str
    statement: str
    outcome: Outcome
    answer: str


@dataclass(frozen=True)
class Holder:
    """An identity with the means to be it: ``connection`` carries its login and nobody else's."""

    identity: Identity
    lane: Environment
    connection: Connection


class Probe(Protocol):
    """Tries the identities of one kind of connection. Each method may be called from several threads at once.

    Harmless by construction: nothing that a probe sends changes data, or makes anybody wait. Never raises for what a
    server says: that is an ``Attempt``.
    """

    def holders(self, lane: Environment, connection: Connection) -> tuple[Holder, ...]:
        """Everybody who can log in through this connection; () where it is no login at all."""

    def prove(self, holder: Holder) -> str:
        """ "" when the login works at home; else why not. Only then does a refusal elsewhere prove anything."""

    def attempts(self, holder: Holder, other: Environment) -> Iterable[Attempt]:
        """Try the identity on all that is another environment's; () where that has nothing of this kind."""

    def overreach(self, holder: Holder) -> Iterable[Attempt]:
        """Try it on what it must not do at home, as a run that publishes; () where nothing is forbidden."""


class ProbeOpener(Protocol):
    """How ``bootstrap`` opens a probe: the entry point ``lanewise.probes`` of the connection's type."""

    def __call__(self, *, secrets: Secrets, project: Project, lanes: Mapping[str, Environment], root: Path) -> Probe:
        """``lanes`` are all environments; ``root`` is the project's folder."""


@dataclass(frozen=True)
class Cell:
    """One identity against one environment: the worst outcome, how many tries, and how many of each outcome."""

    identity: Identity
    environment: str
    tries: int
    allowed: int
    unreachable: int

    @property
    def outcome(self) -> Outcome:
        """One hole is a hole; no answer is no proof."""
        if self.allowed:
            return Outcome.ALLOWED
        return Outcome.DENIED if self.tries and not self.unreachable else Outcome.UNREACHABLE


@dataclass(frozen=True)
class Measurement:
    """All that was tried. ``unseparated``: environment -> why it can't be walled off; ``walls`` names the config that
    it was measured under; ``at`` is ISO 8601 UTC, by the ledger's clock."""

    environments: tuple[str, ...]
    walls: str
    at: str
    identities: tuple[Identity, ...]
    attempts: tuple[Attempt, ...]
    unseparated: Mapping[str, str] = field(default_factory=dict)

    def of(self, outcome: Outcome) -> tuple[Attempt, ...]:
        """The attempts that came to this, in order."""
        return tuple(attempt for attempt in self.attempts if attempt.outcome is outcome)

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The matrix: every identity against every environment on which something was tried."""
        found: dict[tuple[Identity, str], list[Attempt]] = {}
        for attempt in self.attempts:
            found.setdefault((attempt.identity, attempt.target.environment), []).append(attempt)
        return tuple(_cell(identity, where, tried) for (identity, where), tried in sorted(found.items(), key=_first))

    @property
    def whole(self) -> bool:
        """Everything was refused, and nothing left untried."""
        denied = all(attempt.outcome is Outcome.DENIED for attempt in self.attempts)
        return denied and bool(self.attempts) and not self.unseparated


def walls(lanes: Mapping[str, Environment]) -> str:
    """Names what isolation depends on: every environment's settings and connections. A gate more or an approval less
    makes no wall higher."""
    return digest([[lane.name, lane.settings, lane.connections] for lane in lanes.values()])


def walls_of(config: Config) -> str:
    """``walls`` of all its environments."""
    return walls(config.environments)


def _first(item: tuple[tuple[Identity, str], Sequence[Attempt]]) -> tuple[Identity, str]:
    return item[0]


def _cell(identity: Identity, environment: str, tried: Sequence[Attempt]) -> Cell:
    outcomes = [attempt.outcome for attempt in tried]
    return Cell(identity, environment, len(tried), outcomes.count(Outcome.ALLOWED), outcomes.count(Outcome.UNREACHABLE))
