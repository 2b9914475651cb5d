"""Tell an environment's orchestrator what to run: candidates beside the live build, and what is live now.

The road sign goes first, since code inside the orchestrator follows it without being told; then the orchestrator is
asked until it says that it does. Each step may be done again: after a crash, or while the orchestrator was away.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lanewise.domain.environment import Environment
from lanewise.domain.event import Draft
from lanewise.domain.promotion import Promotion, State
from lanewise.domain.serving import Served
from lanewise.errors import LaneError, Refused
from lanewise.promotion.states import holds_lock
from lanewise.runtime.sign import Sign
from lanewise.service import promotions, signs
from lanewise.service.candidate import Candidate, open_candidate
from lanewise.service.context import Context
from lanewise.service.ground import recorded_plan
from lanewise.service.releases import Release, append_after, as_released, config_document, live_release, stream_of

_RELEASED = ("release.changed", "release.withdrawn")
ADOPTED = "release.adopted"


def try_out(ctx: Context, lane: Environment, build: Candidate) -> str:
    """Whether the build imports, parses or compiles where it is to run: the orchestrator's reason why not, or nothing.
    It is served for as long as that takes, beside whatever else stands there, and disturbs nothing."""
    sign = signs.shown(ctx, lane.name)
    stays = sign is not None and any(one["build"] == build.digest for one in sign.candidates)
    try:
        serve(ctx, lane, build)
    except Refused as error:
        clear(ctx, lane, build.digest)
        return error.message
    if not stays:
        clear(ctx, lane, build.digest)
    return ""


def serve(ctx: Context, lane: Environment, build: Candidate) -> None:
    """Make a build runnable beside the live one. ``Refused`` with the orchestrator's reason when it does not load."""
    ctx.orchestrator(lane).serve(signs.show_candidate(ctx, lane, build))


def clear(ctx: Context, lane: Environment, *builds: str) -> None:
    """Builds are no longer needed beside the live one: their runs are ended, and they go."""
    sign = signs.shown(ctx, lane.name)
    standing = {one["build"] for one in sign.candidates} if sign else set()
    for build in builds:
        if build in standing:
            ctx.orchestrator(lane).withdraw(build)
            signs.drop_candidate(ctx, lane.name, build)


def clear_unneeded(ctx: Context, lane: Environment) -> None:
    """Every build goes from beside the live one that no open promotion into this environment needs. Trouble is told,
    not raised: the next promotion tries again."""
    sign = signs.shown(ctx, lane.name)  # first: what comes on it from here on is a younger promotion's, and stays
    needed = {build for one in promotions.open_promotions(ctx, lane.name) for build in _needed(ctx, one)}
    try:
        clear(ctx, lane, *(one["build"] for one in (sign.candidates if sign else ()) if one["build"] not in needed))
    except LaneError as error:
        ctx.progress.say(f"candidates were left in {lane.name}: {error.message}")


def _needed(ctx: Context, promotion: Promotion) -> tuple[str, ...]:
    if not promotion.plan:
        return (promotion.build,)
    return (promotion.build, recorded_plan(ctx, promotion).base_build)


def adopt_live(ctx: Context, environment: str) -> None:
    """Let the orchestrator run what readers see, and write down that it does. Nothing where it is written already.

    Nobody is kept waiting for that by a lease, so two may be at it, of two releases: who comes to an end looks again,
    and whoever ends last has told of what is live.
    """
    newest = ctx.ledger.last(stream_of(ctx, environment), *_RELEASED, ADOPTED)
    if newest is None or newest.type == ADOPTED:
        return
    while (shown := signs.show_live(ctx, environment)) is not None:
        served, lane = shown
        ctx.orchestrator(lane).adopt(served)
        if _wrote_down(ctx, lane, served):
            return


def _wrote_down(ctx: Context, lane: Environment, served: Served) -> bool:
    """Write that a release is adopted; False, and nothing written, when it is live no more."""
    stream = stream_of(ctx, lane.name)
    fact = {"build": served.build, "config": served.config, "orchestrator": signs.orchestrator_of(lane)}
    while True:
        newest, release = ctx.ledger.last(stream), live_release(ctx, lane.name)
        if newest is None or release is None or (release.build, release.config) != (served.build, served.config):
            return False
        if append_after(ctx, stream, [newest], [Draft(ADOPTED, fact)]):
            return True


def follow_readers(ctx: Context, environment: str) -> str:
    """``adopt_live``, for a rollback: readers are back already, so trouble here is told, not raised. Why the
    orchestrator does not run what readers see, or nothing."""
    try:
        adopt_live(ctx, environment)
    except LaneError as error:
        return ctx.secrets.redact(error.message)
    return ""


@dataclass(frozen=True)
class Followed:
    """What the sign of this machine says after a look, whether it ``changed``, and why the orchestrator does not run
    what it says yet (``unsettled``, empty when it does)."""

    changed: bool
    live: str
    candidates: tuple[str, ...]
    unsettled: str = ""


def follow(ctx: Context, environment: str) -> Followed:
    """Bring this machine's sign up to what is live, and to what the open promotions want to run beside it. Raises
    ``OutsideBroke`` when the ledger, the warehouse or the store is away: then the sign stays as it is."""
    before = signs.shown(ctx, environment)
    release = live_release(ctx, environment)
    if not _stands(before, release):
        signs.show_live(ctx, environment)
    _follow_candidates(ctx, environment)
    after = signs.shown(ctx, environment)
    return Followed(
        changed=_summary(before) != _summary(after),
        live=after.live["build"] if after and after.live else "",
        candidates=tuple(one["build"] for one in after.candidates) if after else (),
        unsettled=follow_readers(ctx, environment) if release is not None else "",
    )


def _stands(sign: Sign | None, release: Release | None) -> bool:
    live = sign.live if sign else None
    if live is None or release is None:
        return live is None and release is None
    return (live["build"], live["config"]) == (release.build, release.config)


def _follow_candidates(ctx: Context, environment: str) -> None:
    """What is tried out, and what a promotion under way computes, stands on the sign; and nothing that none needs."""
    sign, released = signs.shown(ctx, environment), as_released(ctx, environment)
    known = {one["build"]: one["config"] for one in sign.candidates} if sign else {}
    for promotion in promotions.open_promotions(ctx, environment):
        if promotion.state is State.REQUESTED or holds_lock(promotion):
            for lane, build in _beside(ctx, promotion):
                # Where the config alone is promoted, old and new take turns: whoever computes says whose turn it is.
                if known.get(build) not in {lane.digest, released.digest if released else lane.digest}:
                    signs.show_candidate(ctx, lane, open_candidate(ctx, build))
    clear_unneeded(ctx, released or ctx.config.environment(environment))


def _beside(ctx: Context, promotion: Promotion) -> Iterator[tuple[Environment, str]]:
    """The builds that a promotion wants to run, each in the environment as that promotion sees it."""
    asked = promotions.requested(ctx, promotion)
    config = config_document(ctx, asked["document"], asked["overrides"])
    *_, base = _needed(ctx, promotion)
    if base not in {"", promotion.build}:
        yield as_released(ctx, promotion.environment) or config.environment(promotion.environment), base
    yield config.environment(promotion.environment), promotion.build


def _summary(sign: Sign | None) -> object:
    return (sign.live, sign.candidates) if sign else None
