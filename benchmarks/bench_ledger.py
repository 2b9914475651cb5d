"""A ledger of 100,000 events: how fast it is written through the port, and how fast it answers.

    python -m benchmarks.bench_ledger [--events 100000] [--keep FOLDER]

Prints one JSON document. ``--keep`` leaves the ledger in FOLDER/.lanewise for other benchmarks.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from benchmarks.figure import Figure

from lanewise.adapters.ledgers.sql import SqlLedger, open_ledger
from lanewise.domain.event import Draft
from lanewise.ledger.chain import verify_chain

URL = "sqlite:///.lanewise/ledger.db"
PER_PROMOTION = 18  # events of one promotion, as a canary with three steps leaves them
OPEN = 3  # promotions still on their way
BUILD = "sha256:" + "3f9a2c71" * 8


def fill(ledger: SqlLedger, events: int) -> int:
    """Append ``events`` events, one append a promotion; the number of promotions."""
    promotions = -(-events // (PER_PROMOTION + 2))
    for number in range(1, promotions + 1):
        lane = ("dev", "stage", "prod")[number % 3]
        steps = [Draft("step.done", {"step": n, "build": BUILD, "note": "x" * 80}) for n in range(PER_PROMOTION - 2)]
        drafts = [Draft("promotion.requested", {"build": BUILD}), *steps]
        if number <= promotions - OPEN:
            drafts.append(Draft("promotion.finished", {"state": "SUCCEEDED"}))
        ledger.append(f"promotion/shop/{lane}/{number}", drafts, actor="ana", expect=0)
        ledger.append(f"environment/shop/{lane}", [Draft("release.changed", {"build": BUILD})] * 2, actor="ana")
    return promotions


def milliseconds(action: Callable[[], object], rounds: int = 15) -> float:
    """Median time of one call."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return round(statistics.median(times) * 1000, 3)


def process(code: str, base: Path) -> float:
    """Median milliseconds of a whole Python process."""
    return milliseconds(lambda: subprocess.run([sys.executable, "-c", code, str(base)], check=True), rounds=7)


LOOK = """
import sys
from pathlib import Path
from lanewise.adapters.ledgers.sql import open_ledger
ledger = open_ledger("sqlite:///.lanewise/ledger.db", base=Path(sys.argv[1]))
ledger.streams("promotion/shop/", without=["promotion.finished"])
[ledger.last(f"environment/shop/{lane}", "release.changed") for lane in ("dev", "stage", "prod")]
"""


def measure(base: Path, events: int) -> dict[str, Any]:
    ledger = open_ledger(URL, base=base)
    first = time.perf_counter()
    ledger.append("config/shop", [Draft("config.applied")], actor="ana")
    made = start = time.perf_counter()
    promotions = fill(ledger, events)
    took = time.perf_counter() - start
    count, _ = ledger.head()
    one = f"promotion/shop/prod/{promotions // 6 * 3 + 2}"
    answers = {
        "head": lambda: open_ledger(URL, base=base).head(),
        "last": lambda: ledger.last("environment/shop/prod"),
        "last of a type": lambda: ledger.last("environment/shop/prod", "release.changed", "environment.paused"),
        "read one promotion": lambda: ledger.read(one),
        "streams of promotions": lambda: ledger.streams("promotion/shop/"),
        "open promotions": lambda: ledger.streams("promotion/shop/", without=["promotion.finished"]),
        "newest 50 events": lambda: list(ledger.events(limit=50, newest_first=True)),
        "holder": lambda: ledger.holder("shop/prod"),
    }
    reads = {name: milliseconds(action) for name, action in answers.items()}
    writes = {
        "append one": milliseconds(lambda: ledger.append("run/shop/prod/1", [Draft("run.ended")], actor="ana"), 100),
        "acquire": milliseconds(lambda: ledger.acquire("shop/prod", "ana", timedelta(minutes=1)), 100),
    }
    start = time.perf_counter()
    if verify_chain(ledger.events()) is not None:
        raise SystemExit("the chain does not hold")
    verified = time.perf_counter() - start
    return {
        "events": count,
        "promotions": promotions,
        "first_write_ms": round((made - first) * 1000),
        "append_events_per_second": round((count - 1) / took),
        "appends_per_second": round(promotions * 2 / took),
        "bytes_per_event": round((base / ".lanewise" / "ledger.db").stat().st_size / count),
        "read_ms": reads,
        "write_ms": writes,
        "verify_chain_s": round(verified, 2),
        "process_ms": {"bare python": process("", base), "python that looks at the lanes": process(LOOK, base)},
    }


def figures(*, quick: bool) -> list[Figure]:
    """What one write and a whole verification take; neither has a target of its own."""
    with tempfile.TemporaryDirectory() as name:
        found = measure(Path(name), 10_000 if quick else 100_000)
    bare, write = found["process_ms"]["bare python"], found["write_ms"]["append one"]
    verified = 1000 * found["verify_chain_s"]
    return [
        Figure(
            f"one append to a ledger of {found['events']:,} events", write, None, "ms", write / bare, "bare interpreter"
        ),
        Figure(f"verifying {found['events']:,} events", verified, None, "ms", verified / bare, "bare interpreter"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        print(json.dumps(measure(options.keep or Path(name), options.events), indent=2))


if __name__ == "__main__":
    main()
