"""What Airflow's dag-processor pays for Lanewise: a DAG file that calls ``lanewise.current()`` beside the same file
without it, both in a build of 1,000 DAG files; and a bundle's refresh when nothing has moved.

Needs Airflow in ``.cache/airflow``. "plain" is the file in a folder that Lanewise has nothing to do with: what is above
it is the policy's work (labels, settings, the sign).
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path

from benchmarks.figure import Figure

from lanewise.bootstrap import open_context
from lanewise.service import signs
from lanewise.service.build import make_build
from lanewise.service.candidate import open_candidate

ROOT = Path(__file__).resolve().parent.parent
PYTHON = ROOT / ".cache" / "airflow" / "bin" / "python"
FILES = 1_000
PROJECT = "project: flights\nsource: {include: [pipelines/**]}\nrun: python -m pipelines.none\ntables: {daily: {}}\n"
ENVIRONMENTS = 'defaults: {late_after: 15, bucket: "raw-{env}", retries: 2}\nenvironments: {prod: {}}\n'
DAG = """\
from datetime import timedelta

from airflow.sdk import DAG, Asset, task
@IMPORT@

with DAG("flights_@NUMBER@", schedule=timedelta(days=1), tags=["flights"], default_args={"owner": "data"}):
    @task(retries=2)
    def load(bucket):
        print(bucket)

    @task
    def late(limit):
        print(limit)

    @task(outlets=[Asset("daily_@NUMBER@")])
    def publish():
        print("done")

    load(@BUCKET@) >> late(@LATE@) >> publish()
"""
USED = {"@IMPORT@": "\nimport lanewise\n\nlane = lanewise.current()", "@BUCKET@": "lane.settings.bucket",
        "@LATE@": "lane.settings.late_after"}  # fmt: skip
UNUSED = {"@IMPORT@": "", "@BUCKET@": '"raw-prod"', "@LATE@": "15"}


def figures(*, quick: bool) -> list[Figure]:
    """Times of one parse and of one refresh."""
    if not PYTHON.exists():
        raise SystemExit(f"{PYTHON} is not there: install requirements/airflow.txt into .cache/airflow")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder)
        found = measure(folder, 200 if quick else FILES)
    if found["files"] != FILES:
        raise SystemExit(f"the build has {found['files']} DAG files, not {FILES}")
    ratio = found["with"] / found["without"]
    return [
        Figure("airflow: parse a DAG file with lanewise.current(), over without", ratio, 1.1, "times", ratio,
               f"without it, {found['without'] * 1000:.1f} ms"),
        Figure("airflow: parse the same outside of Lanewise's bundle", found["plain"] * 1000, None, "ms",
               found["plain"] / found["without"], "in it, without lanewise.current()"),
        Figure("airflow: a bundle's refresh with nothing new", found["idle"] * 1000, 20, "ms",
               found["idle"] * 1000 / 20, "the limit"),
    ]  # fmt: skip


def prepare(folder: Path) -> None:
    """A build of 1,000 DAG files, half of which use ``lanewise.current()``, live in prod; and one such file outside."""
    (folder / "pipelines").mkdir()
    (folder / "plain" / "pipelines").mkdir(parents=True)
    (folder / "lanewise.yaml").write_text(PROJECT)
    (folder / "environments.yaml").write_text(ENVIRONMENTS)
    for number in range(FILES // 2):
        for name, words in (("with", USED), ("without", UNUSED)):
            (folder / "pipelines" / f"{name}_{number:03}.py").write_text(text(f"{name}_{number:03}", words))
    (folder / "plain" / "pipelines" / "plain.py").write_text(text("plain", UNUSED))
    ctx = open_context(folder)
    lane = ctx.config.environment("prod")
    signs.show_candidate(ctx, lane, open_candidate(ctx, make_build(ctx).digest))
    sign = ctx.home / "signs" / "prod.json"
    document = json.loads(sign.read_text())
    sign.write_text(json.dumps({**document, "live": document["candidates"][0], "candidates": []}))


def text(number: str, words: dict[str, str]) -> str:
    """One DAG file."""
    filled = DAG.replace("@NUMBER@", number)
    for name, value in words.items():
        filled = filled.replace(name, value)
    return filled


def measure(folder: Path, rounds: int) -> dict[str, float]:
    """Let Airflow's interpreter do it."""
    variables = {"PATH": os.environ["PATH"], "HOME": str(folder), "AIRFLOW_HOME": str(folder / "airflow"),
                 "AIRFLOW__CORE__LOAD_EXAMPLES": "False", "LANEWISE_HOME": str(folder / ".lanewise"),
                 "LANEWISE_ENV": "prod"}  # fmt: skip
    script = [PYTHON, ROOT / "benchmarks" / "airflow_parse.py", folder, str(rounds)]
    done = subprocess.run(script, env=variables, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"Airflow's interpreter ended with {done.returncode}:\n{done.stdout}{done.stderr}"[-2_000:])
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return found
