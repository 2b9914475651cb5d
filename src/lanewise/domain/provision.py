"""Who may do what in one environment: what differs from what is declared, and the changes that mend it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from lanewise.domain.environment import Environment
from lanewise.domain.ports import Secrets


class Kind(StrEnum):
    """What a change does."""

    CREATE = "create"
    ALTER = "alter"
    GRANT = "grant"
    REVOKE = "revoke"


@dataclass(frozen=True)
class Change:
    """One statement, and why it is needed. A secret stands as ``'***'`` in it.

    ``drift``: somebody has what nothing declares, or a thing is not as it was provisioned. ``administrator``: the
    login that provisions may not do this; a database administrator has to.
    """

    kind: Kind
    statement: str
    why: str
    drift: bool = False
    administrator: bool = False


@dataclass(frozen=True)
class Difference:
    """What lies between what is declared and what is there. ``place`` is the database in words, "" where an
    environment has no server. ``problems`` stand in the way of applying the changes; ``warnings`` don't.
    ``script`` is the changes as a program for the server's own client, without any secret."""

    place: str = ""
    changes: tuple[Change, ...] = ()
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    script: str = ""


@dataclass(frozen=True)
class PolicyFile:
    """Rights that somebody else's tool writes: a file's name, its text, and what to do with it."""

    name: str
    text: str
    about: str


class Provisioner(Protocol):
    """The rights of one environment on one kind of server."""

    def look(self) -> Difference:
        """Compare what is declared with what is there; changes nothing. ``OutsideBroke`` when it can't be asked."""

    def apply(self) -> Difference:
        """Look once more and make every change that this login may make, all or none. What was made, and what was left
        to an administrator. ``Refused`` when there are problems, or when the server takes a change and it has no
        effect."""


class ProvisionerOpener(Protocol):
    """What an entry point of ``lanewise.provisioners`` is, by the type of the ``dst`` connection."""

    def __call__(
        self, *, lane: Environment, others: Sequence[Environment], inputs: Sequence[str], secrets: Secrets
    ) -> Provisioner:
        """``lane`` is provisioned; ``others`` are walled off from it; ``inputs`` are the project's."""


class Policy(Protocol):
    """What an entry point of ``lanewise.policies`` is: pure, and found under any name."""

    def __call__(self, lane: Environment, others: Sequence[Environment]) -> Sequence[PolicyFile]:
        """The files that give ``lane`` its rights and keep ``others`` out; none where it has no such thing."""
