"""What is around the user's own flow; tried in Prefect's own interpreter, without a server."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[4]
PYTHON = ROOT / ".cache" / "prefect" / "bin" / "python"


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("scenes")
    variables = {**os.environ, "PREFECT_HOME": str(folder / "prefect"), "DO_NOT_TRACK": "1"}
    done = subprocess.run(
        [PYTHON, Path(__file__).with_name("scenes.py"), folder / "played"], env=variables, capture_output=True,
        text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("name", ["publishes", "async", "takes none", "takes partitions"])
def test_what_a_flow_wrote_is_published_once_it_has_ended_well(scenes: dict[str, Any], name: str):
    assert (scenes[name]["said"], scenes[name]["calls"]) == (["well"], ["publish"])


@pytest.mark.parametrize("name", ["fails", "async fails"])
def test_what_a_failed_flow_wrote_is_thrown_away_and_its_own_error_told(scenes: dict[str, Any], name: str):
    assert (scenes[name]["said"], scenes[name]["calls"]) == (["ValueError: too low"], ["abandon"])


def test_a_flow_whose_process_is_ended_leaves_nothing(scenes: dict[str, Any]):
    assert scenes["ends a process"]["calls"] == ["abandon"]


def test_a_flow_that_returns_a_failed_state_has_failed(scenes: dict[str, Any]):
    assert scenes["returns a failed state"]["calls"] == ["abandon"]


def test_a_flow_whose_data_does_not_pass_has_failed_with_that_reason(scenes: dict[str, Any]):
    found = scenes["is not published"]
    assert found["said"] == ["Refused: error: its data did not pass audit"]
    assert found["calls"] == ["publish"]


def test_publication_waits_while_the_ledger_is_away(scenes: dict[str, Any]):
    found = scenes["waits for the ledger"]
    assert (found["said"], found["calls"]) == (["well"], ["publish", "publish", "publish"])


def test_each_attempt_has_a_room_of_its_own(scenes: dict[str, Any]):
    found = scenes["tries again"]
    assert found["calls"] == ["abandon", "begin", "abandon"]


def test_retries_and_the_deadline_of_a_scheduled_flow_are_the_environments(scenes: dict[str, Any]):
    assert (scenes["publishes"]["retries"], scenes["publishes"]["timeout"]) == (3, 1800)
    assert scenes["was started by lane"]["retries"] in {0, None}


def test_a_generator_is_refused_before_it_runs(scenes: dict[str, Any]):
    assert "generator" in scenes["is a generator"]["said"][0]
    assert "publish" not in scenes["is a generator"]["calls"]


def test_code_that_does_not_import_fails_the_run_with_its_own_words(scenes: dict[str, Any]):
    found = scenes["does not import"]
    assert "No module named 'no_such_module'" in found["said"][0]
    assert found["calls"] == ["abandon"]


def test_a_run_that_was_refused_runs_no_line_of_the_build(scenes: dict[str, Any]):
    assert (scenes["was refused"]["said"], scenes["was refused"]["calls"]) == (["Refused: stage runs b"], [])


def test_a_check_loads_the_build_and_tells_its_parameters(scenes: dict[str, Any]):
    found = scenes["is checked"]
    told = json.loads(found["said"][0])
    assert told["flow"] == "main"
    assert set(told["schema"]["properties"]) == {"limit", "partitions"}
    assert found["calls"] == []


def test_what_lane_itself_started_is_left_to_it(scenes: dict[str, Any]):
    assert scenes["was started by lane"]["calls"] == []


def test_any_flow_can_be_started_by_hand_for_chosen_partitions(scenes: dict[str, Any]):
    assert scenes["takes none"]["parameters"] == ["partitions"]
    assert scenes["takes partitions"]["took"] == "2013-01-05"
