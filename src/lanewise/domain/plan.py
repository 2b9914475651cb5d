"""A plan: what a promotion would do, as data, decided before anything is done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from lanewise.domain.canonical import digest
from lanewise.domain.environment import ApprovalRule, GateSpec
from lanewise.domain.project import History, TableKind
from lanewise.domain.publication import Break, InputPin


class Move(StrEnum):
    """What happens to one table. ``reuse``: same fingerprint, nothing is computed. ``new``: first published here.
    ``rebuild``: every published partition is computed by the new build. ``inherit``: published partitions stay
    as they are, new ones come from the new build. ``drop``: no longer published."""

    NEW = "new"
    REUSE = "reuse"
    REBUILD = "rebuild"
    INHERIT = "inherit"
    DROP = "drop"


@dataclass(frozen=True)
class TablePlan:
    """One table's part of a plan. ``partitions`` are those to compute for a full release, in order;
    ``exposed`` is False where a canary is judged but never shown (``inherit``)."""

    table: str
    kind: TableKind
    move: Move
    version: str  # the fingerprint it will have
    live_version: str = ""  # the newest one that is live now
    history: History = History.REBUILD
    partitions: tuple[str, ...] = ()
    exposed: bool = True
    bytes: int = 0  # expected, from the live slices' size
    rows: int = 0  # expected, from the live slices; 0 for a table that is not published yet
    breaking: tuple[str, ...] = ()  # schema changes that readers would notice, one sentence each
    breaks: Break | None = None  # what the published view can't take in place, as the warehouse says
    note: str = ""


@dataclass(frozen=True)
class CanaryStep:
    """One step: the share asked for, and the partitions computed and judged in it (those of earlier steps
    not repeated). The last step's share is 1."""

    share: Decimal
    partitions: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """Everything a promotion would do. The ``base_*`` fields are the ground it stands on: when one of them has
    moved, a saved plan is refused."""

    project: str
    environment: str
    build: str
    config: str  # Environment.digest
    base_map: int
    base_build: str  # "" for a first release
    base_config: str
    tables: tuple[TablePlan, ...]
    steps: tuple[CanaryStep, ...]
    strategy: str
    gates: tuple[GateSpec, ...]
    approvals: ApprovalRule
    inputs: tuple[InputPin, ...] = ()
    warnings: tuple[str, ...] = ()
    config_changes: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # dotted key -> (old, new) as shown

    @property
    def digest(self) -> str:
        """Names the plan by its content."""
        return digest(self)

    @property
    def first_release(self) -> bool:
        """True when nothing is live in the environment: there is no baseline to compare with."""
        return not self.base_build

    @property
    def config_only(self) -> bool:
        """True when the same build gets new config."""
        return self.build == self.base_build and self.config != self.base_config

    @property
    def moved(self) -> tuple[TablePlan, ...]:
        """The tables that must be computed."""
        return tuple(t for t in self.tables if t.move in {Move.NEW, Move.REBUILD, Move.INHERIT})

    @property
    def bytes(self) -> int:
        """What the rollout will hold at the most, beside what is live."""
        return sum(t.bytes for t in self.moved)
