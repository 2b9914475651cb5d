"""A run that Airflow starts itself: told of its environment alone, audited before it is published, and of one build."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from tests.contract.orchestrators.airflow.airflow_server import AirflowServer

from lanewise.bootstrap import open_context
from lanewise.service.signs import show_live

SECRET = "hunter2-sales"
PROJECT = """\
project: sales
source: {include: ["pipelines/**"]}
run: python -m pipelines.compute
inputs: [raw.sales]
entries: {airflow: sales}
tables:
  daily:
    kind: partition
    partition: {column: day, grain: day}
    columns: {day: DATE not null, total: BIGINT}
    checks: [{not_null: [total]}]
    changes: [{what: values, columns: [total], reason: another way to count}]
"""
ENVIRONMENTS = """\
identity: declared
defaults: {src_conn: "raw_{env}", factor: 10, retries: 0, sla: 1s, service_account: "sa-{env}", schedule: as written}
environments:
  prod: {data: {from: 2013-01-01, to: 2013-01-02}}
  stage: {}
connections:
  "raw_{env}": {type: files, path: data, host: "{env}.example.org", password: "env:SALES_PASSWORD"}
promotion:
  prod: {gates: [quality]}
"""
COMPUTE = """\
import lanewise

def compute(lane):
    with lane.run() as run:
        run.sql(f"insert into {run.output('daily')} select day, sum(amount) * {lane.settings.factor} + @PLUS@ "
                f"from {run.input('raw.sales')} where cast(day as varchar) in {run.partitions} group by day")

if __name__ == "__main__":
    compute(lanewise.current())
"""
DAG = """\
import json, os, pathlib
import lanewise
from airflow.sdk import DAG, Connection, Variable, task
from pipelines.compute import compute

lane = lanewise.current()

