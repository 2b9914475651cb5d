"""Pausing a lane, and letting it go on."""

from __future__ import annotations

from dataclasses import dataclass

from lanewise.domain.event import Draft
from lanewise.errors import Refused
from lanewise.service.context import Context
from lanewise.service.releases import paused, quarantined, stream_of


@dataclass(frozen=True)
class Lane:
    """How an environment stands after a pause or a resume."""

    environment: str
    paused: str | None
    quarantined: tuple[str, ...]


def pause(ctx: Context, environment: str, reason: str) -> Lane:
    """No promotion moves into the environment from now on; its scheduled runs go on, and so may a rollback."""
    _known(ctx, environment)
    ctx.ledger.append(
        stream_of(ctx, environment), [Draft("environment.paused", {"reason": reason})], actor=ctx.actor.name
    )
    return lane(ctx, environment)


def resume(ctx: Context, environment: str, *, build: str | None = None, reason: str = "") -> Lane:
    """Let promotions go on; with ``build``, lift that build's quarantine as well."""
    _known(ctx, environment)
    now, drafts = lane(ctx, environment), []
    if build is not None:
        digest = ctx.builds.resolve(build)
        if digest not in now.quarantined:
            raise Refused(f"build {digest[7:15]} is not in quarantine in {environment}")
        drafts.append(Draft("quarantine.lifted", {"build": digest, "reason": reason}))
    if now.paused is not None:
        drafts.append(Draft("environment.resumed", {"reason": reason}))
    if not drafts:
        raise Refused(f"{environment} is not paused", hint="`lane status` shows the lanes")
    ctx.ledger.append(stream_of(ctx, environment), drafts, actor=ctx.actor.name)
    return lane(ctx, environment)


def lane(ctx: Context, environment: str) -> Lane:
    """How the environment stands."""
    events = ctx.ledger.read(stream_of(ctx, environment))
    return Lane(environment, paused(events), quarantined(events))


def _known(ctx: Context, environment: str) -> None:
    ctx.config.environment(environment)
