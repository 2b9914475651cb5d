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
from lanewise.domain.event import Draft
from lanewise.domain.promotion import Promotion, State
from lanewise.domain.publication import Pointer
from lanewise.errors import Refused
from lanewise.promotion.states import holds_lock
from lanewise.publication.maps import gap
from lanewise.service.context import Context
from lanewise.service.lease import held
from lanewise.service.live import run_live
from lanewise.service.promotions import Journal, open_promotions
from lanewise.service.releases import Release, as_released, quarantined, releases, stream_of, withdraw_release
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
    """Where to go back to: the release, and the map that was live when it was last live."""

    release: Release
    map: int


def roll_back(
    ctx: Context, environment: str, *, build: str | None = None, reason: str = "", dry_run: bool = False
) -> RolledBack:
    """Go back to the release before the live one, or to the newest one of ``build``; ``dry_run`` only says where."""
    started = time.monotonic()
    lane = as_released(ctx, environment)
    if lane is None:
        raise Refused(f"nothing has been released in {environment}", hint=f"`lane promote --to {environment}`")
    warehouse = ctx.warehouse(lane)
    if dry_run:
        way, live = _way_back(ctx, environment, build), warehouse.live()
        missing = gap(live, warehouse.map_at(way.map))
        return RolledBack(environment, live.build, way.release.build, way.map, 0.0, missing)
    finish_rollback(ctx, environment)
    with held(ctx, f"{ctx.project.name}/{environment}", timedelta(0), take_over=True) as hold:
        fence = hold.lease.fence
        warehouse.raise_fence(fence)
        running = next((p for p in open_promotions(ctx, environment) if holds_lock(p)), None)
        if running is not None and running.base_map >= 0 and build is None:
            return _end_running(ctx, lane, running, fence, started)
        before = warehouse.pointer()
        way = _way_back(ctx, environment, build)
        _say_before(ctx, environment, way, before, fence)
        number = warehouse.revert(way.map, base=before.number, fence=fence)
        seconds = time.monotonic() - started
        _say_after(ctx, environment, way, before, number, reason)
        if running is not None:
            _close(ctx, running, f"rolled back to {way.release.build[7:15]}")
    checkpoint(ctx)
    missing = gap(warehouse.map_at(before.number), warehouse.live())
    return RolledBack(environment, before.build, way.release.build, number, seconds, missing)


def finish_rollback(ctx: Context, environment: str) -> bool:
    """Write down a rollback whose pointer was moved just before its process died. True when there was one."""
    told = ctx.ledger.read(stream_of(ctx, environment))
    intended = next((e for e in reversed(told) if e.type in {"rollback.intended", "release.changed"}), None)
    if intended is None or intended.type != "rollback.intended":
        return False
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
    before = Pointer(data["base_map"], data["fence"], data["left"], data["left_config"])
    _say_after(ctx, environment, _Way(release, data["map"]), before, pointer.number, "finished after an interruption")
    return True


def _way_back(ctx: Context, environment: str, build: str | None) -> _Way:
    """The newest earlier release that is not what is live and not in quarantine, with the map it last had."""
    told = releases(ctx, environment)
    held_back = quarantined(ctx.ledger.read(stream_of(ctx, environment)))
    wanted = ctx.builds.resolve(build) if build else None
    live = told[-1]
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


def _say_before(ctx: Context, environment: str, way: _Way, before: Pointer, fence: int) -> None:
    ctx.ledger.append(stream_of(ctx, environment), [Draft("rollback.intended", {
        "build": way.release.build, "config": way.release.config, "map": way.map, "base_map": before.number,
        "left": before.build, "left_config": before.config, "fence": fence,
    })], actor=ctx.actor.name)  # fmt: skip


def _say_after(ctx: Context, environment: str, way: _Way, before: Pointer, number: int, reason: str) -> None:
    """The release, the quarantine of the build that left, and the pause: all in one append."""
    why = reason or f"rolled back from {before.build[7:15]}"
    drafts = [Draft("release.changed", {
        "build": way.release.build, "config": way.release.config, "document": way.release.document,
        "overrides": dict(way.release.overrides), "map": number, "base_map": before.number,
        "kind": "rollback", "promotion": "",
    })]  # fmt: skip
    if before.build != way.release.build:
        drafts.append(Draft("build.quarantined", {"build": before.build, "reason": why}))
    drafts.append(Draft("environment.paused", {"reason": f"rollback: {why}"}))
    ctx.ledger.append(stream_of(ctx, environment), drafts, actor=ctx.actor.name)


def _end_running(ctx: Context, lane: Environment, running: Promotion, fence: int, started: float) -> RolledBack:
    """A promotion is under way: rolling back means going back to the map it began on."""
    warehouse = ctx.warehouse(lane)
    before = warehouse.pointer()
    base = warehouse.map_at(running.base_map)
    number = before.number
    if before.number != running.base_map:
        number = warehouse.revert(running.base_map, base=before.number, fence=fence)
    seconds = time.monotonic() - started
    why = f"rolled back by {ctx.actor.name}"
    withdraw_release(ctx, lane, running, warehouse.pointer(), why)
    _close(ctx, running, why)
    missing = gap(warehouse.map_at(before.number), base)
    return RolledBack(running.environment, running.build, base.build, number, seconds, missing, running.id)


def _close(ctx: Context, running: Promotion, reason: str) -> None:
    journal = Journal(ctx, running)
    if running.state is State.ACQUIRING:
        journal.move(State.ABORTED, reason)
        return
    if running.state is not State.REVERTING:
        journal.move(State.REVERTING, reason)
    journal.move(State.REVERTED, reason)


def rerun_missing(ctx: Context, environment: str, missing: Mapping[str, tuple[str, ...]]) -> None:
    """Let the build that is back compute the partitions that only the other one had."""
    partitions = tuple(sorted({p for found in missing.values() for p in found}))
    run_live(ctx, environment, partitions)
