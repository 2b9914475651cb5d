"""``lane gc``: say, then drop, what nothing needs any more.

Kept are the live map, every map that was live within the rollback window, the builds that those name or that were
released within it, whatever an open promotion has staged or may go back to, and leftovers younger than a day.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from lanewise.domain.build import Build
from lanewise.domain.environment import Environment
from lanewise.domain.event import Draft, Event
from lanewise.domain.publication import Holding
from lanewise.publication.retention import GRACE, disposable, maps_in_window
from lanewise.service.configure import pinned
from lanewise.service.context import Context
from lanewise.service.leftovers import Leftover, drop_leftovers, leftovers
from lanewise.service.releases import as_released, releases, stream_of

_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")


@dataclass(frozen=True)
class LaneGarbage:
    """What one environment can do without. ``kept_maps``: those that a rollback may still go back to. ``compacted``:
    tables that read as fast as plain ones again, now that one version serves them."""

    environment: str
    kept_maps: tuple[int, ...]
    holdings: tuple[Holding, ...]
    compacted: tuple[str, ...] = ()

    @property
    def bytes(self) -> int:
        """The room it takes."""
        return sum(h.bytes for h in self.holdings)


@dataclass(frozen=True)
class Garbage:
    """What was found, or dropped. ``builds`` are digests, ``files`` lie in ``.lanewise`` on this machine; both are
    looked at only when every environment is."""

    lanes: tuple[LaneGarbage, ...]
    builds: tuple[str, ...]
    files: tuple[Leftover, ...]
    bytes: int
    applied: bool


@dataclass(frozen=True)
class _Open:
    """What the unfinished promotions into an environment speak of: since when, and every digest they name."""

    since: datetime | None
    digests: frozenset[str]

    def protects(self, holding: Holding) -> bool:
        """Whether a holding may be theirs: it came after the oldest of them began, or it belongs to a version or
        build that one of them names."""
        if self.since is None:
            return False
        young = not holding.modified or datetime.fromisoformat(holding.modified) >= self.since
        return young or any(digest[:12] in holding.name for digest in self.digests)


@dataclass(frozen=True)
class _Lane:
    """An environment with the warehouse of its live release, whatever config has been pinned since; the window is the
    one that is pinned."""

    environment: Environment
    window: timedelta


def collect(ctx: Context, environment: str | None = None, *, apply: bool = False) -> Garbage:
    """Find what nothing needs, in one environment or all; drop it when ``apply`` is set, and tell the ledger."""
    every = _every(ctx)
    if environment:
        (pinned(ctx) or ctx.config).environment(environment)  # a wrong name is told as such
    chosen = {name: lane for name, lane in every.items() if environment in {None, name}}
    lanes = tuple(_lane(ctx, lane) for lane in chosen.values())
    builds, files = _of_all(ctx, every) if environment is None else ((), ())
    freed = sum([*(lane.bytes for lane in lanes), *(build.size for build in builds), *(file.bytes for file in files)])
    if apply:
        freed = 0
        for at, lane in enumerate(lanes):
            dropped, compacted = _apply(ctx, every[lane.environment].environment, lane)
            freed += dropped
            lanes = (*lanes[:at], replace(lane, compacted=compacted), *lanes[at + 1 :])
        for build in builds:
            ctx.builds.remove(build.digest)
        freed += sum(build.size for build in builds) + drop_leftovers(ctx, files)
    return Garbage(lanes, tuple(build.digest for build in builds), files, freed, apply)


def _every(ctx: Context) -> dict[str, _Lane]:
    """Every environment of the config, and those that are live though the config has lost them."""
    config = pinned(ctx) or ctx.config
    prefix = f"environment/{ctx.project.name}/"
    names = dict.fromkeys([*config.environments, *(s.removeprefix(prefix) for s in ctx.ledger.streams(prefix))])
    found = {}
    for name in names:
        wanted, released = config.environments.get(name), as_released(ctx, name)
        lane = released or wanted
        if lane is not None:
            found[name] = _Lane(lane, (wanted or lane).rules.rollback_window)
    return found


def _of_all(ctx: Context, every: Mapping[str, _Lane]) -> tuple[tuple[Build, ...], tuple[Leftover, ...]]:
    longest = max([GRACE, *(lane.window for lane in every.values())])
    going = _builds(ctx, every, longest)
    stay = {build.digest for build in ctx.builds.list()} - {build.digest for build in going}
    return going, leftovers(ctx, stay, longest)


def _apply(ctx: Context, environment: Environment, lane: LaneGarbage) -> tuple[int, tuple[str, ...]]:
    """Drop it, then give reads back what publishing cost them: what one environment freed, and the tables."""
    warehouse = ctx.warehouse(environment)
    freed = warehouse.drop(lane.holdings) if lane.holdings else 0
    # A promotion at work has opened these tables, and would have to do it again.
    busy = ctx.ledger.holder(f"{ctx.project.name}/{environment.name}") is not None
    compacted = () if busy else warehouse.compact()
    facts = {"dropped": len(lane.holdings), "bytes": freed} | ({"compacted": list(compacted)} if compacted else {})
    if lane.holdings or compacted:
        ctx.ledger.append(stream_of(ctx, environment.name), [Draft("gc.applied", facts)], actor=ctx.actor.name)
    return freed, compacted


def _lane(ctx: Context, lane: _Lane) -> LaneGarbage:
    warehouse, name = ctx.warehouse(lane.environment), lane.environment.name
    under_way = _open(ctx, name)  # looked at first: what it stages later is young
    holdings, live, now = warehouse.holdings(), warehouse.pointer().number, ctx.ledger.now()
    kept = _kept_maps(holdings, live, now - lane.window, under_way)
    garbage = tuple(h for h in disposable(holdings, live, kept, now) if h.kind == "map" or not under_way.protects(h))
    return LaneGarbage(name, tuple(sorted(kept)), garbage)


def _kept_maps(holdings: Sequence[Holding], live: int, since: datetime, under_way: _Open) -> frozenset[int]:
    return maps_in_window(holdings, live, min(since, under_way.since) if under_way.since else since)


def _builds(ctx: Context, every: Mapping[str, _Lane], longest: timedelta) -> tuple[Build, ...]:
    """Builds that no kept map of any environment names, that were not live within its window, that no open promotion
    speaks of, that have no tag, and that are older than the longest window."""
    needed: set[str] = set()
    now = ctx.ledger.now()
    for name, lane in every.items():
        warehouse, under_way, since = ctx.warehouse(lane.environment), _open(ctx, name), now - lane.window
        live = warehouse.pointer().number
        for number in _kept_maps(warehouse.holdings(), live, since, under_way):
            held = warehouse.map_at(number)
            needed.add(held.build)
            needed |= {s.build for table in held.tables.values() for found in table.slices.values() for s in found}
        needed |= _released_since(ctx, name, since)
        needed |= {f"sha256:{digest}" for digest in under_way.digests}
    old = now - longest
    return tuple(b for b in ctx.builds.list() if b.digest not in needed and not b.tags and _built_before(b, old))


def _released_since(ctx: Context, environment: str, since: datetime) -> set[str]:
    """The builds that were live at some time since then, also in a warehouse that the lane has left."""
    told = releases(ctx, environment)
    superseded = {old.build for old, new in itertools.pairwise(told) if datetime.fromisoformat(new.at) >= since}
    return superseded | {release.build for release in told[-1:]}


def _built_before(build: Build, since: datetime) -> bool:
    try:
        return datetime.fromisoformat(build.provenance.built_at) < since
    except ValueError:
        return False


def _open(ctx: Context, environment: str) -> _Open:
    events = list(_events(ctx, environment))
    digests = {found for event in events for found in _DIGEST.findall(json.dumps(dict(event.data)))}
    since = min((datetime.fromisoformat(event.at) for event in events), default=None)
    return _Open(since - timedelta(minutes=1) if since else None, frozenset(digests))


def _events(ctx: Context, environment: str) -> Iterator[Event]:
    prefix = f"promotion/{ctx.project.name}/{environment}/"
    for stream in ctx.ledger.streams(prefix, without=["promotion.finished"]):
        yield from ctx.ledger.read(stream)
