"""What has been live where, as the ledger tells it, and the environment exactly as it was released."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lanewise.config.load import from_document
from lanewise.domain.environment import Config, Environment
from lanewise.domain.event import Draft, Event
from lanewise.domain.promotion import Promotion
from lanewise.domain.publication import Pointer
from lanewise.errors import GroundMoved, NotFound
from lanewise.service import promotions
from lanewise.service.context import Context


@dataclass(frozen=True)
class Release:
    """One release: a build and a config digest, live from ``at`` on as map ``map``. ``base_map`` is the map
    that was live just before it. ``kind``: promotion, config or rollback."""

    build: str
    config: str
    document: str
    map: int
    base_map: int
    kind: str
    promotion: str
    at: str
    overrides: Mapping[str, str]


def stream_of(ctx: Context, environment: str) -> str:
    """Where an environment's releases, pauses and quarantines are told."""
    return f"environment/{ctx.project.name}/{environment}"


def releases(ctx: Context, environment: str) -> tuple[Release, ...]:
    """Every release of an environment, oldest first, but for a first one that was withdrawn: nothing is live then."""
    return told_releases(ctx.ledger.read(stream_of(ctx, environment)))


def told_releases(events: Sequence[Event]) -> tuple[Release, ...]:
    """The releases that an environment's stream tells of."""
    found: list[Release] = []
    for event in events:
        if event.type == "release.changed":
            found.append(release_of(event))
        elif event.type == "release.withdrawn":
            found.clear()
    return tuple(found)


def live_release(ctx: Context, environment: str) -> Release | None:
    """The newest release of an environment, found without reading the others; None where nothing is live."""
    newest = ctx.ledger.last(stream_of(ctx, environment), "release.changed", "release.withdrawn")
    return release_of(newest) if newest is not None and newest.type == "release.changed" else None


def release_of(event: Event) -> Release:
    """The release that a ``release.changed`` tells of."""
    data = event.data
    return Release(
        build=data["build"], config=data["config"], document=data["document"], map=data["map"],
        base_map=data["base_map"], kind=data["kind"], promotion=data.get("promotion", ""), at=event.at,
        overrides=data.get("overrides", {}),
    )  # fmt: skip


HELD_BY = (
    "environment.paused", "environment.locked", "environment.resumed", "build.quarantined", "quarantine.lifted",
    "followup.opened", "followup.settled",
)  # fmt: skip
"""The events that ``quarantined``, ``paused`` and ``follow_ups`` look at: a handful in a stream of thousands."""


def quarantined(events: Sequence[Event]) -> tuple[str, ...]:
    """The builds that an environment's stream says are rolled back and not cleared."""
    held: dict[str, None] = {}
    for event in events:
        if event.type == "build.quarantined":
            held[event.data["build"]] = None
        elif event.type == "quarantine.lifted":
            held.pop(event.data["build"], None)
    return tuple(held)


def paused(events: Sequence[Event]) -> str | None:
    """Why forward promotions into an environment are paused; None when they are not."""
    reason: str | None = None
    for event in events:
        if event.type in {"environment.paused", "environment.locked"}:
            reason = event.data.get("reason", "") or "no reason given"
        elif event.type == "environment.resumed":
            reason = None
    return reason


def follow_ups(events: Sequence[Event]) -> tuple[Mapping[str, str], ...]:
    """What broken glass still owes in an environment: ``gate``, ``what`` and ``due`` (ISO 8601 UTC) of each."""
    owed: dict[str, Mapping[str, str]] = {}
    for event in events:
        if event.type == "followup.opened":
            owed[event.data["gate"]] = dict(event.data)
        elif event.type == "followup.settled":
            owed.pop(event.data["gate"], None)
    return tuple(owed.values())


def as_released(ctx: Context, environment: str) -> Environment | None:
    """The environment with the config its live release was made with; None when nothing was ever released.

    Config pinned since then is not in force before a promotion takes it there.
    """
    live = live_release(ctx, environment)
    return environment_of(ctx, environment, live) if live else None


