"""Carry a run out: a room of its own, the verified build's command, and what it wrote as slices that no reader sees.

Promotions run candidates and baselines this way; ``service.live`` audits and publishes what a scheduled run wrote.
"""

from __future__ import annotations

import logging
import random
import secrets
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from lanewise.domain.canonical import digest, plain
from lanewise.domain.environment import Environment
from lanewise.domain.event import Draft
from lanewise.domain.ports import Warehouse
from lanewise.domain.project import Project, Table, TableKind
from lanewise.domain.publication import Slice
from lanewise.domain.run import Finding, Purpose, RunOutcome, RunRequest, Space, Written
from lanewise.errors import GroundMoved, LaneError, RunFailed
from lanewise.service.candidate import Candidate
from lanewise.service.compiled import own_partitions
from lanewise.service.context import Context
from lanewise.service.launch import Patience, launch
from lanewise.service.lease import holder_name

_log = logging.getLogger("lanewise.run")


@dataclass(frozen=True)
class Work:
    """What is to be run. ``tables`` are those whose output is staged; ``command`` overrides the build's own;
    ``inputs`` is the digest of the input pins. Without an ``id`` the run gets one."""

    build: Candidate
    lane: Environment
    purpose: Purpose
    partitions: tuple[str, ...]
    tables: tuple[str, ...]
    promotion: str = ""
    inputs: str = ""
    command: tuple[str, ...] = ()
    id: str = ""


@dataclass(frozen=True)
class RunResult:
    """What a run left: its slices by table, not yet visible. ``rows`` counts them; ``seconds`` is wall time;
    ``late``: it took longer than the setting ``sla``; ``log`` is the last attempt's file. ``findings`` are what the
    orchestrator itself judged meanwhile, and ``urls`` where it shows the run."""

    request: RunRequest
    seconds: float
    slices: Mapping[str, tuple[Slice, ...]] = field(default_factory=dict)
    late: bool = False
    log: str = ""
    findings: tuple[Finding, ...] = ()
    urls: tuple[str, ...] = ()

    @property
    def rows(self) -> dict[str, int]:
        """Rows per table."""
        return {table: sum(one.rows for one in found) for table, found in self.slices.items()}


def execute(ctx: Context, work: Work, warehouse: Warehouse) -> RunResult:
    """Run the build over the partitions and stage what it wrote. ``RunFailed`` when the command fails or its output
    can't be staged: then nothing is left but the log. The ledger tells of both."""
    request = request_for(ctx, work)
    announce(ctx, work, request)
    return carry_out(ctx, work, request, warehouse)


def announce(
    ctx: Context, work: Work, request: RunRequest, claims: Sequence[str] = (), also: Mapping[str, object] | None = None
) -> None:
    """Write the intent. ``claims``: what no other live run may work on meanwhile (``service.claims``); ``also``: what
    another process will need to go on with it."""
    rooms = [piece.id for piece in _pieces(request, work.build.project)]
    intended = {**told(request), "rooms": rooms, "holder": holder_name(), "claims": list(claims), **(also or {})}
    ctx.ledger.append(stream_of(request), [Draft("run.intended", intended)], actor=ctx.actor.name)


def carry_out(ctx: Context, work: Work, request: RunRequest, warehouse: Warehouse) -> RunResult:
    """Do what was announced, and write down how it ended."""
    _log.info("run begins", extra=request.labels)
    started = time.monotonic()
    try:
        slices, outcomes = _compute(ctx, work, request, warehouse)
    except BaseException as error:
        tell_failure(ctx, request, error, seconds=time.monotonic() - started)
        raise
    seconds, sla = time.monotonic() - started, Patience.of(work.lane).sla
    result = RunResult(
        request, seconds, slices, sla is not None and seconds > sla, outcomes[-1].log,
        tuple(one for outcome in outcomes for one in outcome.findings),
        tuple(outcome.url for outcome in outcomes if outcome.url),
    )  # fmt: skip
    if result.late:
        _log.warning("run took %.0f s, its sla is %.0f s", seconds, sla, extra=request.labels)
        ctx.progress.say(f"{request.id} took {seconds:.0f} s, longer than its sla of {sla:.0f} s")
    ended: dict[str, object] = {"ok": True, "seconds": round(seconds, 3), "rows": result.rows, "late": result.late}
    ended |= {"findings": plain(result.findings), "urls": list(result.urls)} if result.findings or result.urls else {}
    ctx.ledger.append(stream_of(request), [Draft("run.ended", {**told(request), **ended})], actor=ctx.actor.name)
    _log.info("run ended after %.1f s", seconds, extra=request.labels)
    return result


def request_for(ctx: Context, work: Work) -> RunRequest:
    """The run as the warehouse and the orchestrator are asked for it."""
    own = tuple(shlex.split(work.build.project.run))
    command = work.command or own
    return RunRequest(
        id=work.id or new_id(work.purpose.value),
        project=ctx.project.name,
        environment=work.lane.name,
        build=work.build.digest,
        config=work.lane.digest,
        purpose=work.purpose,
        # "all" among days stands for the tables without partitions; they are not asked for by name.
        partitions=tuple(own_partitions(work.partitions, work.build.project)) or work.partitions,
        tables=work.tables,
        command=command,
        fingerprints=_versions(work, () if command == own else command),
        promotion=work.promotion,
        inputs=work.inputs,
        by_hand=command != own,
    )


def _versions(work: Work, by_hand: tuple[str, ...]) -> dict[str, str]:
    """The version that each table's output belongs to. What another command computed is no version of the build: it
    must never pass for what the build gives. An append is the exception, since it goes on under the version that its
    state has; under another it would begin anew."""
    versions, tables = work.build.fingerprints(work.lane), work.build.project.tables
    return {
        name: digest([versions[name], by_hand])
        if by_hand and tables[name].kind is not TableKind.APPEND
        else versions[name]
        for name in work.tables
    }


