"""A ledger on PostgreSQL: appending, against a bare INSERT … RETURNING in the same pattern of transaction.

    python -m benchmarks [--quick] shared_ledger

Both sides write rows of the same size into tables with the same columns and indexes, on the same server, which waits
for the disk. The bare side has the row ready and sends BEGIN, the lock, the SELECT of what an append is decided on,
INSERT … RETURNING and COMMIT one after another; it seals no chain and no trigger guards its table. They take turns,
and medians are taken. ``bare, pipelined`` sends what it can at once, as the ledger does.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
from benchmarks.figure import Figure

from lanewise.adapters.ledgers import statements as sql
from lanewise.adapters.ledgers.postgres import PostgresDatabase, _translated
from lanewise.adapters.ledgers.sql import open_ledger
from lanewise.domain.event import Draft
from lanewise.ledger.chain import verify_chain
from lanewise.testing.postgres import VERSIONS, Server, postgres

TARGET = 0.70  # of the bare rate
DATA = {"step": 3, "build": "sha256:" + "3f9a2c71" * 8, "note": "x" * 80}
LOCK = "select pg_advisory_xact_lock(1, 2)"
GROUND = _translated(sql.ground(PostgresDatabase.clock))
WRITE = f"{_translated(sql.WRITE)} returning seq"


def contenders(server: Server) -> dict[str, Callable[[], object]]:
    """One append each, by name."""
    url = f"postgresql://postgres@127.0.0.1:{server.port}/postgres?schema=shared"
    ledger = open_ledger(url, base=Path("/"))
    ledger.append("s", [Draft("step.done", DATA)], actor="ana")
    bare = server.connect()
    bare.execute("create schema bare")
    bare.execute("set search_path = bare")
    for table in ("events", "leases"):
        bare.execute(f"create table {table} (like shared.{table} including all)")
    numbers, row = count(1), sql.to_row(ledger.read("s")[0])

    def plain() -> None:
        bare.execute("begin isolation level read committed")
        bare.execute(LOCK)
        bare.execute(GROUND, {"stream": "s"}).fetchone()
        number = next(numbers)
        bare.execute(WRITE, {**row, "seq": number, "version": number}).fetchone()
        bare.execute("commit")

    def pipelined() -> None:
        with bare.pipeline():
            bare.execute("begin isolation level read committed")
            bare.execute(LOCK)
            bare.execute(GROUND, {"stream": "s"}).fetchone()
            number = next(numbers)
            bare.execute(WRITE, {**row, "seq": number, "version": number})
            bare.execute("commit")

    def append() -> None:
        ledger.append("s", [Draft("step.done", DATA)], actor="ana")

    return {"ledger": append, "bare": plain, "bare, pipelined": pipelined}


def rates(works: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Appends a second, by the median time of one; they take turns at each, so that a busy machine slows all alike."""
    found: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(rounds + 50):
        for name, work in works.items():
            started = time.perf_counter()
            work()
            if turn >= 50:
                found[name].append(time.perf_counter() - started)
    return {name: 1 / statistics.median(each) for name, each in found.items()}


def measure(version: int, *, quick: bool) -> dict[str, Any]:
    """The rates on one generation of the server; fails where the chain does not hold afterwards."""
    with postgres(version, durable=True) as server:
        found = rates(contenders(server), 500 if quick else 3000)
        url = f"postgresql://postgres@127.0.0.1:{server.port}/postgres?schema=shared"
        if verify_chain(open_ledger(url, base=Path("/")).events()) is not None:
            raise SystemExit("the chain does not hold")
    return found


def figures(*, quick: bool) -> list[Figure]:
    """How long an append takes, in bare ones; the target of 70% of the rate is 1.43 × the time."""
    found = []
    for version in VERSIONS:
        try:
            rate = measure(version, quick=quick)
        except (RuntimeError, psycopg.Error) as error:
            raise SystemExit(str(error)) from error
        ratio = rate["bare"] / rate["ledger"]
        against = f"bare insert ({rate['bare']:.0f}/s; the ledger {rate['ledger']:.0f}/s)"
        found.append(Figure(f"an append on PostgreSQL {version}", ratio, 1 / TARGET, "×", ratio, against))
        piped = rate["bare, pipelined"] / rate["ledger"]
        against = f"bare insert, pipelined ({rate['bare, pipelined']:.0f}/s)"
        found.append(Figure(f"the same on {version}, beside pipelined ones", piped, None, "×", piped, against))
    return found


def main() -> None:
    """Print the rates as one JSON document."""
    print(json.dumps({version: measure(version, quick=True) for version in VERSIONS}, indent=2))


if __name__ == "__main__":
    main()
