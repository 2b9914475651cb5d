"""Decide a promotion: what happens to each table, over which partitions, in which steps. Pure: the same ground gives
the same plan, byte for byte."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

from lanewise.domain.canonical import short
from lanewise.domain.environment import Environment
from lanewise.domain.plan import CanaryStep, Move, Plan, TablePlan
from lanewise.domain.project import Grain, TableKind
from lanewise.errors import Quarantined
from lanewise.promotion.breaks import demand_none_upon
from lanewise.promotion.canary.choice import choose
from lanewise.promotion.changes import config_changes
from lanewise.promotion.freeze import next_opening
from lanewise.promotion.ground import Ground
from lanewise.promotion.moves import Decided, decide, dropped_tables, ordered, table_plan

_SOON = timedelta(days=1)
"""A freeze that begins within this time is told in the plan."""


def make_plan(ground: Ground) -> Plan:
    """What the promotion would do. Raises ``Quarantined`` for a build that was rolled back and not cleared, and
    ``Refused`` where it would pull a view away from under somebody else's relation."""
    environment, live = ground.environment, ground.live
    if ground.build in ground.quarantined:
        name = short(ground.build)
        raise Quarantined(
            f"build {name} was rolled back out of {environment.name} and is in quarantine",
            hint=f"`lane resume {environment.name} --build {name}` lifts it",
        )
    demand_none_upon(ground.breaks)
    decided = [decide(ground, table) for table in ground.project.tables.values()]
    early = _early_steps(ground, decided) if live.build else ()
    chosen = tuple(p for step in early for p in step.partitions)
    tables = (
        *(table_plan(d, d.computes(chosen), ground.breaks.get(d.table.name)) for d in decided),
        *dropped_tables(ground),
    )
    rest = ordered({p for t in tables for p in t.partitions} - set(chosen))
    return Plan(
        project=ground.project.name, environment=environment.name, build=ground.build, config=environment.digest,
        base_map=live.number, base_build=live.build, base_config=live.config,
        tables=tables, steps=(*early, CanaryStep(Decimal(1), rest)), strategy=_strategy(ground, decided, early),
        gates=environment.rules.gates, approvals=environment.rules.approvals, inputs=ground.inputs,
        warnings=_warnings(ground, decided, tables),
        config_changes=config_changes(ground.live_environment, environment),
    )  # fmt: skip


def ground_moved(saved: Plan, now: Plan) -> tuple[str, ...]:
    """What has changed since a plan was saved, a sentence each; empty when it may be applied exactly as it is."""
    place = saved.environment
    found = [
        f"{what} {was or 'nothing'} when the plan was made and is {is_ or 'nothing'} now"
        for what, was, is_ in (
            ("the project was", saved.project, now.project),
            ("the environment was", place, now.environment),
            ("the build to promote was", short(saved.build), short(now.build)),
            ("the config to promote was", short(saved.config), short(now.config)),
            (f"the build live in {place} was", short(saved.base_build), short(now.base_build)),
            (f"the config live in {place} was", short(saved.base_config), short(now.base_config)),
            (f"the live map of {place} was", f"number {saved.base_map}", f"number {now.base_map}"),
        )
        if was != is_
    ]
    found += _moved_inputs(saved, now) + _moved_tables(saved, now)
    if not found and (saved.strategy, saved.steps) != (now.strategy, now.steps):
        found.append("the steps of the rollout would be others now")
    if not found and (saved.gates, saved.approvals) != (now.gates, now.approvals):
        found.append("other gates or approvals are asked for now")
    return tuple(found)


def _early_steps(ground: Ground, decided: Sequence[Decided]) -> tuple[CanaryStep, ...]:
    """The canary's steps but the last. Each grain is chosen from by itself: a month never stands in for a day."""
    rollout, key = ground.environment.rules.rollout, f"{ground.project.name}/{ground.environment.name}"
    if rollout.strategy != "canary":
        return ()
    sizes = _sizes_by_grain(decided)
    steps: list[CanaryStep] = []
    taken: set[str] = set()
    for share in rollout.steps:
        if share >= 1:
            break
        chosen = {p for found in sizes.values() for p in choose(found, share, key=key)} - taken
        if chosen:
            steps.append(CanaryStep(share, ordered(chosen)))
            taken |= chosen
    return tuple(steps)


