"""``lane why``: the question of the night."""

from __future__ import annotations

from collections.abc import Callable

from tests.e2e.road import SCRIPT
from tests.unit.service.lanes import CANARY

from .conftest import Terminal


def test_it_says_what_it_waits_for_who_can_help_and_what_to_type(terminal: Terminal) -> None:
    terminal.lane("promote", "--to", "stage")
    said = terminal.lane("why", "prod-1")
    assert said.lines[0] == "prod-1 waits for 1 more approval from leads"
    assert said.lines[1].startswith("  ben or cleo can approve it")
    assert said.lines[-1] == "next: lane approve prod-1"


def test_of_a_stopped_canary_it_shows_the_comparison(open_terminal: Callable[..., Terminal]) -> None:
    terminal = open_terminal(CANARY)
    terminal.lane("promote", "--to", "prod")
    faulty = SCRIPT.replace("for id in 1 2 3", "for id in 1 2")
    terminal.lane("promote", terminal.build("v2", faulty), "--to", "prod", code=1)
    said = terminal.lane("why", "prod-2")
    assert "old → new, as judged in step 1" in said
    assert "✗ fail" in said
    assert "prod-2 was taken back" in said


def test_as_json_it_has_stable_keys(terminal: Terminal) -> None:
    terminal.lane("promote", "--to", "stage")
    found = terminal.lane("why", "prod-1", "--format", "json").json
    assert list(found) == ["id", "state", "sentence", "details", "command"]
    assert (found["id"], found["state"], found["command"]) == ("prod-1", "AWAITING_APPROVAL", "lane approve prod-1")


def test_what_has_ended_well_says_how_to_take_it_back(terminal: Terminal) -> None:
    terminal.lane("promote", "--to", "stage")
    assert "to take it back: lane rollback stage" in terminal.lane("why", "stage-1")


def test_wrong_names_exit_with_2_and_the_nearest(terminal: Terminal) -> None:
    assert "nothing was ever promoted here" in terminal.lane("why", "prod-1", code=2)
    terminal.lane("promote", "--to", "stage")
    assert "did you mean stage-1" in terminal.lane("why", "stag-1", code=2)
    assert "named like prod-12" in terminal.lane("why", "v1", code=2)
