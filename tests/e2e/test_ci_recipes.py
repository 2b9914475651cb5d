"""The recipes of ``examples/ci``, done line by line: one build from a review to prod, on a ledger and warehouses on
PostgreSQL and a store that the jobs share, each job in a clean clone with the secrets of its own environment."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from lanewise.adapters.ledgers import provision
from lanewise.testing.postgres import Server

from .ci_runner import Event, Job, Ran, Runner, github, gitlab
from .forge import Forge, forge
from .road import PROJECT, SCRIPT, lane, seen, write_project

ROOT = Path(__file__).parents[2]
RECIPES = {"github": ROOT / "examples/ci/github-actions.yml", "gitlab": ROOT / "examples/ci/gitlab-ci.yml"}
LANES = ("dev", "stage", "prod")
PLACES = {"plan": "dev", "build": "", "dev": "dev", "stage": "stage", "prod-ask": "prod", "prod": "prod"}
"""Environment of the site -> the one of Lanewise whose warehouse its jobs may log in to."""
ENVIRONMENTS = """\
ledger: "postgresql://127.0.0.1:@PORT@/@LEDGER@?password=env:LEDGER_PASSWORD"
builds: "@STORE@"
identity: declared
people: {ana: {emails: [ana@shop.example]}, ben: {groups: [leads]}}
defaults: {data: {from: 2013-01-01, to: 2013-01-04}}
environments: {dev: {}, stage: {}, prod: {}}
connections:
  "warehouse_{env}":
    {type: postgres, host: 127.0.0.1, port: @PORT@, database: @WAREHOUSE@, user: "ci_{env}",
     password: "env:WAREHOUSE_PASSWORD_{env}"}
promotion:
  prod:
    gates: [quality, schema, retained]
    approvals: {count: 1, from: [leads]}
    rollout: {canary: [50%, 100%]}
