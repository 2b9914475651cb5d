"""Builds whose code says which it is, and which take their time to parse, and tell when they are parsed."""

from __future__ import annotations

from pathlib import Path

# What each task of a run was, from its own process: the run, the letter in its code, and the build that it was told.
_PIPELINE = """
import pathlib, time
from datetime import timedelta

import lanewise
from airflow.sdk import DAG, DeltaTriggerTimetable, task

pathlib.Path({log!r} + "-{name}-is-parsed").touch()
time.sleep({slow})
lane = lanewise.current()
with DAG("clocked", schedule=DeltaTriggerTimetable(timedelta(seconds=10)), max_active_runs=2):
    @task
    def say(dag_run=None):
        with pathlib.Path({log!r}).open("a") as file:
            file.write(f"{{dag_run.run_id}} {name} {{lane.build}}\\n")
    say.override(task_id="first_{name}")() >> say.override(task_id="second_{name}")()
"""


def pipeline(name: str, log: Path, *, slow: float) -> dict[str, str]:
    """The files of a build that calls itself ``name`` and takes ``slow`` seconds to parse. Its DAG is no entry, so no
    run of it has anything to publish."""
    return {"pipelines/clocked.py": _PIPELINE.format(name=name, log=str(log), slow=slow)}


def parsing(name: str, log: Path) -> bool:
    """Whether a parse of that build has begun since this was asked last."""
    mark = Path(f"{log}-{name}-is-parsed")
    found = mark.exists()
    mark.unlink(missing_ok=True)
    return found


def ran(log: Path) -> list[tuple[str, str, str]]:
    """(DAG run, the letter in its code, the build that it was told) of each task that ran."""
    lines = log.read_text().splitlines() if log.exists() else []
    return [(run, letter, build) for run, letter, build in (line.split(" ") for line in lines)]
