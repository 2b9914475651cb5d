"""A crowd reads and writes while a pipeline on PostgreSQL publishes 500 times, is opened and compacted 20 times: nobody
gets an error, a mix, an unaudited row or a wait that counts. The same crowd does notice the ways of old.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.contract.warehouses.postgres_harness import PostgresHarness
from tests.e2e.crowd import READERS, WRITERS, Crowd, crowd

from lanewise.domain.project import Column, Grain, PartitionSpec, Table, TableKind
from lanewise.domain.publication import PartitionMap
from lanewise.errors import WarehouseUnavailable
from lanewise.testing.postgres import Server
from lanewise.testing.warehouse import published, staged, with_slices
from lanewise.testing.warehouse import request as asked_for

CYCLES, EACH = 20, 25
"""Openings and compactions, and the publications between two of them: 500 in all."""
STALL = 0.1  # seconds above the readers' own worst when nothing is published
DAYS = ("2024-01-01", "2024-01-02", "2024-01-03")
ORDERS = Table(
    "orders", TableKind.PARTITION, PartitionSpec("day", Grain.DAY),
    columns=(Column("day", "DATE"), Column("id", "INTEGER"), Column("v", "INTEGER")),
)  # fmt: skip
TOTALS = Table("totals", TableKind.FULL, columns=(Column("v", "INTEGER"), Column("days", "INTEGER")))
TABLES = [ORDERS, TOTALS]


def rows(version: int, days: Sequence[str]) -> list[tuple[Table, list[Mapping[str, object]]]]:
    """Ten rows a day, each saying which version wrote it; the totals say how many days there are."""
    orders = [{"day": d, "id": n, "v": version} for d in days for n in range(10)]
    return [(ORDERS, orders), (TOTALS, [{"v": version, "days": len(days)}])]


@dataclass
class Scene:
    """A database with something published, something built upon it, and people."""

    server: Server
    harness: PostgresHarness
    database: str
    folder: Path

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        with self.server.connect(self.database) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def logins(self) -> dict[str, dict[str, Any]]:
        own = {"host": "127.0.0.1", "port": self.server.port, "dbname": self.database, "user": "postgres"}
        return {"": own, "stranger": {**own, "user": "dashboards", "password": "look"}}

    def around(self) -> list[tuple[Any, ...]]:
        """All that must stay as it is: grants, options, owner, comment, and what is built upon the views."""
        return self.sql("""select c.oid, c.relname, c.relacl::text, c.reloptions::text, c.relowner::regrole::text,
                                  obj_description(c.oid) from pg_class c join pg_namespace n on n.oid = c.relnamespace
                           where n.nspname in ('analytics_prod', 'reporting') and c.relkind = 'v' order by 2""")


@contextmanager
def set_up(server: Server, tmp_path: Path) -> Iterator[Scene]:
    """A new database with two published tables, a view upon them, and a role that owns none of it."""
    harness = PostgresHarness(tmp_path, server)
    found = Scene(server, harness, harness.database, tmp_path)
    published(found.harness, asked_for(TABLES, DAYS), rows(0, DAYS))
    found.sql("drop role if exists dashboards")
    for statement in (
        "create role dashboards login password 'look'",
        "create schema raw",
        "create table raw.events (n int, note text)",
        "create schema reporting",
        """create view reporting.both_tables (orders, totals, n, days) as
           select (select array_agg(distinct v) from analytics_prod.orders),
                  (select array_agg(distinct v) from analytics_prod.totals),
                  (select count(*) from analytics_prod.orders), (select max(days) from analytics_prod.totals)""",
        "grant usage on schema analytics_prod, reporting to dashboards",
        "grant select on all tables in schema analytics_prod, reporting to dashboards",
        "alter view analytics_prod.orders set (security_barrier = true)",
        "comment on view reporting.both_tables is 'for the board'",
    ):
        found.sql(statement)
    yield found
    found.sql("drop owned by dashboards; drop role dashboards")


@pytest.fixture
def scene(server: Server, tmp_path: Path) -> Iterator[Scene]:
    with set_up(server, tmp_path) as found:
        yield found


@pytest.fixture
def scene15(postgres15: Server, tmp_path: Path) -> Iterator[Scene]:
    """Where the generation can't matter."""
    with set_up(postgres15, tmp_path) as found:
        yield found


