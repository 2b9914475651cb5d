"""Typed in Dagster's own virtual environment: loads builds as a code location does, and prints what came of it."""

import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from dagster import DagsterInstance, DagsterRun, build_schedule_context, build_sensor_context

from lanewise.integrations.dagster import candidate, live, loading


def facts(repository):
    jobs = {job.name: dict(job.run_tags) for job in repository.get_all_jobs() if not job.name.startswith("__")}
    return {
        "name": repository.name,
        "jobs": jobs,
        "why": {job.name: job.description for job in repository.get_all_jobs()},
        "assets": sorted(key.to_user_string() for key in repository.asset_graph.get_all_asset_keys()),
        "checks": sorted(str(key) for key in repository.asset_graph.asset_check_keys),
        "schedules": {
            one.name: [one.cron_schedule, one.default_status.value, one.job_name] for one in repository.schedule_defs
        },
        "sensors": {one.name: one.default_status.value for one in repository.sensor_defs},
        "resources": sorted(repository.get_top_level_resources()),
    }


def told(load):
    try:
        return facts(load())
    except Exception as error:  # noqa: BLE001 - whatever it is, the test compares it
        return {"refused": f"{type(error).__name__}: {error}"}


def ticked(repository):
    """What the schedule would start on a Sunday morning."""
    moment = datetime(2013, 1, 6, 5, 30, tzinfo=UTC)
    with build_schedule_context(repository_def=repository, scheduled_execution_time=moment) as context:
        requests = repository.get_schedule_def("sales_schedule").evaluate_tick(context).run_requests
    return [[one.partition_key, one.tags.get("lanewise/build")] for one in requests]


def started_instead(repository):
    """What the live build runs in place of a run that was refused to another build."""
    clock = {"dagster/partition": "2013-01-02", "dagster/schedule_name": "sales_schedule"}
    tags = {"lanewise/superseded": "prod", "lanewise/run": "live-dg-1", "team": "shop", **clock}
    own = repository.get_job("sales").tags["lanewise/build"]
    runs = [("sha256:other", "r1", "sales"), (own, "r2", "sales"), ("sha256:other", "r3", "another project")]
    with DagsterInstance.ephemeral() as instance:
        for build, run, project in runs:
            told = {**tags, "lanewise/build": build, "lanewise/project": project}
            instance.add_run(DagsterRun("sales", run_id=run, tags=told))
        with build_sensor_context(instance=instance, repository_def=repository) as context:
            found = repository.get_sensor_def("lanewise_superseded").evaluate_tick(context)
    return [[one.run_key, one.job_name, dict(one.tags)] for one in found.run_requests]


def main(wanted):
    found = {"candidates": [], "live": [], "ticks": []}
    file = Path(os.environ["LANEWISE_HOME"]) / "signs/prod.json"
    sign = json.loads(file.read_text())
    for one in sign["candidates"]:
        name = loading.attribute(one["build"])
        found["candidates"].append(told(lambda name=name: getattr(candidate, name)))
    for schedule in wanted:
        loading.load.cache_clear()
        file.write_text(json.dumps({**sign, "live": {**sign["live"], "schedule": schedule}}))
        found["live"].append(told(lambda: getattr(live, dir(live)[0])))
        found["ticks"].append(ticked(getattr(live, dir(live)[0])))
    found["instead"] = started_instead(getattr(live, dir(live)[0]))
    found["pointers"] = [dir(live), dir(candidate)]
    return found


print(json.dumps(main(sys.argv[1:])))
