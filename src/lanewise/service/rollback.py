"""Flip an environment back: code, config and maps in one step. Nothing is recomputed, and no freeze is waited for.

A promotion that is under way is taken over: its lease goes to the rollback with a newer fencing number, so that
whatever the interrupted process still tries is refused by the warehouse.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta

from lanewise.domain.canonical import short
from lanewise.domain.environment import Environment
from lanewise.domain.event import Draft, Event
from lanewise.domain.ports import Warehouse
from lanewise.domain.promotion import Promotion, State
from lanewise.domain.publication import PartitionMap, Pointer, Slice
from lanewise.errors import FenceRefused, GroundMoved, NotFound, OutsideBroke, Refused
from lanewise.promotion.states import abort_to
from lanewise.publication.maps import differing, gap, give_back
from lanewise.service.claims import LIVE
from lanewise.service.compute import runs_of
from lanewise.service.context import Context
from lanewise.service.lease import Held, held
from lanewise.service.live import run_live
from lanewise.service.promotions import Journal, load, under_way
from lanewise.service.releases import (
    Release,
    append_after,
    as_released,
    environment_of,
    quarantined,
    releases,
    stream_of,
    withdraw_release,
)
from lanewise.service.serving import clear_unneeded, follow_readers
from lanewise.service.verify import checkpoint

_TRIES = 20


@dataclass(frozen=True)
class RolledBack:
    """What a rollback did. ``seconds``: from the request to the moved pointer. ``missing``: per table the partitions
    that only the build that left had; ``stale``: those that it had published anew, and that are again as the build that
    is back had left them. Both are for a rerun by that one. ``unsettled``: why the orchestrator does not run what
    readers see yet; empty when it does."""

    environment: str
    left: str
    back: str
    map: int
    seconds: float
    missing: Mapping[str, tuple[str, ...]]
    taken_over: str = ""
    stale: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    unsettled: str = ""


@dataclass(frozen=True)
class _Way:
    """Where to go back to: the release, and the map that was live when it was last live. ``left``: the build that goes,
    where it is not the released one. ``until``: the last map in which it was the released one; between the two, the
    rollout of the next one exposed its steps, and the release's own runs published days."""

    release: Release
    map: int
    left: str = ""
    until: int = 0


def roll_back(
    ctx: Context, environment: str, *, build: str | None = None, reason: str = "", dry_run: bool = False
) -> RolledBack:
    """Go back to the release before the live one, or to the newest one of ``build``; ``dry_run`` only says where."""
    started = time.monotonic()
    if not dry_run:
        finish_rollback(ctx, environment)
    lane = as_released(ctx, environment)
    if lane is None:
        ctx.config.environment(environment)  # a wrong name is told as such
        raise Refused(f"nothing has been released in {environment}", hint=f"`lane promote --to {environment}`")
    if dry_run:
        return _look_ahead(ctx, lane, build)
    with _take_lane(ctx, lane) as hold:
        done = _flip_back(ctx, lane, build, (hold.lease.fence, started), reason)
    unsettled = follow_readers(ctx, environment)  # readers are back: nobody else need wait for the orchestrator
    clear_unneeded(ctx, as_released(ctx, environment) or lane)
    checkpoint(ctx)
    return replace(done, unsettled=unsettled)


def _flip_back(ctx: Context, lane: Environment, build: str | None, under: tuple[int, float], reason: str) -> RolledBack:
    running = _take_over(ctx, lane.name, f"rolled back by {ctx.actor.name}")
    if running is not None:
        ended = _end_running(ctx, lane, running, *under)
        if build is None or ctx.builds.resolve(build) == ended.back:
            return ended
        lane = as_released(ctx, lane.name) or lane
    return _go_back(ctx, lane, _way_back(ctx, lane.name, build), under, reason)


def _take_lane(ctx: Context, lane: Environment) -> Held:
    """The lane, whoever held it. A ledger that came back from a backup counts on from an older fencing number: it is
    asked again until its grant is above what the warehouse has seen."""
    warehouse = ctx.warehouse(lane)
    while True:
        hold = held(ctx, f"{ctx.project.name}/{lane.name}", timedelta(0), take_over=True)
        if hold.lease.fence <= warehouse.pointer().fence:
            continue
        with suppress(FenceRefused):
            warehouse.raise_fence(hold.lease.fence)
            return hold


