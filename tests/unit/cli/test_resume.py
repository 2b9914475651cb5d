"""``lane resume``."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.unit.service.lanes import ONE

from .conftest import Terminal


@pytest.fixture
def rolled_back(open_terminal: Callable[..., Terminal]) -> tuple[Terminal, str]:
    terminal = open_terminal(ONE)
    terminal.lane("promote", "--to", "prod")
    v2 = terminal.build("v2")
    terminal.lane("promote", v2, "--to", "prod")
    terminal.lane("rollback", "prod")
    return terminal, v2


def test_it_lets_promotions_in_and_names_what_stays_in_quarantine(rolled_back: tuple[Terminal, str]) -> None:
    terminal, v2 = rolled_back
    said = terminal.lane("resume", "prod")
    assert said.lines[0] == "promotions may enter prod again"
    assert said.lines[1] == f"build {v2} stays in quarantine; to lift it: lane resume prod --build {v2}"
    assert "is in quarantine" in terminal.lane("promote", v2, "--to", "prod", code=1)


def test_with_the_build_it_lifts_the_quarantine_too(rolled_back: tuple[Terminal, str]) -> None:
    terminal, v2 = rolled_back
    assert terminal.lane("resume", "prod", "--build", v2).lines == ["promotions may enter prod again"]
    terminal.lane("promote", v2, "--to", "prod")


def test_as_json_it_is_the_lane(rolled_back: tuple[Terminal, str]) -> None:
    terminal, v2 = rolled_back
    found = terminal.lane("resume", "prod", "--format", "json").json
    assert (found["environment"], found["paused"], found["quarantined"][0][7:15]) == ("prod", None, v2)


def test_what_is_not_paused_is_told(terminal: Terminal) -> None:
    assert "prod is not paused" in terminal.lane("resume", "prod", code=1)


@pytest.mark.parametrize("arguments", [["prd"], ["prod", "--build", "nosuch"]])
def test_wrong_names_exit_with_2(terminal: Terminal, arguments: list[str]) -> None:
    terminal.lane("resume", *arguments, code=2)