with DAG("sales", schedule=None, default_args={"retries": 2}):
    @task
    def daily(dag_run=None):
        source = Connection.get("src")
        try:
            Connection.get("raw_stage")
            other = "handed out"
        except PermissionError as error:
            other = str(error)
        found = {"host": source.host, "password": source.password == "@SECRET@", "other": other,
                 "factor": Variable.get("factor"), "shell": os.environ["LANEWISE_PARTITIONS"],
                 "purpose": lane.purpose, "build": lane.build}
        (pathlib.Path(__file__).parents[0] / "looked.json").write_text(json.dumps(found))
        compute(lane)
        if dag_run.conf.get("fail"):
            raise ValueError("the source was late")

    daily()
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose first build is live in prod: computed by the local runner, and then run by Airflow."""
    root = tmp_path_factory.mktemp("sales")
    (root / "lanewise.yaml").write_text(PROJECT)
    (root / "environments.yaml").write_text(ENVIRONMENTS)
    (root / "data" / "raw").mkdir(parents=True)
    days = [f"2013-01-{day:02},{day}" for day in range(1, 20)]
    (root / "data" / "raw" / "sales.csv").write_text("\n".join(["day,amount", *days]) + "\n")
    release(root, plus=0)
    return root


@pytest.fixture(scope="module")
def airflow(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AirflowServer]:
    server = AirflowServer(tmp_path_factory.mktemp("airflow") / "home", home=root / ".lanewise", environment="prod",
                           variables={"SALES_PASSWORD": SECRET, "LANEWISE_ACTOR": "ana"})  # fmt: skip
    with server.started():
        server.until(lambda: dag_of(server) == live(root), "the live build's DAG")
        yield server


def release(root: Path, plus: int) -> str:
    """Make a build and take it into prod; its digest."""
    (root / "pipelines").mkdir(exist_ok=True)
    (root / "pipelines" / "compute.py").write_text(COMPUTE.replace("@PLUS@", str(plus)))
    (root / "pipelines" / "sales_dag.py").write_text(DAG.replace("@SECRET@", SECRET))
    lane(root, "promote", "--to", "prod")
    show_live(open_context(root), "prod")
    return live(root)


def lane(root: Path, *words: str) -> str:
    variables = {**os.environ, "SALES_PASSWORD": SECRET, "LANEWISE_ACTOR": "ana"}
    done = subprocess.run([sys.executable, "-m", "lanewise.cli", *words], cwd=root, env=variables, check=False,
                          capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def live(root: Path) -> str:
    ctx = open_context(root)
    return ctx.warehouse(ctx.config.environment("prod")).pointer().build


def dag_of(airflow: AirflowServer) -> str:
    """The build whose DAG Airflow would start now."""
    found = airflow.query("select bundle_version from dag where dag_id = 'sales' and not is_stale")
    return str(found[0][0]) if found else ""


def start(airflow: AirflowServer, day: str, **conf: Any) -> dict[str, Any]:
    """Start the live DAG as a person, for a day; the run when it has ended."""
    body = {"logical_date": f"{day}T00:00:00Z", "conf": conf, "dag_run_id": f"run-{day}"}
    airflow.rest("POST", "/api/v2/dags/sales/dagRuns", body)
    return ended(airflow, f"run-{day}")


def ended(airflow: AirflowServer, run: str) -> dict[str, Any]:
    def look() -> Any:
        found = airflow.rest("GET", f"/api/v2/dags/sales/dagRuns/{run}")
        return found if found["state"] in {"success", "failed"} else None

    found: dict[str, Any] = airflow.until(look, f"the end of {run}")
    return found


def totals(root: Path) -> dict[str, int]:
    """What a reader sees."""
    with duckdb.connect(str(root / ".lanewise/warehouse/prod.duckdb"), read_only=True) as db:
        return dict(db.execute("select strftime(day, '%Y-%m-%d'), total from daily").fetchall())


def test_a_run_is_told_of_its_environment_alone_and_published_when_it_has_passed(
    airflow: AirflowServer, root: Path
) -> None:
    found = start(airflow, "2013-01-09")
    log = airflow.task_log("sales", "run-2013-01-09")
    assert found["state"] == "success", log
    assert totals(root)["2013-01-09"] == 90
    assert found["bundle_version"] == live(root)
    looked = json.loads(next((root / ".lanewise" / "unpacked").glob("*/pipelines/looked.json")).read_text())
    assert looked["host"] == "prod.example.org"
    assert looked["password"] is True
    assert looked["other"] == "connection raw_stage is of stage, and this is prod"
    assert (looked["factor"], looked["shell"], looked["purpose"]) == ("10", '["2013-01-09"]', "scheduled")
    assert looked["build"] == live(root)
    assert SECRET not in log + airflow.logs(10_000)


def test_what_a_failed_run_wrote_is_thrown_away(airflow: AirflowServer, root: Path) -> None:
    found = start(airflow, "2013-01-10", fail=True)
    assert found["state"] == "failed"
    assert "2013-01-10" not in totals(root)
    assert "daily failed" in airflow.task_log("sales", "run-2013-01-10")
    tries = dict(airflow.query("select task_id, try_number from task_instance where run_id = 'run-2013-01-10'"))
    assert tries["daily"] == 1, "the environment's retries (0) stand in for the file's (2)"


def test_a_run_of_the_former_build_that_is_begun_again_computes_nothing(airflow: AirflowServer, root: Path) -> None:
    former = live(root)
    current = release(root, plus=1)
    airflow.until(lambda: dag_of(airflow) == current, "the new build's DAG")
    assert start(airflow, "2013-01-11")["state"] == "success"
    before = totals(root)
    assert before["2013-01-11"] == 111
    airflow.rest("POST", "/api/v2/dags/sales/dagRuns/run-2013-01-09/clear", {"dry_run": False, "only_failed": False})
    found = ended(airflow, "run-2013-01-09")
    assert (found["state"], found["bundle_version"]) == ("failed", former)
    assert "refused: prod runs build" in airflow.task_log("sales", "run-2013-01-09")
    assert totals(root) == before


def test_a_run_that_takes_longer_than_the_sla_is_told_of(airflow: AirflowServer) -> None:
    airflow.until(lambda: airflow.query("select 1 from deadline where missed"), "a missed deadline", seconds=30)
