"""Runs that a location began with the build before, since it had not yet seen that another one is live: they are
refused, and the live build runs them instead. Without this, what the clock started in those seconds would be lost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from dagster import DefaultSensorStatus, RunRequest, RunsFilter, SensorDefinition, SensorEvaluationContext, SkipReason

from lanewise.integrations.dagster.room import BUILD, PROJECT, RUN, Tied
from lanewise.runtime.sign import read_sign

SUPERSEDED = "lanewise/superseded"
INSTEAD_OF = "lanewise/instead_of"
_KEPT = frozenset({
    "dagster/partition", "dagster/partition_set", "dagster/asset_partition_range_start",
    "dagster/asset_partition_range_end", "dagster/priority", "dagster/max_retries",
})  # fmt: skip
_LOOK_BACK = 50


def rerun_sensor(tied: Tied, jobs: Sequence[Any]) -> SensorDefinition:
    """The sensor ``lanewise_superseded`` of the live build."""

    names = [job.name for job in jobs]

    def look(context: SensorEvaluationContext) -> Iterator[RunRequest | SkipReason]:
        live = read_sign(tied.sign.home, tied.sign.environment).live
        if live is None or live["build"] != tied.build:
            yield SkipReason("another build is live by now, and looks after this when it is loaded")
            return
        mine = {SUPERSEDED: tied.sign.environment, PROJECT: tied.sign.project}
        refused = context.instance.get_runs(RunsFilter(tags=mine), limit=_LOOK_BACK)
        for run in refused:
            if run.job_name in names and run.tags.get(BUILD) != tied.build:
                kept = {key: value for key, value in run.tags.items() if _stays(key)}
                yield RunRequest(
                    run_key=run.run_id, job_name=run.job_name, run_config=run.run_config,
                    tags={**kept, INSTEAD_OF: run.run_id},
                )  # fmt: skip

    return SensorDefinition(
        name="lanewise_superseded", evaluation_fn=look, jobs=list(jobs), minimum_interval_seconds=10,
        default_status=DefaultSensorStatus.RUNNING,
        description="Runs that another build was to do, and could not since this one is live",
    )  # fmt: skip


def _stays(tag: str) -> bool:
    """Which partition it is, and what the pipeline's own people have tagged; not how the refused run came about."""
    return tag in _KEPT or not tag.startswith(("lanewise/", "dagster/", ".dagster/"))


__all__ = ["INSTEAD_OF", "RUN", "SUPERSEDED", "rerun_sensor"]