def require_unnoticed(met: Crowd, idle: tuple[float, float], busy: tuple[float, float]) -> None:
    """What every way of publishing is held to."""
    assert met.errors == [], met.errors[:5]
    assert met.mixes == [], met.mixes[:5]
    assert min(met.reads[kind] for kind in {*READERS}) > 20, met.reads
    limit = met.worst(idle) + STALL
    assert met.worst(busy) <= limit, f"somebody waited {met.worst(busy):.3f} s, more than {limit:.3f} s"


def turns(harness: PostgresHarness, live: PartitionMap, build: str) -> list[PartitionMap]:
    """Several states of both tables to go through in turn, of one, two and three days, computed by one build."""
    found = []
    for version in range(1, 5):
        days = DAYS[: 1 + version % 3]
        slices = staged(harness, asked_for(TABLES, days, build=build), rows(version, days))
        found.append(with_slices(harness.open(), replace(live, tables={}), TABLES, slices))
    return found


def publish(harness: PostgresHarness, target: PartitionMap, number: int) -> None:
    warehouse = harness.open()
    warehouse.prepare(replace(target, number=number))
    warehouse.publish(replace(target, number=number), base=number - 1, fence=number)


def tidy(harness: PostgresHarness) -> tuple[str, ...]:
    """As retention does when a window has closed: only what is live stays. Readers hold short transactions."""
    warehouse = harness.open()
    live = warehouse.pointer().number
    for _ in range(50):
        warehouse.drop([h for h in warehouse.holdings() if live not in h.maps])
        done = warehouse.compact()
        if len(done) == len(TABLES):
            return done
        time.sleep(0.05)
    return done


