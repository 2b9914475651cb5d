"""Read the ledger back: who did what, where, when."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from lanewise.domain.event import Event
from lanewise.errors import NotFound
from lanewise.service.context import Context

_LANES = ("environment", "promotion", "run")  # streams called KIND/PROJECT/ENV…


def history(
    ctx: Context, *, environment: str = "", stream: str = "", since: int = 0, limit: int | None = None
) -> tuple[Event, ...]:
    """The newest ``limit`` events after number ``since``, newest last; only those of one of this project's
    environments, or of one stream, where asked. ``NotFound`` for a stream or an environment that is unknown."""
    found: Iterable[Event] = ctx.ledger.events(after=since, newest_first=True)
    if stream:
        if ctx.ledger.last(stream) is None:
            raise NotFound("stream", stream, known=ctx.ledger.streams(""))
        found = (event for event in reversed(ctx.ledger.read(stream)) if event.seq > since)
    if environment:
        project = ctx.project.name
        found = (event for event in found if _lane(event.stream) == (project, environment))
    events = tuple(islice(found, limit))[::-1]
    if environment and not events:
        ctx.config.environment(environment)  # one that is gone from the file may still have a history
    return events


def where(stream: str) -> str:
    """A stream as people say it: ``prod-12`` for a promotion, ``prod`` for an environment."""
    kind, _, rest = stream.partition("/")
    _, _, inner = rest.partition("/")
    if kind == "promotion":
        return inner.replace("/", "-")
    if kind == "run":
        return inner.replace("/", " run ")
    return inner if kind == "environment" else kind


def _lane(stream: str) -> tuple[str, str] | None:
    parts = stream.split("/")
    return (parts[1], parts[2]) if len(parts) > 2 and parts[0] in _LANES else None