def _go_back(ctx: Context, lane: Environment, way: _Way, under: tuple[int, float], reason: str) -> RolledBack:
    """Move the pointer, and say so. ``under``: the fencing number, and the clock's reading when it was asked for."""
    warehouse, there, release = ctx.warehouse(lane), _elsewhere(ctx, lane, way.release), way.release
    fence, started = under
    for _ in range(_TRIES):
        before = warehouse.pointer()
        to = there.pointer().number if there else way.map
        left = way.left or before.build
        intended = _intend(ctx, lane.name, before, left=left, build=release.build, config=release.config,
                           map=to, fence=fence, promotion="")  # fmt: skip
        try:
            number = to if there else _flip(warehouse, way, before.number, fence)
        except GroundMoved:
            continue  # a scheduled run has published a day meanwhile
        seconds = time.monotonic() - started
        _say_after(ctx, intended, release, number, reason)
        gone, back = warehouse.map_at(before.number), (there or warehouse).live()
        return RolledBack(lane.name, left, release.build, number, seconds, _missing(gone, back), "", _stale(gone, back))
    raise _too_busy(lane)


def _flip(warehouse: Warehouse, way: _Way, base: int, fence: int) -> int:
    """Show the release as it was left; the map's number. Where its own runs have published while the next one was
    rolled out, a map of the two is made; where that can't be done, it goes back without those days, and says so."""
    restored = _restored(warehouse, way)
    if restored.tables != warehouse.map_at(way.map).tables:
        wanted = replace(restored, number=max(base, *warehouse.maps()) + 1)
        with suppress(OutsideBroke):
            warehouse.prepare(wanted)
            warehouse.publish(wanted, base=base, fence=fence)
            return wanted.number
    return warehouse.revert(way.map, base=base, fence=fence)


def _restored(warehouse: Warehouse, way: _Way) -> PartitionMap:
    """The map before the next release's rollout, with what the release's own runs have published during it."""
    base = warehouse.map_at(way.map)
    if way.until <= way.map:
        return base
    try:
        last = warehouse.map_at(way.until)
    except NotFound:  # no longer kept
        return base
    theirs = {s.run for s in _since(last, base) if s.build != base.build}
    return replace(give_back(last, base, theirs), number=base.number)


def _since(live: PartitionMap, base: PartitionMap) -> set[Slice]:
    """The slices that a map has and an earlier one had not."""
    one, other = (
        {s for table in each.tables.values() for found in table.slices.values() for s in found} for each in (live, base)
    )
    return one - other


def _too_busy(lane: Environment) -> GroundMoved:
    return GroundMoved(f"runs kept publishing to {lane.name} while it was rolled back",
                       hint="stop its schedule, and roll back again")  # fmt: skip


def _elsewhere(ctx: Context, lane: Environment, release: Release) -> Warehouse | None:
    """The warehouse that a release was made in, where it is another one than the lane's. Its readers see that release
    to this day, or else there is no way back to it."""
    if release.config == lane.digest:
        return None
    then = environment_of(ctx, lane.name, release)
    one, other = then.connection("dst"), lane.connection("dst")
    there = ctx.warehouse(then)
    shown = there.pointer()
    if (one.type, one.fields) == (other.type, other.fields) or shown == ctx.warehouse(lane).pointer():
        return None
    if (shown.build, shown.config) != (release.build, release.config):
        name = short(release.build)
        raise Refused(f"{lane.name} was in another warehouse when build {name} was released, and that one no longer "
                      "shows it", hint=f"`lane promote {name} --to {lane.name}`")  # fmt: skip
    return there


def _look_ahead(ctx: Context, lane: Environment, build: str | None) -> RolledBack:
    """Where it would go back to, as the lane stands now."""
    running = under_way(ctx, lane.name)
    if running is not None and running.base_map >= 0:
        live, base = ctx.warehouse(lane).live(), ctx.warehouse(lane).map_at(running.base_map)
        after = _without(ctx, running, live, base)
        if build is None or ctx.builds.resolve(build) == base.build:
            return RolledBack(lane.name, running.build, base.build, base.number, 0.0, _missing(live, after), running.id,
                              _stale(live, after))  # fmt: skip
    way = _way_back(ctx, lane.name, build)
    live, there = ctx.warehouse(lane).live(), _elsewhere(ctx, lane, way.release)
    back = there.live() if there else _restored(ctx.warehouse(lane), way)
    return RolledBack(lane.name, way.left or live.build, way.release.build, back.number, 0.0, _missing(live, back), "",
                      _stale(live, back))  # fmt: skip


def _missing(before: PartitionMap, after: PartitionMap) -> dict[str, tuple[str, ...]]:
    """What only the newer map has, of the tables that the build that is back computes."""
    return {name: found for name, found in gap(before, after).items() if name in after.tables}


