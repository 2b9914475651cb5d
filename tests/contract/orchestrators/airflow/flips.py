"""What the tests of a moving bundle need: builds whose code says which it is, slow to parse, and a ``lane`` that opens
rooms without a project."""

from __future__ import annotations

import json
import sys
from pathlib import Path

# Which build the code is, its parse, and what a run of it did: one line a task, from the task's own process.
PIPELINE = """
import pathlib, time
from datetime import timedelta

import lanewise
from airflow.sdk import DAG, DeltaTriggerTimetable, task

time.sleep({slow})
lane = lanewise.current()
with DAG("flights", schedule=DeltaTriggerTimetable(timedelta(seconds=10)), max_active_runs=2):
    @task(task_id="only_{name}")
    def compute(dag_run=None):
        with lane.run() as run, pathlib.Path({log!r}).open("a") as file:
            file.write(f"{{dag_run.run_id}} {name} {{lane.build}} {{run.partitions}}\\n")
    compute()
"""

# A `lane` that answers `scheduled begin` and the others from the files it is given, and says what it was asked.
STUB = """
import json, pathlib, sys
words, home = sys.argv[1:], pathlib.Path.cwd()
with open({said!r}, "a") as file:
    file.write(json.dumps(words) + "\\n")
asked = dict(zip(words[2::], words[3::]))
if words[1] == "begin":
    sign = json.loads((home / "signs" / f"{{words[2]}}.json").read_text())
    if sign["live"]["build"] != asked["--build"]:
        sys.stderr.write("another build is live now\\n")
        sys.exit(1)
    document = json.loads((home / "compiled" / asked["--build"][7:] / f"{{words[2]}}.json").read_text())
    days = [value for name, value in zip(words, words[1:]) if name == "--partition"]
    document["run"] = {{"id": asked["--id"], "purpose": "scheduled", "partitions": days, "tables": [], "declared": {{}},
                       "promotion": ""}}
    document["engine"] = {{"type": "none"}}
    path = home / "runs" / f"{{asked['--id']}}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(document))
    print(json.dumps({{"compiled": str(path)}}))
else:
    print("{{}}")
"""


def pipeline(name: str, log: Path, *, slow: float) -> dict[str, str]:
    """The files of a build that calls itself ``name`` and takes ``slow`` seconds to parse."""
    return {"pipelines/flights.py": PIPELINE.format(name=name, log=str(log), slow=slow)}


def stub_lane(folder: Path) -> list[str]:
    """How the stub is started; what it was asked is a line of JSON each in ``folder/said``."""
    script = folder / "lane_stub.py"
    script.write_text(STUB.format(said=str(folder / "said")))
    return [sys.executable, str(script)]


def said(folder: Path) -> list[list[str]]:
    """What the stub was asked."""
    file = folder / "said"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
