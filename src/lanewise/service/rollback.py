"""Flip an environment back: code, config and maps in one step. Nothing is recomputed, and no freeze is waited for.

A promotion that is under way is taken over: its lease goes to the rollback with a newer fencing number, so that
whatever the interrupted process still tries is refused by the warehouse.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from lanewise.domain.environment import Environment
from lanewise.domain.event import Draft, Event
from lanewise.domain.promotion import Promotion, State
from lanewise.domain.publication import PartitionMap, Pointer
from lanewise.errors import GroundMoved, Refused
from lanewise.promotion.states import abort_to
from lanewise.publication.maps import gap
from lanewise.service.context import Context
from lanewise.service.lease import held
from lanewise.service.live import run_live
from lanewise.service.promotions import Journal, load, under_way
from lanewise.service.releases import (
    Release,
    append_after,
    as_released,
    quarantined,
    releases,
    stream_of,
    withdraw_release,
)
from lanewise.service.verify import checkpoint


@dataclass(frozen=True)
class RolledBack:
    """What a rollback did. ``seconds``: from the request to the moved pointer. ``missing``: per table the partitions
    that only the build that left had, for a rerun by the one that is back."""

    environment: str
    left: str
    back: str
    map: int
    seconds: float
    missing: Mapping[str, tuple[str, ...]]
    taken_over: str = ""


@dataclass(frozen=True)
class _Way:
    """Where to go back to: the release, and the map that was live when it was last live. ``left``: the build that goes,
    where it is not the released one."""

    release: Release
    map: int
    left: str = ""


def roll_back(
    ctx: Context, environment: str, *, build: str | None = None, reason: str = "", dry_run: bool = False
) -> RolledBack:
    """Go back to the release before the live one, or to the newest one of ``build``; ``dry_run`` only says where."""
    started = time.monotonic()
    lane = as_released(ctx, environment)
    if lane is None:
        ctx.config.environment(environment)  # a wrong name is told as such
        raise Refused(f"nothing has been released in {environment}", hint=f"`lane promote --to {environment}`")
    warehouse = ctx.warehouse(lane)
    if dry_run:
        return _look_ahead(ctx, lane, build)
    finish_rollback(ctx, environment)
    with held(ctx, f"{ctx.project.name}/{environment}", timedelta(0), take_over=True) as hold:
        fence = hold.lease.fence
        warehouse.raise_fence(fence)
        running = _take_over(ctx, environment, f"rolled back by {ctx.actor.name}")
        if running is not None:
            ended = _end_running(ctx, lane, running, fence, started)
            if build is None or ctx.builds.resolve(build) == ended.back:
                return ended
        before = warehouse.pointer()
        way = _way_back(ctx, environment, build)
        left = way.left or before.build
        intended = _intend(ctx, environment, before, left=left, build=way.release.build, config=way.release.config,
                           map=way.map, fence=fence, promotion="")  # fmt: skip
        number = warehouse.revert(way.map, base=before.number, fence=fence)
        seconds = time.monotonic() - started
        _say_after(ctx, intended, way.release, number, reason)
    checkpoint(ctx)
    missing = _missing(warehouse.map_at(before.number), warehouse.live())
    return RolledBack(environment, left, way.release.build, number, seconds, missing)


def _look_ahead(ctx: Context, lane: Environment, build: str | None) -> RolledBack:
    """Where it would go back to, as the lane stands now."""
    warehouse, running = ctx.warehouse(lane), under_way(ctx, lane.name)
    live = warehouse.live()
    if running is not None and running.base_map >= 0:
        base = warehouse.map_at(running.base_map)
        if build is None or ctx.builds.resolve(build) == base.build:
            return RolledBack(lane.name, running.build, base.build, base.number, 0.0, _missing(live, base), running.id)
    way = _way_back(ctx, lane.name, build)
    missing = _missing(live, warehouse.map_at(way.map))
    return RolledBack(lane.name, way.left or live.build, way.release.build, way.map, 0.0, missing)


def _missing(before: PartitionMap, after: PartitionMap) -> dict[str, tuple[str, ...]]:
    """What only the newer map has, of the tables that the build that is back computes."""
    return {name: found for name, found in gap(before, after).items() if name in after.tables}


def finish_rollback(ctx: Context, environment: str) -> bool:
    """Write down a rollback whose pointer was moved just before its process died. True when there was one."""
    told = ctx.ledger.read(stream_of(ctx, environment))
    intended = next((e for e in reversed(told) if e.type in {"rollback.intended", "release.changed"}), None)
    if intended is None or intended.type != "rollback.intended" or intended.data.get("promotion"):
        return False  # what ends a promotion is finished with it: it stands in REVERTING
    data = intended.data
    release = next(
        r for r in reversed(releases(ctx, environment)) if (r.build, r.config) == (data["build"], data["config"])
    )
    lane = as_released(ctx, environment)
    if lane is None:
        return False
    pointer = ctx.warehouse(lane).pointer()
    if pointer.number <= data["base_map"] or (pointer.build, pointer.config) != (data["build"], data["config"]):
        return False
    return _say_after(ctx, intended, release, pointer.number, "finished after an interruption")


def _way_back(ctx: Context, environment: str, build: str | None) -> _Way:
    """The newest earlier release that is not what is live and not in quarantine, with the map it last had."""
    told = releases(ctx, environment)
    held_back = quarantined(ctx.ledger.read(stream_of(ctx, environment)))
    wanted = ctx.builds.resolve(build) if build else None
    live, stuck = told[-1], _stuck(ctx, environment)
    if stuck is not None and stuck.id != live.promotion and wanted in {None, live.build}:
        return _Way(live, stuck.base_map, stuck.build)
    for at in range(len(told) - 2, -1, -1):
        one = told[at]
        if (one.build, one.config) == (live.build, live.config):
            continue
        if one.build == wanted or (wanted is None and one.build not in held_back):
            return _Way(one, told[at + 1].base_map)
    if wanted is not None:
        raise Refused(
            f"build {wanted[7:15]} was never live in {environment}", hint=f"`lane history --environment {environment}`"
        )
    raise Refused(
        f"{environment} has no earlier release to go back to", hint=f"`lane history --environment {environment}`"
    )


def _stuck(ctx: Context, environment: str) -> Promotion | None:
    """The promotion that could not be reverted, while nothing has repaired the lane since."""
    newest = ctx.ledger.last(stream_of(ctx, environment), "environment.locked", "release.changed")
    if newest is None or newest.type != "environment.locked":
        return None
    return load(ctx, newest.data["promotion"])


def _take_over(ctx: Context, environment: str, reason: str) -> Promotion | None:
    """The promotion under way, if there is one, now ours: whoever was carrying it on can't write to it any more.

    What a crash leaves from here on is finished like any other interrupted promotion: it is taken back.
    """
    while (running := under_way(ctx, environment)) is not None:
        if running.state is State.REVERTING:
            return running
        try:
            return Journal(ctx, running).move(abort_to(running), reason)
        except GroundMoved:  # its process was quicker once more; the warehouse refuses it from now on
            continue
    return None


def _intend(ctx: Context, environment: str, before: Pointer, **to: object) -> Event:
    """Say which build is about to leave, and where the pointer is about to go."""
    (intended,) = ctx.ledger.append(stream_of(ctx, environment), [Draft("rollback.intended", {
        "base_map": before.number, "left_config": before.config, **to,
    })], actor=ctx.actor.name)  # fmt: skip
    return intended


def _say_after(ctx: Context, intended: Event, release: Release, number: int, reason: str) -> bool:
    """The release, the quarantine of the build that left, and the pause: all in one append. False when it was told
    already, by whoever finds an interrupted rollback."""
    left, base_map = intended.data["left"], intended.data["base_map"]
    why = reason or f"rolled back from {left[7:15]}"
    drafts = [Draft("release.changed", {
        "build": release.build, "config": release.config, "document": release.document,
        "overrides": dict(release.overrides), "map": number, "base_map": base_map,
        "kind": "rollback", "promotion": "",
    })]  # fmt: skip
    if left != release.build:
        drafts.append(Draft("build.quarantined", {"build": left, "reason": why}))
    drafts.append(Draft("environment.paused", {"reason": f"rollback: {why}"}))
    while True:
        events = ctx.ledger.read(intended.stream)
        if any(e.type == "release.changed" for e in events[intended.version :]):
            return False
        if append_after(ctx, intended.stream, events, drafts):
            return True


def _end_running(ctx: Context, lane: Environment, running: Promotion, fence: int, started: float) -> RolledBack:
    """A promotion was under way: rolling back means going back to the map it began on."""
    warehouse = ctx.warehouse(lane)
    before = warehouse.pointer()
    number = to = running.base_map if running.base_map >= 0 else before.number
    base = warehouse.map_at(to)
    _intend(
        ctx,
        lane.name,
        before,
        left=before.build,
        build=base.build,
        config=base.config,
        map=to,
        fence=fence,
        promotion=running.id,
    )
    if before.number != to:
        number = warehouse.revert(to, base=before.number, fence=fence)
    seconds = time.monotonic() - started
    withdraw_release(ctx, lane, running, warehouse.pointer(), running.reason)
    if running.state is State.REVERTING:
        Journal(ctx, running).move(State.REVERTED, running.reason)
    if number != before.number:
        _keep_out(ctx, lane.name, running)
    missing = _missing(warehouse.map_at(before.number), base)
    return RolledBack(running.environment, running.build, base.build, number, seconds, missing, running.id)


def _keep_out(ctx: Context, environment: str, running: Promotion) -> None:
    """Readers have seen something of a build that a person took back: as after any rollback, it stays out, and so does
    every other one until a person has looked."""
    stream = stream_of(ctx, environment)
    drafts = [Draft("environment.paused", {"reason": f"rollback: {running.reason}"})]
    if running.build not in quarantined(ctx.ledger.read(stream)):
        drafts.insert(0, Draft("build.quarantined", {"build": running.build, "reason": running.reason}))
    ctx.ledger.append(stream, drafts, actor=ctx.actor.name)


def rerun_missing(ctx: Context, environment: str, missing: Mapping[str, tuple[str, ...]]) -> None:
    """Let the build that is back compute the partitions that only the other one had."""
    partitions = tuple(sorted({p for found in missing.values() for p in found}))
    run_live(ctx, environment, partitions)
