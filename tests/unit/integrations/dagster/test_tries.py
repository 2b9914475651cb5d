from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from lanewise.errors import RunFailed
from lanewise.integrations.dagster.tries import Tries

PID = 41


def event(kind: str, step: str | None = "load", pid: int = PID) -> SimpleNamespace:
    kinds = {"is_step_start": False, "is_step_restarted": False, "is_step_up_for_retry": False}
    return SimpleNamespace(step_key=step, pid=pid, **{**kinds, f"is_step_{kind}": True})


@pytest.fixture
def blocks(tmp_path: Path) -> Path:
    (tmp_path / "40-0.done").touch()  # another step's
    return tmp_path


def test_what_a_failed_try_left_open_is_forgotten(blocks):
    tries = Tries(blocks)
    tries.see(event("start"))
    (blocks / "41-1.open").touch()
    (blocks / "42-2.open").touch()  # of a step beside it
    tries.see(event("up_for_retry"))
    assert sorted(mark.name for mark in blocks.iterdir()) == ["40-0.done", "42-2.open"]


def test_one_that_had_handed_over_is_not_tried_again(blocks):
    tries = Tries(blocks)
    tries.see(event("start"))
    (blocks / "41-1.done").touch()
    with pytest.raises(RunFailed, match="load had handed over"):
        tries.see(event("up_for_retry"))


def test_earlier_steps_of_one_process_are_not_taken_for_it(blocks):
    (blocks / "41-0.done").touch()
    tries = Tries(blocks)
    tries.see(event("start"))
    tries.see(event("up_for_retry"))
    tries.see(event("restarted"))
    (blocks / "41-1.open").touch()
    tries.see(event("up_for_retry"))
    assert sorted(mark.name for mark in blocks.iterdir()) == ["40-0.done", "41-0.done"]


def test_a_room_without_a_folder_here_is_left_alone():
    tries = Tries(None)
    tries.see(event("start"))
    tries.see(event("up_for_retry"))
