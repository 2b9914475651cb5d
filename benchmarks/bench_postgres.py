"""Publication on a real PostgreSQL: a thousand tables forward and back, against SQLMesh on the same server, and what
reading through a published view costs.

    python -m benchmarks [--quick] postgres

The server keeps its durable defaults (fsync, synchronous commits). ``publish`` and ``back`` move the pointer while
four readers go on; ``whole`` is preparing (views opened, map written), the pointer and compaction together. SQLMesh
runs in a virtual environment of its own below ``.cache/``. Times of reads are medians of interleaved rounds.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from benchmarks.figure import Figure

from lanewise.adapters.warehouses.postgres.warehouse import PostgresWarehouse, open_warehouse
from lanewise.domain.environment import Environment
from lanewise.domain.project import Column, Grain, PartitionSpec, Table, TableKind
from lanewise.domain.publication import PartitionMap, Slice, TableMap
from lanewise.domain.run import Purpose, RunRequest
from lanewise.testing.postgres import Server, postgres

ROOT = Path(__file__).resolve().parent.parent
PEER = ROOT / ".cache" / "sqlmesh"
SQLMESH = ("sqlmesh==0.236.4", "psycopg2-binary")
COLUMNS = (Column("id", "INTEGER"), Column("name", "VARCHAR"))
DAYS = 365
ROWS_A_DAY = 5_000
WIDE = Table(
    "wide", TableKind.PARTITION, PartitionSpec("day", Grain.DAY),
    columns=(Column("day", "DATE"), Column("id", "BIGINT"), Column("amount", "DECIMAL(18,2)"),
             Column("name", "VARCHAR")),
)  # fmt: skip


class _NoSecrets:
    resolve = age = redact = concerns = None


def open_bench(server: Server, database: str, home: Path) -> PostgresWarehouse:
    settings = {"dst_conn": "w", "schema": "analytics", "table_suffix": ""}
    lane = Environment("prod", 0, settings, {"w": replace(server.connection(database), name="w")})
    return open_warehouse(home=home, lane=lane, project="bench", secrets=_NoSecrets(), say=print)


def computed(
    warehouse: PostgresWarehouse,
    server: Server,
    database: str,
    build: str,
    outputs: Sequence[tuple[Table, str]],
    partitions: Sequence[str] = ("all",),
) -> PartitionMap:
    """Stage what a build's run writes (a query for each table), and give the map in which that is everything."""
    digest = "sha256:" + build * 64
    tables = [table for table, _ in outputs]
    request = RunRequest(
        f"run-{build}", "bench", "prod", digest, "sha256:c", Purpose.PROMOTION, tuple(partitions),
        tuple(t.name for t in tables), ("true",), {t.name: digest for t in tables}, inputs="sha256:i",
    )  # fmt: skip
    space = warehouse.open_run(request, tables, ())
    with server.connect(database) as connection, connection.transaction():
        for table, query in outputs:
            output = space.engine["outputs"][table.name]
            columns = ", ".join(f"{c.name} {c.type}" for c in table.columns)
            connection.execute(f"create table {output['relation']} ({columns})")
            connection.execute(f"comment on table {output['relation']} is '{output['comment']}'")
            connection.execute(f"insert into {output['relation']} {query}")
    staged = warehouse.stage(request, tables)
    warehouse.discard(request.id)
    found = {}
    for table in tables:
        slices: dict[str, tuple[Slice, ...]] = {s.partition: (s,) for s in staged[table.name]}
        found[table.name] = TableMap(table.name, table.kind, table.columns, slices, table.partition)
    return PartitionMap("bench", 0, digest, "sha256:c", found)


