"""``lane decide``: what a person makes of a held promotion."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.e2e.road import PROJECT, SCRIPT
from tests.unit.service.lanes import DAYS, ONE

from .conftest import Terminal

NO_ROWS = SCRIPT.replace("for id in 1 2 3", "for id in")
HELD = ONE.replace("[quality, schema, retained]", "[quality]")


@pytest.fixture
def held(open_terminal: Callable[..., Terminal]) -> Terminal:
    """v1 wrote no rows: nobody can tell whether it is good."""
    terminal = open_terminal(HELD)
    (terminal.root / "lanewise.yaml").write_text(PROJECT)
    terminal.write("v1", NO_ROWS)
    terminal.lane("promote", "--to", "prod", code=1)
    return terminal


def test_it_says_that_a_person_has_to_decide_and_how(held: Terminal) -> None:
    said = held.lane("why", "prod-1")
    assert "prod-1 is held: the evidence is inconclusive, and a person has to decide" in said
    assert "lane decide prod-1 accept" in said
    assert said.lines[-1] == "next: lane decide prod-1 retry"


def test_accepting_needs_a_reason_and_carries_it_through(held: Terminal) -> None:
    assert "needs a reason" in held.lane("decide", "prod-1", "accept", code=1)
    held.lane("decide", "prod-1", "accept", "--reason", "a holiday", code=1)


def test_a_retry_that_finds_the_same_is_held_again_and_exits_with_1(held: Terminal) -> None:
    said = held.lane("decide", "prod-1", "retry", code=1)
    assert "CANARY ana asked to compute the step again" in said
    assert said.lines[-1] == "next: lane decide prod-1 retry"


def test_an_abort_is_what_was_wanted_and_exits_with_0(held: Terminal) -> None:
    said = held.lane("decide", "prod-1", "abort", "--reason", "enough")
    assert "prod-1 was taken back, and readers see what they saw before: aborted by ana: enough" in said
    held.write("v2")
    held.lane("promote", "--to", "prod")
    assert held.seen() == dict.fromkeys(DAYS, "v2")


def test_as_json_it_is_the_promotion(held: Terminal) -> None:
    found = held.lane("decide", "prod-1", "abort", "--format", "json").json
    assert (found["state"], found["explanation"]["command"]) == ("REVERTED", "")


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["prod-1", "forget"], 2, "is not one of 'retry', 'accept', 'abort'"),
        (["prod-9", "retry"], 2, "prod-1"),
        (["prod-1"], 2, "Missing argument"),
    ],
)
def test_what_cannot_be_understood_exits_with_2(held: Terminal, arguments: list[str], code: int, told: str) -> None:
    assert told in held.lane("decide", *arguments, code=code)


def test_only_what_is_held_can_be_decided(held: Terminal) -> None:
    held.lane("decide", "prod-1", "abort")
    said = held.lane("decide", "prod-1", "retry", code=1)
    assert "prod-1 is REVERTED, not held" in said
    assert "has ended already" in held.lane("decide", "prod-1", "abort", code=1)
