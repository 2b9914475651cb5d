from __future__ import annotations

import copy
import json
import logging
import os
import pickle
import subprocess
import sys

import pytest

import lanewise
from lanewise.errors import BadReference, NotFound, Refused, SecretUnavailable
from lanewise.runtime.lane import Lane

from .conftest import document

CANARY = "hunter2-canary-value"


@pytest.fixture
def lane(compile_for) -> Lane:
    compile_for("dev")
    return lanewise.current()


def test_settings_read_by_attribute_and_by_item(lane):
    assert lane.settings.retries == lane.settings["retries"] == 3
    assert lane.settings.quota.rows == 5
    assert lane.settings.quota["days"] == (1, 2)
    assert "bucket" in lane.settings
    assert set(lane.settings) == {"retries", "bucket", "src_conn", "quota"}
    assert lane.settings.get("absent", 7) == 7


def test_an_unknown_setting_says_which_was_meant(lane):
    with pytest.raises(NotFound) as caught:
        _ = lane.settings.bucet
    assert caught.value.hint == "did you mean bucket?"


def test_settings_are_read_only(lane):
    with pytest.raises(AttributeError, match="read-only"):
        lane.settings.retries = 9
    with pytest.raises(TypeError):
        lane.settings["retries"] = 9
    with pytest.raises(AttributeError):
        lane.settings.quota.days.append(3)
    assert lanewise.current().settings.retries == 3


def test_a_lane_knows_its_build_and_config(compile_for):
    compile_for("dev", build="")
    assert lanewise.current().config == "sha256:cc"
    assert repr(lanewise.current()) == "<Lane orders/dev build working tree>"


def test_a_connection_goes_by_role_or_by_name(lane):
    assert lane.connection("src").host == "dev.db"
    assert lane.connection("postgres_dev")["port"] == 5432
    assert lane.connection("src").type == "postgres"


def test_an_unknown_role_lists_the_nearest(lane):
    with pytest.raises(NotFound) as caught:
        lane.connection("scr")
    assert "src" in caught.value.hint


def test_an_unknown_field_lists_the_nearest(lane):
    with pytest.raises(NotFound) as caught:
        _ = lane.connection("src").pasword
    assert caught.value.hint == "did you mean password?"


def test_a_secret_is_resolved_when_it_is_read_and_not_before(lane, monkeypatch):
    connection = lane.connection("src")
    with pytest.raises(SecretUnavailable, match="env:PGPASS is not set"):
        _ = connection.password
    monkeypatch.setenv("PGPASS", CANARY)
    assert connection.password == CANARY
    monkeypatch.setenv("PGPASS", "rotated")
    assert connection.password == "rotated"


def test_the_previous_version_of_a_secret_can_be_asked_for(lane, monkeypatch):
    monkeypatch.setenv("PGPASS_OLD", "old one")
    assert lane.connection("src").previous("password") == "old one"
    with pytest.raises(NotFound):
        lane.connection("src").previous("host")


def test_no_way_of_printing_shows_a_secret(lane, monkeypatch, capsys, caplog):
    monkeypatch.setenv("PGPASS", CANARY)
    connection = lane.connection("src")
    assert connection.password == CANARY
    shown = [
        repr(connection),
        str(connection),
        f"{connection}",
        f"{connection!r:>200}",
        repr(lane),
        "{}".format(connection),  # noqa: UP032 - the third way of printing
    ]
    shown += [repr(connection.fields), repr(lane.settings), json.dumps(connection.fields)]
    shown.append(pickle.dumps(copy.copy(connection._document)).decode("latin-1"))
    assert not [text for text in shown if CANARY in text]


def test_a_file_reference_starts_at_the_projects_folder(compile_for, tree):
    (tree / "pw").write_text("from file\n")
    secrets = {"password": {"text": "file:pw", "previous": None}}
    compile_for("dev", root=str(tree), connections={"c": {"type": "x", "fields": {}, "secrets": secrets}})
    assert lanewise.current().connection("c").password == "from file"


