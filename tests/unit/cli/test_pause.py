"""``lane pause`` and, in ``test_resume``, what ends it."""

from __future__ import annotations

from .conftest import Terminal


def test_it_says_what_stops_what_goes_on_and_how_to_end_it(terminal: Terminal) -> None:
    said = terminal.lane("pause", "prod", "--reason", "stocktaking")
    assert said.lines[0] == "prod is paused: stocktaking"
    assert said.lines[1].endswith("lane resume prod")
    assert "paused: stocktaking → lane resume prod" in terminal.lane("status")


def test_as_json_it_is_the_lane(terminal: Terminal) -> None:
    found = terminal.lane("pause", "prod", "--reason", "stocktaking", "--format", "json").json
    assert found == {"environment": "prod", "paused": "stocktaking", "quarantined": []}


def test_a_pause_needs_a_reason_and_an_environment_that_is_there(terminal: Terminal) -> None:
    assert "Missing option '--reason'" in terminal.lane("pause", "prod", code=2)
    assert "did you mean prod?" in terminal.lane("pause", "prd", "--reason", "x", code=2)


def test_a_promotion_is_refused_meanwhile(terminal: Terminal) -> None:
    terminal.lane("pause", "stage", "--reason", "stocktaking")
    said = terminal.lane("promote", "--to", "stage", code=1)
    assert "stage is paused: stocktaking" in said
    assert "lane resume stage" in said
