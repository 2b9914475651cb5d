"""The story of every orchestrator, on a real Airflow 3; and what becomes of the runs that its clock had begun."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from lanewise.adapters.orchestrators.airflow import AirflowOrchestrator, open_orchestrator
from lanewise.domain.environment import Connection, Environment, SecretRef
from lanewise.domain.run import Launch, Purpose, RunRequest
from lanewise.domain.serving import Served
from lanewise.runtime.airflow_names import candidate_dag
from lanewise.testing.orchestrator_story import LATER, SECRET, VARIABLE, OrchestratorStory, Tale, total, write_project

from .airflow.airflow_server import USER, AirflowServer
from .airflow.airflow_stand import AirflowStand
from .airflow.signposts import ENTRY, Signposts

REFRESH = 1.0
"""Seconds between two refreshes of the bundles in the tests' Airflow."""


@pytest.mark.slow
class TestAirflow(OrchestratorStory):
    @pytest.fixture
    def stand(self) -> AirflowStand:
        return AirflowStand()


@pytest.fixture
def stand() -> AirflowStand:
    return AirflowStand()


@pytest.fixture
def tale(stand: AirflowStand, tmp_path: Path) -> Iterator[Tale]:
    """The story's project with ``two`` live and ``one`` before it, all at once."""
    root = tmp_path / "sales"
    write_project(root, stand)
    try:
        stand.start(root)
        tale = Tale(root, stand, {VARIABLE: SECRET, "LANEWISE_ACTOR": "ana", **stand.variables()})
        tale.config()
        config = root / "environments.yaml"
        config.write_text(config.read_text().replace("- 25%\n", ""))
        for version in ("one", "two"):
            tale.lane("promote", tale.build(version), "--to", "prod")
        yield tale
    finally:
        stand.stop()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_what_the_clock_has_begun_goes_over_to_the_build_that_is_live(tale: Tale, stand: AirflowStand) -> None:
    taken_back_quickly(tale, stand)
    promoted_while_the_api_is_away(tale, stand)
    taken_back_while_the_dag_processor_is_away(tale, stand)


def taken_back_quickly(tale: Tale, stand: AirflowStand) -> None:
    """A run at work and one in the queue are the earlier build's soon after ``lane rollback``, with every task."""
    one, held = tale.digests["one"], tale.root / ".lanewise" / "held"
    held.touch()
    runs = [stand.begin(day) for day in LATER[:2]]
    stand.until_task(runs[0], "daily", "running")
    assert stand.of(runs[1])["state"] == "queued"
    began = time.time()
    said = tale.lane("rollback", "prod", "--reason", "the story says so")
    first = stand.server.until(
        lambda: min(starts(stand, runs, one, began), default=None), "a task of the earlier build"
    )
    print(f"{first - began:.1f} s from `lane rollback` to the first task of the earlier build; refresh {REFRESH:.0f} s")
    assert first - began < REFRESH + 30  # 10 are promised, to a machine that does nothing else
    held.unlink()
    for run, day in zip(runs, LATER[:2], strict=True):
        assert stand.ended(run)["state"] == "success"
        assert {version(task) for task in stand.tasks(run)} == {one}
        assert tale.rows()[day] == (total(day), one)
        assert "run again by build" in stand.of(run)["note"]
        assert run["dag_run_id"] in said
    assert tale.standing().active == ()


def promoted_while_the_api_is_away(tale: Tale, stand: AirflowStand) -> None:
    """Airflow's tasks need its API as well. What is lost with it is computed again, and no fault of the build's."""
    two = tale.digests["two"]
    tale.lane("resume", "prod", "--build", two)
    promotion = tale.begin("promote", two, "--to", "prod")
    candidate = candidate_dag("sales", two)
    stand.server.until(lambda: stand.server.rest("GET", f"/api/v2/dags/{candidate}/dagRuns?state=running")["dag_runs"],
                       "the candidate's run")  # fmt: skip
    with stand.away():
        time.sleep(3)
    out, err = promotion.communicate(timeout=300)
    print(out, err)
    assert "waiting for Airflow" in out + err
    assert promotion.returncode in {0, 3}
    if promotion.returncode:
        tale.lane("promote", two, "--to", "prod")
    assert set(tale.builds_of_days().values()) == {"two"}
    assert tale.standing().live == two


