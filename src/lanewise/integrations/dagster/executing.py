"""The executor that ties a run to its room: any executor, with the room entered before its first step and left after
its last. The run's own process does it, so a refusal fails the run, and Dagster shows the reason."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dagster import DagsterEvent, Executor, ExecutorDefinition, InitExecutorContext, PartitionKeyRange

from lanewise.errors import RunFailed
from lanewise.integrations.dagster.room import PURPOSE, RUN, Superseded, Tied, entered
from lanewise.integrations.dagster.superseded import SUPERSEDED
from lanewise.integrations.dagster.tries import Tries

_PARTITION, _FIRST, _LAST = (
    "dagster/partition",
    "dagster/asset_partition_range_start",
    "dagster/asset_partition_range_end",
)


def tied_executor(inner: ExecutorDefinition, tied: Tied) -> ExecutorDefinition:
    """The same executor, with the same config, tied to a build. Tying it twice is once."""
    if getattr(inner, "lanewise_tied", False):
        return inner
    make = inner.executor_creation_fn

    def create(context: InitExecutorContext) -> Executor:
        return TiedExecutor(make(context), tied)

    outer = ExecutorDefinition(
        name=inner.name, config_schema=inner.config_schema, executor_creation_fn=create,
        description=inner.description, requirements=inner._requirements_fn,  # noqa: SLF001 - its only way out
    )  # fmt: skip
    outer.lanewise_tied = True
    return outer


class TiedExecutor(Executor):  # type: ignore[misc] # Dagster is not installed where the types are checked
    """``inner`` does the work."""

    def __init__(self, inner: Executor, tied: Tied) -> None:
        self._inner, self._tied = inner, tied

    @property
    def retries(self) -> Any:
        """As the inner one says."""
        return self._inner.retries

    @property
    def step_dependency_config(self) -> Any:
        """As the inner one says."""
        return self._inner.step_dependency_config

    def execute(self, plan_context: Any, execution_plan: Any) -> Iterator[DagsterEvent]:
        """See ``Executor.execute``. A step that fails for good leaves the room unpublished."""
        run, instance = plan_context.dagster_run, plan_context.instance
        instance.add_run_tags(run.run_id, self._tied.labels)
        failed: list[str] = []
        try:
            with entered(self._tied, dict(run.tags), run.run_id, _partitions(plan_context)) as room:
                instance.add_run_tags(run.run_id, {RUN: room.run, PURPOSE: room.purpose})
                tries = Tries(room.blocks)
                for event in self._inner.execute(plan_context, execution_plan):
                    tries.see(event)
                    if event.is_step_failure:
                        failed.append(event.step_key)
                    yield event
                _demand_success(failed)
        except _StepsFailed:  # Dagster knows: the run fails by its steps
            return
        except Superseded:
            instance.add_run_tags(run.run_id, {SUPERSEDED: self._tied.sign.environment})
            raise


def _demand_success(failed: list[str]) -> None:
    if failed:
        raise _StepsFailed(f"failed: {', '.join(failed)}")


class _StepsFailed(RunFailed):
    """A step failed, so the room is abandoned."""


def _partitions(plan_context: Any) -> list[str]:
    tags = plan_context.dagster_run.tags
    if tags.get(_PARTITION):
        return [tags[_PARTITION]]
    if not tags.get(_FIRST):
        return []
    definition = plan_context.job.get_definition()
    partitions = definition.partitions_def
    if partitions is None:  # materialized by a person: the job is Dagster's own, of all assets
        graph = definition.asset_layer.asset_graph
        chosen = plan_context.dagster_run.asset_selection or graph.get_all_asset_keys()
        partitions = next(graph.get(key).partitions_def for key in chosen if graph.get(key).partitions_def)
    return list(partitions.get_partition_keys_in_range(PartitionKeyRange(tags[_FIRST], tags[_LAST])))
