"""``lane plan``: what would be done, table by table."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from tests.e2e.road import PROJECT
from tests.unit.service.lanes import CANARY

from .conftest import Terminal


@pytest.fixture
def released(open_terminal: Callable[..., Terminal]) -> Terminal:
    """v1 is live in prod, where a canary is asked for."""
    terminal = open_terminal(CANARY)
    terminal.lane("promote", "--to", "prod")
    return terminal


def test_a_first_release_says_so(terminal: Terminal) -> None:
    said = terminal.lane("plan", "--to", "stage")
    assert said.lines[0].endswith("→ stage  the first release there")
    assert "note first release into stage" in said
    assert "orders_daily partition new 4 ? ?" in said


def test_each_table_has_its_move_partitions_rows_bytes_and_versions(released: Terminal) -> None:
    build = released.build("v2")
    said = released.lane("plan", build, "--to", "prod")
    assert said.lines[0].startswith(f"{build} → prod  in place of ")
    row = next(line for line in said.lines if line.startswith("orders_daily")).split()
    assert row[:5] == ["orders_daily", "partition", "rebuild", "4", "12"]
    assert row[6] == "kB"
    assert row[-2] == "→"


def test_the_way_it_would_go_is_told(released: Terminal) -> None:
    said = released.lane("plan", released.build("v2"), "--to", "prod")
    assert "gates quality, schema, retained" in said
    assert "approvals none" in said
    assert "canary over 4 partitions, in 3 steps" in said
    assert "step 1 25% 1 partition: 2013-01-0" in said
    assert "beside what is live; plan " in said


def test_config_changes_breaking_changes_and_dropped_tables_stand_out(released: Terminal) -> None:
    released.environments(CANARY.replace("threshold: 1", "threshold: 2"))
    (released.root / "lanewise.yaml").write_text(PROJECT[: PROJECT.index("  totals_daily:")])
    said = released.lane("plan", released.build("v2"), "--to", "prod")
    assert "config settings.threshold: 1 → 2" in said
    assert "breaking totals_daily: the table is no longer published" in said
    assert "totals_daily partition drop – – –" in said


def test_a_config_alone_says_that_nothing_is_computed(released: Terminal) -> None:
    released.environments(CANARY.replace("threshold: 1", "threshold: 2"))
    said = released.lane("plan", "--to", "prod")
    assert "for the build that is live" in said
    assert "nothing has to be computed: readers move at once" in said


def test_as_json_it_has_the_plans_own_keys(released: Terminal) -> None:
    found = released.lane("plan", released.build("v2"), "--to", "prod", "--format", "json").json
    assert list(found) == [
        "project", "environment", "build", "config", "base_map", "base_build", "base_config", "tables", "steps",
        "strategy", "gates", "approvals", "inputs", "warnings", "config_changes", "digest", "bytes",
    ]  # fmt: skip
    assert list(found["tables"][0]) == [
        "table", "kind", "move", "version", "live_version", "history", "partitions", "exposed", "bytes", "rows",
        "breaking", "note",
    ]  # fmt: skip


def test_a_saved_plan_is_named_with_the_command_that_applies_it(released: Terminal) -> None:
    said = released.lane("plan", released.build("v2"), "--to", "prod", "--out", "plan.json")
    assert "to apply exactly this: lane promote --plan plan.json" in said
    saved = json.loads((released.root / "plan.json").read_text())
    assert saved["plan"]["environment"] == "prod"


def test_planning_changes_nothing(released: Terminal) -> None:
    build = released.build("v2")
    before = released.lane("history", "--format", "json").json
    released.lane("plan", build, "--to", "prod")
    assert released.lane("history", "--format", "json").json == before


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--to", "prd"], "did you mean prod?"),
        (["nosuch", "--to", "prod"], "no build named 'nosuch'"),
        ([], "Missing option '--to'"),
        (["--to", "prod", "--out", "nowhere/plan.json"], "the plan can't be saved"),
    ],
)
def test_what_cannot_be_understood_exits_with_2(released: Terminal, arguments: list[str], told: str) -> None:
    assert told in released.lane("plan", *arguments, code=2)