@contextmanager
def window() -> Iterator[list[float]]:
    """When the block began and ended."""
    found = [time.time(), 0.0]
    yield found
    found[1] = time.time()


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("version", "cycles"), [(15, CYCLES), (18, CYCLES // 5)], ids=["pg15", "pg18"])
def test_a_crowd_notices_nothing_of_publications_openings_and_compactions(
    request: pytest.FixtureRequest, tmp_path: Path, version: int, cycles: int
) -> None:
    """500 publications and 20 openings and compactions. What the crowd waits anyway is measured while just the same
    goes on in a database of others, so that a busy machine counts on both sides."""
    with set_up(request.getfixturevalue(f"postgres{version}"), tmp_path) as scene:
        staged(scene.harness, asked_for(TABLES, DAYS, build="e"), rows(-1, DAYS))  # never passed its audit
        others = PostgresHarness(tmp_path / "others", scene.server)
        published(others, asked_for(TABLES, DAYS), rows(0, DAYS))
        before = scene.around()
        with crowd(scene.folder, scene.logins(), [*READERS, *WRITERS]) as met:
            with window() as idle:
                go_round(others, max(2, cycles // 8))
            with window() as busy:
                compacted = go_round(scene.harness, cycles)
        assert scene.harness.open().pointer().number == cycles * EACH + 1
        assert compacted == cycles
        assert scene.around() == before
        require_unnoticed(met, (idle[0], idle[1]), (busy[0], busy[1]))


def go_round(harness: PostgresHarness, cycles: int) -> int:
    """Each cycle computes anew, opens, publishes and rolls back, and compacts; how many were compacted."""
    number, compacted = 1, 0
    for cycle in range(cycles):
        states = turns(harness, harness.open().live(), "abcd"[cycle % 4])
        for turn in range(EACH):
            number += 1
            if turn % 5 == 4:
                assert harness.open().revert(number - 2, base=number - 1, fence=number) == number
            else:
                publish(harness, states[turn % len(states)], number)
        compacted += len(tidy(harness)) == len(TABLES)
    return compacted


def _idle_then(scene: Scene, work: Callable[[], None], kinds: Sequence[str]) -> tuple[Crowd, Any, Any]:
    with crowd(scene.folder, scene.logins(), kinds) as met:
        with window() as idle:
            time.sleep(2)
        with window() as busy:
            work()
    return met, tuple(idle), tuple(busy)


def test_the_crowd_does_notice_views_that_are_dropped_and_made_anew(scene15: Scene) -> None:
    (text,) = scene15.sql("select pg_get_viewdef('analytics_prod.orders'::regclass)")[0]

    def work() -> None:
        for _ in range(30):
            scene15.sql(f"drop view analytics_prod.orders cascade; create view analytics_prod.orders as {text}")
            time.sleep(0.02)

    with pytest.raises(AssertionError, match=r"42P01|42501|40P01"):
        require_unnoticed(*_idle_then(scene15, work, READERS))


def test_the_crowd_does_notice_an_alter_behind_a_long_reader(scene15: Scene) -> None:
    relation = scene15.sql(
        "select format('%I.%I', schemaname, tablename) from pg_tables where tablename like 'totals%'"
    )

    def work() -> None:
        with scene15.server.connect(scene15.database) as long:
            long.autocommit = False
            long.execute("select count(*) from analytics_prod.totals")
            altering = threading.Thread(
                target=scene15.sql, args=(f"alter table {relation[0][0]} add column extra int",)
            )
            altering.start()
            time.sleep(1.0)
            long.rollback()
            altering.join()

    with pytest.raises(AssertionError, match="somebody waited"):
        require_unnoticed(*_idle_then(scene15, work, READERS))


def test_the_crowd_does_notice_views_replaced_under_a_repeatable_read_reader(scene15: Scene) -> None:
    """The way of old: tables for each version, and views that are replaced in one transaction."""

    def work() -> None:
        for turn in range(60):
            scene15.sql(f"""
                create table raw.orders_{turn} as select d::date as day, n as id, {turn} as v from
                    generate_series(date '2024-01-01', date '2024-01-02', '1 day') d, generate_series(0, 9) n;
                create table raw.totals_{turn} as select {turn} as v, 2 as days;
                begin;
                create or replace view analytics_prod.orders as select day, id, v from raw.orders_{turn};
                create or replace view analytics_prod.totals as select v, days from raw.totals_{turn};
                commit""")
            time.sleep(0.03)

    kinds = ["repeatable"] * 6 + ["direct", "dependent", "prepared", "stranger"]
    with pytest.raises(AssertionError, match="repeatable: "):
        require_unnoticed(*_idle_then(scene15, work, kinds))


def test_publication_and_rollback_wait_for_nobody_and_openings_wait_politely(scene: Scene) -> None:
    """Somebody holds a transaction open over the views."""
    harness = scene.harness
    states = turns(harness, harness.open().live(), "b")
    publish(harness, states[0], 2)
    assert tidy(harness) == ("orders", "totals")
    ready = turns(harness, harness.open().live(), "c")
    impatient = PostgresHarness(scene.folder, scene.server, patience=1)
    impatient.database = scene.database
    with scene.server.connect(scene.database) as holder:
        holder.autocommit = False
        seen = holder.execute("select v, days from analytics_prod.totals").fetchall()
        began = time.monotonic()
        with pytest.raises(WarehouseUnavailable, match=r"orders|totals"):
            impatient.open().prepare(replace(ready[0], number=3))
        assert 0.8 < time.monotonic() - began < 10
        assert any(str(holder.info.backend_pid) in line for line in impatient.said), impatient.said
        assert harness.open().pointer().number == 2
        opening = threading.Thread(target=harness.open().prepare, args=(replace(ready[0], number=3),))
        opening.start()
        time.sleep(0.5)
        with scene.server.connect(scene.database) as other:  # nobody queues behind the one that waits
            began = time.monotonic()
            other.execute("select count(*) from analytics_prod.totals")
            assert time.monotonic() - began < 1.0
        holder.rollback()
        opening.join(30)
        assert not opening.is_alive()
        holder.execute("select count(*) from analytics_prod.totals")  # and holds on, while all is open
        began = time.monotonic()
        harness.open().publish(replace(ready[0], number=3), base=2, fence=3)
        assert harness.open().revert(2, base=3, fence=4) == 4
        assert time.monotonic() - began < 1.0
        holder.rollback()
    assert harness.read("totals") == sorted(seen)


def test_a_snapshot_from_before_the_opening_keeps_what_it_saw(scene: Scene) -> None:
    """Its first look at the views comes when they have been opened, published, rolled back and compacted."""
    harness = scene.harness
    with scene.server.connect(scene.database) as early:
        early.autocommit = False
        early.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        early.execute("select 1 from raw.events")
        for number, state in enumerate(turns(harness, harness.open().live(), "b"), 2):
            publish(harness, state, number)
        warehouse = harness.open()
        live = warehouse.pointer().number
        warehouse.drop([h for h in warehouse.holdings() if live not in h.maps and h.kind == "map"])
        warehouse.compact()
        assert early.execute("select distinct v from analytics_prod.orders").fetchall() == [(0,)]
        assert early.execute("select v, days from analytics_prod.totals").fetchall() == [(0, 3)]
        early.rollback()
    assert tidy(harness) == ("orders", "totals")
    assert {row[2] for row in harness.read("orders")} == {4}
