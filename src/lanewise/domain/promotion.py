"""A promotion, folded from its events: where it stands and what it waits for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from lanewise.domain.evidence import Verdict


class State(StrEnum):
    """A promotion's states (design section 6)."""

    REQUESTED = "REQUESTED"
    GATING = "GATING"
    AWAITING_APPROVAL = "AWAITING_APPROVAL"
    READY = "READY"
    ACQUIRING = "ACQUIRING"
    PREPARING = "PREPARING"
    CANARY = "CANARY"
    JUDGING = "JUDGING"
    CUTOVER = "CUTOVER"
    VERIFYING = "VERIFYING"
    SUCCEEDED = "SUCCEEDED"
    HELD = "HELD"
    REVERTING = "REVERTING"
    REVERTED = "REVERTED"
    REVERT_FAILED = "REVERT_FAILED"
    REJECTED = "REJECTED"
    SUPERSEDED = "SUPERSEDED"
    EXPIRED = "EXPIRED"
    FROZEN = "FROZEN"
    ABORTED = "ABORTED"


@dataclass(frozen=True)
class Approval:
    """One person's yes, bound to what they saw (``bound_to`` is the digest of build, config and evidence)."""

    actor: str
    bound_to: str
    at: str
    proved_by: str = "os-user"
    reason: str = ""


@dataclass(frozen=True)
class BrokenGlass:
    """Gates that were skipped by break-glass: by whom, why, with which second person or until when (ISO 8601 UTC)."""

    gates: tuple[str, ...]
    reason: str
    actor: str
    at: str
    second: str = ""
    expires: str = ""


@dataclass(frozen=True)
class Promotion:
    """One build's (or config's) move into one environment. ``version`` is its stream's length in the ledger."""

    id: str
    project: str
    environment: str
    build: str
    config: str
    requester: str
    requested_at: str
    state: State = State.REQUESTED
    reason: str = ""  # why it is in that state, one sentence
    step: int = 0  # the canary step under way or next, from 0
    exposed: int = 0  # steps whose partitions readers see
    plan: str = ""  # digest of the plan it follows
    base_map: int = -1  # the map number to go back to; -1 before ACQUIRING
    fence: int = 0
    approvals: tuple[Approval, ...] = ()
    verdicts: tuple[Verdict, ...] = ()  # the newest of each gate and moment
    broken_glass: tuple[str, ...] = ()  # gates skipped by break-glass
    version: int = 0
    opened_by: str = ""  # the promotion whose success opened this one; "" when a person asked
    came_from: State | None = None  # the state before this one: where a frozen or held one goes on
    moved_at: str = ""  # since when it is in its state, ISO 8601 UTC
    until: str = ""  # frozen: when the window closes, ISO 8601 UTC
    evidence: Mapping[str, str] = field(default_factory=dict)  # "gate@moment" -> digest of what was measured
    glass: tuple[BrokenGlass, ...] = ()  # every break-glass, in order
