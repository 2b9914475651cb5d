"""Is production at least as strict as the stage before it? Retries, SLA, gates and approvals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lanewise.config.node import Member, Node
from lanewise.config.values import parse_duration

_PRODUCTION = ("prod", "production", "prd", "live")
_STAGE = ("stage", "staging", "stg", "preprod", "pre-prod", "uat")

Complaint = tuple[str, Node | Member, str]


@dataclass(frozen=True)
class Lane:
    """One environment of a file, and all that it asks for."""

    name: str
    member: Member

    def get(self, *keys: str) -> Node | None:
        """The first of these keys that it has."""
        found = (self.member.node.get(key) for key in keys)
        return next((node for node in found if node is not None), None)


def laxer(lanes: Sequence[Lane]) -> Iterator[Complaint]:
    """Message, place and hint for each thing that production asks less of than the stage."""
    pair = _pair(lanes)
    if pair:
        stage, prod = pair
        yield from _retries(stage, prod)
        yield from _sla(stage, prod)
        yield from _gates(stage, prod)
        yield from _approvals(stage, prod)


def _pair(lanes: Sequence[Lane]) -> tuple[Lane, Lane] | None:
    """The stage and production: by their usual names, else the last two in the promotion order."""
    if len(lanes) < 2:
        return None
    prod = next((lane for lane in lanes if lane.name.lower() in _PRODUCTION), lanes[-1])
    others = [lane for lane in lanes if lane is not prod]
    before = [lane for lane in others if list(lanes).index(lane) < list(lanes).index(prod)] or others
    return next((lane for lane in others if lane.name.lower() in _STAGE), before[-1]), prod


def _retries(stage: Lane, prod: Lane) -> Iterator[Complaint]:
    low, high = stage.get("retries"), prod.get("retries")
    wanted = _number(low)
    if low is None or wanted is None:
        return
    given = _number(high)
    if given is None or given < wanted:
        shown = "has none" if given is None else f"retries {given:g} times"
        message = f"{prod.name} {shown} and {stage.name} retries {wanted:g} times"
        yield message, high or prod.member, f"let {prod.name} retry at least as often as {stage.name}"


def _sla(stage: Lane, prod: Lane) -> Iterator[Complaint]:
    low, high = stage.get("sla"), prod.get("sla")
    wanted, given = _seconds(low), _seconds(high)
    if wanted is None:
        return
    if high is None or high.value is None:
        yield f"{prod.name} has no sla and {stage.name} has one", high or prod.member, f"give {prod.name} an sla"
    elif given is not None and given > wanted:
        yield f"the sla of {prod.name} is longer than that of {stage.name}", high, "make it as short or shorter"


def _gates(stage: Lane, prod: Lane) -> Iterator[Complaint]:
    low, high = stage.get("gates"), prod.get("gates")
    asked = _names(low)
    missing = [gate for gate in asked if gate not in _names(high)]
    if missing:
        message = f"{prod.name} skips gates that {stage.name} asks for: {', '.join(missing)[:200]}"
        yield message, high or prod.member, "add them"


def _approvals(stage: Lane, prod: Lane) -> Iterator[Complaint]:
    keys = ("approvals", "approval", "required_approvals", "require_approval", "manual_approval")
    low, high = stage.get(*keys), prod.get(*keys)
    wanted, given = _count(low), _count(high)
    if given < wanted:
        message = f"{prod.name} asks for {given:g} approvals and {stage.name} for {wanted:g}"
        yield message, high or prod.member, f"ask for at least {wanted:g}"


def _number(node: Node | None) -> float | None:
    value = node.value if node else None
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _seconds(node: Node | None) -> float | None:
    if node is not None and isinstance(node.value, str):
        try:
            return parse_duration(node.value).total_seconds()
        except ValueError:
            return None
    return _number(node)


def _names(node: Node | None) -> tuple[str, ...]:
    if node is None or not isinstance(node.value, tuple):
        return ()
    return tuple(next(iter(gate.members), "") if gate.members else str(gate.value) for gate in node.value)


def _count(node: Node | None) -> float:
    """However it is written: 2, true, [ada, bob], {count: 2}."""
    if node is None or node.value is None:
        return 0
    if isinstance(node.value, tuple):
        return len(node.value)
    if isinstance(node.value, bool):
        return int(node.value)
    if node.members:
        counted = node.get("count") or node.get("required") or node.get("min")
        return _count(counted) if counted else 1
    return _number(node) or 0
