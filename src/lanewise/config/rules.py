"""The rules of the road into one environment, and which data it holds."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from dateutil.rrule import rrulestr

from lanewise.config.environment_models import (
    DataModel,
    EnvironmentsFile,
    FreezeModel,
    RolloutModel,
    RulesModel,
)
from lanewise.config.models import validated
from lanewise.config.node import Document, Node, from_plain
from lanewise.config.settings import layers
from lanewise.config.tree import Leaf, Tree, leaves, merge, plain, tree
from lanewise.domain.environment import ApprovalRule, DataPolicy, FreezeWindow, Origin, Person, Rollout, Rules
from lanewise.errors import nearest_hint

_CALENDAR = {"today", "yesterday"}


def rules(document: Document, name: str, model: RulesModel | None, people: Mapping[str, Person]) -> Rules:
    """The rules into ``name``; the defaults where the file says nothing."""
    if model is None:
        return Rules()
    default = Rules()
    return Rules(
        gates=tuple(model.gates),
        approvals=_approvals(document, name, model, people),
        rollout=_rollout(document, name, model.rollout),
        freeze=tuple(_freeze(document, name, index, one) for index, one in enumerate(model.freeze)),
        evidence_expires=model.evidence_expires or default.evidence_expires,
        rollback_window=model.rollback_window or default.rollback_window,
        opens_next=model.opens_next,
    )


def rule_origins(document: Document, name: str) -> dict[str, Origin]:
    """Where each rule that the file gives stands, as ``rules.approvals.count``."""
    found: dict[str, Origin] = {}
    section = document.root.get("promotion") or Node({})
    pending = [("rules", section.members[name].node)] if name in section.members else []
    while pending:
        path, node = pending.pop()
        if node.members:
            pending += [(f"{path}.{key}", member.node) for key, member in node.members.items()]
        else:
            found[path] = Origin(f"promotion.{name}", document.file, node.line, node.column)
    return found


def _approvals(document: Document, name: str, model: RulesModel, people: Mapping[str, Person]) -> ApprovalRule:
    if model.approvals is None:
        return ApprovalRule()
    wanted = model.approvals
    groups = {group for person in people.values() for group in person.groups}
    for index, group in enumerate(wanted.groups):
        if people and group not in groups:
            place = document.find(["promotion", name, "approvals", "from", index])
            hint = nearest_hint(group, groups)
            raise document.error(f"nobody under people: is in the group {group[:60]!r}", place, hint=hint)
    able = [person for person in people.values() if not wanted.groups or set(person.groups) & set(wanted.groups)]
    if people and len(able) < wanted.count:
        place = document.find(["promotion", name, "approvals", "count"])
        message = f"{wanted.count} approvals are asked for, and {len(able)} people can give one"
        raise document.error(message, place)
    expires = wanted.expires or ApprovalRule().expires
    return ApprovalRule(wanted.count, tuple(wanted.groups), expires)


def _rollout(document: Document, name: str, model: RolloutModel | None) -> Rollout:
    default = Rollout()
    if model is None:
        return default
    path: list[str | int] = ["promotion", name, "rollout"]
    strategy = model.strategy or ("canary" if model.canary else default.strategy)
    if (strategy == "canary") != bool(model.canary):
        message = "a canary has steps, and nothing else has" if model.canary else "a canary needs its steps"
        raise document.error(message, document.find(path), hint="write canary: [5%, 25%, 100%]")
    steps = tuple(model.canary or default.steps)
    growing = all(low < high for low, high in zip((Decimal(0), *steps), steps, strict=False))
    if not growing or steps[-1] != 1:
        hint = "write them like [5%, 25%, 100%]"
        raise document.error("the steps of a canary grow and end at 100%", document.find([*path, "canary"]), hint=hint)
    bad = default.max_bad if model.max_bad is None else model.max_bad
    return Rollout(strategy, steps, default.bake if model.bake is None else model.bake, bad)


def _freeze(document: Document, name: str, index: int, model: FreezeModel) -> FreezeWindow:
    place = document.find(["promotion", name, "freeze", index])
    if bool(model.rrule) == bool(model.end) or not (model.rrule or model.start):
        hint = "write rrule: FREQ=WEEKLY;BYDAY=FR (with start: where it counts or skips), or start: and end:"
        raise document.error("a freeze is an rrule, or a start and an end", place, hint=hint)
    if model.rrule:
        try:
            rrulestr(model.rrule)
        except (ValueError, TypeError, KeyError, AttributeError) as error:  # what dateutil raises for odd rules
            where = document.find(["promotion", name, "freeze", index, "rrule"])
            hint = "write it like FREQ=WEEKLY;BYDAY=FR,SA,SU"
            raise document.error(f"this is no RRULE: {str(error)[:100]}", where, hint=hint) from None
    duration = FreezeWindow().duration if model.duration is None else model.duration
    return FreezeWindow(model.rrule, model.timezone, duration, model.start, model.end, model.reason)


def data_policy(document: Document, name: str, model: EnvironmentsFile) -> tuple[DataPolicy, dict[str, Origin]]:
    """The data that ``name`` holds: ``data`` of the defaults, of what it extends, and its own, merged."""
    merged: Tree = {}
    first = (("defaults", document.root.get("defaults") or Node({})),)
    for layer, node in (*first, *layers(document, name)):
        merged = merge(merged, tree(node.get("data") or Node({}), layer, document.file))
    found = {path[0]: leaf for path, leaf in leaves(merged)}
    made = validated(DataModel, Document(document.file, from_plain(plain(merged))))
    _refreshable(name, made, found, tuple(model.environments))
    if made.first and made.last and not {made.first, made.last} & _CALENDAR and made.first > made.last:
        raise found["to"].error(f"data of {name}: from {made.first} is after to {made.last}")
    masked = made.refresh_from is not None if made.masked is None else made.masked
    policy = DataPolicy(made.refresh_from, masked, made.sample, made.first, made.last, tuple(made.values))
    return policy, {f"data.{key}": leaf.origin for key, leaf in found.items()}


def _refreshable(name: str, made: DataModel, found: Mapping[str, Leaf], environments: tuple[str, ...]) -> None:
    if made.refresh_from is None:
        return
    if made.refresh_from == name:
        raise found["refresh_from"].error(f"{name} can't be refreshed from itself")
    if made.refresh_from not in environments:
        hint = nearest_hint(made.refresh_from, set(environments) - {name})
        raise found["refresh_from"].error(f"no environment is named {made.refresh_from[:60]!r}", hint=hint)
