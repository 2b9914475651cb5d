"""One story, told to a receiver: two builds into prod with approvals and a canary, a day's run, a run that fails, a
rollback. It is told once and looked at by many tests."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.e2e import road

from .receiver import Receiver, receiver

SECRET = "correct-horse-battery-staple"
TOKEN = "Bearer a-token-of-the-collector"
OUTER = f"00-{'a1' * 16}-{'b2' * 8}-01"

ENVIRONMENTS = """\
identity: declared
people: {ben: {groups: [leads]}}
defaults: {src_conn: raw}
environments:
  prod: {data: {from: 2013-01-01, to: 2013-01-08}}
connections:
  raw: {type: files, path: raw, password: "env:RAW_PASSWORD"}
  warehouse_prod: {type: duckdb}
promotion:
  prod:
    gates: [quality, schema, retained]
    approvals: {count: 1, from: [leads]}
    rollout: {canary: [25%, 100%]}
"""
SCRIPT = (
    'echo "the password is $RAW_PASSWORD, the trace $TRACEPARENT"\n'
    'case "$LANEWISE_PARTITIONS" in *2013-01-10*) echo "no such day, says $RAW_PASSWORD"; exit 3;; esac\n' + road.SCRIPT
)


@dataclass(frozen=True)
class Story:
    """What was done, and what was told of it. ``said`` is what each command printed."""

    root: Path
    first: str
    second: str
    told: Receiver
    said: dict[str, road.Typed]


def by_the_clock(root: Path, build: str) -> dict[str, road.Typed]:
    """What an orchestrator does whose own clock has started a run: it asks lane before its tasks and after them."""
    os.environ["TRACEPARENT"] = OUTER
    run = ("prod", "--id", "live-by-the-clock", "--format", "json")
    begun = road.lane(root, "scheduled", "begin", *run, "--build", build, "--partition", "2013-01-08")
    outputs = Path(begun.data["outputs"])
    (outputs / "orders_daily.csv").write_text("day,id,build\n2013-01-08,1,clock\n")
    (outputs / "totals_daily.csv").write_text("day,orders,build\n2013-01-08,1,clock\n")
    published = road.lane(root, "scheduled", "publish", *run)
    del os.environ["TRACEPARENT"]
    return {"begin": begun, "publish": published}


def project(folder: Path, url: str) -> Path:
    """The tiny project, with an input, an approval and somebody who is told."""
    about = f"otlp: {{url: '{url}', headers: {{Authorization: 'env:COLLECTOR_TOKEN'}}}}, openlineage: '{url}'"
    root = road.write_project(
        folder, f"{ENVIRONMENTS}telemetry: {{{about}}}\n", road.PROJECT.replace("tables:", "inputs: [days]\ntables:", 1)
    )
    (root / "raw").mkdir()
    (root / "raw" / "days.csv").write_text("day\n2013-01-01\n")
    return root


@pytest.fixture(scope="session")
def story() -> Iterator[Story]:
    os.environ |= {"RAW_PASSWORD": SECRET, "COLLECTOR_TOKEN": TOKEN}
    with tempfile.TemporaryDirectory() as folder, receiver() as told:
        root = project(Path(folder) / "orders", told.url)
        said: dict[str, road.Typed] = {}
        builds = []
        for number, name in enumerate(("first", "second"), start=1):
            builds.append(road.build(root, name, SCRIPT))
            said[f"ask for {name}"] = road.lane(root, "promote", builds[-1][7:15], "--to", "prod")
            said[f"approve {name}"] = road.lane(root, "approve", f"prod-{number}", actor="ben")
            said[f"promote {name}"] = road.lane(root, "promote", builds[-1][7:15], "--to", "prod")
        said["run"] = road.lane(root, "run", "prod", "--partition", "2013-01-09")
        said["fail"] = road.lane(root, "run", "prod", "--partition", "2013-01-10")
        said |= by_the_clock(root, builds[-1])
        said["roll back"] = road.lane(root, "rollback", "prod", "--reason", "the numbers are off")
        for name in ("RAW_PASSWORD", "COLLECTOR_TOKEN"):
            del os.environ[name]
        yield Story(root, builds[0], builds[1], told, said)
