"""Whole roads by the very commands that a user types, each in a process of its own: three lanes, approvals, a canary, a
scheduled run meanwhile, a fault, a rollback; and state that is merged and appended."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

from .road import SCRIPT, seen, write_project

DAYS = tuple(f"2013-01-0{day}" for day in range(1, 5))
LANES = """\
identity: declared
people:
  ana: {groups: [dev]}
  ben: {groups: [leads]}
defaults: {data: {from: 2013-01-01, to: 2013-01-04}, threshold: 1}
environments:
  dev: {data: {to: 2013-01-02}}
  stage: {}
  prod: {threshold: 3}
promotion:
  stage: {gates: [quality, schema]}
  prod:
    gates: [quality, schema, retained, soak: {runs: 1}]
    approvals: {count: 1, from: [leads]}
    rollout: {canary: [25%, 100%]}
"""
STATE = """\
project: orders
source: {include: ["pipelines/**"]}
run: sh pipelines/orders.sh
tables:
  customers:
    kind: merge
    key: [id]
    columns: {id: INTEGER not null, build: VARCHAR}
    changes: [{what: values, columns: [build], reason: each build signs its rows}]
  visits:
    kind: append
    history: inherit
    offset: n
    columns: {n: INTEGER not null, build: VARCHAR}
"""
STATE_SCRIPT = """\
echo id,build > "$LANEWISE_OUTPUTS/customers.csv"
echo "@ID@,@BUILD@" >> "$LANEWISE_OUTPUTS/customers.csv"
echo n,build > "$LANEWISE_OUTPUTS/visits.csv"
echo "@ID@,@BUILD@" >> "$LANEWISE_OUTPUTS/visits.csv"
"""


@dataclass
class Lane:
    """Types commands in a project."""

    root: Path

    def __call__(self, *arguments: str, actor: str = "ana", code: int = 0) -> Any:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("LANEWISE_")}
        command = [sys.executable, "-c", "from lanewise.cli.app import main; main()", *arguments, "--format", "json"]
        done = subprocess.run(
            command, cwd=self.root, env={**kept, "LANEWISE_ACTOR": actor}, check=False, capture_output=True, text=True
        )
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        return json.loads(done.stdout) if done.stdout else None

    def build(self, name: str, script: str = SCRIPT) -> str:
        (self.root / "pipelines" / "orders.sh").write_text(script.replace("@BUILD@", name))
        return str(self("build")["digest"])

    def read(self, query: str, environment: str = "prod") -> list[tuple[Any, ...]]:
        catalog = self.root / ".lanewise" / "warehouse" / f"{environment}.duckdb"
        with duckdb.connect(str(catalog), read_only=True) as db:
            return db.execute(query).fetchall()


@pytest.mark.slow
def test_a_road_of_three_lanes(tmp_path: Path) -> None:
    lane = Lane(write_project(tmp_path / "orders", LANES))

    def to_prod(build: str, code: int = 0) -> Any:
        lane("promote", build, "--to", "dev")
        lane("promote", build, "--to", "stage")
        (waiting,) = lane("status", "prod")["lanes"][0]["coming"]
        assert waiting["state"] == "GATING", "nothing has run in stage yet"
        lane("run", "stage", "--partition", "2013-01-04")
        asked = lane("promote", build, "--to", "prod", code=1)
        assert asked["explanation"]["command"] == f"lane approve {waiting['id']}"
        lane("approve", waiting["id"], code=1)
        return lane("approve", waiting["id"], "--go", actor="ben", code=code)["promotion"]

    v1 = lane.build("v1")
    assert to_prod(v1)["state"] == "SUCCEEDED"
    assert seen(lane.root, "dev") == dict.fromkeys(DAYS[:2], "v1")
    assert seen(lane.root) == dict.fromkeys(DAYS, "v1")

    lane("run", "prod", "--partition", "2013-01-05")
    v2 = lane.build("v2")
    assert to_prod(v2)["state"] == "SUCCEEDED"
    assert seen(lane.root) == dict.fromkeys((*DAYS, "2013-01-05"), "v2"), "also the day that v1 ran"

    before = lane.read("select * from orders_daily order by all")
    v3 = lane.build("v3", SCRIPT.replace("for id in 1 2 3", "for id in 1 2"))
    stopped = to_prod(v3, code=1)
    assert stopped["state"] == "REVERTED"
    assert "keys removed" in stopped["reason"]
    assert lane.read("select * from orders_daily order by all") == before

    back = lane("rollback", "prod", "--reason", "finance counts otherwise")
    assert (back["left"], back["back"], back["missing"]) == (v2, v1, {})
    assert seen(lane.root) == dict.fromkeys((*DAYS, "2013-01-05"), "v1")
    prod = lane("status", "prod")["lanes"][0]
    assert (prod["live"]["build"], prod["quarantined"], prod["live"]["kind"]) == (v1, [v2], "rollback")
    lane("resume", "prod", "--build", v2)
    assert lane("verify")


@pytest.mark.slow
def test_state_that_is_merged_and_appended_goes_on_from_where_it_was(tmp_path: Path) -> None:
    rules = "identity: declared\nenvironments: {prod: {}}\npromotion: {prod: {gates: [retained]}}\n"
    lane = Lane(write_project(tmp_path / "orders", rules, STATE))
    customers, visits = "select * from customers order by id", "select * from visits order by n"

    lane("promote", lane.build("v1", STATE_SCRIPT.replace("@ID@", "1")), "--to", "prod")
    assert (lane.read(customers), lane.read(visits)) == ([(1, "v1")], [(1, "v1")])

    v2 = lane.build("v2", STATE_SCRIPT.replace("@ID@", "2"))
    (customers_plan, visits_plan) = lane("plan", v2, "--to", "prod")["tables"]
    assert (customers_plan["move"], visits_plan["move"]) == ("rebuild", "inherit")
    lane("promote", v2, "--to", "prod")
    assert lane.read(customers) == [(1, "v1"), (2, "v2")], "a merge starts from the state that it finds"
    assert lane.read(visits) == [(1, "v1")], "appended history stays; it was judged and not shown"

    lane("run", "prod")
    assert lane.read(visits) == [(1, "v1"), (2, "v2")]
    lane("rollback", "prod")
    assert (lane.read(customers), lane.read(visits)) == ([(1, "v1")], [(1, "v1")])
    lane("run", "prod")
    assert lane.read(visits) == [(1, "v1"), (1, "v1")], "the old build goes on from its own state"
