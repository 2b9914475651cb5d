"""A real Prefect: the story of every orchestrator, and what is its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lanewise.domain.serving import Standing
from lanewise.errors import ConfigError, LoginRefused, OrchestratorUnavailable
from lanewise.testing.orchestrator_story import SECRET as STORY
from lanewise.testing.orchestrator_story import VARIABLE, OrchestratorStory, Seen

from .prefect import ground as ground_made
from .prefect.ground import SECRET, Ground, scheduled
from .prefect.prefect_server import PrefectServer

FLOW = """\
import lanewise
from prefect import flow, task
{first}

@task
def daily(more: int) -> None:
    lane = lanewise.current()
    salt = len(lane.connection("src").password)
    with lane.run() as run:
        run.sql(f'''
            insert into {{run.output("daily")}}
            select day, sum(amount) * {{lane.settings.factor}} + {{salt}} + {{more}}, '{{lane.build}}'
            from {{run.input("raw.sales")}} where day in {{run.partitions}} group by day
        ''')


@task
def judged() -> None:
    {judged}


@flow
def sales() -> None:
    daily({more})
    judged()
"""
PREFECT = """\
deployments:
  - name: sales
    entrypoint: pipelines/flow.py:sales
    schedules: [{cron: "0 2 29 2 *", timezone: UTC}]
