"""What is told of runs that end otherwise than by themselves, and what tables and inputs are called."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from lanewise.adapters.telemetry.naming import Dataset, Names
from lanewise.adapters.telemetry.openlineage import OpenLineage
from lanewise.domain.environment import Connection, Environment
from lanewise.domain.event import Event
from lanewise.domain.publication import InputPin
from lanewise.domain.telemetry import Recorded

HOME = Path("/srv/orders/.lanewise")
POSTGRES = Connection("warehouse", "postgres", {"host": "prod.db", "database": "dwh"})
TOLD = {"environment": "prod", "build": "sha256:" + "a" * 64, "config": "c", "purpose": "scheduled",
        "partitions": ["2013-01-01"], "tables": ["daily"], "promotion": ""}  # fmt: skip


def lane(destination: Connection, source: Connection | None = None, **settings: Any) -> Environment:
    connections = {found.name: found for found in (destination, source) if found}
    named = {"dst_conn": destination.name} | ({"src_conn": source.name} if source else {})
    return Environment("prod", 0, {**named, **settings}, connections)


def event(version: int, kind: str, data: Mapping[str, Any]) -> Event:
    at = f"2026-11-22T10:00:0{version}.000001+00:00"
    return Event(version, "run/orders/prod/live-1", version, kind, at, "ana", data, "", f"hash{version}")


def test_tables_on_postgres_are_called_as_openlineage_calls_them():
    names = Names(lane(POSTGRES, schema="analytics", table_suffix="_p"), HOME)
    assert names.namespace == "postgres://prod.db:5432"
    assert names.table("daily") == Dataset("postgres://prod.db:5432", "dwh.analytics.daily_p")
    assert names.table("daily", "sha256:0123456789ab").name == "dwh.analytics.daily_p@01234567"
    assert names.job("orders") == "orders.prod"


@pytest.mark.parametrize(("source", "called"), [
    (Connection("s", "postgres", {"host": "src.db", "port": 5433, "database": "app"}),
     Dataset("postgres://src.db:5433", "app.raw.orders")),
    (Connection("s", "files", {"path": "data"}), Dataset("file", "/srv/orders/data/raw.orders")),
    (Connection("s", "duckdb", {"path": "other/prod.duckdb"}),
     Dataset("duckdb:///srv/orders/other/prod.duckdb", "raw.orders")),
    (None, Dataset("postgres://prod.db:5432", "dwh.raw.orders")),
])  # fmt: skip
def test_an_input_is_called_by_where_it_lies(source: Connection | None, called: Dataset):
    assert Names(lane(POSTGRES, source), HOME).input(InputPin("raw.orders", "sha256:1")) == called


@pytest.mark.parametrize(("reason", "kind"), [
    ("interrupted (KeyboardInterrupt)", "ABORT"),
    ("its process died; what it wrote was thrown away", "ABORT"),
    ("the command ended with exit code 3", "FAIL"),
])  # fmt: skip
def test_a_run_that_comes_to_nothing_has_started_and_has_failed_or_was_aborted(reason: str, kind: str):
    sink = OpenLineage("http://x", {}, lambda text: text.replace("hunter2", "***"), HOME)
    intended = event(1, "run.intended", {**TOLD, "rooms": ["live-1"]})
    failed = event(2, "run.failed", {**TOLD, "reason": f"{reason}", "seconds": 1.0})
    prod = lane(POSTGRES)
    told = [one for fact in (Recorded(intended, (intended,), (), prod), Recorded(failed, (intended, failed), (), prod))
            for one in sink.events(fact)]  # fmt: skip
    assert [one["eventType"] for one in told] == ["START", kind]
    assert len({one["run"]["runId"] for one in told}) == 1
    assert told[1]["run"]["facets"]["errorMessage"]["message"] == reason
    assert told[0]["eventTime"] == "2026-11-22T10:00:01.000001Z"


def test_a_secret_is_struck_out_wherever_it_stands():
    sink = OpenLineage("http://x", {}, lambda text: text.replace("hunter2", "***"), HOME)
    intended = event(1, "run.intended", {**TOLD, "rooms": []})
    failed = event(2, "run.failed", {**TOLD, "reason": "no login with hunter2", "seconds": 1.0})
    (_, parcel) = sink.pack(
        Recorded(one, stream, (), lane(POSTGRES))
        for one, stream in ((intended, (intended,)), (failed, (intended, failed)))
    )
    assert b"no login with ***" in parcel.body
    assert b"hunter2" not in parcel.body


@pytest.mark.parametrize(("url", "asked"), [
    ("http://m:5000", "http://m:5000/api/v1/lineage"),
    ("http://m:5000/", "http://m:5000/api/v1/lineage"),
    ("https://c.example.org/openlineage/in", "https://c.example.org/openlineage/in"),
])  # fmt: skip
def test_an_address_without_a_path_gets_the_usual_one(url: str, asked: str):
    assert OpenLineage(url, {}, str, HOME)._url == asked
