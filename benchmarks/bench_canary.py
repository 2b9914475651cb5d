"""What a 5% canary costs against a full run of the same build: processor time and clock time of whole commands.

*Full* is ``lane run prod`` over all 365 partitions: write, audit, publish. *Canary* is ``lane promote --to prod`` of
a build with a fault, up to where its first step stops it. So everything is counted: the start of the processes, the
build, plan and gates, 19 of 365 partitions by the new build, 3 of them once more by the old one (the A/A noise floor),
the comparison down to the changed keys, and going back. Each round makes a new faulty build.

Sized so that the work in a partition outweighs what a promotion costs whatever its size (some seconds): 1,000 rows a
day, each hashed ``ROUNDS`` times, about half a second of processor time a day, more than three minutes a full
run. 19 of 365 are 5.2% and the noise floor is 0.8%, so the smaller the full run, the larger the share of the rest;
the table says how many seconds that is, hence where 8% is reached.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path

import duckdb
from benchmarks.figure import Figure
from benchmarks.timing import LANE, Spent, median, spend

LIMIT = 8.0
ROUNDS, ROWS, DAYS = 2_000, 1_000, 365
STEP, NOISE = 19, 3
FIRST, LAST = "2023-01-01", "2023-12-31"
PROJECT = """
project: hashes
source: {include: [pipelines/**]}
run: python -m pipelines.hashes
inputs: [raw.orders]
tables:
  hashed:
    kind: partition
    partition: {column: day, grain: day, timezone: UTC}
    key: [day, id]
    columns: {day: DATE not null, id: INTEGER not null, amount: "DECIMAL(18,2)", hashed: VARCHAR}
    checks: [{not_null: [id]}, {unique: [day, id]}, {row_count: {min: 1}}]
"""
ENVIRONMENTS = f"""
defaults: {{src_conn: raw, dst_conn: warehouse}}
environments: {{prod: {{data: {{from: "{FIRST}", to: "{LAST}"}}}}}}
connections:
  raw: {{type: files, path: data}}
  warehouse: {{type: duckdb}}
promotion:
  prod:
    gates: [quality, schema, retained]
    rollout: {{canary: [5%, 25%, 100%]}}
"""
CODE = """
import lanewise

with lanewise.current().run() as run:
    run.sql(f\"\"\"
        insert into {run.output('hashed')}
        select day, id, FAULT as amount, max(sha256(concat(id, ' ', k))) as hashed
        from {run.input('raw.orders')}, range(ROUNDS) r(k)
        where day in {run.partitions}
        group by day, id, amount
    \"\"\")
"""


def figures(*, quick: bool) -> list[Figure]:
    """Two figures: the canary in percent of the full run, by the processor and by the clock."""
    with tempfile.TemporaryDirectory(prefix="lane-bench-") as name:
        folder = Path(name)
        _lay_out(folder)
        _write_code(folder, "amount")
        spend([LANE, "promote", "--to", "prod"], folder)
        full, canary = [], []
        for number in range(1 if quick else 2):
            full.append(spend([LANE, "run", "prod", "--from", FIRST, "--to", LAST], folder))
            canary.append(_canary(folder, number + 1))
    all_, part = median(full), median(canary)
    share = 100 * part.cpu / all_.cpu
    overhead = part.cpu - (STEP + NOISE) / DAYS * all_.cpu
    wall = part.wall / all_.wall
    return [
        Figure(f"5% canary: processor time ({overhead:.1f} s of it whatever the size)", share, LIMIT, "%", share / 100,
               f"full run ({all_.cpu:.0f} s)"),
        Figure("5% canary: by the clock", 100 * wall, LIMIT, "%", wall, f"full run ({all_.wall:.0f} s)"),
    ]  # fmt: skip


def _lay_out(folder: Path) -> None:
    (folder / "pipelines").mkdir()
    (folder / "data" / "raw").mkdir(parents=True)
    (folder / "lanewise.yaml").write_text(PROJECT)
    (folder / "environments.yaml").write_text(ENVIRONMENTS)
    with duckdb.connect() as connection:
        days = f"range(date '{FIRST}', date '{LAST}' + 1, interval 1 day) d(day)"
        connection.execute(
            f"copy (select cast(day as date) as day, i::integer as id, (i / 7)::decimal(18, 2) as amount "
            f"from {days}, range({ROWS}) r(i)) to '{folder / 'data' / 'raw' / 'orders.parquet'}' (format parquet)"
        )


def _write_code(folder: Path, amount: str) -> None:
    code = CODE.replace("FAULT", amount).replace("ROUNDS", str(ROUNDS))
    (folder / "pipelines" / "hashes.py").write_text(code)


def _canary(folder: Path, fault: int) -> Spent:
    """A build that gets every hundredth amount wrong; the canary must have stopped it after its first step."""
    _write_code(folder, f"case when id % 100 = 0 then amount + {fault} else amount end")
    spent = spend([LANE, "promote", "--to", "prod", "--format", "json"], folder, codes=(1,))
    state = _last_promotion(folder)
    if state != ("REVERTED", 0):
        raise SystemExit(f"the canary should have stopped the faulty build, and it ended in {state}")
    return spent


def _last_promotion(folder: Path) -> tuple[str, int]:
    told = json.loads(subprocess.check_output([LANE, "history", "--format", "json"], cwd=folder))
    events = told["events"] if isinstance(told, dict) else told
    moved = [e for e in events if e["type"] == "promotion.moved"]
    newest = max(moved, key=lambda event: event["seq"])
    return newest["data"]["state"], newest["data"]["exposed"]