@contextmanager
def readers(server: Server, database: str, count: int) -> Iterator[list[float]]:
    """Readers who count some tables over and over; the seconds of each read."""
    stop, took = threading.Event(), list[float]()

    def read(number: int) -> None:
        with server.connect(database) as connection:
            while not stop.is_set():
                started = time.perf_counter()
                connection.execute(f"select count(*), max(id) from analytics.m{number * 7:04}")
                took.append(time.perf_counter() - started)
                time.sleep(0.002)

    threads = [threading.Thread(target=read, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield took
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def seconds(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def thousand(server: Server, tables: int, rounds: int) -> dict[str, float]:
    """Seconds of the pointer's moves under readers, and of the whole promotion without any."""
    database = server.database()
    names = [f"m{number:04}" for number in range(tables)]
    with tempfile.TemporaryDirectory() as home:
        warehouse = open_bench(server, database, Path(home))
        maps = []
        for version, build in enumerate("ab", 1):
            outputs = [(Table(n, columns=COLUMNS), f"select {version}, 'x'") for n in names]
            maps.append(computed(warehouse, server, database, build, outputs))
        publish(warehouse, replace(maps[0], number=1))
        compact(warehouse, tables)
        whole = seconds(lambda: publish(warehouse, replace(maps[1], number=2)))
        number, forward, back = 2, [], []
        with readers(server, database, 4) as took:
            for _ in range(rounds):
                target = replace(maps[0], number=number + 1, build=f"sha256:{number:064}")
                warehouse.prepare(target)
                forward.append(seconds(lambda t=target, b=number: warehouse.publish(t, base=b, fence=1)))
                back.append(seconds(lambda b=number: warehouse.revert(b, base=b + 1, fence=1)))
                number += 2
        warehouse.drop([h for h in warehouse.holdings() if number not in h.maps])  # as if the window had closed
        whole += seconds(lambda: compact(warehouse, tables))
    return {"publish": statistics.median(forward), "back": statistics.median(back), "whole": whole,
            "read": max(took)}  # fmt: skip


def compact(warehouse: PostgresWarehouse, tables: int) -> None:
    done = warehouse.compact()
    if len(done) != tables:
        raise SystemExit(f"only {len(done)} of {tables} views were compacted")


def publish(warehouse: PostgresWarehouse, target: PartitionMap) -> None:
    warehouse.prepare(target)
    warehouse.publish(target, base=target.number - 1, fence=1)


def reads(server: Server, rounds: int) -> dict[str, float]:
    """How many times a plain table's time it takes to read: all and a day, mapped with two versions, and compacted."""
    database = server.database()
    days = [str(date(2024, 1, 1) + timedelta(days=n)) for n in range(DAYS)]
    query = (
        f"select date '2024-01-01' + i / {ROWS_A_DAY}, i, (i % 1000) / 10.0, 'n' || i % 97 "
        f"from generate_series(0, {DAYS * ROWS_A_DAY} - 1) i"
    )
    with tempfile.TemporaryDirectory() as home:
        warehouse = open_bench(server, database, Path(home))
        old = computed(warehouse, server, database, "a", [(WIDE, query)], days)
        publish(warehouse, replace(old, number=1))
        warehouse.compact()
        with server.connect(database) as connection:
            connection.execute(f"create table public.plain as select * from ({query}) as rows (day, id, amount, name)")
            connection.execute("alter table public.plain alter amount type numeric(18,2)")
            connection.execute("create index on public.plain (day)")
            connection.execute("vacuum analyze")
            found = {"compacted": _ratios(connection, days, rounds)}
            few = days[::20]  # a canary's step: the new version has these days alone
            some = f"select * from ({query}) as rows (day, id, amount, name) where day = any('{{{','.join(few)}}}')"
            new = computed(warehouse, server, database, "b", [(WIDE, some)], few)
            slices = {**old.tables["wide"].slices, **new.tables["wide"].slices}
            mixed = replace(new, number=2, tables={"wide": replace(new.tables["wide"], slices=slices)})
            publish(warehouse, mixed)
            connection.execute("vacuum analyze")
            found["mapped"] = _ratios(connection, days, rounds)
    return {f"{state} {what}": ratio for state, ratios in found.items() for what, ratio in ratios.items()}


def _ratios(connection: Any, days: Sequence[str], rounds: int) -> dict[str, float]:
    """Medians through the view over medians of the plain table, taken in turns."""
    full = "select count(*), sum(amount), max(name) from {}"
    day = f"select count(*), sum(amount), max(name) from {{}} where day = '{days[100]}'"
    found = {}
    for what, query, repeats in (("full", full, rounds), ("day", day, rounds * 10)):
        times: dict[str, list[float]] = {"public.plain": [], "analytics.wide": []}
        for _ in range(repeats):
            for relation, took in times.items():
                took.append(seconds(lambda r=relation, q=query: connection.execute(q.format(r)).fetchall()))
        plain, view = (statistics.median(took) for took in times.values())
        found[what] = view / plain
    return found


def sqlmesh(server: Server, models: int) -> dict[str, float]:
    """The peer's seconds, forward and back. ``SystemExit`` where it can't be installed or run."""
    python = PEER / "bin" / "python"
    uv = ROOT / ".boot" / "bin" / "uv"
    if not (PEER / "bin" / "sqlmesh").exists():
        for command in (
            [str(uv), "venv", "--quiet", "--clear", "--python", sys.executable, str(PEER)],
            [str(uv), "pip", "install", "--quiet", "--no-config", "--python", str(python), *SQLMESH],
        ):
            if subprocess.run(command, check=False).returncode:
                raise SystemExit(f"SQLMesh can't be installed: {' '.join(command)}")
    connection = {"host": "127.0.0.1", "port": server.port, "user": "postgres", "password": "unused",
                  "database": server.database()}  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        script = str(Path(__file__).with_name("peer_sqlmesh.py"))
        command = [str(python), script, folder, str(models), json.dumps(connection)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    lines = [line for line in done.stdout.splitlines() if line.startswith("seconds ")]
    if not lines:
        raise SystemExit(f"SQLMesh did not finish: {done.stderr.strip().splitlines()[-1:]}")
    found: dict[str, float] = json.loads(lines[-1].removeprefix("seconds "))
    return found


def figures(*, quick: bool) -> list[Figure]:
    """Moving the pointer, the whole promotion against SQLMesh, reading through views."""
    with postgres(15, durable=True) as server:
        ours = thousand(server, 1_000, 5 if quick else 20)
        peer = sqlmesh(server, 200 if quick else 1_000)
        read = reads(server, 5 if quick else 15)
    scale = 5 if quick else 1  # 200 models of it stand for a thousand: what it takes grows at least in proportion
    forward, back = scale * peer["forward"], scale * peer["back"]
    against = "SQLMesh" + (" (200 models, times 5)" if quick else "")
    return [
        Figure("Postgres: publishing 1,000 tables, 4 readers", 1000 * ours["publish"], 50, "ms",
               ours["publish"] / forward, f"{against} ({forward:.1f} s)"),
        Figure("Postgres: rolling 1,000 tables back", 1000 * ours["back"], 50, "ms", ours["back"] / back,
               f"{against} ({back:.1f} s)"),
        Figure("Postgres: the whole promotion", ours["whole"], forward / 20, "s", ours["whole"] / forward,
               f"{against} ({forward:.1f} s)"),
        Figure("reading all through a mapped view", read["mapped full"], 2.0, "×", read["mapped full"], "plain table"),
        Figure("reading a day through a mapped view", read["mapped day"], 1.3, "×", read["mapped day"], "plain table"),
        Figure("reading all after compaction", read["compacted full"], 1.05, "×", read["compacted full"],
               "plain table"),
        Figure("reading a day after compaction", read["compacted day"], 1.05, "×", read["compacted day"],
               "plain table"),
    ]  # fmt: skip
