"""Schedules follow the environment: as they are written, paused, or by the environment's own cron expression."""

from __future__ import annotations

import copy as shallow
from collections.abc import Mapping
from typing import Any

from dagster import (
    DefaultScheduleStatus,
    DefaultSensorStatus,
    Definitions,
    JobDefinition,
    RunRequest,
    ScheduleDefinition,
    ScheduleEvaluationContext,
)
from dagster._core.definitions.partitions.context import partition_loading_context
from dagster._core.definitions.partitions.partitioned_schedule import (
    UnresolvedPartitionedAssetScheduleDefinition as UnresolvedPartitioned,
)
from dagster_shared.record import copy

from lanewise.integrations.dagster.room import Tied

PAUSED, AS_WRITTEN = "paused", "as written"


def own_schedules(found: Definitions, tied: Tied, jobs: Mapping[int, Any]) -> tuple[list[Any], list[Any]]:
    """The live build's schedules and sensors. ``jobs``: what stands for each job, by the identity of the written one.

    As written, the schedules of the job that computes the tables run; every other one has the status that the file
    gives it. Paused, nothing is started. A cron expression stands in for those of that job.
    """
    entry, wanted = str(tied.served.get("entry", "")), str(tied.served.get("schedule", PAUSED))
    schedules = []
    for written in found.schedules or ():
        one, mine = _with_job(written, jobs), _job_name(written) == entry
        if wanted not in {PAUSED, AS_WRITTEN} and mine:
            continue
        if wanted == PAUSED:
            one = _with_status(one, DefaultScheduleStatus.STOPPED)
        elif mine:
            one = _with_status(one, DefaultScheduleStatus.RUNNING)
        schedules.append(one)
    if wanted not in {PAUSED, AS_WRITTEN}:
        schedules.append(_by_cron(found, tied, wanted))
    sensors = [_sensor(one, jobs, paused=wanted == PAUSED) for one in found.sensors or ()]
    return schedules, sensors


def _job_name(schedule: Any) -> str:
    return str(schedule.job.name if isinstance(schedule, UnresolvedPartitioned) else schedule.job_name)


def _with_job(schedule: Any, jobs: Mapping[int, Any]) -> Any:
    if isinstance(schedule, UnresolvedPartitioned):
        return copy(schedule, job=jobs.get(id(schedule.job), schedule.job))
    if schedule.target.has_job_def and id(schedule.job) in jobs:
        return schedule.with_updated_job(jobs[id(schedule.job)])
    return shallow.copy(schedule)


def _with_status(schedule: Any, status: DefaultScheduleStatus) -> Any:
    if isinstance(schedule, UnresolvedPartitioned):
        return copy(schedule, default_status=status)
    schedule._default_status = status  # noqa: SLF001 - a copy of our own; there is no public way
    return schedule


def _sensor(sensor: Any, jobs: Mapping[int, Any], *, paused: bool) -> Any:
    targets = [target.job_def for target in sensor.targets if target.has_job_def]
    changed = sensor.with_updated_jobs([jobs.get(id(job), job) for job in targets]) if targets else shallow.copy(sensor)
    if paused:
        changed._default_status = DefaultSensorStatus.STOPPED  # noqa: SLF001 - as above
    return changed


def _by_cron(found: Definitions, tied: Tied, cron: str) -> ScheduleDefinition:
    """One schedule for the job, which runs the newest partition that has ended, and all where there are none. It keeps
    the name and the time zone of the first written one."""
    entry = str(tied.served["entry"])
    written = next((one for one in found.schedules or () if _job_name(one) == entry), None)

    def tick(context: ScheduleEvaluationContext) -> RunRequest:
        job: JobDefinition = context.repository_def.get_job(entry)
        if job.partitions_def is None:
            return RunRequest()
        with partition_loading_context(effective_dt=context.scheduled_execution_time):
            return RunRequest(partition_key=job.partitions_def.get_last_partition_key())

    return ScheduleDefinition(
        name=written.name if written else f"{entry}_schedule", cron_schedule=cron, job_name=entry, execution_fn=tick,
        execution_timezone=getattr(written, "execution_timezone", None),
        default_status=DefaultScheduleStatus.RUNNING,
        description=f"every {cron}, as the setting `schedule` of {tied.sign.environment} says",
    )  # fmt: skip
