"""``lane approve`` and ``lane reject``, for promotions and for configs."""

from __future__ import annotations

import pytest
from tests.unit.service.lanes import DAYS, TWO_APPROVED

from .conftest import Terminal


@pytest.fixture
def waiting(terminal: Terminal) -> Terminal:
    """prod-1 waits for ben or cleo."""
    terminal.lane("promote", "--to", "stage")
    return terminal


def test_a_yes_says_who_gave_it_how_that_is_known_and_what_comes_next(waiting: Terminal) -> None:
    said = waiting.lane("approve", "prod-1", actor="ben")
    assert "approved by ben (by their word alone: identity is `declared`)" in said.err
    assert said.lines[0] == "prod-1 is approved by ben and can go on"
    assert said.lines[-1].startswith("next: lane promote ")


def test_go_carries_it_out(waiting: Terminal) -> None:
    said = waiting.lane("approve", "prod-1", "--go", actor="ben")
    assert said.lines[0].startswith("prod is on build ")
    assert waiting.seen() == dict.fromkeys(DAYS, "v1")


def test_one_of_two_says_how_many_are_missing(waiting: Terminal) -> None:
    waiting.environments(TWO_APPROVED.replace("count: 1", "count: 2"))
    applied = waiting.lane("config", "apply", "--yes", "--format", "json").json
    waiting.lane("approve", applied["digest"], actor="ben")
    build = waiting.lane("build", "--format", "json").json["short"]
    waiting.lane("promote", build, "--to", "prod", code=1)
    said = waiting.lane("approve", "prod-2", "--go", actor="ben")
    assert said.lines[0] == "prod-2 waits for 1 more approval from leads"
    assert waiting.seen() == {}


def test_as_json_it_is_one_document(waiting: Terminal) -> None:
    found = waiting.lane("approve", "prod-1", "--format", "json", actor="ben").json
    assert list(found) == ["promotion", "approved_by", "proved_by", "missing"]
    assert (found["approved_by"], found["proved_by"], found["missing"]) == ("ben", "declared", 0)
    after = waiting.lane("promote", "--to", "prod", "--format", "json").json
    assert after["state"] == "SUCCEEDED"


def test_go_as_json_is_the_same_document_with_the_promotion_as_it_ended(waiting: Terminal) -> None:
    found = waiting.lane("approve", "prod-1", "--go", "--format", "json", actor="ben").json
    assert list(found) == ["promotion", "approved_by", "proved_by", "missing"]
    assert found["promotion"]["state"] == "SUCCEEDED"


@pytest.mark.parametrize(("actor", "told"), [("ana", "nobody approves their own request"), ("dan", "not in leads")])
def test_who_may_not_is_told_whom_to_ask(waiting: Terminal, actor: str, told: str) -> None:
    said = waiting.lane("approve", "prod-1", actor=actor, code=1)
    assert told in said
    assert "ask ben or cleo" in said


@pytest.mark.parametrize(
    ("name", "told"),
    [("prd-1", "did you mean prod-1"), ("prod-7", "prod-1"), ("nosuch", "named like prod-12"), ("beef1234", "config")],
)
def test_what_is_not_there_exits_with_2(waiting: Terminal, name: str, told: str) -> None:
    assert told in waiting.lane("approve", name, actor="ben", code=2)


class TestConfigs:
    @pytest.fixture
    def proposed(self, waiting: Terminal) -> tuple[Terminal, str]:
        waiting.environments(TWO_APPROVED.replace("threshold: 3", "threshold: 4"))
        found = waiting.lane("config", "apply", "--yes", "--format", "json").json
        assert found["state"] == "awaiting approval"
        return waiting, found["digest"]

    def test_a_proposed_config_is_approved_by_its_first_digits(self, proposed: tuple[Terminal, str]) -> None:
        terminal, digest = proposed
        said = terminal.lane("approve", digest[7:15], actor="ben")
        assert said.lines[0] == f"config {digest[7:15]} is in force: it changes prod"
        assert "lane promote" in said.lines[1]

    def test_as_json_it_says_what_became_of_it(self, proposed: tuple[Terminal, str]) -> None:
        terminal, digest = proposed
        found = terminal.lane("approve", digest, "--format", "json", actor="ben").json
        assert (found["state"], found["digest"], found["environments"]) == ("applied", digest, ["prod"])

    def test_the_proposer_may_not_approve_it(self, proposed: tuple[Terminal, str]) -> None:
        terminal, digest = proposed
        assert "nobody approves their own request" in terminal.lane("approve", digest, code=1)

    def test_what_was_asked_for_under_the_old_config_gives_way(self, proposed: tuple[Terminal, str]) -> None:
        terminal, digest = proposed
        terminal.lane("approve", digest, actor="ben")
        said = terminal.lane("approve", "prod-1", "--go", actor="cleo", code=1)
        assert "the config of prod is" in said
        assert terminal.seen() == {}
