"""A run's code knows the trace that it is part of: from its compiled file, or from who started it."""

from __future__ import annotations

import json

import pytest

import lanewise

HERE, THERE = (f"00-{digit * 32}-{'1' * 16}-01" for digit in "ab")


@pytest.fixture(autouse=True)
def untraced(monkeypatch):
    monkeypatch.delenv("TRACEPARENT", raising=False)


def test_where_nobody_traces_a_line_says_nothing_of_it(compile_for, capsys):
    compile_for("dev")
    lane = lanewise.current()
    lane.log.info("begins")
    assert lane.traceparent == ""
    assert "trace_id" not in capsys.readouterr().err


def test_a_line_carries_the_trace_that_its_process_was_started_in(compile_for, monkeypatch, capsys):
    monkeypatch.setenv("TRACEPARENT", HERE)
    compile_for("dev", log_format="json")
    lane = lanewise.current()
    lane.log.info("begins")
    assert json.loads(capsys.readouterr().err)["trace_id"] == "a" * 32
    assert lane.traceparent == HERE


def test_a_compiled_file_that_reached_another_machine_goes_before_what_is_set_there(compile_for, monkeypatch, capsys):
    monkeypatch.setenv("TRACEPARENT", HERE)
    compile_for("dev", traceparent=THERE)
    lane = lanewise.current()
    lane.log.info("begins")
    assert lane.traceparent == THERE
    assert capsys.readouterr().err.rstrip().endswith(f"trace_id={'b' * 32}]")