@pytest.mark.parametrize(
    ("content", "why"), [(b"", "is empty"), (b"\xff\xfe", "no UTF-8"), (b"x" * 70_000, "too large")]
)
def test_a_bad_secret_file_is_one_clear_error(compile_for, tree, content, why):
    (tree / "pw").write_bytes(content)
    secrets = {"password": {"text": "file:pw", "previous": None}}
    compile_for("dev", root=str(tree), connections={"c": {"type": "x", "fields": {}, "secrets": secrets}})
    with pytest.raises(SecretUnavailable, match=why) as caught:
        _ = lanewise.current().connection("c").password
    assert caught.value.__cause__ is None


def test_a_folder_is_no_secret(compile_for, tree):
    secrets = {"password": {"text": "file:.", "previous": None}}
    compile_for("dev", root=str(tree), connections={"c": {"type": "x", "fields": {}, "secrets": secrets}})
    with pytest.raises(SecretUnavailable, match="is no file"):
        _ = lanewise.current().connection("c").password


def test_a_value_where_a_reference_belongs_is_not_shown(compile_for):
    secrets = {"password": {"text": CANARY, "previous": None}}
    compile_for("dev", connections={"c": {"type": "x", "fields": {}, "secrets": secrets}})
    with pytest.raises(BadReference) as caught:
        _ = lanewise.current().connection("c").password
    assert CANARY not in caught.value.message + caught.value.hint


def test_other_stores_are_asked_by_a_helper_process_and_fail_without_a_trace(compile_for):
    secrets = {"password": {"text": "nosuch:store", "previous": None}}
    compile_for("dev", connections={"c": {"type": "x", "fields": {}, "secrets": secrets}})
    with pytest.raises(SecretUnavailable, match="nosuch:store did not resolve: no secret store named 'nosuch'"):
        _ = lanewise.current().connection("c").password


def test_effects_are_off_in_canaries_and_outside_of_runs():
    for purpose, on in [
        ("scheduled", True),
        ("rerun", True),
        ("canary", False),
        ("promotion", False),
        ("tests", False),
    ]:
        assert Lane(document(run={"purpose": purpose})).effect("emails") is on
    assert Lane(document()).effect("emails") is False
    with pytest.raises(NotFound, match="no effect named 'mails'"):
        Lane(document()).effect("mails")


def test_a_run_needs_to_have_been_started(lane):
    with pytest.raises(Refused, match="not started by a run") as caught:
        lane.run()
    assert "lane run dev" in caught.value.hint


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_every_log_line_says_where_it_comes_from_and_no_secret(compile_for, tree, log_format):
    path = compile_for("dev", log_format=log_format, run={"id": "live-1", "purpose": "rerun"})
    code = (
        "import lanewise; lane = lanewise.current(); lane.log.info('begins')\n"
        "lane.log.info('with %s', lane.connection('src').password)\n"
        "try: 1 / 0\n"
        "except ZeroDivisionError: lane.log.exception('broke')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tree,
        env={"PATH": os.environ["PATH"], "LANEWISE_COMPILED": str(path), "PGPASS": CANARY},
    )  # fmt: skip
    assert CANARY not in done.stderr
    assert "with ***" in done.stderr
    if log_format == "json":
        lines = [json.loads(line) for line in done.stderr.splitlines()]
        assert [line["event"] for line in lines] == ["begins", "with ***", "broke"]
        assert all((line["environment"], line["run"], line["purpose"]) == ("dev", "live-1", "rerun") for line in lines)
        assert "ZeroDivisionError" in lines[-1]["exception"]
    else:
        assert done.stderr.splitlines()[0].endswith(
            "INFO begins [environment=dev project=orders purpose=rerun run=live-1]"
        )


def test_asking_for_the_log_twice_does_not_print_twice(compile_for, capsys):
    compile_for("dev")
    for lane in (lanewise.current(), lanewise.current()):
        lane.log.info("once")
    assert capsys.readouterr().err.count("once") == 2
    assert len(logging.getLogger("lanewise.pipeline.orders").handlers) == 1
