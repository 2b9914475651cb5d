"""``lane status``: the lanes, as a road."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from .conftest import Terminal


def test_an_empty_road_shows_every_lane(terminal: Terminal) -> None:
    said = terminal.lane("status")
    assert said.lines[0].strip("═ ") == "orders"
    assert "stage · nothing released yet" in said
    assert "prod · nothing released yet" in said


def test_each_lane_shows_its_build_config_map_and_since_when(terminal: Terminal) -> None:
    build = terminal.build("v1")
    terminal.lane("build", "--tag", "v1.0")
    terminal.lane("promote", build, "--to", "stage")
    line = next(line for line in terminal.lane("status").lines if line.startswith(" stage"))
    assert line.split()[:4] == ["stage", "▶", build, "v1.0"]
    assert " map 1  since 20" in line
    assert line.endswith(" UTC")


def test_what_waits_says_where_to_ask(terminal: Terminal) -> None:
    build = terminal.build("v1")
    terminal.lane("promote", build, "--to", "stage")
    said = terminal.lane("status")
    assert (
        f"◌ prod-1 build {build} AWAITING_APPROVAL: every gate passed; a person has to approve → lane why prod-1"
        in said
    )


def test_a_rollback_leaves_its_signs(terminal: Terminal) -> None:
    terminal.release("v1")
    v2 = terminal.release("v2")
    terminal.lane("rollback", "prod", "--reason", "odd numbers")
    said = terminal.lane("status", "prod")
    assert "(rollback)" in said
    assert "‖ paused: rollback: odd numbers → lane resume prod" in said
    assert f"✕ build {v2} is in quarantine → lane resume prod --build {v2}" in said
    assert "stage" not in said


def test_as_json_it_has_stable_keys(terminal: Terminal) -> None:
    terminal.lane("promote", "--to", "stage")
    found = terminal.lane("status", "--format", "json").json
    assert list(found) == ["project", "lanes"]
    stage, prod = found["lanes"]
    assert list(stage) == [
        "environment",
        "live",
        "coming",
        "paused",
        "quarantined",
        "tags",
        "astray",
        "owed",
        "standing",
    ]
    assert list(stage["live"]) == [
        "build",
        "config",
        "document",
        "map",
        "base_map",
        "kind",
        "promotion",
        "at",
        "overrides",
    ]
    assert list(prod["coming"][0]) == ["id", "build", "state", "reason"]


def test_markup_in_a_reason_is_shown_as_it_is(terminal: Terminal) -> None:
    terminal.lane("pause", "prod", "--reason", "[red]see [/ops] #12[/red]")
    assert "paused: [red]see [/ops] #12[/red]" in terminal.lane("status")


def test_a_wrong_environment_gets_the_nearest(terminal: Terminal) -> None:
    assert "did you mean prod?" in terminal.lane("status", "prd", code=2)


def test_it_works_from_anywhere_in_the_project_and_by_directory(
    terminal: Terminal, monkeypatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(terminal.root / "pipelines")
    terminal.lane("status")
    monkeypatch.chdir(tmp_path)
    assert "orders" in terminal.lane("-C", str(terminal.root), "status")


def test_a_terminal_without_arrows_gets_question_marks_and_programs_get_all(terminal: Terminal) -> None:
    terminal.lane("pause", "prod", "--reason", "größer →")

    def shown(*arguments: str) -> str:
        command = [sys.executable, "-c", "from lanewise.cli.app import main; main()", *arguments]
        done = subprocess.run(command, cwd=terminal.root, env={**os.environ, "PYTHONIOENCODING": "ascii"}, check=True,
                              capture_output=True)  # fmt: skip
        return done.stdout.decode("ascii")

    assert "paused: gr??er ?" in shown("status")
    assert json.loads(shown("status", "--format", "json"))["lanes"][1]["paused"] == "größer →"
