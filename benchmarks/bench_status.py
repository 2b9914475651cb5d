"""``lane status`` on a long history: 100,000 events of one project, three lanes, 2,600 promotions and 9,000 runs.

The events are sealed as the ledger seals them and inserted in one transaction: through the port, one promotion at a
time and each on disk, writing them would take minutes. The chain is verified before anything is timed.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.figure import Figure
from benchmarks.timing import BARE, LANE, by_turns, spend

from lanewise.adapters.ledgers import statements as sql
from lanewise.bootstrap import open_context
from lanewise.domain.environment import Config
from lanewise.domain.event import Draft, Event
from lanewise.ledger.chain import seal, verify_chain
from lanewise.service.configure import in_force

LIMIT = 0.5
EVENTS = 100_000
LANES = ("dev", "stage", "prod")
RUNS_A_PROMOTION, PARTITIONS = 3, 60
PROJECT = "project: shop\nsource: {include: [pipelines/**]}\nrun: python -m pipelines\ntables: {daily: {kind: full}}\n"
ENVIRONMENTS = "environments: {dev: {}, stage: {}, prod: {}}\n"


def figures(*, quick: bool) -> list[Figure]:
    """One figure: seconds of ``lane status``."""
    with tempfile.TemporaryDirectory(prefix="lane-bench-") as name:
        folder = Path(name)
        (folder / "lanewise.yaml").write_text(PROJECT)
        (folder / "environments.yaml").write_text(ENVIRONMENTS)
        fill(folder, EVENTS)
        found = by_turns(
            {"bare": lambda: spend(BARE, folder), "status": lambda: spend([LANE, "status"], folder)},
            3 if quick else 15,
        )
    ratio = found["status"].wall / found["bare"].wall
    what = f"`lane status`, {EVENTS:,} events"
    return [Figure(what, found["status"].wall, LIMIT, "s", ratio, "bare interpreter", found["status"].cpu)]


def fill(folder: Path, events: int) -> None:
    """Write a history of about ``events`` events into the folder's ledger, and check that it verifies."""
    ctx = open_context(folder)
    ledger, config = ctx.ledger, in_force(ctx)
    (first,) = ledger.events()
    with closing(sqlite3.connect(folder / ".lanewise" / "ledger.db")) as connection, connection:
        rows = [sql.to_row(event) for event in _history(first, config, events)]
        names = list(rows[0])
        values = ", ".join(f":{name}" for name in names)
        connection.executemany(f"insert into events ({', '.join(names)}) values ({values})", rows)
    fault = verify_chain(ledger.events())
    if fault is not None:
        raise SystemExit(f"the history does not verify: {fault}")


def _history(first: Event, config: Config, events: int) -> Iterator[Event]:
    head, lengths, clock = (first.seq, first.hash), dict[str, int](), datetime(2024, 1, 1, tzinfo=UTC)
    promotions = 0
    while head[0] < events:
        promotions += 1
        for stream, draft in _promotion(promotions, config):
            lengths[stream] = lengths.get(stream, 0) + 1
            clock += timedelta(seconds=7)
            at = clock.isoformat(timespec="microseconds")
            event = seal(draft, head=head, stream=stream, version=lengths[stream], at=at, actor="ana")
            head = (event.seq, event.hash)
            yield event


def _promotion(count: int, config: Config) -> Iterator[tuple[str, Draft]]:
    """A build, its promotion into the next lane, the release, and the scheduled runs that follow."""
    lane, number = LANES[(count - 1) % 3], (count - 1) // 3 + 1
    build = f"sha256:{(count - 1) // 3:064x}"
    if lane == "dev":
        facts = {
            "digest": build,
            "commit": f"{count:040x}",
            "dirty": False,
            "authors": ["ana@shop.example"],
            "files": 40,
        }
        yield "build/shop", Draft("build.recorded", {**facts, "bytes": 100_000})
        yield "build/shop", Draft("build.tagged", {"digest": build, "tag": f"v{number}"})
    stream, known = f"promotion/shop/{lane}/{number}", {"build": build, "config": config.environment(lane).digest}
    requested = {"id": f"{lane}-{number}", "project": "shop", "environment": lane, "requester": "ana", **known}
    yield stream, Draft("promotion.requested", requested)
    days = [f"2024-{1 + n // 28:02}-{1 + n % 28:02}" for n in range(PARTITIONS)]
    yield stream, Draft("promotion.planned", {"plan": build, "document": {"partitions": days}})
    for step, state in enumerate(("GATING", "READY", "ACQUIRING", "PREPARING", "CANARY", "JUDGING")):
        moved = {"state": state, "reason": "every gate passed", "step": 0, "exposed": 0}
        yield stream, Draft("promotion.moved", moved)
        yield stream, Draft("step.done", {"step": step, "kind": "compute", "partitions": days})
    for state in ("CUTOVER", "VERIFYING", "SUCCEEDED"):
        yield stream, Draft("promotion.moved", {"state": state, "reason": "released", "step": 2, "exposed": 2})
    yield stream, Draft("promotion.finished", {"state": "SUCCEEDED", "reason": "released"})
    maps = {"map": number, "base_map": number - 1, "kind": "promotion", "promotion": f"{lane}-{number}"}
    release = {**known, "document": config.digest, "overrides": {}, **maps}
    yield f"environment/shop/{lane}", Draft("release.changed", release)
    for run in range(RUNS_A_PROMOTION):
        told = {**known, "purpose": "scheduled", "partitions": days[:1]}
        for kind in ("run.intended", "run.ended", "run.audited", "run.published"):
            yield f"run/shop/{lane}/scheduled-{count:06}-{run}", Draft(kind, told)
