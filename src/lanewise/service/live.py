"""``lane run``: the live build over some partitions. Write, audit, publish, for scheduled runs and reruns alike.

What was written is invisible until its checks have passed; then the days go to the live build's version in one
step. Nothing is guessed about other writers: the map that was looked at must still be live, or it is looked at again.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from lanewise.domain.canonical import digest
from lanewise.domain.environment import Environment
from lanewise.domain.event import Draft
from lanewise.domain.evidence import Result
from lanewise.domain.partition import ALL, parse_partition
from lanewise.domain.ports import Warehouse
from lanewise.domain.project import Grain, Project, TableKind
from lanewise.domain.publication import PartitionMap, Slice
from lanewise.domain.run import Purpose, RunRequest
from lanewise.errors import FenceRefused, GroundMoved, Refused, RunFailed, WrongInput
from lanewise.promotion.gates.quality import CheckVerdict, judge_checks
from lanewise.publication.maps import overlay
from lanewise.service.candidate import Candidate, open_candidate
from lanewise.service.claims import LIVE, claimed, claims_of, recover_runs
from lanewise.service.configure import pinned
from lanewise.service.context import Context
from lanewise.service.lease import Held
from lanewise.service.releases import as_released
from lanewise.service.run import RunResult, Work, announce, carry_out, new_id, request_for, stream_of, tell_failure

_log = logging.getLogger("lanewise.run")

_TRIES = 20
WAIT = timedelta(minutes=10)
"""How long a run waits for another one that works on the same partitions."""


@dataclass(frozen=True)
class Wanted:
    """A live run as it is asked for, or as it would be: what runs where, over what, and why."""

    build: Candidate
    lane: Environment
    purpose: Purpose
    partitions: tuple[str, ...]
    command: tuple[str, ...] = ()


@dataclass(frozen=True)
class Published:
    """A live run that readers see: as map ``map``, after ``checks`` had passed."""

    run: RunResult
    map: int
    checks: tuple[CheckVerdict, ...]


def want(ctx: Context, environment: str, partitions: Sequence[str], command: Sequence[str] = ()) -> Wanted:
    """Decide what would run, without doing it. ``Refused`` when nothing is live there, or when its last promotion
    was interrupted; ``WrongInput`` for partitions that the project has not got."""
    lane = as_released(ctx, environment)
    if lane is None:
        (pinned(ctx) or ctx.config).environment(environment)  # a wrong name is told as such
        raise Refused(f"nothing is live in {environment}", hint=f"`lane promote --to {environment}` first")
    live = ctx.warehouse(lane).live()
    if not live.build or live.config != lane.digest:
        raise Refused(f"what is live in {environment} is not what was released there last",
                      hint=f"`lane promote --to {environment}` finishes what was interrupted")  # fmt: skip
    build = open_candidate(ctx, live.build)
    chosen = _checked(build.project, tuple(dict.fromkeys(partitions)), environment)
    known = {p for table in live.tables for p in live.partitions(table) if table in build.project.tables}
    purpose = Purpose.RERUN if known & set(chosen) else Purpose.SCHEDULED
    return Wanted(build, lane, purpose, chosen, tuple(command))


def run_live(
    ctx: Context, environment: str, partitions: Sequence[str] = (), command: Sequence[str] = (), wait: timedelta = WAIT
) -> Published:
    """Run the live build, or ``command`` in its place, over ``partitions``; see ``carry_through``."""
    return carry_through(ctx, want(ctx, environment, partitions, command), wait)


def carry_through(ctx: Context, wanted: Wanted, wait: timedelta = WAIT) -> Published:
    """Run what is wanted, audit what it wrote, publish it.

    ``LeaseHeld`` when another run works on one of its partitions for longer than ``wait``, ``RunFailed`` when the
    command fails or its output does not pass, ``GroundMoved`` when another release went live meanwhile.
    """
    environment, warehouse = wanted.lane.name, ctx.warehouse(wanted.lane)
    recover_runs(ctx, environment, warehouse)
    work = work_of(wanted, warehouse, new_id(LIVE))
    request = request_for(ctx, work)
    claims = claims_of(wanted.build.project, work.partitions)
    with claimed(ctx, environment, request.id, claims, wait, lambda: announce(ctx, work, request, claims)) as hold:
        base = warehouse.live()
        result = carry_out(ctx, work, request, warehouse)
        try:
            checks = audit(ctx, request, wanted.build.project, result.slices, warehouse)
            number = publish_slices(Writer(warehouse, wanted.build.project, request, base, hold), result.slices)
        except BaseException as error:
            tell_failure(ctx, request, error, seconds=result.seconds)
            raise
        facts = {"map": number, "build": request.build, "partitions": list(request.partitions)}
        ctx.ledger.append(stream_of(request), [Draft("run.published", facts)], actor=ctx.actor.name)
        _log.info("published as map %d", number, extra=request.labels)
    return Published(result, number, checks)


def _checked(project: Project, partitions: tuple[str, ...], environment: str) -> tuple[str, ...]:
    specs = {table.partition for table in project.tables.values() if table.partition}
    if not specs:
        if partitions not in {(), (ALL,)}:
            raise WrongInput(f"{project.name} has no partitions", hint=f"`lane run {environment}` runs all of it")
        return (ALL,)
    if not partitions:
        raise Refused(f"{project.name} is run by partition, and none is named",
                      hint=f"`lane run {environment} --partition 2013-01-05`, or --from and --to")  # fmt: skip
    grains = {spec.grain for spec in specs}
    for name in partitions:
        if not name.strip():
            raise WrongInput("a partition's name is not empty")
        if len(grains) == 1 and (grain := next(iter(grains))) is not Grain.VALUE:
            parse_partition(name, grain)
    return partitions


def grain_of(project: Project) -> Grain:
    """The grain by which a project's partitions are named; ``WrongInput`` where it has none, or several."""
    grains = {table.partition.grain for table in project.tables.values() if table.partition}
    if len(grains) != 1:
        hint = "name them with --partition" if grains else "run it without --from and --to"
        raise WrongInput(f"{project.name} has {'several grains of' if grains else 'no'} partitions", hint=hint)
    return next(iter(grains))


