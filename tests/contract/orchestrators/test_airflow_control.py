"""Airflow from outside, where no Airflow is needed to see it: logins, what a run came to, why a build is refused."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from lanewise.adapters.orchestrators.airflow import open_orchestrator
from lanewise.adapters.orchestrators.airflow.api import Api, Login
from lanewise.adapters.orchestrators.airflow.carrying import Carrier
from lanewise.adapters.orchestrators.airflow.pieces import Piece, body, by_partition
from lanewise.adapters.orchestrators.airflow.readiness import Readiness
from lanewise.adapters.orchestrators.airflow.records import Dag, DagRun
from lanewise.adapters.orchestrators.airflow.report import keep, read_back
from lanewise.domain.environment import Connection, Environment, SecretRef
from lanewise.domain.serving import Served
from lanewise.errors import ConfigError, LoginRefused, OrchestratorUnavailable, OutsideBroke, Refused
from lanewise.runtime.airflow_names import build_tag, candidate_dag, config_tag
from lanewise.testing.runner import make_launch

from .airflow.airflow_server import VENV
from .airflow.signposts import Signposts

BUILD, OTHER, CONFIG = ("sha256:" + letter * 64 for letter in "abc")
DAG = """\
from airflow.sdk import DAG, Variable, task
from pipelines.rates import RATE

with DAG("flights", params={"bucket": Variable.get("bucket")}):
    @task
    def load():
        print(RATE)
    load()
