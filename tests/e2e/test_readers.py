"""Readers in other processes while a pipeline publishes 500 times: no error, no mix, nothing unaudited."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from tests.contract.warehouses.embedded_harness import EmbeddedHarness

from lanewise.domain.project import Column, Grain, PartitionSpec, Table, TableKind
from lanewise.domain.publication import PartitionMap, Slice
from lanewise.testing.warehouse import published, request, staged, with_slices

PUBLICATIONS = 500
DAYS = ("2024-01-01", "2024-01-02", "2024-01-03")
ORDERS = Table(
    "orders", TableKind.PARTITION, PartitionSpec("day", Grain.DAY),
    columns=(Column("day", "DATE"), Column("v", "INTEGER")),
)  # fmt: skip
TOTALS = Table("totals", TableKind.FULL, columns=(Column("v", "INTEGER"), Column("days", "INTEGER")))

READER = """
import json, os, sys, time
import duckdb
catalog, stop, holds = sys.argv[1], sys.argv[2], sys.argv[3] == "holds"
query = '''select (select list(distinct v) from orders), (select list(distinct v) from totals),
                  (select count(*) from orders), (select any_value(days) from totals)'''
reads, errors, mixes, unaudited, moved, versions = 0, [], [], 0, 0, set()
while not os.path.exists(stop):
    try:
        with duckdb.connect(catalog, read_only=True) as connection:
            if holds:
                connection.execute("begin")
            first = connection.execute(query).fetchone()
            if holds:
                time.sleep(0.02)
                moved += connection.execute(query).fetchone() != first
                separate = (connection.execute("select list(distinct v) from orders").fetchone()[0],
                            connection.execute("select list(distinct v) from totals").fetchone()[0])
                moved += separate != first[:2]
    except duckdb.Error as error:
        errors.append(str(error)[:300])
        continue
    reads += 1
    time.sleep(0.002)
    orders, totals, rows, days = first
    versions.update(orders)
    if len(orders) != 1 or orders != totals or rows != days * 10:
        mixes.append(repr(first)[:200])
    unaudited += any(v < 0 for v in (*orders, *totals))
print(json.dumps({"reads": reads, "errors": errors[:3], "mixes": mixes[:3], "unaudited": unaudited, "moved": moved,
                  "versions": len(versions)}))
"""


def rows(version: int, days: Sequence[str]) -> list[tuple[Table, list[Mapping[str, object]]]]:
    """Ten rows a day, each saying which version wrote it; the totals say how many days there are."""
    orders = [{"day": d, "v": version} for d in days for _ in range(10)]
    return [(ORDERS, orders), (TOTALS, [{"v": version, "days": len(days)}])]


def maps(harness: EmbeddedHarness, live: PartitionMap) -> list[PartitionMap]:
    """Several versions of both tables to go through in turn, of one, two and three days."""
    found = []
    for version in range(1, 7):
        days = DAYS[: 1 + version % 3]
        slices: Mapping[str, Sequence[Slice]] = staged(harness, request([ORDERS, TOTALS], days), rows(version, days))
        whole = with_slices(harness.open(), replace(live, tables={}), [ORDERS, TOTALS], slices)
        found.append(whole)
    return found


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_readers_see_old_or_new_and_never_a_mix_during_500_publications(tmp_path):
    harness = EmbeddedHarness(tmp_path)
    published(harness, request([ORDERS, TOTALS], DAYS), rows(0, DAYS))
    warehouse = harness.open()
    turns = maps(harness, warehouse.live())
    staged(harness, request([ORDERS, TOTALS], DAYS, build="c"), rows(-1, DAYS))  # never passed its audit
    stop = tmp_path / "stop"
    command = [sys.executable, "-c", READER, str(warehouse.layout.link), str(stop)]
    readers = [
        subprocess.Popen([*command, kind], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for kind in ("reads", "holds", "reads")
    ]
    try:
        for number in range(2, PUBLICATIONS + 2):
            if number % 10 == 0:
                assert warehouse.revert(number - 2, base=number - 1, fence=number) == number
                continue
            target = replace(turns[number % len(turns)], number=number)
            warehouse.prepare(target)
            warehouse.publish(target, base=number - 1, fence=number)
    finally:
        stop.touch()
        answers = [reader.communicate(timeout=60) for reader in readers]
    assert warehouse.pointer().number == PUBLICATIONS + 1
    for out, error in answers:
        found = json.loads(out or "null")
        assert found, error
        assert (found["errors"], found["mixes"], found["unaudited"], found["moved"]) == ([], [], 0, 0)
        assert found["reads"] > 20
        assert found["versions"] > 3


def test_a_reader_who_stays_keeps_what_they_saw_through_publications_and_a_rollback(tmp_path):
    import duckdb

    harness = EmbeddedHarness(tmp_path)
    published(harness, request([ORDERS, TOTALS], DAYS), rows(1, DAYS))
    catalog = Path(harness.open().layout.link)
    with duckdb.connect(str(catalog), read_only=True) as stays:
        stays.execute("begin")
        published(harness, request([ORDERS, TOTALS], DAYS, build="b"), rows(2, DAYS))
        assert stays.execute("select distinct v from orders").fetchall() == [(1,)]
        harness.open().revert(1, base=2, fence=2)
        assert stays.execute("select distinct v from totals").fetchall() == [(1,)]
    assert harness.read("totals") == [(1, 3)]
