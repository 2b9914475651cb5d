"""What is laid around a build's ``Definitions``: labels, the executor that ties a run to its room, the resource
``lane``, and the environment's schedule. A candidate has neither schedules nor sensors, and asset keys of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dagster import (
    AssetKey,
    AssetsDefinition,
    AssetSelection,
    Definitions,
    ExecutorDefinition,
    JobDefinition,
    RepositoryDefinition,
    ResourceDefinition,
    create_repository_using_definitions_args,
    multi_or_in_process_executor,
)
from dagster._core.definitions.partitions.partitioned_schedule import (
    UnresolvedPartitionedAssetScheduleDefinition as UnresolvedPartitioned,
)
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition
from dagster_shared.record import copy

from lanewise.integrations.dagster.executing import tied_executor
from lanewise.integrations.dagster.room import PURPOSE, Tied
from lanewise.integrations.dagster.schedules import own_schedules
from lanewise.integrations.dagster.superseded import rerun_sensor
from lanewise.runtime.lane import open_lane

__all__ = ["Tied", "wrap"]


def wrap(found: Definitions, tied: Tied, name: str) -> RepositoryDefinition:
    """The build's definitions as a repository of that name."""
    assets = list(found.assets or ())
    renamed = _renamed(assets, tied) if tied.candidate else {}
    jobs = {id(one): _job(one, tied, assets, renamed) for one in _every_job(found)}
    listed = list({job.name: job for job in jobs.values()}.values())
    schedules, sensors = own_schedules(found, tied, jobs) if not tied.candidate else ([], [])
    if listed and not tied.candidate:
        sensors.append(rerun_sensor(tied, listed))
    resources = {"lane": _lane_resource(tied), **(found.resources or {})}
    executor = found.executor or multi_or_in_process_executor
    if not isinstance(executor, ExecutorDefinition):
        executor = ExecutorDefinition.hardcoded_executor(executor)
    repository: RepositoryDefinition = create_repository_using_definitions_args(
        name=name,
        assets=[_replaced(one, renamed) for one in assets],
        asset_checks=[_replaced(one, renamed) for one in found.asset_checks or ()],
        jobs=listed,
        schedules=schedules,
        sensors=sensors,
        resources=resources,
        executor=tied_executor(executor, tied),
        loggers=found.loggers,
    )
    return repository


def _every_job(found: Definitions) -> list[Any]:
    """The jobs that are listed, and those that schedules and sensors alone name."""
    jobs = list(found.jobs or ())
    jobs += [
        schedule.job
        for schedule in found.schedules or ()
        if isinstance(schedule, UnresolvedPartitioned) or schedule.target.has_job_def
    ]
    for sensor in found.sensors or ():
        jobs += [target.job_def for target in sensor.targets if target.has_job_def]
    return [one for one in {id(one): one for one in jobs}.values() if isinstance(one, _JOBS)]


_JOBS = (JobDefinition, UnresolvedAssetJobDefinition)


def _job(job: Any, tied: Tied, assets: Sequence[Any], renamed: Mapping[AssetKey, AssetKey]) -> Any:
    purpose = {} if tied.candidate else {PURPOSE: "scheduled"}  # until the run is begun, which may find it a rerun
    tags = {**(job.run_tags or {}), **tied.labels, **purpose}
    definition_tags = {**(job.tags or {}), **tied.labels}
    if isinstance(job, JobDefinition):
        changed = job._copy(tags=definition_tags, run_tags=tags)  # noqa: SLF001 - there is no public way to tag one
        return (
            changed.with_executor_def(tied_executor(job.executor_def, tied)) if job.has_specified_executor else changed
        )
    selection = job.selection
    if renamed:
        keys = selection.resolve([one for one in assets if isinstance(one, AssetsDefinition)])
        selection = AssetSelection.assets(*(renamed.get(key, key) for key in keys))
    executor = tied_executor(job.executor_def, tied) if job.executor_def else None
    return copy(job, selection=selection, tags=definition_tags, run_tags=tags, executor_def=executor)


def _renamed(assets: Sequence[Any], tied: Tied) -> dict[AssetKey, AssetKey]:
    """Keys of the assets that the build itself computes: a candidate's materializations must not look like the live
    ones, neither to people nor to the sensors that follow them."""
    keys = [key for one in assets if isinstance(one, AssetsDefinition) and one.is_executable for key in one.keys]
    return {key: AssetKey([f"candidate_{tied.short}", *key.path]) for key in keys}


def _replaced(one: Any, renamed: Mapping[AssetKey, AssetKey]) -> Any:
    if not renamed or not isinstance(one, AssetsDefinition):
        return one
    return one.with_attributes(asset_key_replacements=renamed)


def _lane_resource(tied: Tied) -> ResourceDefinition:
    """``lanewise.current()`` as the resource ``lane``: settings and connections of this environment, and the run."""
    sign, caller = tied.sign, f"{tied.folder}/definitions.py"
    return ResourceDefinition(
        resource_fn=lambda _context: open_lane(sign.environment, caller),
        description=f"Settings and connections of {sign.environment}, as lanewise.current() gives them",
    )
