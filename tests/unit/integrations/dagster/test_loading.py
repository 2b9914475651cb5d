"""Builds as Dagster's code locations load them, in Dagster's own virtual environment; no server is needed."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from lanewise.domain.serving import AS_WRITTEN, PAUSED

REPOSITORY = Path(__file__).parents[4]
PYTHON = REPOSITORY / ".cache/dagster/bin/python"
DEFINITIONS = """\
import dagster as dg
from pipelines.factor import FACTOR

days = dg.DailyPartitionsDefinition("2013-01-01")
@dg.asset(partitions_def=days, description=f"times {FACTOR}")
def daily() -> None: ...
@dg.asset(partitions_def=days, deps=[daily, "elsewhere"])
def weekly() -> None: ...
@dg.asset_check(asset=daily)
def plausible(): return dg.AssetCheckResult(passed=True)
@dg.op
def sweep(): ...
@dg.job
def housekeeping(): sweep()

sales = dg.define_asset_job("sales", selection=dg.AssetSelection.assets(daily), description=f"times {FACTOR}")
@dg.sensor(job=sales)
def arrivals(context): ...

class Shop(dg.ConfigurableResource):
    password: str
    host: str = "localhost"

defs = dg.Definitions(
    assets=[daily, weekly], asset_checks=[plausible], jobs=[sales, housekeeping], sensors=[arrivals],
    schedules=[dg.build_schedule_from_partitioned_job(sales),
               dg.ScheduleDefinition(job=housekeeping, cron_schedule="0 0 * * 0")],
    resources=@RESOURCES@,
)
"""


def put(home: Path, files: dict[str, str]) -> str:
    """A build as it is unpacked; its digest."""
    entries = [{"path": path, "digest": f"sha256:{_sha256(text)}"} for path, text in files.items()]
    manifest = json.dumps({"files": entries}).encode()
    name = hashlib.sha256(manifest).hexdigest()
    for path, text in files.items():
        file = home / "unpacked" / name / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (home / "manifests").mkdir(exist_ok=True)
    (home / "manifests" / f"{name}.json").write_bytes(manifest)
    return f"sha256:{name}"


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def version(factor: int, resources: str = "{}") -> dict[str, str]:
    definitions = DEFINITIONS.replace("@RESOURCES@", resources)
    return {"pipelines/definitions.py": definitions, "pipelines/factor.py": f"FACTOR = {factor}\n"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("sales") / ".lanewise"
    (home / "signs").mkdir(parents=True)
    one, two = put(home, version(1)), put(home, version(2))
    secret = 'Shop(password=dg.EnvVar("SHOP_PASSWORD"), host=dg.EnvVar("SHOP_HOST"))'
    unset = put(home, version(3, f'{{"shop": {secret}}}'))
    broken = put(home, {**version(4), "pipelines/factor.py": "FACTOR = 1 +\n"})
    changed = put(home, version(5))
    (home / "unpacked" / changed.removeprefix("sha256:") / "pipelines/factor.py").write_text("FACTOR = 6\n")
    empty = put(home, {"readme.md": "nothing\n"})

    def served(build: str) -> dict[str, Any]:
        return {"build": build, "config": "sha256:c", "entry": "sales", "schedule": PAUSED, "settings": {}, "number": 0}

    candidates = [served(build) for build in (one, two, unset, broken, changed, empty)]
    sign = {"format": 1, "project": "sales", "environment": "prod", "home": str(home), "lane": ["lane"],
            "live": served(one), "candidates": candidates}  # fmt: skip
    (home / "signs/prod.json").write_text(json.dumps(sign))
    return home


@pytest.fixture(scope="module")
def found(home: Path) -> dict[str, Any]:
    variables = {"PATH": os.environ["PATH"], "LANEWISE_HOME": str(home), "LANEWISE_ENV": "prod", "SHOP_HOST": "x"}
    script = Path(__file__).with_name("inside.py")
    done = subprocess.run([PYTHON, script, PAUSED, AS_WRITTEN, "30 5 * * *"], env=variables, check=False,
                          capture_output=True, text=True, cwd=home)  # fmt: skip
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_two_builds_with_the_same_modules_do_not_mix_in_one_process(found: dict[str, Any]):
    assert [one["why"].get("sales") for one in found["candidates"][:2]] == ["times 1", "times 2"]


def test_a_runs_processes_find_their_build_by_its_digest(home: Path, found: dict[str, Any]):
    sign = json.loads((home / "signs/prod.json").read_text())
    names = [f"build_{one['build'].removeprefix('sha256:')}" for one in sign["candidates"]]
    assert found["pointers"] == [names[:1], sorted(names)]


def test_every_job_says_environment_build_and_project(home: Path, found: dict[str, Any]):
    build = json.loads((home / "signs/prod.json").read_text())["live"]["build"]
    for job in ("sales", "housekeeping"):
        tags = found["live"][0]["jobs"][job]
        assert tags == {"lanewise/build": build, "lanewise/environment": "prod", "lanewise/project": "sales",
                        "lanewise/config": "sha256:c", "lanewise/purpose": "scheduled"}  # fmt: skip


def test_a_candidate_shares_no_asset_with_the_live_build_and_is_started_by_nothing(found: dict[str, Any]):
    candidate = found["candidates"][1]
    mine = candidate["name"].replace("build_", "candidate_")
    assert {f"{mine}/daily", f"{mine}/weekly", "elsewhere"} == set(candidate["assets"])
    assert all(mine in check for check in candidate["checks"])
    assert candidate["schedules"] == candidate["sensors"] == {}
    assert {"daily", "weekly", "elsewhere"} == set(found["live"][0]["assets"])


def test_schedules_follow_the_environment(found: dict[str, Any]):
    paused, written, cron = (one["schedules"] for one in found["live"])
    assert paused["sales_schedule"] == ["0 0 * * *", "STOPPED", "sales"]
    assert written["sales_schedule"] == ["0 0 * * *", "RUNNING", "sales"]
    assert cron["sales_schedule"] == ["30 5 * * *", "RUNNING", "sales"]
    assert [one["housekeeping_schedule"][1] for one in (paused, written, cron)] == ["STOPPED"] * 3  # as the file says


def test_the_clock_starts_the_newest_day_that_has_ended(found: dict[str, Any]):
    _, written, cron = found["ticks"]
    assert written[0][0] == cron[0][0] == "2013-01-05"


def test_a_run_that_was_refused_to_another_build_is_run_by_the_live_one(found: dict[str, Any]):
    run_key, job, tags = found["instead"][0]
    assert len(found["instead"]) == 1  # the live build's own runs are not run again
    assert (run_key, job) == ("r1", "sales")
    kept = {key: value for key, value in tags.items() if not key.startswith(("dagster/sensor", "dagster/run_key"))}
    assert kept.items() >= {"team": "shop", "dagster/partition": "2013-01-02", "lanewise/instead_of": "r1"}.items()
    assert not {"lanewise/superseded", "lanewise/run", "dagster/schedule_name"} & set(tags)


def test_what_another_build_could_not_run_any_more_is_looked_after(found: dict[str, Any]):
    assert found["live"][0]["sensors"] == {"arrivals": "STOPPED", "lanewise_superseded": "RUNNING"}


def test_a_variable_that_is_not_set_is_refused_by_name(found: dict[str, Any]):
    assert "not set in prod: SHOP_PASSWORD (of shop)" in found["candidates"][2]["why"]["does_not_load"]


def test_a_build_that_does_not_import_says_where_and_keeps_no_other_from_loading(found: dict[str, Any]):
    why = found["candidates"][3]["why"]["does_not_load"]
    assert "SyntaxError: invalid syntax" in why
    assert "pipelines/factor.py:1" in why
    assert "sales" in found["candidates"][1]["jobs"]


def test_a_changed_byte_is_refused(found: dict[str, Any]):
    assert "'pipelines/factor.py' was changed" in found["candidates"][4]["why"]["does_not_load"]


def test_a_build_without_definitions_says_what_is_missing(found: dict[str, Any]):
    assert "no file of the build named 'definitions.py'" in found["candidates"][5]["why"]["does_not_load"]


def test_the_lane_is_a_resource(found: dict[str, Any]):
    assert "lane" in found["live"][0]["resources"]


def test_before_anything_is_promoted_the_locations_are_empty(tmp_path: Path):
    code = "from lanewise.integrations.dagster import candidate, live; print(dir(live), dir(candidate), live.nothing)"
    variables = {"PATH": os.environ["PATH"], "LANEWISE_HOME": str(tmp_path), "LANEWISE_ENV": "prod"}
    done = subprocess.run([PYTHON, "-c", code], env=variables, check=True, capture_output=True, text=True)
    assert done.stdout.startswith("['nothing'] ['nothing'] <dagster._core.definitions.repository_definition")
