"""What Airflow's own interpreter makes of a build, live and as a candidate, and what it is handed out of secrets."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.contract.orchestrators.airflow.airflow_server import VENV
from tests.contract.orchestrators.airflow.signposts import Signposts

Ask = Callable[..., Any]
DAG = """
import lanewise
from airflow.sdk import DAG, Asset, CronPartitionTimetable, task
from pipelines.days import first

lane = lanewise.current()
with DAG("flights", schedule="@daily", tags=["daily"]):
    @task(retries=7, outlets=[Asset("daily")])
    def load(): first(lane)
    @task
    def each(number): print(number)
    load() >> each.expand(number=[1, 2])
with DAG("by_key", schedule=CronPartitionTimetable("0 3 * * *", timezone="UTC")):
    @task
    def one(): print(lane.settings.bucket)
    one()
"""
FILES = {"pipelines/flights.py": DAG, "pipelines/days.py": "def first(lane): return lane.partitions[0]\n"}
SETTINGS = {"bucket": "raw-prod", "retries": 3, "sla": "30m", "timeout": "2h", "service_account": "sa-prod"}
CONNECTIONS = {
    "postgres_prod": {
        "type": "postgres",
        "fields": {"host": "prod.db", "port": 5432, "user": "run", "database": "sales", "sslmode": "require"},
        "secrets": {"password": {"text": "env:PGPASSWORD_PROD", "previous": None}},
    },
    "broken_prod": {"type": "http", "fields": {}, "secrets": {"token": {"text": "env:NOT_SET", "previous": None}}},
}


@pytest.fixture(scope="module")
def interpreter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[subprocess.Popen[str]]:
    home = tmp_path_factory.mktemp("airflow")
    variables = {"PATH": "/usr/bin:/bin", "HOME": str(home), "AIRFLOW_HOME": str(home), "LANEWISE_ENV": "prod",
                 "AIRFLOW__CORE__LOAD_EXAMPLES": "False", "PGPASSWORD_PROD": "hunter2"}  # fmt: skip
    script = Path(__file__).with_name("inside.py")
    with (home / "said").open("w") as said:
        process = subprocess.Popen([VENV / "bin" / "python", script], env=variables, stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=said, text=True)  # fmt: skip
        with process:
            yield process


@pytest.fixture
def ask(interpreter: subprocess.Popen[str]) -> Ask:
    def asking(do: str, **request: Any) -> Any:
        assert interpreter.stdin is not None
        assert interpreter.stdout is not None
        interpreter.stdin.write(json.dumps({"do": do, **request}) + "\n")
        interpreter.stdin.flush()
        found = json.loads(interpreter.stdout.readline())
        return found["answer"] if "answer" in found else f"{found['error']}: {found['said']}"

    return asking


@pytest.fixture
def signs(tmp_path: Path) -> Signposts:
    return Signposts(tmp_path)


def live(ask: Ask, signs: Signposts, **kwargs: Any) -> Any:
    return ask("dags", bundle="LanewiseBundle", home=str(signs.home), **kwargs)


def test_the_live_entry_is_labelled_governed_and_audited(ask: Ask, signs: Signposts) -> None:
    build = signs.lay_out(FILES, settings=SETTINGS)
    signs.show(live=build, settings=SETTINGS)
    found = live(ask, signs)
    assert (found["version"], found["errors"]) == (build, {})
    flights = found["dags"]["flights"]
    assert flights["tags"] == [f"build:{build[7:]}", "config:c", "daily", "environment:prod", "project:flights"]
    assert (flights["deadline"], flights["timeout"], flights["paused"]) == ("0:30:00", "2:00:00", False)
    tasks = flights["tasks"]
    assert {name: task["retries"] for name, task in tasks.items() if "lanewise" not in name} == {"load": 3, "each": 3}
    assert {task["owner"] for task in tasks.values()} == {"sa-prod"}
    assert tasks["load"]["after"] == ["lanewise_begin"]
    assert tasks["lanewise_publish"]["after"] == ["each", "lanewise_begin"]
    assert tasks["lanewise_begin"]["setup"]
    assert tasks["lanewise_publish"]["teardown"]
    assert "CronTrigger" in flights["timetable"]
    assert set(found["dags"]["by_key"]["tasks"]) == {"one"}, "it is not the entry"


def test_a_failed_teardown_keeps_nothing_from_being_published(ask: Ask, signs: Signposts) -> None:
    lines = "    @teardown\n    def tidy(): pass\n    load() >> each.expand(number=[1, 2]) >> tidy()\n"
    written = DAG.replace("    load() >> each.expand(number=[1, 2])\n", lines).replace("task\n", "task, teardown\n", 1)
    signs.show(live=signs.lay_out({**FILES, "pipelines/flights.py": written}))
    states = {"lanewise_begin": "success", "load": "success", "each_0": "success", "each_1": "failed", "tidy": "failed"}
    found = ask("counting", states=states, home=str(signs.home))
    assert found == {"load": "success", "each_0": "success", "each_1": "failed"}


def test_a_candidate_stands_apart_and_starts_nothing(ask: Ask, signs: Signposts) -> None:
    build = signs.lay_out(FILES, settings=SETTINGS)
    signs.show(live=build, candidates=[build], settings=SETTINGS)
    found = ask("dags", bundle="LanewiseCandidates", home=str(signs.home))
    assert found["errors"] == {}
    flights, by_key = (found["dags"][f"{name}__{build[7:15]}"] for name in ("flights", "by_key"))
    assert (flights["paused"], flights["shown"]) == (False, f"flights__{build[7:15]}")
    assert "NullTimetable" in flights["timetable"]
    assert "PartitionedAtRuntime" in by_key["timetable"]
    assert set(flights["tasks"]) == {"load", "each"}
    assert {(task["retries"], task["outlets"]) for task in flights["tasks"].values()} == {(0, 0)}


def test_schedules_follow_the_environment(ask: Ask, signs: Signposts) -> None:
    build = signs.lay_out(FILES)
    signs.show(live=build, schedule="paused")
    found = live(ask, signs)["dags"]
    assert "NullTimetable" in found["flights"]["timetable"]
    assert "PartitionedAtRuntime" in found["by_key"]["timetable"]
    signs.show(live=build, schedule="15 4 * * 1")
    found = live(ask, signs)["dags"]
    assert "15 4 * * 1" in found["flights"]["timetable"]
    assert "0 3 * * *" in found["by_key"]["timetable"], "the expression is the entry's"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('DAG("flights"', 'DAG("flights_stage"', "the DAG's id flights_stage names stage"),
        ('tags=["daily"]', 'tags=["env:dev"]', "the tag env:dev names dev"),
        ('tags=["daily"]', 'params={"target": "stage"}', "the parameter target names stage"),
        ("def load(): first(lane)", "def lanewise_begin(): pass\n    load = lanewise_begin", "is Lanewise's own"),
    ],
)
def test_a_dag_that_names_another_environment_is_refused(
    ask: Ask, signs: Signposts, old: str, new: str, said: str
) -> None:
    build = signs.lay_out({**FILES, "pipelines/flights.py": DAG.replace(old, new)})
    signs.show(live=build)
    found = live(ask, signs)
    assert said in str(found["errors"])
    assert "flights" not in found["dags"]


def test_a_run_of_a_former_build_gets_that_build_as_it_was_told_then(ask: Ask, signs: Signposts) -> None:
    former = signs.lay_out(FILES)
    signs.show(live=former, settings={"retries": 5})
    live(ask, signs)
    current = signs.lay_out({**FILES, "pipelines/flights.py": DAG.replace("retries=7", "retries=6")})
    signs.show(live=current, settings={"retries": 1})
    found = live(ask, signs, version=former)
    assert found["version"] == former
    assert found["path"].endswith(f"live/unpacked/{former[7:]}")
    assert found["dags"]["flights"]["tasks"]["load"]["retries"] == 5
    assert live(ask, signs)["version"] == current


def test_a_build_that_was_changed_or_is_gone_is_not_handed_out(ask: Ask, signs: Signposts) -> None:
    build = signs.lay_out(FILES)
    signs.show(live=build)
    code = signs.home / "unpacked" / build[7:] / "pipelines" / "days.py"
    code.write_text("def first(lane): return 'something else'\n")
    assert live(ask, signs).startswith(f"BuildTampered: the unpacked build {build[7:15]} is not what was built")
    assert live(ask, signs, version=build).startswith("BuildTampered")
    assert live(ask, signs, version="sha256:" + 64 * "0").startswith("NotFound: no unpacked build named '00000000'")


def test_a_bundle_follows_the_sign_and_holds_on_when_it_is_gone_or_names_what_is_not_whole(
    ask: Ask, signs: Signposts
) -> None:
    first, second = signs.lay_out(FILES), signs.lay_out({**FILES, "pipelines/more.py": ""})
    signs.show(live=first)
    assert live(ask, signs, keep="live")["version"] == first
    signs.show(live=second, candidates=[first])
    assert live(ask, signs, keep="live")["version"] == second
    candidates = ask("dags", bundle="LanewiseCandidates", home=str(signs.home), keep="candidates")
    assert f"flights__{first[7:15]}" in candidates["dags"]
    signs.show(live="sha256:" + 64 * "0", candidates=[])
    assert live(ask, signs, keep="live").startswith("NotFound")
    assert ask("dags", bundle="LanewiseCandidates", keep="candidates")["dags"] == {}
    signs.take_down()
    found = live(ask, signs, keep="live")
    assert found["version"] == second


def test_before_the_first_promotion_there_is_nothing(ask: Ask, signs: Signposts) -> None:
    found = live(ask, signs)
    assert (found["version"], found["dags"], found["errors"]) == (None, {}, {})


def test_secrets_are_this_environments_and_no_others(ask: Ask, signs: Signposts) -> None:
    build = signs.lay_out(FILES, settings={**SETTINGS, "src_conn": "postgres_prod"}, connections=CONNECTIONS)
    signs.show(live=build)
    home = str(signs.home)
    found = ask("connection", name="src", home=home)
    assert found == {"type": "postgres", "host": "prod.db", "login": "run", "password": "hunter2", "schema": "sales",
                     "port": 5432, "extra": {"sslmode": "require"}}  # fmt: skip
    assert ask("connection", name="postgres_prod", home=home) == found
    assert ask("connection", name="postgres_default", home=home) is None
    refusal = "AirflowSecretsBackendAccessDenied: connection postgres_stage is of stage, and this is prod"
    assert ask("connection", name="postgres_stage", home=home) == refusal
    assert "env:NOT_SET is not set" in ask("connection", name="broken_prod", home=home)
    assert ask("variable", name="bucket", home=home) == "raw-prod"
    assert ask("variable", name="retries", home=home) == "3"
    assert ask("variable", name="other", home=home) is None
    assert "is of dev" in ask("variable", name="bucket_dev", home=home)
