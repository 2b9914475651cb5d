"""Who is told what happens: as the pinned config says; before there is one, as the working file does."""

from __future__ import annotations

from contextlib import suppress

from lanewise.config.load import ENVIRONMENTS_FILE
from lanewise.domain.environment import Destination
from lanewise.errors import LaneError
from lanewise.service.configure import pinned
from lanewise.service.context import Context

_KEY = "telemetry"


def destinations(ctx: Context) -> tuple[Destination, ...]:
    """The destinations in force; none where the config can't be read: whoever needs it says so. Where none is asked
    for, nothing is resolved to find that out."""
    with suppress(LaneError, OSError):
        applied = ctx.ledger.last(f"config/{ctx.project.name}", "config.applied")
        if applied is not None:
            found = pinned(ctx) if applied.data["document"].get(_KEY) else None
            return found.telemetry if found is not None else ()
        if _KEY in (ctx.root / ENVIRONMENTS_FILE).read_text(encoding="utf-8", errors="replace"):
            return ctx.config.telemetry
    return ()
