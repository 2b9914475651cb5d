"""``lane promote`` as it is typed: what it says, in which order, and how it ends."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from tests.e2e.road import SCRIPT
from tests.unit.service.lanes import CANARY, DAYS, ONE, TWO

from .conftest import Terminal

FAULTY = SCRIPT.replace("for id in 1 2 3", "for id in 1 2")


def test_a_success_ends_with_what_is_live_and_what_comes_next(terminal: Terminal) -> None:
    said = terminal.lane("promote", "--to", "stage")
    first, second = said.lines[:2]
    assert first.startswith("stage is on build ")
    assert first.endswith("map 1 (stage-1)")
    assert second == "prod-1 waits for 1 more approval from leads"
    assert said.lines[-1] == "next: lane approve prod-1"


def test_the_narration_tells_each_state_once_and_aligned(terminal: Terminal) -> None:
    said = terminal.lane("promote", "--to", "stage")
    lines = [line for line in said.err.splitlines() if line.startswith("  stage-1 ")]
    assert [line.split()[1] for line in lines] == ["GATING", "READY", "ACQUIRING", "PREPARING", "CANARY", "JUDGING",
                                                   "CUTOVER", "VERIFYING", "SUCCEEDED"]  # fmt: skip
    assert {re.match(r"  stage-1 +[A-Z]+ +", line).end() for line in lines} == {31}
    gates = [line for line in said.err.splitlines() if "quality" in line]
    assert [(line.index("✓"), line.index("3 checks")) for line in gates] == [(12, 31), (12, 31)]


def test_the_last_environment_says_how_to_take_it_back(open_terminal: Callable[..., Terminal]) -> None:
    terminal = open_terminal(ONE)
    assert terminal.lane("promote", "--to", "prod").lines[-1] == "to take it back: lane rollback prod"


def test_what_waits_is_no_error_but_exits_with_1(terminal: Terminal) -> None:
    build = terminal.build("v1")
    terminal.lane("promote", build, "--to", "stage")
    said = terminal.lane("promote", build, "--to", "prod", code=1)
    assert said.lines[0] == "prod-1 waits for 1 more approval from leads"
    assert said.lines[-1] == "next: lane approve prod-1"
    assert "error" not in said


def test_a_stopped_canary_shows_the_comparison_and_tells_the_reason_where_it_matters(
    open_terminal: Callable[..., Terminal],
) -> None:
    terminal = open_terminal(CANARY)
    terminal.lane("promote", "--to", "prod")
    said = terminal.lane("promote", terminal.build("v2", FAULTY), "--to", "prod", code=1)
    table = [line.split() for line in said.lines if "orders_daily" in line]
    assert table == [["orders_daily", "0", "of", "1", "3", "→", "2", "0", "/", "1", "/", "2", "build", "(2)", "partly",
                      "✗", "fail"]]  # fmt: skip
    assert said.err.count("removed in 1 of 1") == 2, "once as the verdict falls, once at the end"
    assert said.err.splitlines()[-2].startswith("error: prod-2 was taken back, and readers see what they saw before")
    assert said.err.splitlines()[-1] == "  hint: `lane why prod-2` shows what was measured"
    assert terminal.seen() == dict.fromkeys(DAYS, "v1")


@pytest.mark.parametrize("width", ["80", "120"])
def test_the_comparison_fits_the_terminal(
    open_terminal: Callable[..., Terminal], monkeypatch: pytest.MonkeyPatch, width: str
) -> None:
    monkeypatch.setenv("COLUMNS", width)
    terminal = open_terminal(CANARY)
    terminal.lane("promote", "--to", "prod")
    said = terminal.lane("promote", terminal.build("v2"), "--to", "prod")
    (row,) = [line for line in said.lines if line.startswith("orders_daily")]
    assert row.endswith("✓ pass")
    assert len(row) <= int(width)


def test_as_json_it_is_one_document_with_stable_keys(terminal: Terminal) -> None:
    found = terminal.lane("promote", "--to", "stage", "--format", "json").json
    assert list(found) == [
        "id", "project", "environment", "build", "config", "requester", "requested_at", "state", "reason", "step",
        "exposed", "plan", "base_map", "fence", "approvals", "verdicts", "broken_glass", "version", "opened_by",
        "came_from", "moved_at", "until", "evidence", "glass", "explanation",
    ]  # fmt: skip
    assert (found["id"], found["state"]) == ("stage-1", "SUCCEEDED")
    assert list(found["explanation"]) == ["sentence", "details", "command"]


def test_as_json_what_waits_exits_with_1_and_says_what_to_type(terminal: Terminal) -> None:
    build = terminal.build("v1")
    terminal.lane("promote", build, "--to", "stage")
    said = terminal.lane("promote", build, "--to", "prod", "--format", "json", code=1)
    assert said.json["state"] == "AWAITING_APPROVAL"
    assert said.json["explanation"]["command"] == "lane approve prod-1"
    assert said.err.splitlines()[-1] == "next: lane approve prod-1"


def test_promoting_what_is_live_says_so_and_is_well(terminal: Terminal) -> None:
    terminal.lane("promote", "--to", "stage")
    said = terminal.lane("promote", "--to", "stage")
    assert "is live in stage already, with this config" in said
    assert said.lines[0].startswith("stage is on build ")


def test_a_dry_run_prints_the_plan_and_stops(terminal: Terminal) -> None:
    said = terminal.lane("promote", "--to", "stage", "--dry-run")
    assert "→ stage the first release there" in said
    assert terminal.seen("stage") == {}


def test_a_saved_plan_is_applied_exactly_or_not_at_all(terminal: Terminal) -> None:
    build = terminal.build("v1")
    terminal.lane("plan", build, "--to", "stage", "--out", "plan.json")
    terminal.lane("promote", "--plan", "plan.json")
    assert terminal.seen("stage") == dict.fromkeys(DAYS, "v1")
    terminal.lane("plan", terminal.build("v2"), "--to", "stage", "--out", "old.json")
    terminal.lane("run", "stage", "--partition", "2013-01-05")
    said = terminal.lane("promote", "--plan", "old.json", code=1)
    assert "make a new one with `lane plan`" in said


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--to", "prd"], "did you mean prod?"),
        ([], "add --to ENV, or --plan FILE"),
        (["nosuch", "--to", "stage"], "no build named 'nosuch'"),
        (["--plan", "nowhere.json"], "nowhere.json can't be read"),
        (["--to", "stage", "--wait", "-3"], "Invalid value for '--wait'"),
        (["--to", "stage", "--break-glass", "nosuch", "--reason", "x", "--second", "ben"], "no gate named 'nosuch'"),
        (["--to", "stage", "--format", "xml"], "'xml' is not one of"),
    ],
)
def test_what_cannot_be_understood_exits_with_2_and_leaves_nothing_behind(
    terminal: Terminal, arguments: list[str], told: str
) -> None:
    assert told in terminal.lane("promote", *arguments, code=2)
    assert terminal.lane("status", "--format", "json").json["lanes"][0]["coming"] == []


def test_a_wrong_environment_is_told_before_anything_is_built(terminal: Terminal) -> None:
    terminal.lane("promote", "--to", "stagee", code=2)
    assert terminal.lane("builds", "--format", "json").json == []


def test_a_plan_for_somewhere_or_something_else_is_wrong_input(terminal: Terminal) -> None:
    build = terminal.build("v1")
    terminal.lane("plan", build, "--to", "stage", "--out", "plan.json")
    assert "is a plan for stage, not prod" in terminal.lane("promote", "--plan", "plan.json", "--to", "prod", code=2)
    other = terminal.build("v2")
    assert f"is a plan for build {build}, not {other}" in terminal.lane("promote", other, "--plan", "plan.json", code=2)


def test_outside_of_a_project_it_says_how_to_begin(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert "`lane init` writes one" in terminal.lane("promote", "--to", "stage", code=2)


def test_a_refusal_exits_with_1_and_says_the_way_on(open_terminal: Callable[..., Terminal]) -> None:
    terminal = open_terminal(TWO)
    said = terminal.lane("promote", "--to", "prod", code=1)
    assert "has not been live in stage, which comes before prod" in said
    assert "--to stage` first" in said


def test_what_lies_outside_exits_with_3(open_terminal: Callable[..., Terminal], tmp_path: object) -> None:
    terminal = open_terminal(ONE + "ledger: sqlite:////proc/nowhere/ledger.db\n")
    said = terminal.lane("promote", "--to", "prod", code=3)
    assert said.err.splitlines()[-2].startswith("error: ") or said.err.splitlines()[-1].startswith("error: ")


def test_break_glass_needs_its_reason_and_its_limit(open_terminal: Callable[..., Terminal]) -> None:
    terminal = open_terminal(TWO.replace("prod: {gates: [quality, retained]}", "prod: {gates: [soak, retained]}"))
    build = terminal.build("v1")
    terminal.lane("promote", build, "--to", "stage")
    glass = ("promote", build, "--to", "prod", "--break-glass", "soak")
    assert "needs a reason" in terminal.lane(*glass, code=1)
    assert "second person or an expiry" in terminal.lane(*glass, "--reason", "down", code=1)
    assert "own second person" in terminal.lane(*glass, "--reason", "down", "--second", "ana", code=1)
    retained = ("promote", build, "--to", "prod", "--break-glass", "retained", "--reason", "down", "--second", "ben")
    assert "retained is never skipped" in terminal.lane(*retained, code=1)
    said = terminal.lane(*glass, "--reason", "prod is down", "--until", "2")
    assert said.lines[0].startswith("prod is on build ")
