"""``lane gc``: say, then drop, what nothing needs any more.

Kept are the live map, every map that was live within the rollback window, the builds that those name, whatever an
open promotion has staged or may go back to, and leftovers younger than a day.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from lanewise.domain.build import Build
from lanewise.domain.environment import Config, Environment
from lanewise.domain.event import Event
from lanewise.domain.publication import Holding
from lanewise.publication.retention import GRACE, disposable, maps_in_window
from lanewise.service.configure import pinned
from lanewise.service.context import Context

_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")


@dataclass(frozen=True)
class LaneGarbage:
    """What one environment can do without. ``kept_maps``: those that a rollback may still go back to."""

    environment: str
    kept_maps: tuple[int, ...]
    holdings: tuple[Holding, ...]

    @property
    def bytes(self) -> int:
        """The room it takes."""
        return sum(h.bytes for h in self.holdings)


@dataclass(frozen=True)
class Garbage:
    """What was found, or dropped. ``builds`` are digests; they are looked at only when every environment is."""

    lanes: tuple[LaneGarbage, ...]
    builds: tuple[str, ...]
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


def collect(ctx: Context, environment: str | None = None, *, apply: bool = False) -> Garbage:
    """Find what nothing needs, in one environment or all; drop it when ``apply`` is set."""
    config = pinned(ctx) or ctx.config
    every = list(config.environments.values())
    chosen = [config.environment(environment)] if environment else every
    lanes = tuple(_lane(ctx, lane) for lane in chosen)
    builds = _builds(ctx, config) if environment is None else ()
    freed = sum(lane.bytes for lane in lanes) + sum(build.size for build in builds)
    if apply:
        freed = sum(build.size for build in builds)
        for lane in lanes:
            freed += ctx.warehouse(config.environment(lane.environment)).drop(lane.holdings)
        for build in builds:
            ctx.builds.remove(build.digest)
    return Garbage(lanes, tuple(build.digest for build in builds), freed, apply)


def _lane(ctx: Context, lane: Environment) -> LaneGarbage:
    warehouse = ctx.warehouse(lane)
    under_way = _open(ctx, lane.name)  # looked at first: what it stages later is young
    holdings, live, now = warehouse.holdings(), warehouse.pointer().number, ctx.ledger.now()
    kept = _kept_maps(holdings, live, lane, under_way, now)
    garbage = tuple(h for h in disposable(holdings, live, kept, now) if h.kind == "map" or not under_way.protects(h))
    return LaneGarbage(lane.name, tuple(sorted(kept)), garbage)


def _kept_maps(
    holdings: Sequence[Holding], live: int, lane: Environment, under_way: _Open, now: datetime
) -> frozenset[int]:
    since = now - lane.rules.rollback_window
    return maps_in_window(holdings, live, min(since, under_way.since) if under_way.since else since)


def _builds(ctx: Context, config: Config) -> tuple[Build, ...]:
    """Builds that no kept map of any environment names, that no open promotion speaks of, that have no tag, and that
    are older than the longest rollback window."""
    needed: set[str] = set()
    oldest = GRACE
    for lane in config.environments.values():
        warehouse, under_way = ctx.warehouse(lane), _open(ctx, lane.name)
        live = warehouse.pointer().number
        for number in _kept_maps(warehouse.holdings(), live, lane, under_way, ctx.ledger.now()):
            held = warehouse.map_at(number)
            needed.add(held.build)
            needed |= {s.build for table in held.tables.values() for found in table.slices.values() for s in found}
        needed |= {f"sha256:{digest}" for digest in under_way.digests}
        oldest = max(oldest, lane.rules.rollback_window)
    since = ctx.ledger.now() - oldest
    return tuple(b for b in ctx.builds.list() if b.digest not in needed and not b.tags and _built_before(b, since))


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
