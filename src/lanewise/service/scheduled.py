"""A live run that an orchestrator's own clock has started: write, audit, publish, as for ``lane run``, but in three
calls, since the command is the orchestrator's to carry out.

``begin`` opens the room, the orchestrator's tasks write there, ``publish`` audits and publishes, or ``abandon`` throws
it away. The caller names the run and may call again: each call does what is left to do. A run that never comes back is
given up when its lease runs out.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from lanewise.domain.canonical import short
from lanewise.domain.environment import Environment
from lanewise.domain.event import Draft, Event
from lanewise.domain.ports import Warehouse
from lanewise.domain.run import Purpose, RunRequest
from lanewise.errors import NotFound, Refused, RunFailed, WrongInput
from lanewise.service.candidate import open_candidate
from lanewise.service.claims import LIVE, claims_of, in_the_way, published_in, recover_runs, scope_of_run
from lanewise.service.compiled import compile_lane, write_compiled
from lanewise.service.context import Context
from lanewise.service.launch import Patience, demand_closed
from lanewise.service.lease import Held, held
from lanewise.service.live import WAIT, Published, Writer, audit, publish_slices, want, work_of
from lanewise.service.releases import as_released
from lanewise.service.run import (
    RunResult,
    Work,
    announce,
    demand_whole,
    open_room,
    request_for,
    tell_failure,
    told,
)

_ID = re.compile(rf"{LIVE}-[A-Za-z0-9][A-Za-z0-9._-]{{0,150}}")
_LONGEST = timedelta(hours=24)
"""How long a run may take whose environment sets no ``timeout``: after that it has been given up."""
_SHORT = timedelta(seconds=30)
_OVER = ("run.published", "run.failed")


@dataclass(frozen=True)
class Room:
    """Where a run's tasks write. ``compiled`` is what ``LANEWISE_COMPILED`` is to name for them, ``outputs`` the folder
    for those that know nothing of Lanewise (empty where the warehouse has none)."""

    run: str
    build: str
    compiled: Path
    partitions: tuple[str, ...]
    outputs: str


def begin(ctx: Context, environment: str, run: str, build: str, partitions: Sequence[str]) -> Room:
    """Open a room for a run of ``build``, which must be live; the same one when it is open already and nothing was
    written there yet.

    ``Refused`` when another build is live, ``LeaseHeld`` when another run is at work on one of its partitions. A run
    that was published, or given up, and is begun again under its name is a new attempt.
    """
    if not _ID.fullmatch(run):
        raise WrongInput(f"{run[:60]!r} is no name for a run", hint=f"{LIVE}- and letters, digits, ., _ and -")
    wanted = want(ctx, environment, partitions)
    if wanted.build.digest != build:
        raise Refused(f"{environment} runs build {short(wanted.build.digest)} now, and this run is of {short(build)}",
                      hint="the live build's own run computes it")  # fmt: skip
    warehouse = ctx.warehouse(wanted.lane)
    standing = _newest(ctx, environment, run)
    if standing is not None and _open(ctx, standing):
        found = _room(ctx, _name(standing))
        if found is not None and found.build == build and not _written_to(ctx, _name(standing)):
            return found
        abandon(
            ctx, environment, run, "it was begun again, on another machine, by another build, or from its first task"
        )
    recover_runs(ctx, environment, warehouse)
    work = work_of(wanted, warehouse, _next(run, standing))
    return _begin(ctx, work, warehouse)


def _begin(ctx: Context, work: Work, warehouse: Warehouse) -> Room:
    request, environment = request_for(ctx, work), work.lane.name
    claims = claims_of(work.build.project, work.partitions)
    scope = scope_of_run(ctx, environment, request.id)
    with held(ctx, f"{ctx.project.name}/{environment}/partitions", _SHORT, outlive=True):
        other = in_the_way(ctx, environment, claims)
        if other is not None:
            raise Refused(f"{other[1]} of {environment} is being worked on by run {other[0]}",
                          hint="try again when it has ended")  # fmt: skip
        lease = ctx.ledger.acquire(scope, f"orchestrator/{request.id}", _patience(work.lane))
        announce(ctx, work, request, claims, {
            "base_map": warehouse.pointer().number, "inputs": work.inputs, "orchestrator": True,
        })  # fmt: skip
    try:
        space = open_room(request, work, warehouse)
        compiled = ctx.home / "runs" / f"{request.id}.json"
        document = compile_lane(work.lane, work.build.project, request.build, request, space)
        write_compiled(compiled, {**document, "root": str(ctx.root), "log_format": ctx.config.log_format})
    except BaseException as error:
        tell_failure(ctx, request, error)
        warehouse.discard(request.id)
        ctx.ledger.release(lease)
        raise
    found = _room(ctx, request.id)
    assert found is not None  # noqa: S101 - it has just been written
    return found


def publish(ctx: Context, environment: str, run: str) -> Published:
    """Audit what the run's tasks wrote, and publish it. ``RunFailed`` when it does not pass or is not whole,
    ``GroundMoved`` when another release went live meanwhile: then readers see what they saw, and the room is gone.
    Published already, it is the same answer."""
    intended = _demanded(ctx, environment, run)
    _published_as(ctx, intended)
    work, request, warehouse = _again(ctx, environment, intended)
    started, scope = time.monotonic(), scope_of_run(ctx, environment, request.id)
    with _turn(ctx, scope), held(ctx, scope, take_over=True) as hold:
        done = _published_as(ctx, intended)  # whoever was at work on it just now may have done it
        if done is not None:
            return Published(RunResult(request, 0.0), done, ())
        events = ctx.ledger.read(intended.stream)
        before = _before_a_crash(events, intended, warehouse)
        if before is not None:
            _close(ctx, request.id, warehouse)
            _say_published(ctx, intended, request, before, observed=True)
            return Published(RunResult(request, 0.0), before, ())
        try:
            demand_closed(_engine(ctx, request.id), f"build {short(request.build)} in {environment}")
            tables = [work.build.project.tables[name] for name in request.tables]
            demand_whole(warehouse.written(request.id, tables), tables, request)
            slices = warehouse.stage(request, tables)
            result = RunResult(request, time.monotonic() - started, slices)
            facts: dict[str, Any] = {"ok": True, "seconds": _seconds(ctx, intended), "rows": result.rows, "late": False}
            ctx.ledger.append(intended.stream, [Draft("run.ended", {**told(request), **facts})], actor=ctx.actor.name)
            checks = audit(ctx, request, work.build.project, slices, warehouse)
            base = warehouse.map_at(intended.data["base_map"])
            number = publish_slices(Writer(warehouse, work.build.project, request, base, hold), slices)
        except BaseException as error:
            tell_failure(ctx, request, error)
            _close(ctx, request.id, warehouse)
            raise
        _close(ctx, request.id, warehouse)
        _say_published(ctx, intended, request, number)
    return Published(result, number, checks)


def _turn(ctx: Context, scope: str) -> Held:
    """One at a time: an orchestrator may ask again while its first question is still at work."""
    return held(ctx, f"{scope}/end", WAIT)


def _published_as(ctx: Context, intended: Event) -> int | None:
    """The map that a run was published as; None while it was not. ``Refused`` when it came to nothing."""
    ended = ctx.ledger.last(intended.stream, *_OVER)
    if ended is not None and ended.type == "run.failed":
        raise Refused(f"run {_name(intended)} came to nothing: {ended.data['reason']}", hint="begin it again")
    return None if ended is None else int(ended.data["map"])


def _before_a_crash(events: Sequence[Event], intended: Event, warehouse: Warehouse) -> int | None:
    """The map that a process which died while it published has brought readers; None where it had not come to that."""
    begun = any(event.type == "run.ended" for event in events)
    return published_in(warehouse, frozenset(intended.data["rooms"])) if begun else None


def _say_published(ctx: Context, intended: Event, request: RunRequest, number: int, **also: bool) -> None:
    said = {"map": number, "build": request.build, "partitions": list(request.partitions), **also}
    ctx.ledger.append(intended.stream, [Draft("run.published", said)], actor=ctx.actor.name)


def abandon(ctx: Context, environment: str, run: str, reason: str) -> bool:
    """Throw away what the run wrote, and write down why. False when there was nothing under way, or readers see it
    already."""
    intended = _newest(ctx, environment, run)
    if intended is None or not _open(ctx, intended):
        return False
    _, request, warehouse = _again(ctx, environment, intended)
    scope = scope_of_run(ctx, environment, request.id)
    with _turn(ctx, scope), held(ctx, scope, take_over=True):
        before = _before_a_crash(ctx.ledger.read(intended.stream), intended, warehouse)
        if before is not None:
            _close(ctx, request.id, warehouse)
            _say_published(ctx, intended, request, before, observed=True)
            return False
        tell_failure(ctx, request, RunFailed(reason or "the orchestrator says that it failed"))
        _close(ctx, request.id, warehouse)
    return True


def _newest(ctx: Context, environment: str, run: str) -> Event | None:
    """The intent of the newest attempt of a run."""
    prefix = f"run/{ctx.project.name}/{environment}/{run}"
    own = re.compile(rf"{re.escape(prefix)}(~\d+)?")
    streams = [stream for stream in ctx.ledger.streams(prefix) if own.fullmatch(stream)]
    return ctx.ledger.last(streams[-1], "run.intended") if streams else None


def _next(run: str, standing: Event | None) -> str:
    if standing is None:
        return run
    number = _name(standing).rpartition("~")[2]
    return f"{run}~{int(number) + 1 if number.isdigit() else 2}"


def _demanded(ctx: Context, environment: str, run: str) -> Event:
    found = _newest(ctx, environment, run)
    if found is None:
        raise NotFound("run", run, hint=f"`lane scheduled begin {environment} --id {run[:80]}` first")
    return found


def _open(ctx: Context, intended: Event) -> bool:
    return ctx.ledger.last(intended.stream, *_OVER) is None


def _name(intended: Event) -> str:
    return intended.stream.rpartition("/")[2]


def _again(ctx: Context, environment: str, intended: Event) -> tuple[Work, RunRequest, Warehouse]:
    """The run as it was begun, by whichever process."""
    lane = as_released(ctx, environment)
    if lane is None:
        raise Refused(f"nothing is live in {environment} any more")
    data = intended.data
    work = Work(
        open_candidate(ctx, data["build"]), lane, Purpose(data["purpose"]), tuple(data["partitions"]),
        tuple(data["tables"]), inputs=data["inputs"], id=_name(intended),
    )  # fmt: skip
    return work, request_for(ctx, work), ctx.warehouse(lane)


def _room(ctx: Context, run: str) -> Room | None:
    """What this machine knows of an open room."""
    compiled = ctx.home / "runs" / f"{run}.json"
    try:
        document = json.loads(compiled.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    directory = (document["engine"] or {}).get("directory", "")
    outputs = str(Path(directory) / "outputs") if directory else ""
    return Room(run, document["build"], compiled, tuple(document["run"]["partitions"]), outputs)


def _engine(ctx: Context, run: str) -> dict[str, Any]:
    compiled = ctx.home / "runs" / f"{run}.json"
    try:
        found: dict[str, Any] = json.loads(compiled.read_text(encoding="utf-8"))["engine"]
    except (OSError, ValueError):
        return {}  # it was begun on another machine, whose warehouse is a server
    return found


def _written_to(ctx: Context, run: str) -> bool:
    directory = _engine(ctx, run).get("directory")
    return directory is not None and any((Path(directory) / "blocks").glob("*"))


def _close(ctx: Context, run: str, warehouse: Warehouse) -> None:
    warehouse.discard(run)
    (ctx.home / "runs" / f"{run}.json").unlink(missing_ok=True)


def _seconds(ctx: Context, intended: Event) -> float:
    return round((ctx.ledger.now() - datetime.fromisoformat(intended.at)).total_seconds(), 3)


def _patience(lane: Environment) -> timedelta:
    limit = Patience.of(lane).timeout
    return _LONGEST if limit is None else timedelta(seconds=limit)
