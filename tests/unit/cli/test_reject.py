"""``lane reject``."""

from __future__ import annotations

import pytest

from .conftest import Terminal


@pytest.fixture
def waiting(terminal: Terminal) -> Terminal:
    terminal.lane("promote", "--to", "stage")
    return terminal


def test_a_no_ends_it_and_says_that_nothing_changed(waiting: Terminal) -> None:
    said = waiting.lane("reject", "prod-1", "--reason", "not this week", actor="cleo")
    assert said.lines == ["prod-1 is rejected; nothing was changed in prod"]
    assert "cleo: not this week" in waiting.lane("why", "prod-1")


def test_as_json_it_is_the_promotion(waiting: Terminal) -> None:
    found = waiting.lane("reject", "prod-1", "--reason", "no", "--format", "json").json
    assert (found["id"], found["state"], found["reason"]) == ("prod-1", "REJECTED", "ana: no")


def test_a_no_needs_a_reason(waiting: Terminal) -> None:
    assert "Missing option '--reason'" in waiting.lane("reject", "prod-1", code=2)


def test_what_has_ended_points_to_the_rollback(waiting: Terminal) -> None:
    said = waiting.lane("reject", "stage-1", "--reason", "no", code=1)
    assert "can't be rejected any more" in said
    assert "lane rollback stage" in said


def test_a_wrong_name_gets_the_nearest(waiting: Terminal) -> None:
    assert "did you mean" in waiting.lane("reject", "stag-1", "--reason", "no", code=2)