"""


@dataclass
class Airflow:
    """Answers as it is told. ``asked`` are the requests: method, path, body, token."""

    answers: Callable[[str, str], tuple[int, Any]]
    asked: list[tuple[str, str, Any, str]] = field(default_factory=list)
    passwords: tuple[str, ...] = ("right",)
    tokens: int = 0
    url: str = ""

    def answer(self, method: str, path: str, sent: Any, token: str) -> tuple[int, Any]:
        self.asked.append((method, path, sent, token))
        if path == "/auth/token":
            if sent["password"] not in self.passwords:
                return 401, {"detail": "Invalid credentials"}
            self.tokens += 1
            return 201, {"access_token": f"token-{self.tokens}"}
        if token != f"Bearer token-{self.tokens}":
            return 401, {"detail": "Invalid JWT token"}
        return self.answers(method, path)


@contextmanager
def served(airflow: Airflow) -> Iterator[Airflow]:
    class Handler(BaseHTTPRequestHandler):
        def do(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            sent = json.loads(self.rfile.read(length)) if length else None
            code, told = airflow.answer(self.command, self.path, sent, self.headers.get("Authorization", ""))
            content = json.dumps(told).encode()
            self.send_response(code)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = do_PUT = do  # noqa: N815 - http.server's names

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    airflow.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield airflow
    finally:
        server.shutdown()
        server.server_close()


class Words:
    """A secret store whose values change when it is told to."""

    def __init__(self, **values: str) -> None:
        self.values = values

    def resolve(self, reference: SecretRef, *, previous: bool = False) -> str:
        return self.values[reference.wanted(previous=previous)]

    def redact(self, text: str) -> str:
        return text.replace("hunter2", "***")


def api(airflow: Airflow, words: Words, *, previous: str | None = None, say: Callable[[str], None] = print) -> Api:
    password = SecretRef("now", previous=previous)
    return Api(airflow.url, Login("airflow_prod", "lane", password, None, words), say, 1.0)  # type: ignore[arg-type]


def dag(**fields: Any) -> dict[str, Any]:
    return {
        "dag_id": "flights", "is_paused": False, "is_stale": False, "has_import_errors": False,
        "timetable_summary": None, "tags": [{"name": build_tag(BUILD)}, {"name": config_tag(CONFIG)}],
        "bundle_version": BUILD, "file_token": "t", **fields,
    }  # fmt: skip


def test_a_token_is_kept_and_renewed_when_it_has_expired():
    with served(Airflow(lambda *_: (200, dag()))) as airflow:
        asking = api(airflow, Words(now="right"))
        assert asking.dag("flights") == asking.dag("flights")
        assert airflow.tokens == 1
        airflow.tokens = 7  # it is another server by now
        assert asking.dag("flights")
        assert airflow.tokens == 8


def test_while_a_password_is_rotated_the_previous_one_serves():
    with served(Airflow(lambda *_: (200, dag()), passwords=("old",))) as airflow:
        assert api(airflow, Words(now="new", before="old"), previous="before").dag("flights")


def test_a_login_that_is_refused_names_the_reference_and_no_value():
    with served(Airflow(lambda *_: (200, dag()))) as airflow, pytest.raises(LoginRefused) as caught:
        api(airflow, Words(now="hunter2")).dag("flights")
    said = caught.value.message + caught.value.hint
    assert "now" in said
    assert "airflow_prod" in said
    assert "hunter2" not in said


def test_a_server_that_stumbles_is_asked_again_and_one_that_fails_is_told_of():
    left = [500, 500, 200]
    with served(Airflow(lambda *_: (left.pop(0), dag()))) as airflow:
        assert api(airflow, Words(now="right")).dag("flights")
    said = "answers 500 to GET /dags/flights: no space left"
    full = Airflow(lambda *_: (500, {"detail": "no space left"}))
    with served(full) as airflow, pytest.raises(OrchestratorUnavailable, match=said):
        api(airflow, Words(now="right")).dag("flights")


def test_a_file_that_waits_to_be_parsed_is_not_asked_for_twice():
    with served(Airflow(lambda *_: (409, {"detail": "Unique constraint violation"}))) as airflow:
        api(airflow, Words(now="right")).parse_again(Dag.of(dag()))
    assert airflow.asked[-1][:2] == ("PUT", "/api/v2/parseDagFile/t")


def test_a_server_that_stays_away_is_said_to_be():
    said: list[str] = []
    asking = api(Airflow(lambda *_: (200, None), url="http://127.0.0.1:1"), Words(now="right"), say=said.append)
    with pytest.raises(OrchestratorUnavailable, match="does not answer"):
        asking.dag("flights")
    assert "waiting for Airflow" in said[0]
    assert asking.outages == 1


@pytest.mark.parametrize(
    ("changed", "runs"),
    [
        ({}, True),
        ({"is_stale": True}, False),
        ({"has_import_errors": True}, False),
        ({"bundle_version": OTHER}, False),  # parsed as this build, and yet another one would be checked out
        ({"bundle_version": None}, True),  # a candidate's bundle has no versions
        ({"tags": [{"name": build_tag(OTHER)}, {"name": config_tag(CONFIG)}]}, False),
        ({"tags": [{"name": build_tag(BUILD)}, {"name": config_tag(OTHER)}]}, False),
        ({"tags": []}, False),
    ],
)
def test_a_dag_runs_a_release_when_all_that_airflow_says_of_it_agrees(changed: dict[str, Any], runs: bool):
    assert Dag.of(dag(**changed)).runs(BUILD, CONFIG) is runs


def test_two_builds_have_two_candidates():
    assert candidate_dag("flights", BUILD) != candidate_dag("flights", OTHER)


def run(state: str = "failed") -> DagRun:
    return DagRun("flights__aaaaaaaa", "canary-1", state, "")


def task(name: str, state: str, start: str | None = "2026-01-01T00:00:00Z") -> dict[str, Any]:
    return {"task_id": name, "map_index": -1, "state": state, "try_number": 1, "start_date": start}


LOG = [
    {"event": "::group::Log message source details", "sources": []},
    {"event": "pass hunter2"},
    {"event": "Task failed with exception", "error_detail": [{"exc_type": "ValueError", "exc_value": "too low"}]},
    {"event": "Post Execute"},
]


def answers(tasks: list[dict[str, Any]]) -> Callable[[str, str], tuple[int, Any]]:
    def answer(_: str, path: str) -> tuple[int, Any]:
        if "/logs/" in path:
            return 200, {"content": LOG}
        return 200, {"task_instances": tasks, "total_entries": len(tasks)}

    return answer


def test_a_run_that_failed_is_told_by_the_error_of_the_task_that_did(tmp_path: Path):
    tasks = [task("load", "success"), task("check", "failed"), task("publish", "upstream_failed")]
    with served(Airflow(answers(tasks))) as airflow:
        asking = api(airflow, Words(now="right"))
        report = read_back(asking, run(), Words().redact)
        launch = make_launch(tmp_path, "x")
        keep(launch, [report], asking)
    assert [(one.name, one.passed, one.severe) for one in report.findings] == [
        ("load", True, True), ("check", False, True), ("publish", False, True),
    ]  # fmt: skip
    assert report.lines[-1] == "task check failed: ValueError: too low"
    assert "check | pass ***" in report.lines
    assert not report.ok
    log = launch.log.read_text()
    assert "hunter2" not in log
    assert all("environment=prod build=abababab" in line for line in log.splitlines())
    assert launch.log.stat().st_mode & 0o777 == 0o600


def test_a_failure_that_the_dag_itself_has_foreseen_is_no_severe_one():
    with served(
        Airflow(answers([task("try", "failed"), task("else", "success"), task("never", "skipped")]))
    ) as airflow:
        report = read_back(api(airflow, Words(now="right")), run("success"), Words().redact)
    assert report.ok
    assert [one.passed for one in report.findings] == [False, True, None]


def test_a_partitioned_dag_gets_a_run_for_each_partition(tmp_path: Path):
    launch = make_launch(tmp_path, "x")
    request = replace(launch.request, partitions=("2013-01-01", "New York / JFK"))
    day, place = by_partition(request)
    assert day == Piece("live-1--2013-01-01", "2013-01-01")
    assert place.partition == "New York / JFK"
    assert "/" not in place.id
    assert " " not in place.id
    assert by_partition(replace(request, partitions=("all",))) == ()
    sent = body(day, replace(launch, request=request), {"run": {}})
    assert (sent["dag_run_id"], sent["partition_key"], sent["logical_date"]) == (day.id, "2013-01-01", None)
    assert sent["conf"]["lanewise"]["run"] == "live-1"
    assert "lanewise/build" in sent["note"]


def test_a_second_attempt_computes_every_partition_anew_since_its_room_is_empty(tmp_path: Path):
    states: dict[str, str] = {}
    begun: list[str] = []

    def answer(method: str, path: str) -> tuple[int, Any]:
        name = path.partition("/dagRuns/")[2].partition("/")[0]
        if path.endswith("/dagRuns"):
            name = airflow.asked[-1][2]["dag_run_id"]
            if name in states:
                return 409, {"detail": "it exists"}
            states[name] = "failed" if name.endswith("02") else "success"
            return 200, {"dag_id": "flights", "dag_run_id": name, "state": "queued", "bundle_version": BUILD}
        if path.endswith("/clear"):
            states[name] = "success"
            begun.append(name)
            return 200, {}
        if "/logs/" in path:
            return 200, {"content": LOG}
        if path.partition("?")[0].endswith("/taskInstances"):
            return 200, {"task_instances": [task("load", states[name])], "total_entries": 1}
        return 200, {"dag_id": "flights", "dag_run_id": name, "state": states[name], "bundle_version": BUILD}

    launch = make_launch(tmp_path, "x")
    request = replace(launch.request, partitions=("2013-01-01", "2013-01-02"), build=BUILD)
    launch = replace(launch, request=request)
    launch.compiled.write_text("{}")
    with served(Airflow(answer)) as airflow:
        carrier = Carrier(api(airflow, Words(now="right")), print, str, lambda _: Dag.of(dag()))
        assert carrier.carry_out(launch).exit_code == 1
        assert carrier.carry_out(launch).exit_code == 0
    assert begun == ["live-1--2013-01-01", "live-1--2013-01-02"]


@pytest.mark.parametrize(
    ("fields", "said"),
    [({}, "has no url"), ({"url": "ftp://x"}, "has no url"), ({"url": "http://x", "ready_timeout": "soon"}, "duration"),
     ({"url": "http://x", "patience": 0}, "duration")],
)  # fmt: skip
def test_a_connection_that_can_not_be_meant_is_wrong_input(fields: dict[str, Any], said: str, tmp_path: Path):
    connection = Connection("airflow_prod", "airflow", fields)
    lane = Environment("prod", 0, {"orchestrator_conn": "airflow_prod"}, {"airflow_prod": connection})
    with pytest.raises(ConfigError, match=said):
        open_orchestrator(home=tmp_path, lane=lane, project="p", secrets=Words(), say=print)  # type: ignore[arg-type]


def ready(airflow: Airflow, python: str = "", timeout: float = 0.1) -> Readiness:
    return Readiness(api(airflow, Words(now="right")), print, python, timeout, patience=0.5)


def candidate(posts: Signposts, build: str) -> Served:
    name = build.removeprefix("sha256:")
    compiled = posts.home / "compiled" / name / "prod.json"
    return Served("flights", "prod", build, "sha256:c", posts.home / "unpacked" / name, compiled, "flights")


@pytest.mark.parametrize(
    ("rates", "fault"),
    [
        ("RATE = 1 / 0", r"pipelines/rates.py:1: ZeroDivisionError"),
        ("RATE = (", r"pipelines/rates.py:1: SyntaxError"),
        ("import no_such_module", r"pipelines/rates.py:1: ModuleNotFoundError"),
        ("RATE = 1", ""),
    ],
)
def test_airflows_own_interpreter_says_where_a_build_does_not_load(tmp_path: Path, rates: str, fault: str):
    posts = Signposts(tmp_path)
    build = posts.lay_out({"pipelines/flow.py": DAG, "pipelines/rates.py": rates}, settings={"bucket": "raw-prod"})
    posts.show(live=build, candidates=[build])
    looking = ready(Airflow(lambda *_: (200, None)), python=str(VENV / "bin" / "python"))
    if not fault:
        looking.parses(candidate(posts, build))
        with pytest.raises(Refused, match="there is no DAG 'trains' in its files"):
            looking.parses(replace(candidate(posts, build), entry="trains"))
    else:
        with pytest.raises(Refused, match=fault):
            looking.parses(candidate(posts, build))
    assert not list((posts.home / "unpacked").rglob("*.pyc"))


def test_an_interpreter_that_is_not_airflows_is_no_fault_of_the_build(tmp_path: Path):
    posts = Signposts(tmp_path)
    build = posts.lay_out({"pipelines/flow.py": DAG})
    for python in ("/usr/bin/python3", "/no/such/python"):
        with pytest.raises(OutsideBroke, match=python):
            ready(Airflow(lambda *_: (200, None)), python=python).parses(candidate(posts, build))


def health(status: str) -> dict[str, Any]:
    return {"dag_processor": {"status": status}, "scheduler": {"status": "healthy"}}


def told_by_airflow(trace: str, status: str = "healthy") -> Callable[[str, str], tuple[int, Any]]:
    def answer(_: str, path: str) -> tuple[int, Any]:
        if "importErrors" in path:
            errors = [{"filename": f"{'a' * 64}/pipelines/flow.py", "stack_trace": trace}] if trace else []
            return 200, {"import_errors": errors, "total_entries": len(errors)}
        return 200, health(status)

    return answer


def test_an_import_error_is_told_in_one_line(tmp_path: Path):
    place = f"/srv/.lanewise/airflow/prod/candidate/unpacked/{'a' * 64}"
    trace = (
        f'Traceback (most recent call last):\n  File "{place}/pipelines/flow.py", line 2, in <module>\n'
        f'  File "{place}/pipelines/rates.py", line 7, in <module>\n    x = 1/0\nZeroDivisionError: by zero\n'
    )
    wanted = Served("flights", "prod", BUILD, CONFIG, tmp_path, tmp_path / "c.json", "flights")
    said = r"pipelines/rates\.py:7: ZeroDivisionError: by zero$"
    with served(Airflow(told_by_airflow(trace))) as airflow, pytest.raises(Refused, match=said):
        ready(airflow).wait(wanted, lambda: None)


def test_a_build_that_does_not_turn_up_is_refused_and_a_processor_that_is_away_is_waited_for(tmp_path: Path):
    wanted = Served("flights", "prod", BUILD, CONFIG, tmp_path, tmp_path / "c.json", "flights")
    with served(Airflow(told_by_airflow(""))) as airflow, pytest.raises(Refused, match="has no such DAG"):
        ready(airflow).wait(wanted, lambda: None)
    said, away = r"the dag-processor of Airflow at .* is not heard of", Airflow(told_by_airflow("", "unhealthy"))
    with served(away) as airflow, pytest.raises(OrchestratorUnavailable, match=said):
        ready(airflow).wait(wanted, lambda: None)