"""


@pytest.fixture(scope="module")
def prefect(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    folder = tmp_path_factory.mktemp("prefect") / "home"
    with PrefectServer(folder, {VARIABLE: STORY, ground_made.VARIABLE: SECRET}).started() as server:
        yield server


class PrefectStand:
    """A server, and a worker of a process work pool."""

    type = "prefect"

    def __init__(self, server: PrefectServer) -> None:
        self._server = server  # which its fixture stops

    def start(self, root: Path) -> None:
        (root / "prefect.yaml").write_text(PREFECT)

    def stop(self) -> None:
        pass

    def connection(self) -> dict[str, Any]:
        return self._server.connection()

    def variables(self) -> dict[str, str]:
        return self._server.secrets()

    def project(self) -> dict[str, Any]:
        return {
            "entries": {"prefect": "pipelines/flow.py:sales"},
            "source": {"include": ["pipelines/**", "prefect.yaml"]},
        }

    def files(self, version: str) -> dict[str, str]:
        first = "import no_such_module" if version == "broken" else ""
        judged = "raise ValueError('the sales are too low')" if version == "failing" else "print('well')"
        return {"flow.py": FLOW.format(first=first, judged=judged, more=1 if version == "two" else 0)}

    def fire(self, day: str) -> bool:
        """As the clock does, at half past two of the day after."""
        deployment = self._server.deployment("sales", "prod")["id"]
        due = f"{day[:-2]}{int(day[-2:]) + 1:02}T02:30:00Z"
        state = {"type": "SCHEDULED", "state_details": {"scheduled_time": due}}
        made = self._server.rest("POST", f"/api/deployments/{deployment}/create_flow_run", {"state": state})
        run = self._server.finished(made["id"])
        print(f"fired {day}: {run['state_name']} {run['state']['message'] or ''}")
        return bool(run["state_type"] == "COMPLETED")

    def runs(self) -> list[Seen]:
        own = [run for run in self._server.runs() if _label(run, "project") == "sales"]
        return [_seen(run) for run in own if _label(run, "purpose") not in {"", "check"}]

    @contextmanager
    def away(self) -> Iterator[None]:
        self._server.stop_api()
        try:
            yield
        finally:
            self._server.start_api()


def _seen(run: dict[str, Any]) -> Seen:
    return Seen(
        _label(run, "build"), _label(run, "environment"), _label(run, "purpose"), _label(run, "run"),
        run["state_type"] == "COMPLETED", tuple(run["parameters"].get("partitions") or ()),
    )  # fmt: skip


def _label(run: dict[str, Any], name: str) -> str:
    start = f"lanewise/{name}="
    return next((tag.removeprefix(start) for tag in run["tags"] if tag.startswith(start)), "")


@pytest.mark.slow
class TestPrefect(OrchestratorStory):
    @pytest.fixture
    def stand(self, prefect: PrefectServer) -> PrefectStand:
        return PrefectStand(prefect)


@pytest.fixture
def ground(prefect: PrefectServer, tmp_path: Path) -> Ground:
    name = f"p{prefect.password[:4]}-{tmp_path.name[-24:].strip('_').replace('_', '-')}"
    return Ground(tmp_path, name, prefect.connection(), prefect.password)


@pytest.mark.slow
def test_a_run_is_told_all_on_another_machine_started_once_and_read_back(prefect: PrefectServer, ground: Ground):
    served, orchestrator = ground.build(), ground.orchestrator()
    orchestrator.serve(served)
    orchestrator.serve(served)
    assert orchestrator.standing().candidates == (served.build,)
    launch = ground.launch(served, "canary-1")
    outcome = orchestrator.run(launch)
    assert (outcome.exit_code, [(one.name[:5], one.passed) for one in outcome.findings]) == (0, [("daily", True)])
    assert "computes ['2013-01-05', '2013-01-06'] in prod, canary canary-1" in outcome.tail
    assert (
        f"build={served.build[7:15]} project={ground.project} purpose=canary run=canary-1 | " in launch.log.read_text()
    )
    assert orchestrator.run(launch).url == outcome.url
    (run,) = prefect.runs(id={"any_": [outcome.url.rpartition("/")[2]]})
    assert run["deployment_version"] == served.build
    shown = {name.removeprefix("lanewise/"): value for name, value in run["labels"].items()}
    assert {
        "environment": "prod",
        "build": served.build,
        "purpose": "canary",
        "run": "canary-1",
    }.items() <= shown.items()
    orchestrator.withdraw(served.build)
    assert orchestrator.standing().candidates == ()
    database = b"".join(path.read_bytes() for path in prefect.folder.glob("prefect.db*"))
    assert b"canary-1" in database
    assert SECRET.encode() not in database


@pytest.mark.slow
def test_a_task_that_fails_is_a_finding_and_a_run_out_of_time_is_ended(prefect: PrefectServer, ground: Ground):
    orchestrator = ground.orchestrator()
    failing = ground.build(then="raise ValueError('too low')")
    orchestrator.serve(failing)
    outcome = orchestrator.run(ground.launch(failing, "canary-2"))
    assert outcome.exit_code == 1
    assert [(one.passed, one.severe, "too low" in one.message) for one in outcome.findings] == [(False, True, True)]
    assert "too low" in outcome.tail
    late = ground.build(then="import time; time.sleep(600)")
    orchestrator.serve(late)
    outcome = orchestrator.run(ground.launch(late, "canary-3", timeout=3))
    assert (outcome.timed_out, outcome.exit_code) == (True, 1)
    assert prefect.runs(name={"any_": ["canary-3"]})[0]["state_type"] in {"CANCELLED", "CRASHED"}


@pytest.mark.slow
def test_queued_runs_of_the_former_build_are_run_by_the_new_one(prefect: PrefectServer, ground: Ground):
    orchestrator = ground.orchestrator()
    old, new = ground.build(), ground.build(first="# another")
    ground.show(old)
    orchestrator.adopt(old)
    assert (orchestrator.standing().live, orchestrator.standing().scheduled) == (old.build, False)
    prefect.pause()
    try:
        deployment = prefect.deployment(ground.project, "prod")["id"]
        due = {"type": "SCHEDULED", "state_details": {"scheduled_time": "2013-03-01T04:30:00Z"}}
        queued = prefect.rest("POST", f"/api/deployments/{deployment}/create_flow_run", {"state": due})["id"]
        assert orchestrator.standing().active == (old.build,)
        ground.show(new)
        orchestrator.adopt(new)
        orchestrator.adopt(new)
        assert orchestrator.standing() == Standing(new.build, (), False, (new.build,))
        assert prefect.rest("GET", f"/api/flow_runs/{queued}")["state_type"] == "CANCELLED"
    finally:
        prefect.resume()
    (again,) = [run for run in prefect.runs(deployment_id={"any_": [deployment]}) if run["id"] != queued]
    done = prefect.finished(again["id"])
    assert done["state_type"] == "COMPLETED"  # the environment is paused: a person may still start a run
    assert f"lanewise/build={new.build}" in done["tags"]
    assert "lanewise/purpose=scheduled" in done["tags"]
    begun, published = ground.asked()
    assert begun[-4:] == ["--partition", "2013-02-27", "--format", "json"]  # the day that had ended in New York
    assert published[:2] == ["scheduled", "publish"]


def test_schedules_are_those_of_the_environment(prefect: PrefectServer, ground: Ground):
    orchestrator, served = ground.orchestrator(), ground.build()

    def crons() -> list[tuple[str, bool]]:
        found = prefect.deployment(ground.project, "prod")
        return [(one["schedule"]["cron"], one["active"] and not found["paused"]) for one in found["schedules"]]

    orchestrator.adopt(scheduled(served, "as written"))
    assert (crons(), orchestrator.standing().scheduled) == ([("0 2 * * *", True)], True)
    deployment = prefect.deployment(ground.project, "prod")
    own, before = {"deployment_id": {"any_": [deployment["id"]]}}, deployment["updated"]
    prefect.until(lambda: bool(prefect.runs(**own)), "the clock's own runs")
    assert {run["deployment_version"] for run in prefect.runs(**own)} == {served.build}
    orchestrator.adopt(scheduled(served, "as written"))
    assert prefect.deployment(ground.project, "prod")["updated"] == before
    orchestrator.adopt(scheduled(served, "30 4 * * *"))
    assert (crons(), orchestrator.standing().scheduled) == ([("30 4 * * *", True)], True)
    orchestrator.adopt(scheduled(served, "paused"))
    assert (crons(), orchestrator.standing().scheduled) == ([("0 2 * * *", False)], False)
    assert prefect.runs(**own) == []


def test_without_a_worker_it_waits_says_so_and_takes_the_run_back(prefect: PrefectServer, ground: Ground):
    prefect.pause()
    try:
        with pytest.raises(OrchestratorUnavailable, match="no worker of Prefect took check-prod-"):
            ground.orchestrator(patience=2).serve(ground.build())
    finally:
        prefect.resume()
    assert [run["state_type"] for run in prefect.runs(name={"like_": "check-prod-"}) if run["run_count"] == 0] == [
        "CANCELLED"
    ]


def test_a_wrong_login_and_a_work_pool_that_is_not_there_are_told_as_such(ground: Ground):
    with pytest.raises(LoginRefused, match="refuses the login"):
        ground.orchestrator(password="wrong").serve(ground.build())
    with pytest.raises(ConfigError, match="no work pool 'nowhere'") as caught:
        ground.orchestrator(work_pool="nowhere").serve(ground.build())
    assert "prefect work-pool create nowhere" in caught.value.hint