def taken_back_while_the_dag_processor_is_away(tale: Tale, stand: AirflowStand) -> None:
    """Readers are back at once; the command waits for Airflow, which meanwhile can begin nothing that counts."""
    one = tale.digests["one"]
    stand.server.end("dag-processor")
    began = time.time()
    rollback = tale.begin("rollback", "prod", "--reason", "the story says so")
    stand.server.until(lambda: set(tale.builds_of_days().values()) == {"one"}, "readers to be back")
    run = stand.begin(LATER[2])
    assert stand.ended(run)["state"] == "failed"
    assert LATER[2] not in tale.rows()
    time.sleep(max(0.0, began + 8 - time.time()))  # a wait is told of after five seconds
    assert rollback.poll() is None, rollback.communicate()
    stand.server.start_again("dag-processor")
    out, err = rollback.communicate(timeout=120)
    print(out, err)
    assert rollback.returncode == 0
    assert "waiting for Airflow" in out + err
    assert stand.ended(run)["state"] == "success"
    assert tale.rows()[LATER[2]] == (total(LATER[2]), one)


def starts(stand: AirflowStand, runs: list[dict[str, Any]], build: str, since: float) -> list[float]:
    """When the tasks of a build began. One that is to be run again keeps the moment of its former try until it is."""
    found = [task for run in runs for task in stand.tasks(run)
             if version(task) == build and task["state"] in {"running", "success"}]  # fmt: skip
    moments = [datetime.fromisoformat(task["start_date"]).astimezone(UTC).timestamp() for task in found]
    return [moment for moment in moments if moment >= since]


def version(task: dict[str, Any]) -> str:
    return str((task["dag_version"] or {}).get("bundle_version"))


PARTITIONED = """\
import os
from datetime import datetime

from airflow.sdk import CronPartitionTimetable, dag, task

nightly = CronPartitionTimetable("0 0 * * *", timezone="UTC", key_format="%Y-%m-%d")


@dag(schedule=nightly, start_date=datetime(2013, 1, 1), end_date=datetime(2013, 12, 31), catchup=False)
def flights():
    @task
    def load(dag_run=None):
        told = os.environ["LANEWISE_PARTITIONS"]
        assert told == '["%s"]' % dag_run.partition_key, told

    load()


flights()
"""


@pytest.mark.slow
def test_a_partitioned_candidate_computes_a_partition_at_a_time_and_once(tmp_path: Path) -> None:
    posts = Signposts(tmp_path / "project")
    build = posts.lay_out({"pipelines/flow.py": PARTITIONED})
    posts.show(candidates=[build])
    code = posts.home / "unpacked" / build.removeprefix("sha256:")
    with AirflowServer(tmp_path / "airflow", home=posts.home, environment="prod").started() as airflow:
        orchestrator = opened(airflow, posts)
        orchestrator.serve(Served("flights", "prod", build, "sha256:c", code, tmp_path / "compiled.json", ENTRY))
        launch = canary(posts, build, code, LATER[:2])
        outcome = orchestrator.run(launch)
        assert opened(airflow, posts).run(launch).url == outcome.url  # as the next process asks after a crash
        runs = airflow.rest("GET", "/api/v2/dags/~/dagRuns")["dag_runs"]
        orchestrator.withdraw(build)
        assert orchestrator.standing().candidates == (build,)  # until it is taken off the sign
    assert outcome.exit_code == 0, outcome
    assert [one.name for one in outcome.findings] == [f"load ({day})" for day in LATER[:2]]
    assert [(one["partition_key"], one["state"]) for one in runs] == [(day, "success") for day in LATER[:2]]


def opened(airflow: AirflowServer, posts: Signposts) -> AirflowOrchestrator:
    fields = {"url": airflow.url, "user": USER}
    connection = Connection("airflow_prod", "airflow", fields, {"password": SecretRef("env:AIRFLOW_PASSWORD")})
    lane = Environment("prod", 0, {"orchestrator_conn": "airflow_prod"}, {"airflow_prod": connection})
    return open_orchestrator(
        home=posts.home, lane=lane, project="flights", secrets=Password(airflow.password), say=print
    )


class Password:
    """A secret store of one value."""

    def __init__(self, value: str) -> None:
        self._value = value

    def resolve(self, reference: SecretRef, *, previous: bool = False) -> str:
        return self._value

    def redact(self, text: str) -> str:
        return text.replace(self._value, "***")


def canary(posts: Signposts, build: str, code: Path, days: tuple[str, ...]) -> Launch:
    request = RunRequest(
        id="canary-1", project="flights", environment="prod", build=build, config="sha256:c", purpose=Purpose.CANARY,
        partitions=days, tables=("daily",), command=(),
    )  # fmt: skip
    told = {
        "id": "canary-1",
        "purpose": "canary",
        "partitions": list(days),
        "tables": ["daily"],
        "declared": {"daily": []},
    }
    compiled = posts.home / "runs" / "canary-1.json"
    compiled.parent.mkdir()
    compiled.write_text(json.dumps(posts.document(build, run=told, engine={"type": "duckdb"})))
    return Launch(request, code, compiled, {}, posts.home / "logs" / "canary-1.log")