def _sizes_by_grain(decided: Sequence[Decided]) -> dict[Grain, dict[str, int]]:
    """Published rows (bytes where no row is counted) per partition, over all tables that are compared."""
    sizes: dict[Grain, dict[str, int]] = {}
    for one in decided:
        if one.in_steps and one.table.partition is not None and one.live is not None:
            group = sizes.setdefault(one.table.partition.grain, {})
            for partition in one.standing:
                slices = one.live.slices[partition]
                size = sum(s.rows for s in slices) or sum(s.bytes for s in slices)
                group[partition] = group.get(partition, 0) + size
    return sizes


def _strategy(ground: Ground, decided: Sequence[Decided], early: Sequence[CanaryStep]) -> str:
    """What the rollout comes down to. A canary of one step is a blue-green one: all is computed and compared before
    anything is shown. Without anything live there is nothing to compare with."""
    asked = ground.environment.rules.rollout.strategy
    if not any(d.compared for d in decided):
        return "all-at-once"
    return "blue-green" if asked == "canary" and not early else asked


def _warnings(ground: Ground, decided: Sequence[Decided], tables: Sequence[TablePlan]) -> tuple[str, ...]:
    environment, live = ground.environment, ground.live
    name, found = environment.name, []
    if not live.build:
        nobody = "" if environment.rules.approvals.count else f", and {name} asks nobody to approve it"
        found.append(f"first release into {name}: with nothing to compare, absolute checks alone judge it{nobody}")
    elif (live.build, live.config) == (ground.build, environment.digest) and not any(t.partitions for t in tables):
        found.append(f"{name} has this build and this config already: nothing would change")
    for one in decided:
        found.extend(_table_warnings(one, environment))
    data = environment.data
    if data.refresh_from and not data.masked:
        found.append(f"{name} is refreshed from {data.refresh_from} without masking: real values reach it")
    freeze = next_opening(environment.rules.freeze, ground.now)
    if freeze is not None and freeze - ground.now <= _SOON:
        found.append(
            f"a freeze begins at {freeze:%Y-%m-%d %H:%M} UTC: a rollout that is under way then stops at its next step"
        )
    return (*found, *ground.upstream)


def _table_warnings(one: Decided, environment: Environment) -> list[str]:
    name, found = one.table.name, []
    canary = environment.rules.rollout.strategy == "canary"
    if canary and one.compared and not one.in_steps:
        why = "has no partitions" if one.table.partition is None else "is cut into other partitions than are published"
        found.append(
            f"{name} {why}, so there is no canary of it: it is computed and compared whole before readers see it "
            "(blue-green); a shadow run on a sample of its keys would try it on less"
        )
    if one.move is Move.NEW and not one.missing:
        found.append(
            f"no partition of {name} is known to {environment.name}: give its data `from` and `to` (or `values`), "
            "or the table is published empty"
        )
    if one.move is Move.REBUILD and one.table.kind is TableKind.APPEND:
        found.append(
            f"{name} is append: rebuilding its history reads its input again from the beginning; with "
            "`history: inherit` only new rows come from the new build"
        )
    if one.move is Move.REBUILD and one.table.kind is TableKind.MERGE:
        found.append(f"{name} is merge: rows that the new build does not write again stay as the old one left them")
    return found


def _moved_inputs(saved: Plan, now: Plan) -> list[str]:
    before, after = {p.name: p for p in saved.inputs}, {p.name: p for p in now.inputs}
    return [f"input {name} has changed" for name in sorted(before.keys() | after.keys())
            if before.get(name) != after.get(name)]  # fmt: skip


def _moved_tables(saved: Plan, now: Plan) -> list[str]:
    before, after = {t.table: t for t in saved.tables}, {t.table: t for t in now.tables}
    found = []
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if old is None or new is None:
            found.append(f"table {name} is {'not in the plan' if old is None else 'gone'}")
        elif (old.move, old.version, old.live_version) != (new.move, new.version, new.live_version):
            found.append(f"table {name} would be {new.move.value} to {short(new.version) or 'nothing'}, "
                         f"not {old.move.value} to {short(old.version) or 'nothing'}")  # fmt: skip
        elif old.partitions != new.partitions:
            was, is_ = len(old.partitions), len(new.partitions)
            found.append(f"table {name} would compute other partitions: {is_} now, {was} when the plan was made")
        elif old != new:
            found.append(f"table {name} has another size, contract or note than the plan says")
    return found
