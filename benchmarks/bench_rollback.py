"""``lane rollback``: a whole process, from typing it to the prompt, on a table of 365 partitions.

Two builds take turns: each rollback names the one that was live before, so nothing is promoted in between. What the
command itself says it took, from the request to the moved pointer, is the second figure.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import tempfile
from pathlib import Path

from benchmarks.figure import Figure
from benchmarks.timing import BARE, LANE, Spent, median, spend

LIMIT, POINTER_LIMIT = 1.0, 1.0
PROJECT = """
project: shop
source: {include: [pipelines/**]}
run: python -m pipelines.days
tables:
  daily:
    kind: partition
    partition: {column: day, grain: day, timezone: UTC}
    key: [day]
    columns: {day: DATE not null, number: INTEGER}
"""
ENVIRONMENTS = """
environments: {prod: {data: {from: "2024-01-01", to: "2024-12-30"}}}
connections: {warehouse_prod: {type: duckdb}}
"""
CODE = """
import lanewise

with lanewise.current().run() as run:
    run.sql(f\"\"\"
        insert into {run.output('daily')}
        select cast(moment as date) as day, NUMBER
        from range(date '2024-01-01', date '2025-01-01', interval 1 day) days(moment)
        where cast(moment as date) in {run.partitions}
    \"\"\")
"""


def figures(*, quick: bool) -> list[Figure]:
    """Two figures: seconds of the whole command, and seconds until the pointer has moved."""
    with tempfile.TemporaryDirectory(prefix="lane-bench-") as name:
        folder = Path(name)
        builds = _release_twice(folder)
        bare, whole, pointer = [], [], []
        for number in range(4 if quick else 12):
            bare.append(spend(BARE, folder))
            spent, seconds = _roll_back(folder, builds[number % 2])
            whole.append(spent)
            pointer.append(seconds)
    took, start = median(whole), median(bare)
    moved = statistics.median(pointer)
    return [
        Figure(
            "`lane rollback`, the whole process",
            took.wall,
            LIMIT,
            "s",
            took.wall / start.wall,
            "bare interpreter",
            took.cpu,
        ),
        Figure("its pointer has moved", moved, POINTER_LIMIT, "s", moved / start.wall, "bare interpreter"),
    ]


def _release_twice(folder: Path) -> tuple[str, str]:
    """The older build and the newer one, which is live."""
    (folder / "pipelines").mkdir()
    (folder / "lanewise.yaml").write_text(PROJECT)
    (folder / "environments.yaml").write_text(ENVIRONMENTS)
    builds = []
    for number in "12":
        (folder / "pipelines" / "days.py").write_text(CODE.replace("NUMBER", number))
        builds.append(json.loads(subprocess.check_output([LANE, "build", "--format", "json"], cwd=folder))["digest"])
        spend([LANE, "promote", builds[-1], "--to", "prod"], folder)
    return builds[0], builds[1]


def _roll_back(folder: Path, build: str) -> tuple[Spent, float]:
    spent = spend([LANE, "rollback", "prod", "--build", build, "--format", "json"], folder)
    return spent, float(json.loads((folder / ".last-words").read_text())["seconds"])
