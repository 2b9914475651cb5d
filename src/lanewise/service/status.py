"""The lanes at a glance: what is live where, since when, what is on its way. Reads the ledger and the pointers."""

from __future__ import annotations

from dataclasses import dataclass

from lanewise.domain.serving import Standing
from lanewise.errors import LaneError
from lanewise.service.astray import astray
from lanewise.service.context import Context
from lanewise.service.promotions import open_promotions
from lanewise.service.releases import (
    HELD_BY,
    Release,
    as_released,
    follow_ups,
    live_release,
    paused,
    quarantined,
    stream_of,
)


@dataclass(frozen=True)
class OnItsWay:
    """An unfinished promotion."""

    id: str
    build: str
    state: str
    reason: str


@dataclass(frozen=True)
class LaneStatus:
    """One environment. ``live`` is None when nothing was ever released there. ``astray``: why what readers see there is
    not that release, or can't be told; empty where all is well. ``owed``: what broken glass owes, a sentence each.
    ``standing``: what its orchestrator says that it runs, where it was asked."""

    environment: str
    live: Release | None
    coming: tuple[OnItsWay, ...]
    paused: str | None
    quarantined: tuple[str, ...]
    tags: tuple[str, ...] = ()
    astray: str = ""
    owed: tuple[str, ...] = ()
    standing: Standing | None = None


@dataclass(frozen=True)
class Status:
    """All lanes of a project, in promotion order."""

    project: str
    lanes: tuple[LaneStatus, ...]


def status(ctx: Context, only: str | None = None, *, ask: bool = False) -> Status:
    """How every lane (or only one) stands. ``ask`` its orchestrator too."""
    names = (ctx.config.environment(only).name,) if only else tuple(ctx.config.environments)
    tags = _tags(ctx)
    return Status(ctx.project.name, tuple(_lane(ctx, name, tags, ask=ask) for name in names))


def _lane(ctx: Context, name: str, tags: dict[str, tuple[str, ...]], *, ask: bool) -> LaneStatus:
    events = ctx.ledger.read(stream_of(ctx, name), types=HELD_BY)
    live = live_release(ctx, name)
    coming = tuple(OnItsWay(p.id, p.build, p.state.value, p.reason) for p in open_promotions(ctx, name))
    known_as = tags.get(live.build, ()) if live else ()
    owed = tuple(f"{one['what']}, by {one['due'][:10]}" for one in follow_ups(events))
    standing = ctx.orchestrator(as_released(ctx, name) or ctx.config.environment(name)).standing() if ask else None
    return LaneStatus(
        name, live, coming, paused(events), quarantined(events), known_as, _astray(ctx, name), owed, standing
    )


def _astray(ctx: Context, name: str) -> str:
    try:
        return astray(ctx, name)
    except LaneError as trouble:  # one warehouse that is away keeps nobody from looking at the other lanes
        return f"what readers see can't be told: {trouble.message}"


def _tags(ctx: Context) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for event in ctx.ledger.read(f"build/{ctx.project.name}", types=["build.tagged"]):
        found[event.data["digest"]] = (*found.get(event.data["digest"], ()), event.data["tag"])
    return found
