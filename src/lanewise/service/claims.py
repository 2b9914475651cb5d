"""Who works on which partitions: two live runs never interleave on one partition of one table.

A run's claim is in its ``run.intended`` event; that it is still at work shows by a lease of its own, which a
heartbeat renews. Looking at the others' claims and making one's own happen under one short lease.
"""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta

from lanewise.domain.event import Draft, Event
from lanewise.domain.ports import Warehouse
from lanewise.domain.project import Project
from lanewise.domain.publication import PartitionMap
from lanewise.errors import LeaseHeld
from lanewise.service.context import Context
from lanewise.service.lease import Held, held, is_dead, same_process, seen_from_here

LIVE = "live"
"""How the ids of live runs begin, so that the ledger finds them among those of promotions."""

_SHORT = timedelta(seconds=30)  # how long looking and claiming may keep others waiting
_PAUSE = (0.3, 0.7)  # seconds between two looks


@dataclass(frozen=True)
class Recovered:
    """A run that a crash interrupted, and what the warehouse said: published after all, or thrown away."""

    run: str
    published: int | None


def claims_of(project: Project, partitions: tuple[str, ...]) -> tuple[str, ...]:
    """What a run over these partitions must have to itself: the partitions, and each table that has none."""
    whole = [name for name, table in project.tables.items() if table.partition is None]
    sliced = len(whole) < len(project.tables)
    return (*(f"partition {name}" for name in partitions if sliced), *(f"table {name}" for name in whole))


@contextlib.contextmanager
def claimed(
    ctx: Context, environment: str, run: str, claims: tuple[str, ...], wait: timedelta, announce: Callable[[], None]
) -> Iterator[Held]:
    """Hold ``claims`` for a run while the block lasts. ``announce`` writes the run's intent.

    Waits at most ``wait`` for other runs that have claimed one of them, then raises ``LeaseHeld``.
    """
    deadline, said = time.monotonic() + wait.total_seconds(), False
    with contextlib.ExitStack() as stack:
        while True:
            with held(ctx, f"{ctx.project.name}/{environment}/partitions", _SHORT):
                other = in_the_way(ctx, environment, claims)
                if other is None:
                    hold = stack.enter_context(held(ctx, scope_of_run(ctx, environment, run)))
                    announce()
                    break
            what = f"{other[1]} of {environment}"
            if time.monotonic() >= deadline:
                raise LeaseHeld(what, f"run {other[0]}")
            if not said:
                ctx.progress.say(f"waiting for {what}: run {other[0]} is at work on it")
                said = True
            time.sleep(random.uniform(*_PAUSE))  # noqa: S311 - so that waiters don't march in step
        yield hold


def recover_runs(ctx: Context, environment: str, warehouse: Warehouse) -> tuple[Recovered, ...]:
    """Finish the record of runs whose process died: the warehouse says what happened. Their rooms are thrown away."""
    prefix = f"run/{ctx.project.name}/{environment}/"
    open_ones = {
        *ctx.ledger.streams(prefix, without=["run.ended", "run.failed"]),
        *ctx.ledger.streams(f"{prefix}{LIVE}-", without=["run.published", "run.failed"]),
    }
    found = []
    for stream in sorted(open_ones):
        intended = next((e for e in ctx.ledger.read(stream) if e.type == "run.intended"), None)
        if intended is not None and not _at_work(ctx, environment, intended):
            found.append(_recover(ctx, stream, intended, warehouse))
    return tuple(found)


def _recover(ctx: Context, stream: str, intended: Event, warehouse: Warehouse) -> Recovered:
    rooms = frozenset(intended.data["rooms"])
    published = published_in(warehouse, rooms)
    for room in rooms:
        warehouse.discard(room)
    facts = {key: value for key, value in intended.data.items() if key not in {"rooms", "holder", "claims"}}
    run = stream.rpartition("/")[2]
    if published is None:
        draft = Draft("run.failed", {**facts, "reason": "its process died; what it wrote was thrown away"})
        ctx.progress.say(f"run {run} was interrupted: what it wrote was thrown away")
    else:
        draft = Draft("run.published", {**facts, "map": published, "observed": True})
        ctx.progress.say(f"run {run} was interrupted after it was published as map {published}")
    ctx.ledger.append(stream, [draft], actor=ctx.actor.name)
    return Recovered(run, published)


def published_in(warehouse: Warehouse, rooms: frozenset[str]) -> int | None:
    """The first kept map that holds something of a run; the newest maps are looked at first."""
    found = None
    for number in reversed(warehouse.maps()):
        if not _holds(warehouse.map_at(number), rooms):
            if found is not None:
                break
            continue
        found = number
    return found


def _holds(published: PartitionMap, rooms: frozenset[str]) -> bool:
    tables = published.tables.values()
    return any(one.run in rooms for table in tables for slices in table.slices.values() for one in slices)


def in_the_way(ctx: Context, environment: str, claims: tuple[str, ...]) -> tuple[str, str] | None:
    """A run at work that has claimed something of ours, and what."""
    prefix = f"run/{ctx.project.name}/{environment}/{LIVE}-"
    for stream in ctx.ledger.streams(prefix, without=["run.published", "run.failed"]):
        intended = ctx.ledger.last(stream, "run.intended")
        if intended is None:
            continue
        common = [claim for claim in claims if claim in set(intended.data["claims"])]
        if common and _at_work(ctx, environment, intended):
            return stream.rpartition("/")[2], common[0]
    return None


def _at_work(ctx: Context, environment: str, intended: Event) -> bool:
    run = intended.stream.rpartition("/")[2]
    if run.startswith(f"{LIVE}-"):
        lease = ctx.ledger.holder(scope_of_run(ctx, environment, run))
        return lease is not None and not is_dead(lease.holder)
    # A promotion's run has no lease of its own: its promotion's keeps others away, and tells who is dead.
    lease, holder = ctx.ledger.holder(f"{ctx.project.name}/{environment}"), intended.data["holder"]
    if lease is None or is_dead(lease.holder) or is_dead(holder):
        return False
    # On another machine nobody can see it die: it has, as far as the lane goes, when the lease is somebody else's.
    return seen_from_here(holder) or same_process(lease.holder, holder)


def scope_of_run(ctx: Context, environment: str, run: str) -> str:
    """What the lease of a live run is on."""
    return f"{ctx.project.name}/{environment}/run/{run}"
