"""Publishing 1,000 tables against building the bare catalog file, and going back.

Prints one JSON document. Pairs are interleaved, so that a busy machine slows both sides; ratios are of medians.
``bare`` is a DuckDB file of the very same views, made in one transaction and closed: no labels, no map, no fsync, no
link. ``publish`` is everything from a decided map to readers seeing it; ``back`` is ``revert``.

    python -m benchmarks.bench_publish [PAIRS [TABLES [PARTITIONS]]]
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
from benchmarks.figure import Figure

from lanewise.adapters.warehouses.embedded import EmbeddedWarehouse, open_warehouse
from lanewise.adapters.warehouses.embedded.branches import Schema, branches
from lanewise.domain.environment import Connection, Environment
from lanewise.domain.project import Column, Grain, PartitionSpec, TableKind
from lanewise.domain.publication import PartitionMap, Slice, TableMap
from lanewise.publication.views import view_statement

COLUMNS = (Column("day", "DATE"), Column("id", "BIGINT"), Column("amount", "DECIMAL(18,2)"), Column("name", "VARCHAR"))
LIMIT, BACK_LIMIT = 1.5, 0.05
VERSION = "sha256:" + "a" * 64


class _NoSecrets:
    resolve = age = redact = None


def make_tables(warehouse: EmbeddedWarehouse, tables: int, partitions: int) -> PartitionMap:
    """A map of many small tables: one file a partition, written once and linked under every name."""
    days = [f"2024-{1 + number // 28:02}-{1 + number % 28:02}" for number in range(partitions)]
    root = warehouse.layout.root
    originals = {}
    with duckdb.connect() as connection:
        for day in days:
            originals[day] = root / f"original-{day}.parquet"
            originals[day].parent.mkdir(parents=True, exist_ok=True)
            connection.execute(f"copy (select date '{day}' as day, i as id, 1.5::decimal(18,2) as amount, 'x' as name "
                               f"from range(100) r(i)) to '{originals[day]}'")  # fmt: skip
    found = {}
    for number in range(tables):
        name = f"table_{number:04}"
        schema = Schema(COLUMNS, ("day", "DATE"))
        folder = schema.folder(warehouse.layout.version(name, VERSION))
        schema.write(folder)
        slices = {}
        for day in days:
            file = folder / f"day={day}" / "run-0.parquet"
            file.parent.mkdir()
            file.hardlink_to(originals[day])
            location = warehouse.layout.relative(file)
            slices[day] = (Slice(name, day, VERSION, location, 100, file.stat().st_size, "run", VERSION, VERSION),)
        found[name] = TableMap(name, TableKind.PARTITION, COLUMNS, slices, PartitionSpec("day", Grain.DAY))
    return PartitionMap("bench", 0, VERSION, VERSION, found)


def bare(warehouse: EmbeddedWarehouse, target: PartitionMap, file: Path) -> float:
    """Seconds for the file that readers open, and nothing around it; writing the SQL is not counted."""
    statements = [
        view_statement(t.name, t.columns, branches(warehouse.layout, [s for part in t.slices.values() for s in part]))
        for t in target.tables.values()
    ]
    started = time.perf_counter()
    with duckdb.connect(str(file)) as connection:
        connection.execute("BEGIN")
        for statement in statements:
            connection.execute(statement)
        connection.execute("COMMIT")
    return time.perf_counter() - started


def seconds(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def measure(pairs: int, tables: int, partitions: int) -> dict[str, Any]:
    times: dict[str, list[float]] = {"bare": [], "publish": [], "back": []}
    with tempfile.TemporaryDirectory(prefix="lanewise-bench-") as folder:
        home = Path(folder) / ".lanewise"
        warehouse = open_warehouse(
            home=home, lane=Environment("prod", 0, {"dst_conn": "w"}, {"w": Connection("w", "duckdb")}),
            project="bench", secrets=_NoSecrets(), say=print,
        )  # fmt: skip
        target = make_tables(warehouse, tables, partitions)
        _publish(warehouse, replace(target, number=1))  # warm the page cache
        for pair in range(pairs):
            times["bare"].append(bare(warehouse, target, Path(folder) / f"bare-{pair}.duckdb"))
            live = warehouse.pointer().number
            following = replace(target, number=live + 1, build=f"sha256:{pair:064}")
            times["publish"].append(seconds(lambda map_=following: _publish(warehouse, map_)))
            times["back"].append(seconds(lambda base=live + 1: warehouse.revert(base - 1, base=base, fence=1)))
    medians = {name: statistics.median(found) for name, found in times.items()}
    ratio = round(medians["publish"] / medians["bare"], 2)
    return {
        "name": "publish",
        "tables": tables,
        "partitions": partitions,
        "seconds": {name: round(median, 4) for name, median in medians.items()},
        "ratio": ratio,
        "limit": LIMIT,
        "back_limit_seconds": BACK_LIMIT,
        "ok": ratio <= LIMIT and medians["back"] <= BACK_LIMIT,
    }


def figures(*, quick: bool) -> list[Figure]:
    """Two figures: publishing as a multiple of the bare catalog file, and going back in milliseconds."""
    found = measure(3 if quick else 7, 1_000, 1)
    seconds = found["seconds"]
    against = f"bare file ({seconds['bare']:.2f} s)"
    back = seconds["back"]
    return [
        Figure("publishing 1,000 tables", found["ratio"], LIMIT, "×", found["ratio"], against),
        Figure("going back", 1000 * back, 1000 * BACK_LIMIT, "ms", back / seconds["bare"], against),
    ]


def _publish(warehouse: EmbeddedWarehouse, target: PartitionMap) -> None:
    warehouse.prepare(target)
    warehouse.publish(target, base=target.number - 1, fence=1)


if __name__ == "__main__":
    asked = [int(argument) for argument in sys.argv[1:]]
    print(json.dumps(measure(*(*asked, *(5, 1_000, 1)[len(asked) :])), indent=2))