def _stale(before: PartitionMap, after: PartitionMap) -> dict[str, tuple[str, ...]]:
    """What both maps have, and a scheduled run had brought up to date in the newer one."""
    found = {}
    for name, partitions in differing(before, after).items():
        newer, older = before.tables.get(name), after.tables.get(name)
        if newer is not None and older is not None:
            both = [p for p in partitions if p in newer.slices and p in older.slices]
            found[name] = tuple(p for p in both if any(s.run.startswith(f"{LIVE}-") for s in newer.slices[p]))
    return {name: partitions for name, partitions in found.items() if partitions}


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
    live, stuck = told[-1] if told else None, _stuck(ctx, environment)
    if stuck is not None and live is not None and stuck.id != live.promotion and wanted in {None, live.build}:
        return _Way(live, stuck.base_map, stuck.build)
    for at in range(len(told) - 2, -1, -1):
        one = told[at]
        if (one.build, one.config) == (told[-1].build, told[-1].config):
            continue
        if one.build == wanted or (wanted is None and one.build not in held_back):
            return _Way(one, told[at + 1].base_map, until=told[at + 1].map - 1)
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
    """A promotion was under way: rolling back means taking it out of the map. What the build that is live has published
    since it began stays."""
    warehouse = ctx.warehouse(lane)
    before = warehouse.pointer()
    to = running.base_map if running.base_map >= 0 else before.number
    base = warehouse.map_at(to)
    _intend(ctx, lane.name, before, left=before.build, build=base.build, config=base.config, map=to, fence=fence,
            promotion=running.id)  # fmt: skip
    number = _take_out(ctx, lane, running, base, fence) if before.number != to else to
    seconds = time.monotonic() - started
    withdraw_release(ctx, lane, running, warehouse.pointer(), running.reason)
    if running.state is State.REVERTING:
        Journal(ctx, running).move(State.REVERTED, running.reason)
    if number != before.number:
        _keep_out(ctx, lane.name, running)
    gone, back = warehouse.map_at(before.number), warehouse.live()
    return RolledBack(running.environment, running.build, back.build, number, seconds, _missing(gone, back),
                      running.id, _stale(gone, back))  # fmt: skip


def _take_out(ctx: Context, lane: Environment, running: Promotion, base: PartitionMap, fence: int) -> int:
    """Take a promotion out of the live map; the map's number then. Where nothing else was published since it began,
    that is the map it began on, and its pointer is moved; else a map is made of the two."""
    warehouse = ctx.warehouse(lane)
    for _ in range(_TRIES):
        live = warehouse.live()
        wanted = _without(ctx, running, live, base)
        if (wanted.tables, wanted.build, wanted.config) == (live.tables, live.build, live.config):
            return live.number
        try:
            if wanted.tables == base.tables:
                return warehouse.revert(base.number, base=live.number, fence=fence)
            wanted = replace(wanted, number=max(live.number, *warehouse.maps()) + 1)
            warehouse.prepare(wanted)
            warehouse.publish(wanted, base=live.number, fence=fence)
        except GroundMoved:
            continue  # a scheduled run has published a day meanwhile
        return wanted.number
    raise _too_busy(lane)


def _without(ctx: Context, running: Promotion, live: PartitionMap, base: PartitionMap) -> PartitionMap:
    """The live map without what a promotion brought, and without what its build has published once it was live."""
    theirs = {s.run for s in _since(live, base) if s.build == running.build != base.build}
    return give_back(live, base, runs_of(Journal(ctx, running)) | theirs)


def _keep_out(ctx: Context, environment: str, running: Promotion) -> None:
    """Readers have seen something of a build that a person took back: as after any rollback, it stays out, and so does
    every other one until a person has looked."""
    stream = stream_of(ctx, environment)
    drafts = [Draft("environment.paused", {"reason": f"rollback: {running.reason}"})]
    if running.build not in quarantined(ctx.ledger.read(stream)):
        drafts.insert(0, Draft("build.quarantined", {"build": running.build, "reason": running.reason}))
    ctx.ledger.append(stream, drafts, actor=ctx.actor.name)


def rerun_missing(
    ctx: Context,
    environment: str,
    missing: Mapping[str, tuple[str, ...]],
    stale: Mapping[str, tuple[str, ...]] | None = None,
) -> None:
    """Let the build that is back compute the partitions that only the other one had, or had newer."""
    found = [*missing.values(), *(stale or {}).values()]
    run_live(ctx, environment, tuple(sorted({p for partitions in found for p in partitions})))
