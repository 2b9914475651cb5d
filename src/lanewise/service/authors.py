"""Who wrote what a promotion would bring: nobody approves their own work.

The ledger says so, not the provenance beside the build, which anybody who can write to the store can edit.
"""

from __future__ import annotations

from lanewise.domain.event import Event
from lanewise.domain.promotion import Promotion
from lanewise.service.context import Context
from lanewise.service.provenance import authors_between
from lanewise.service.releases import live_release


def authors_of(ctx: Context, promotion: Promotion) -> tuple[str, ...]:
    """Everybody who has a share in what the build changes in the environment: the authors of all builds recorded
    since the one that is live there, up to this one, and those that git names for the commits in between.

    Whoever built counts too where no author is known, or where the tree had uncommitted changes.
    """
    events = ctx.ledger.read(f"build/{ctx.project.name}", types=["build.recorded"])
    order = {event.data["digest"]: at for at, event in reversed(list(enumerate(events)))}
    if promotion.build not in order:
        origin = ctx.builds.get(promotion.build).provenance
        return _once(*origin.authors, origin.built_by)
    at, live = order[promotion.build], live_release(ctx, promotion.environment)
    since = order.get(live.build, -1) if live else -1
    recorded = [name for event in events[min(since + 1, at) : at + 1] for name in _told(event)]
    base = events[since].data.get("commit") if since >= 0 else None
    head = events[at].data.get("commit")
    return _once(*recorded, *(authors_between(ctx.root, base, head) if base and head else ()))


def _told(event: Event) -> tuple[str, ...]:
    """Whom a ``build.recorded`` names."""
    authors = tuple(event.data.get("authors", ()))
    if authors and not event.data.get("dirty"):
        return authors
    return (*authors, event.data.get("built_by", ""), event.actor)


def _once(*names: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name in names if name))