def new_id(kind: str) -> str:
    """A run's name: sorts by time, and no two are the same."""
    return f"{kind}-{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{secrets.token_hex(3)}"


def stream_of(request: RunRequest) -> str:
    """Where the ledger tells about a run."""
    return f"run/{request.project}/{request.environment}/{request.id}"


def _compute(
    ctx: Context, work: Work, request: RunRequest, warehouse: Warehouse
) -> tuple[dict[str, tuple[Slice, ...]], list[RunOutcome]]:
    pieces = list(_pieces(request, work.build.project))
    slices: dict[str, tuple[Slice, ...]] = {}
    done, total = 0, len(request.partitions)
    outcomes = []
    try:
        for piece in pieces:
            outcomes.append(_attempts(ctx, piece, work, warehouse))
            tables = [work.build.project.tables[name] for name in piece.tables]
            demand_whole(warehouse.written(piece.id, tables), tables, piece)
            for table, found in warehouse.stage(piece, tables).items():
                slices[table] = (*slices.get(table, ()), *found)
            done += len(piece.partitions)
            ctx.progress.advance("partitions", done, total)
    finally:
        for piece in pieces:
            warehouse.discard(piece.id)
    return slices, outcomes


def _attempts(ctx: Context, piece: RunRequest, work: Work, warehouse: Warehouse) -> RunOutcome:
    """Run the command until it ends well, at most 1 + ``retries`` times, each time in a fresh room."""
    retries = Patience.of(work.lane).retries
    for attempt in range(retries + 1):
        try:
            return launch(ctx, piece, work.lane, work.build.project, open_room(piece, work, warehouse))
        except RunFailed as failure:
            if attempt == retries:
                raise
            _log.warning("attempt %d failed: %s", attempt + 1, failure.message, extra=piece.labels)
            ctx.progress.say(f"{piece.id}: attempt {attempt + 1} of {retries + 1} failed, trying again")
            warehouse.discard(piece.id)
            _back_off(attempt)
    raise AssertionError("a run is tried at least once")


def open_room(piece: RunRequest, work: Work, warehouse: Warehouse) -> Space:
    """A fresh room for a run. ``GroundMoved`` when the inputs are no longer those that were pinned."""
    project = work.build.project
    pins = warehouse.pin(project.inputs)
    if work.inputs and digest(pins) != work.inputs:
        hint = "run it again: old and new must see the same input"
        raise GroundMoved(f"the inputs of {piece.environment} changed while this began", hint=hint)
    return warehouse.open_run(piece, [project.tables[name] for name in piece.tables], pins)


def _back_off(attempt: int) -> None:
    """Wait 1, 2, 4 … seconds, at most a minute, each a little off so that retries don't march in step."""
    time.sleep(min(2.0**attempt, 60.0) * random.uniform(0.75, 1.25))  # noqa: S311 - no secret hangs on it


def _pieces(request: RunRequest, project: Project) -> Iterator[RunRequest]:
    """A long list of partitions goes in batches, each a room of its own. Tables without partitions are written by
    the first: written again by each, appended rows would come twice."""
    size = project.batch or len(request.partitions)
    if len(request.partitions) <= size:
        yield request
        return
    sliced = tuple(name for name in request.tables if project.tables[name].partition)
    for number, start in enumerate(range(0, len(request.partitions), size)):
        tables = sliced if number else request.tables
        if tables:
            yield replace(
                request, id=f"{request.id}-{number}", partitions=request.partitions[start : start + size], tables=tables
            )


def demand_whole(written: Sequence[Written], tables: Sequence[Table], piece: RunRequest) -> None:
    """Refuse what can't be published: a table that was not written, rows of no day, rows of days not asked for."""
    found = {one.table: one for one in written}
    for table in tables:
        one = found.get(table.name)
        if one is None:
            raise RunFailed(f"the run wrote nothing to {table.name}",
                            hint=f"write to run.output({table.name!r}), even if it is no rows")  # fmt: skip
        if table.partition is None:
            continue
        column = table.partition.column
        if one.null_partitions:
            raise RunFailed(f"{one.null_partitions} rows of {table.name} have no {column}",
                            hint="a partition is never NULL: filter such rows, or give them a value")  # fmt: skip
        strays = sorted(set(one.partitions) - set(piece.partitions))
        if strays:
            shown = ", ".join(strays[:3]) + (" …" if len(strays) > 3 else "")
            raise RunFailed(f"the run wrote partitions of {table.name} that it was not asked for: {shown}",
                            hint=f"filter the rows: where {column} in {{run.partitions}}")  # fmt: skip


def told(request: RunRequest) -> dict[str, object]:
    """What every event of a run says about it."""
    keys = ("environment", "build", "config", "purpose", "partitions", "tables", "promotion")
    by_hand = {"command": True} if request.by_hand else {}
    return {key: plain(getattr(request, key)) for key in keys} | by_hand


def tell_failure(ctx: Context, request: RunRequest, error: BaseException, *, seconds: float = 0.0) -> None:
    """Write down why a run came to nothing. Never raises: what went wrong first matters more, and is on its way up."""
    reason = error.message if isinstance(error, LaneError) else f"interrupted ({type(error).__name__})"
    data = {"reason": ctx.secrets.redact(reason), "seconds": round(seconds, 3)}
    _log.error("run failed: %s", data["reason"], extra=request.labels)
    try:
        ctx.ledger.append(stream_of(request), [Draft("run.failed", {**told(request), **data})], actor=ctx.actor.name)
    except LaneError as trouble:
        _log.warning("the failure could not be written down: %s", trouble.message, extra=request.labels)