def environment_of(ctx: Context, environment: str, release: Release) -> Environment:
    """The environment as one release had it: the pinned document of that digest, with its overrides."""
    return config_document(ctx, release.document, release.overrides).environment(environment)


def config_document(ctx: Context, digest: str, overrides: Mapping[str, str]) -> Config:
    """The pinned config of that digest."""
    applied = [e for e in ctx.ledger.read(f"config/{ctx.project.name}") if e.type == "config.applied"]
    for event in reversed(applied):
        if event.data["digest"] == digest:
            return from_document(event.data["document"], ctx.project, overrides)
    raise NotFound("pinned config", digest, hint="`lane verify` says whether the ledger is whole")


def record_release(ctx: Context, target: Environment, promotion: Promotion, pointer: Pointer) -> None:
    """Write that a promotion's build and config are live now. Written once, however often it is resumed.

    ``GroundMoved`` when a rollback has taken the promotion over. It writes so to the promotion first, then to this
    stream, and flips then: between the two looks below and the append it can't have gone unnoticed.
    """
    stream, asked = stream_of(ctx, target.name), promotions.requested(ctx, promotion)
    while True:
        events = ctx.ledger.read(stream)
        newest = next((e for e in reversed(events) if e.type == "release.changed"), None)
        if newest is not None and newest.data.get("promotion") == promotion.id:
            return
        if promotions.load(ctx, promotion.id).version != promotion.version:
            raise GroundMoved(f"somebody else has carried {promotion.id} on", hint=f"`lane why {promotion.id}`")
        same_build = newest is not None and newest.data["build"] == promotion.build
        draft = Draft("release.changed", {
            "build": promotion.build, "config": promotion.config,
            "document": asked["document"], "overrides": asked["overrides"],
            "map": pointer.number, "base_map": promotion.base_map, "promotion": promotion.id,
            "kind": "config" if same_build else "promotion",
        })  # fmt: skip
        if append_after(ctx, stream, events, [draft]):
            return


def withdraw_release(ctx: Context, target: Environment, promotion: Promotion, pointer: Pointer, reason: str) -> None:
    """After a revert: if the promotion's release was already written, the one before it is live again (or nothing is,
    after a first release), and the build that readers have seen is in quarantine."""
    stream = stream_of(ctx, target.name)
    while True:
        events = ctx.ledger.read(stream)
        told = told_releases(events)
        if not told or told[-1].promotion != promotion.id or told[-1].kind == "rollback":
            return
        drafts = [Draft("build.quarantined", {"build": promotion.build, "reason": reason})]
        if len(told) > 1:
            back = told[-2]
            drafts.insert(0, Draft("release.changed", {
                "build": back.build, "config": back.config, "document": back.document,
                "overrides": dict(back.overrides), "map": pointer.number, "base_map": told[-1].map,
                "promotion": promotion.id, "kind": "rollback",
            }))  # fmt: skip
        else:
            drafts.append(Draft("release.withdrawn", {"promotion": promotion.id, "map": pointer.number}))
        if append_after(ctx, stream, events, drafts):
            return


def append_after(ctx: Context, stream: str, events: Sequence[Event], drafts: Sequence[Draft]) -> bool:
    """Write what was decided on these events of a stream; False, and nothing written, when it has grown since."""
    try:
        ctx.ledger.append(stream, drafts, actor=ctx.actor.name, expect=events[-1].version if events else 0)
    except GroundMoved:
        return False
    return True


def lock(ctx: Context, target: Environment, promotion: Promotion, reason: str) -> None:
    """Nothing moves forward here until a person has looked: a revert failed."""
    draft = Draft("environment.locked", {
        "promotion": promotion.id, "reason": f"{promotion.id} could not be reverted: {reason}",
    })  # fmt: skip
    ctx.ledger.append(stream_of(ctx, target.name), [draft], actor=ctx.actor.name)
