"""Is what readers see what the ledger says was released? Reads the pointers alone and opens no engine."""

from __future__ import annotations

from lanewise.domain.canonical import short
from lanewise.domain.ports import Warehouse
from lanewise.domain.publication import Pointer
from lanewise.errors import Refused
from lanewise.service.context import Context
from lanewise.service.promotions import under_way
from lanewise.service.releases import Release, as_released, live_release, stream_of

_LOOKS = 5
_TOLD = ("release.changed", "release.withdrawn", "rollback.intended", "environment.locked")


def astray(ctx: Context, environment: str) -> str:
    """Why what a lane's warehouse shows is not its last release, as a sentence; empty where it is.

    A promotion or rollback that is under way, interrupted or could not be reverted explains a difference.
    """
    place = as_released(ctx, environment) or ctx.config.environments.get(environment)
    if place is None:
        return ""
    warehouse = ctx.warehouse(place)
    for _ in range(_LOOKS):  # the pointer moves first, the ledger tells after
        pointer = warehouse.pointer()
        explained, release = _explained(ctx, environment), live_release(ctx, environment)
        if warehouse.pointer() == pointer:
            break
    told = (release.build, release.config) if release else ("", "")
    if explained or (pointer.build, pointer.config) == told:
        return ""
    return f"{environment}'s warehouse shows {_shown(pointer)}, and the ledger says {_said(release)}"


def require_known(ctx: Context, environment: str, warehouse: Warehouse) -> None:
    """``Refused`` when readers see a release that this ledger knows nothing of: promoting there as for the first time
    would ask nobody."""
    if not warehouse.pointer().build or under_way(ctx, environment) is not None:
        return
    if ctx.ledger.last(stream_of(ctx, environment), "release.changed", "environment.locked") is None:
        raise Refused(
            f"the warehouse of {environment} has releases that this ledger does not know",
            hint="restore the ledger that released them, or give this one a warehouse of its own",
        )


def _explained(ctx: Context, environment: str) -> bool:
    if under_way(ctx, environment) is not None:
        return True
    newest = ctx.ledger.last(stream_of(ctx, environment), *_TOLD)
    return newest is not None and newest.type in {"rollback.intended", "environment.locked"}


def _shown(pointer: Pointer) -> str:
    return f"build {short(pointer.build)} with config {short(pointer.config)}" if pointer.build else "nothing"


def _said(release: Release | None) -> str:
    if release is None:
        return "that nothing is released there"
    return f"build {short(release.build)} with config {short(release.config)}"