def work_of(wanted: Wanted, warehouse: Warehouse, run: str) -> Work:
    """What is wanted, on the inputs as they are now, under the name ``run``."""
    project = wanted.build.project
    pins = warehouse.pin(project.inputs)
    return Work(
        wanted.build, wanted.lane, wanted.purpose, wanted.partitions, tuple(project.tables),
        inputs=digest(pins), command=wanted.command, id=run,
    )  # fmt: skip


def audit(
    ctx: Context, request: RunRequest, project: Project, slices: Mapping[str, tuple[Slice, ...]], warehouse: Warehouse
) -> tuple[CheckVerdict, ...]:
    """Every check on what was written, before any reader sees it. Doubt refuses like a failure."""
    results = [
        result
        for name, found in slices.items()
        for result in warehouse.evaluate(project.tables[name], project.tables[name].checks, found)
    ]
    verdicts = judge_checks({name: project.tables[name] for name in slices}, results)
    facts = [{"table": v.table, "check": v.check, "result": v.result.value, "reason": v.reason} for v in verdicts]
    ctx.ledger.append(stream_of(request), [Draft("run.audited", {"checks": facts})], actor=ctx.actor.name)
    bad = [v.reason for v in verdicts if v.result is not Result.PASS]
    if bad:
        more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
        hint = "readers still see what they saw; mend the input or the pipeline, and run it again"
        raise RunFailed(f"not published, its data did not pass audit: {bad[0]}{more}", hint=hint)
    return verdicts


@dataclass(frozen=True)
class Writer:
    """What publishing stands on. ``base`` is the map as the run began."""

    warehouse: Warehouse
    project: Project
    request: RunRequest
    base: PartitionMap
    hold: Held


def publish_slices(writer: Writer, slices: Mapping[str, tuple[Slice, ...]]) -> int:
    """Put the slices into the map that is live now, by compare-and-set; the new map's number."""
    warehouse = writer.warehouse
    columns = {name: warehouse.columns(found) for name, found in slices.items() if found}
    fence = warehouse.pointer().fence
    for _ in range(_TRIES):
        live = warehouse.live()
        _check_ground(writer, live, slices)
        number = max(live.number, *warehouse.maps(), 0) + 1
        target = replace(overlay(live, slices, writer.project, columns), number=number)
        warehouse.prepare(target)
        writer.hold.check()
        try:
            warehouse.publish(target, base=live.number, fence=fence)
        except FenceRefused as newer:
            # A promotion is at work. Its fence keeps older promotions out; a run may publish beside it, since the
            # map that it was decided on must still be live.
            fence = newer.seen
        except GroundMoved:
            time.sleep(random.uniform(0.02, 0.2))  # noqa: S311 - so that two writers don't march in step
        else:
            return number
    raise GroundMoved(f"{writer.request.environment} was published to {_TRIES} times while this run tried",
                      hint="run it again when the lane is quieter")  # fmt: skip


def _check_ground(writer: Writer, live: PartitionMap, slices: Mapping[str, tuple[Slice, ...]]) -> None:
    """Other days may have been published meanwhile; the build, and what a merge or append began from, may not."""
    request, base = writer.request, writer.base
    if (live.build, live.config) != (base.build, base.config):
        hint = "run it again: the live build computes it anew"
        raise GroundMoved(f"another release went live in {request.environment} while this ran", hint=hint)
    for name, found in slices.items():
        if writer.project.tables[name].kind not in {TableKind.MERGE, TableKind.APPEND}:
            continue
        for partition in {one.partition for one in found}:
            if _slices(live, name, partition) != _slices(base, name, partition):
                raise GroundMoved(f"{name} {partition} was published by somebody else while this ran",
                                  hint="run it again: it must start from what is there now")  # fmt: skip


def _slices(published: PartitionMap, table: str, partition: str) -> tuple[Slice, ...]:
    held = published.tables.get(table)
    return tuple(held.slices.get(partition, ())) if held else ()
