from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from lanewise.cli import history as command
from lanewise.cli import verify as verify_command
from lanewise.domain.environment import Config, Environment
from lanewise.domain.event import Draft
from lanewise.errors import LedgerTampered, NotFound
from lanewise.service.history import history, where
from lanewise.service.verify import checkpoint

BUILD = "sha256:3f9a2c71" + "0" * 56


@pytest.fixture
def told(room):
    """A room in which something happened in two lanes and in another project."""
    room.config = Config(environments={name: Environment(name, 0, {}, {}) for name in ("dev", "prod")}, document={})
    for stream, kind in (
        ("config/shop", "config.applied"), ("promotion/shop/prod/1", "promotion.finished"),
        ("environment/shop/dev", "environment.paused"), ("environment/shop/prod", "quarantine.lifted"),
        ("environment/other/prod", "release.changed"), ("run/shop/prod/r1", "run.ended"),
    ):  # fmt: skip
        room.ledger.append(stream, [Draft(kind, {"build": BUILD})], actor="ana")
    return room


def seqs(events):
    return [event.seq for event in events]


def test_everything_comes_newest_last(told):
    assert seqs(history(told)) == [1, 2, 3, 4, 5, 6]


def test_a_limit_keeps_the_newest(told):
    assert seqs(history(told, limit=2)) == [5, 6]
    assert seqs(history(told, since=2, limit=2)) == [5, 6]


def test_since_names_the_last_event_already_seen(told):
    assert seqs(history(told, since=4)) == [5, 6]
    assert history(told, since=99) == ()


def test_a_lane_is_its_promotions_its_runs_and_itself_in_this_project(told):
    assert seqs(history(told, environment="prod")) == [2, 4, 6]
    assert seqs(history(told, environment="prod", since=2, limit=1)) == [6]
    assert seqs(history(told, environment="dev")) == [3]


def test_a_stream_can_be_read_alone(told):
    assert seqs(history(told, stream="environment/shop/prod")) == [4]
    assert history(told, stream="environment/shop/prod", since=4) == ()
    assert history(told, stream="environment/shop/prod", environment="dev") == ()


def test_an_unknown_stream_or_lane_names_the_nearest(told):
    with pytest.raises(NotFound) as caught:
        history(told, stream="promotion/shop/prod/2")
    assert "promotion/shop/prod/1" in caught.value.hint
    with pytest.raises(NotFound, match="prd") as caught:
        history(told, environment="prd")
    assert "prod" in caught.value.hint


def test_a_lane_that_left_the_config_keeps_its_history(told):
    told.config = Config(environments={}, document={})
    assert seqs(history(told, environment="prod")) == [2, 4, 6]


@pytest.mark.parametrize(
    ("stream", "name"),
    [
        ("promotion/shop/prod/12", "prod-12"), ("environment/shop/prod", "prod"), ("run/shop/prod/r1", "prod run r1"),
        ("config/shop", "config"), ("build/shop", "build"), ("ledger/checkpoints", "ledger"),
    ],
)  # fmt: skip
def test_places_are_named_as_people_say_them(stream, name):
    assert where(stream) == name


@pytest.fixture
def lane(told, monkeypatch):
    def run(module: SimpleNamespace, *arguments: str):
        monkeypatch.setattr(module, "workshop", lambda *, steady: told)
        return CliRunner().invoke(module.app, list(arguments))

    return run


def test_the_command_prints_a_line_an_event(lane):
    lines = lane(command).stdout.splitlines()
    assert len(lines) == 6
    assert lines[1].split() == ["2", *lines[1].split()[1:3], "ana", "promotion.finished", "prod-1", "build=3f9a2c71"]
    assert lines[1].index("prod-1") == lines[3].index("prod")


def test_the_command_says_when_there_is_more(lane, told):
    told.write(60)
    result = lane(command)
    assert len(result.stdout.splitlines()) == 50
    assert "--limit" in result.stderr
    assert len(lane(command, "--limit", "55").stdout.splitlines()) == 55


def test_programs_get_every_event_as_one_json_list(lane, told):
    told.write(60)
    events = json.loads(lane(command, "--format", "json").stdout)
    assert [event["seq"] for event in events] == list(range(1, 67))
    assert events[0].keys() == {"seq", "stream", "version", "type", "at", "actor", "data", "previous", "hash"}
    assert json.loads(lane(command, "--format", "json", "--since", "99").stdout) == []


def test_what_people_wrote_can_not_steer_a_terminal(lane, told):
    told.ledger.append("config/shop", [Draft("t", {"reason": "\x1b[2J\x9bboo\n" + "x" * 500})], actor="ana")
    line = lane(command, "--limit", "1").stdout
    assert "\x1b" not in line
    assert "\x9b" not in line
    assert "boo" in line
    assert len(line) < 200


def test_nothing_found_is_said_beside_the_data(lane):
    result = lane(command, "--since", "99")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "no events\n")


def test_verify_says_what_it_checked(lane, told):
    assert "6 events since the last checkpoint" in lane(verify_command).stdout
    checkpoint(told)
    lines = lane(verify_command).stdout.splitlines()
    assert lines[0] == "7 events: whole, in order, unedited"
    assert lines[1].startswith("1 checkpoint: all genuine, signed by ed25519-")
    assert len(lines) == 2
    found = json.loads(lane(verify_command, "--format", "json").stdout)
    assert (found["events"], found["checkpoints"], found["unsigned"]) == (7, 1, 0)


def test_verify_refuses_a_history_that_does_not_hold(lane, told):
    told.edit("update events set actor = 'eve' where seq = 2")
    result = lane(verify_command)
    assert isinstance(result.exception, LedgerTampered)
    assert result.exception.exit_code == 1
    assert result.stdout == ""