"""

pytestmark = pytest.mark.slow


@dataclass
class Shop:
    """A repository, its CI, and what is behind them."""

    site: str
    origin: Path
    runner: Runner
    forge: Forge

    def commit(self, version: str, script: str = SCRIPT) -> str:
        """What ana commits; its name."""
        (self.origin / "pipelines").mkdir(exist_ok=True)
        (self.origin / "pipelines/orders.sh").write_text(script.replace("@BUILD@", version))
        (self.origin / "requirements-lane.txt").write_text("lanewise==0.1.0 --hash=sha256:0\n")
        me = ["-c", "user.name=ana", "-c", "user.email=ana@shop.example"]
        for words in (["add", "-A"], [*me, "commit", "-qm", version]):
            subprocess.run(["git", "-C", self.origin, *words], check=True)
        done = subprocess.run(
            ["git", "-C", self.origin, "rev-parse", "HEAD"], check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def jobs(self, event: Event) -> dict[str, Job]:
        """Those that the event starts."""
        if self.site == "github":
            found = github(RECIPES["github"], event, self.runner, reviewed=("prod",))
        else:
            found = gitlab(RECIPES["gitlab"], event, self.runner)
        return {job.name: job for job in found}

    def start(self, event: Event) -> dict[str, Ran]:
        """All that runs by itself."""
        return self.runner.until_a_button(list(self.jobs(event).values()), event)

    def press(self, name: str, event: Event) -> Ran:
        """Let a job run: a button, or a second try."""
        return self.runner.run(self.jobs(event)[name], event)

    def seen(self, environment: str) -> set[str]:
        """The builds that readers of an environment see."""
        return set(seen(self.origin, environment).values())


def logins() -> dict[str, str]:
    """Role -> its password: one that promotes and one that reads the ledger, and the owner of each warehouse."""
    names = ("lanewise_promoter", "lanewise_reader", *(f"ci_{environment}" for environment in LANES))
    return {name: f"word-of-{name}" for name in names}


@pytest.fixture
def databases(postgres15: Server) -> Iterator[tuple[str, str]]:
    """A ledger as an operator lays it out, and a database of warehouses."""
    ledger, warehouse = postgres15.database(), postgres15.database()
    with postgres15.connect(ledger) as operator, operator.transaction():
        for role, password in logins().items():
            operator.execute(f"create role {role} login password '{password}'")  # type: ignore[call-overload]
            operator.execute(f"grant create on database {warehouse} to {role}")  # type: ignore[call-overload]
        grants = provision.grants(writers=["lanewise_promoter"], readers=["lanewise_reader"])
        for statement in (*provision.make(), *grants):
            operator.execute(statement)  # type: ignore[call-overload]
    yield ledger, warehouse
    with postgres15.connect() as operator:
        for name in (ledger, warehouse):
            operator.execute(f"drop database {name} with (force)")  # type: ignore[call-overload]
        for role in logins():
            operator.execute(f"drop role {role}")  # type: ignore[call-overload]


@pytest.fixture(params=["github", "gitlab"])
def shop(
    request: pytest.FixtureRequest, tmp_path: Path, postgres15: Server, databases: tuple[str, str]
) -> Iterator[Shop]:
    ledger, warehouse = databases
    text = ENVIRONMENTS.replace("@PORT@", str(postgres15.port)).replace("@STORE@", str(tmp_path / "builds"))
    text = text.replace("@LEDGER@", ledger).replace("@WAREHOUSE@", warehouse)
    origin = write_project(tmp_path / "orders", text, PROJECT)
    (origin / ".gitignore").write_text(".lanewise/\n")
    subprocess.run(["git", "init", "-q", "-b", "main", origin], check=True)
    secrets = {place: secrets_of(place, request.param) for place in PLACES}
    with forge() as site:
        variables = getattr(site, request.param)()
        yield Shop(request.param, origin, Runner(origin, tmp_path, secrets, variables), site)


def secrets_of(place: str, site: str) -> dict[str, str]:
    """What the jobs of one environment of the site are given."""
    words, environment = logins(), PLACES[place]
    given = {"LEDGER_PASSWORD": words["lanewise_reader" if place == "plan" else "lanewise_promoter"]}
    if environment:
        name = "WAREHOUSE_PASSWORD" if site == "github" else f"WAREHOUSE_PASSWORD_{environment}"
        given[name] = words[f"ci_{environment}"]
    return given


def test_one_build_goes_from_the_review_to_prod_and_waits_for_a_person(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """On the way, the machine of a job is gone in the middle of a promotion, and the job is run again."""
    died = tmp_path / "died"
    killing = f'test -e "{died}" || {{ touch "{died}"; kill -9 $PPID; }}\n'
    commit = shop.commit("v1", SCRIPT.replace("set -e\n", "set -e\n" + killing))
    planned = shop.start(Event(commit, "ana", change=True))
    assert {name: ran.code for name, ran in planned.items()} == {"plan": 0}, planned
    (comment,) = shop.forge.texts
    assert "**`dev` ✓ would go**: 4 partitions computed" in comment
    assert shop.start(Event(commit, "eve", change=True, fork=True)) == {}, "a fork's change is given secrets"

    merged = Event(commit, "ana")
    done = shop.start(merged)
    assert [(name, ran.code != 0) for name, ran in done.items()] == [("build", False), ("dev", True)], done
    assert died.exists()
    for name in ("dev", "stage", "ask"):
        ran = shop.press(name, merged)
        assert ran.code == 0, ran.log
    assert (shop.seen("dev"), shop.seen("stage"), shop.seen("prod")) == ({"v1"}, {"v1"}, set())

    early = shop.press("prod", merged)
    assert (early.code, "prod-1 waits for 1 more approval from leads" in early.log) == (1, True), early.log
    monkeypatch.setenv("PGUSER", "lanewise_promoter")
    monkeypatch.setenv("LEDGER_PASSWORD", logins()["lanewise_promoter"])
    assert lane(shop.origin, "approve", "prod-1", actor="ana").code == 1, "who asked may not approve"
    assert lane(shop.origin, "approve", "prod-1", actor="ben").code == 0
    late = shop.press("prod", merged)
    assert (late.code, shop.seen("prod")) == (0, {"v1"}), late.log

    again = {name: shop.press(name, merged) for name in ("build", "ask", "prod")}
    assert {ran.code for ran in again.values()} == {0}
    assert "is live in prod already" in again["prod"].log
    (prod,) = lane(shop.origin, "status", "prod", "--format", "json").data["lanes"]
    assert prod["live"]["map"] == 1, "a second run of the jobs has moved something"
    assert not [word for word in logins().values() if any(word in log for log in shop.runner.logs)], "a secret is shown"


def test_a_plan_that_can_not_be_made_fails_the_job_and_is_commented(shop: Shop):
    file = shop.origin / "environments.yaml"
    file.write_text(file.read_text().replace("  prod:\n", "  prd:\n"))
    ran = shop.start(Event(shop.commit("v1"), "ana", change=True))["plan"]
    assert ran.code == 2, ran.log
    assert "**`dev` ✗ can't be told**" in shop.forge.texts[0]


def test_what_stands_in_a_recipe_is_pinned_and_asks_for_little():
    text = RECIPES["github"].read_text(encoding="utf-8")
    workflow = YAML(typ="safe", pure=True).load(text)
    assert workflow["permissions"] == {}
    for name, job in workflow["jobs"].items():
        assert job["permissions"] == {"contents": "read", **({"pull-requests": "write"} if name == "plan" else {})}
        assert job["timeout-minutes"]
        assert job["concurrency"]["cancel-in-progress"] is (name == "plan")
    assert "${{" not in "".join(str(s.get("run")) for job in workflow["jobs"].values() for s in job["steps"]), (
        "an expression in a script is pasted into it"
    )
    assert "--require-hashes" in text
    assert "--require-hashes" in RECIPES["gitlab"].read_text(encoding="utf-8")


@pytest.mark.parametrize(("site", "schema"), [("github", "vendor.github-workflows"), ("gitlab", "vendor.gitlab-ci")])
def test_a_recipe_is_what_the_site_publishes_as_its_schema(site: str, schema: str):
    transform = ["--data-transform", "gitlab-ci"] if site == "gitlab" else []
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *transform, str(RECIPES[site])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
