"""``lane rollback`` as it is typed at night."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.unit.service.lanes import DAYS, ONE

from lanewise.cli.rollback import _run

from .conftest import Terminal


@pytest.fixture
def released(open_terminal: Callable[..., Terminal]) -> tuple[Terminal, str, str]:
    """v1, then v2."""
    terminal = open_terminal(ONE)
    v1 = terminal.build("v1")
    terminal.lane("promote", v1, "--to", "prod")
    v2 = terminal.build("v2")
    terminal.lane("promote", v2, "--to", "prod")
    return terminal, v1, v2


def test_the_first_line_says_what_is_live_now(released: tuple[Terminal, str, str]) -> None:
    terminal, v1, v2 = released
    said = terminal.lane("rollback", "prod", "--reason", "odd numbers")
    assert said.lines[0].startswith(f"prod is back on build {v1}, from {v2}: map 3, in ")
    assert said.lines[1] == f"  build {v2} is in quarantine: lane resume prod --build {v2} lifts it"
    assert said.lines[2] == "  promotions into prod are paused: lane resume prod lets them in again"
    assert terminal.seen() == dict.fromkeys(DAYS, "v1")


def test_a_dry_run_says_where_and_changes_nothing(released: tuple[Terminal, str, str]) -> None:
    terminal, v1, v2 = released
    said = terminal.lane("rollback", "prod", "--dry-run")
    assert said.lines == [f"prod would go back to build {v1}, from {v2}, to what map 1 shows"]
    assert terminal.seen() == dict.fromkeys(DAYS, "v2")


def test_missing_days_are_listed_with_the_command_that_computes_them(released: tuple[Terminal, str, str]) -> None:
    terminal, v1, v2 = released
    terminal.lane("run", "prod", "--partition", "2013-01-05")
    said = terminal.lane("rollback", "prod")
    assert f"orders_daily: {v1} has not computed 1 partition, which {v2} had: 2013-01-05" in said
    assert f"next, let {v1} compute them: lane run prod --partition 2013-01-05" in said
    terminal.lane("run", "prod", "--partition", "2013-01-05")
    assert terminal.seen()["2013-01-05"] == "v1"


def test_rerun_computes_them_at_once(released: tuple[Terminal, str, str]) -> None:
    terminal, v1, _ = released
    terminal.lane("run", "prod", "--partition", "2013-01-05")
    said = terminal.lane("rollback", "prod", "--rerun")
    assert f"computed by {v1}: 1 partition, 2013-01-05" in said
    assert terminal.seen()["2013-01-05"] == "v1"


def test_as_json_it_is_one_document_also_with_rerun(released: tuple[Terminal, str, str]) -> None:
    terminal, _, _ = released
    terminal.lane("run", "prod", "--partition", "2013-01-05")
    found = terminal.lane("rollback", "prod", "--rerun", "--format", "json").json
    assert list(found) == [
        "environment", "left", "back", "map", "seconds", "missing", "taken_over", "stale", "unsettled",
    ]  # fmt: skip
    assert found["missing"]["orders_daily"] == ["2013-01-05"]


def test_a_config_that_goes_back_names_no_quarantine(open_terminal: Callable[..., Terminal]) -> None:
    terminal = open_terminal(ONE)
    terminal.lane("promote", "--to", "prod")
    terminal.environments(ONE.replace("threshold: 1", "threshold: 2"))
    terminal.lane("promote", "--to", "prod")
    said = terminal.lane("rollback", "prod")
    assert "with its earlier config" in said
    assert "quarantine" not in said


def test_a_named_build_comes_back(released: tuple[Terminal, str, str]) -> None:
    terminal, _, v2 = released
    terminal.lane("rollback", "prod")
    assert terminal.lane("rollback", "prod", "--build", v2).lines[0].startswith(f"prod is back on build {v2}")


def test_nothing_to_go_back_to_is_refused(terminal: Terminal) -> None:
    said = terminal.lane("rollback", "prod", code=1)
    assert "nothing has been released in prod" in said
    assert "error" in said


@pytest.mark.parametrize(
    ("arguments", "told"), [(["prd"], "did you mean prod?"), (["prod", "--build", "x"], "no build")]
)
def test_wrong_names_exit_with_2(released: tuple[Terminal, str, str], arguments: list[str], told: str) -> None:
    terminal, _, _ = released
    assert told in terminal.lane("rollback", *arguments, code=2)


@pytest.mark.parametrize(
    ("partitions", "command"),
    [
        (("2013-01-05",), "lane run prod --partition 2013-01-05"),
        (("2013-01-05", "2013-01-06"), "lane run prod --partition 2013-01-05 --partition 2013-01-06"),
        (("2013-01-31", "2013-02-01", "2013-02-02"), "lane run prod --from 2013-01-31 --to 2013-02-02"),
        (("2013-11", "2013-12", "2014-01"), "lane run prod --from 2013-11 --to 2014-01"),
        (("DE", "FR", "UK"), "lane run prod --partition DE --partition FR --partition UK"),
        (("2013-01-01", "2013-01-02", "2013-01-04"),
         "lane run prod --partition 2013-01-01 --partition 2013-01-02 --partition 2013-01-04"),
    ],
)  # fmt: skip
def test_the_command_is_as_short_as_it_can_be(partitions: tuple[str, ...], command: str) -> None:
    assert _run("prod", partitions) == command
