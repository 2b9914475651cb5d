"""What the control side makes of Dagster's answers; no server is needed for that."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from lanewise.adapters.orchestrators.dagster import locations, orchestrator, runs
from lanewise.adapters.orchestrators.dagster.graphql import GraphQL
from lanewise.adapters.orchestrators.dagster.locations import Location
from lanewise.adapters.orchestrators.dagster.orchestrator import DagsterOrchestrator, Place
from lanewise.adapters.orchestrators.dagster.outcome import checked, gather
from lanewise.adapters.orchestrators.dagster.queries import BACKFILLS, EVENTS, LAUNCH, LOOK, RELOAD, RUNS
from lanewise.adapters.orchestrators.rest import Answer, Rest
from lanewise.domain.run import Launch, Purpose, RunRequest
from lanewise.errors import ConfigError, LoginRefused, OrchestratorUnavailable

BUILD = f"sha256:{'a' * 64}"


@dataclass
class Scripted(Rest):
    """Answers each query from its list; the last answer stands for good."""

    answers: dict[str, list[Any]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def post(self, path: str, body: Any) -> Answer:
        self.asked.append(body["query"])
        left = self.answers[body["query"]]
        found = left.pop(0) if len(left) > 1 else left[0]
        return found if isinstance(found, Answer) else Answer(200, {"data": {"field": found}})


def scripted(answers: dict[str, list[Any]], said: list[str] | None = None) -> Scripted:
    return Scripted("Dagster", "http://nowhere", (said if said is not None else []).append, answers=answers)


def event(kind: str, **more: Any) -> dict[str, Any]:
    return {"__typename": kind, "message": "said", "timestamp": "1357000000000", "stepKey": "daily", **more}


def check(name: str, *, success: bool, severity: str) -> dict[str, Any]:
    key = {"path": ["candidate_aaaaaaaa", "daily"]}
    told = {"checkName": name, "success": success, "severity": severity, "description": None, "assetKey": key}
    return event("AssetCheckEvaluationEvent", evaluation=told)


def run(status: str, step: str, day: str) -> dict[str, Any]:
    tags = [{"key": "dagster/partition", "value": day}]
    return {"runId": day, "status": status, "tags": tags, "stepStats": [{"stepKey": "daily", "status": step}]}


def gathered(runs: list[dict[str, Any]], *pages: list[dict[str, Any]]) -> Any:
    events = [{"eventConnection": {"cursor": "c", "hasMore": False, "events": page}} for page in pages]
    return gather(GraphQL(scripted({EVENTS: events})), runs, lambda text: text.replace("hunter2", "***"))


def test_a_step_that_failed_for_one_day_failed_and_says_why_and_when():
    error = {"message": "dagster._core.errors.DagsterExecutionStepExecutionError: Error in op daily:\n", "stack": [],
             "cause": {"message": "ValueError: hunter2 is no amount\n"}}  # fmt: skip
    runs = [run("SUCCESS", "SUCCESS", "2013-01-01"), run("FAILURE", "FAILURE", "2013-01-02")]
    found = gathered(runs, [], [event("ExecutionStepFailureEvent", error=error)])
    assert [(one.name, one.kind, one.passed) for one in checked(found)] == [("daily", "task", False)]
    assert checked(found)[0].message == "[2013-01-02] ValueError: *** is no amount"
    assert found.tail == "[2013-01-02] daily: ValueError: *** is no amount"
    assert found.bad


def test_a_check_that_may_fail_is_told_and_one_that_may_not_is_severe():
    page = [check("small", success=False, severity="WARN"), check("whole", success=True, severity="ERROR")]
    found = gathered([run("SUCCESS", "SUCCESS", "2013-01-01")], page)
    assert [(one.name, one.passed, one.severe) for one in checked(found) if one.kind == "check"] == [
        ("daily: small", False, False),
        ("daily: whole", True, True),
    ]
    assert not found.bad
    found = gathered([run("SUCCESS", "SUCCESS", "2013-01-01")], [check("whole", success=False, severity="ERROR")])
    assert found.bad


def test_a_step_that_never_began_came_to_no_result():
    assert checked(gathered([run("CANCELED", "SKIPPED", "2013-01-01")], []))[0].passed is None


def location(answers: dict[str, list[Any]], said: list[str] | None = None) -> tuple[Location, Scripted]:
    rest = scripted(answers, said)
    return Location(GraphQL(rest), "flights", "lanewise.integrations.dagster.live"), rest


def loaded() -> dict[str, Any]:
    job = {"name": "sales", "description": None, "tags": [{"key": "lanewise/build", "value": BUILD}]}
    repository = {"name": "live", "jobs": [job], "partitionSets": [], "schedules": [], "sensors": []}
    found = {"__typename": "RepositoryLocation", "repositories": [repository]}
    return {"__typename": "WorkspaceLocationEntry", "name": "flights", "locationOrLoadError": found}


def backfills(cancelable: int) -> dict[str, Any]:
    origin = {"repositoryOrigin": {"repositoryLocationName": "flights"}}
    one = {"id": "b1", "numCancelable": cancelable, "partitionSet": origin}
    return {"__typename": "PartitionBackfills", "results": [one]}


def test_a_location_is_not_loaded_anew_while_a_backfill_hands_over_its_runs(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(locations.time, "sleep", lambda _seconds: None)
    said: list[str] = []
    answers = {BACKFILLS: [backfills(2), backfills(1), backfills(0)], LOOK: [loaded()],
               RELOAD: [{"__typename": "WorkspaceLocationEntry"}]}  # fmt: skip
    found, rest = location(answers, said)
    assert found.reload().of(BUILD)
    assert rest.asked == [BACKFILLS] * 3 + [RELOAD, LOOK]
    assert said == ["waiting for backfill b1 to hand over its runs"]


def test_a_location_that_is_not_in_the_workspace_says_what_to_write():
    found, _ = location({LOOK: [None]})
    with pytest.raises(ConfigError) as caught:
        found.look()
    assert "- python_module: lanewise.integrations.dagster.live" in caught.value.hint


def test_a_location_that_does_not_load_says_the_innermost_reason():
    chain = [{"error": {"message": "DagsterUserCodeLoadError: Error occurred\n"}},
             {"error": {"message": "ConfigError: not set in prod: SHOP_PASSWORD\n"}}]  # fmt: skip
    fault = {"__typename": "PythonError", "message": "outer", "causes": chain}
    found, _ = location({LOOK: [{**loaded(), "locationOrLoadError": fault}]})
    assert found.look().fault == "ConfigError: not set in prod: SHOP_PASSWORD"


@pytest.mark.parametrize(
    ("answer", "kind", "reason"),
    [
        (Answer(401, None), LoginRefused, "refuses the login"),
        (Answer(200, {"errors": [{"message": "Cannot query field"}]}), OrchestratorUnavailable, "Cannot query field"),
        (Answer(200, None), OrchestratorUnavailable, "status 200"),
        ({"__typename": "PythonError", "message": "disk full\nat …"}, OrchestratorUnavailable, "disk full"),
    ],
)
def test_an_answer_that_is_none_is_an_error(answer: Any, kind: type[Exception], reason: str):
    with pytest.raises(kind, match=reason):
        GraphQL(scripted({LOOK: [answer]})).ask(LOOK)


def test_what_the_daemon_could_not_begin_is_started_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """It follows a location within a minute; a run that comes before that has no process, and fails."""
    monkeypatch.setattr(orchestrator.time, "sleep", lambda _seconds: None)
    runs = [{**run("FAILURE", "SKIPPED", ""), "runId": "r1"}, {**run("SUCCESS", "SUCCESS", ""), "runId": "r2"}]
    begun = event("EngineEvent", message="Started process for run (pid: 7).")
    pages = [{"eventConnection": {"cursor": "c", "hasMore": False, "events": events}} for events in ([], [begun])]
    said: list[str] = []
    none = {"__typename": "Runs", "results": []}
    ended = [{"__typename": "Runs", "results": [one]} for one in runs]
    rest = scripted(
        {
            LOOK: [loaded()], BACKFILLS: [{"__typename": "PartitionBackfills", "results": []}], EVENTS: pages,
            LAUNCH: [{"__typename": "LaunchRunSuccess", "run": {"runId": one["runId"]}} for one in runs],
            RUNS: [none, ended[0], ended[0], none, ended[1], ended[1]],
        }, said,
    )  # fmt: skip
    put_up(tmp_path / ".lanewise")
    place = Place("sales", tmp_path / ".lanewise", "prod", "http://dagster")
    outcome = DagsterOrchestrator(GraphQL(rest), place, {"live": "flights"}, str).run(launch(tmp_path))
    assert (outcome.exit_code, outcome.url) == (0, "http://dagster/runs/r2")
    assert rest.asked.count(LAUNCH) == 2
    assert said == ["waiting for dagster-daemon to load build aaaaaaaa"]


def put_up(home: Path) -> None:
    (home / "signs").mkdir(parents=True)
    sign = {"format": 1, "project": "sales", "environment": "prod", "home": str(home), "lane": [], "candidates": [],
            "live": {"build": BUILD, "entry": "sales"}}  # fmt: skip
    (home / "signs/prod.json").write_text(json.dumps(sign))


def launch(folder: Path) -> Launch:
    request = RunRequest("live-1", "sales", "prod", BUILD, "sha256:c", Purpose.RERUN, ("all",), ("daily",), ("run",))
    return Launch(request, folder, folder / "live-1.json", {}, folder / "live-1.log")


class Slow(Scripted):
    """Starts what it is asked for after it has been given up."""

    def post(self, path: str, body: Any) -> Answer:
        found = super().post(path, body)
        if body["query"] == LAUNCH and self.asked.count(LAUNCH) == 1:
            raise OrchestratorUnavailable("Dagster does not answer (timed out)")
        return found

    def get(self, path: str) -> Answer:
        return Answer(200, {})


def test_what_a_busy_server_starts_late_is_not_started_twice(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(runs.time, "sleep", lambda _: None)
    late = {"runId": "r1", "status": "STARTED", "tags": [{"key": "lanewise/run", "value": "canary-1"}]}
    none, shown = ({"__typename": "Runs", "results": found} for found in ([], [late]))
    taken = {"__typename": "LaunchRunSuccess", "run": {"runId": "r2"}}
    rest = Slow("Dagster", "http://nowhere", print, answers={
        BACKFILLS: [{"__typename": "PartitionBackfills", "results": []}], LAUNCH: [taken],
        RUNS: [none, none, none, shown],
    })  # fmt: skip
    started = runs.Runs(GraphQL(rest)).start(runs.Target("live", "live", "sales"), (), {"lanewise/run": "canary-1"})
    assert started == runs.Started(run="r1")
    assert rest.asked.count(LAUNCH) == 1
