from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.contract.warehouses.cutting_proxy import cutting
from tests.contract.warehouses.postgres_harness import PostgresHarness

from lanewise.adapters.warehouses.postgres import store
from lanewise.adapters.warehouses.postgres.locations import relation_of
from lanewise.domain.project import Column
from lanewise.domain.publication import PartitionMap
from lanewise.errors import GroundMoved, NotFound, Refused, WarehouseUnavailable
from lanewise.testing.postgres import Server
from lanewise.testing.warehouse import D1, D2, ORDERS, TOTALS, order, published, request, staged, with_slices

VIEW = "analytics_prod.orders"
WIDER = replace(ORDERS, columns=(*ORDERS.columns, Column("note", "VARCHAR")))
NARROW = replace(ORDERS, columns=ORDERS.columns[:2])


@pytest.fixture
def harness(tmp_path: Path, server: Server) -> PostgresHarness:
    return PostgresHarness(tmp_path, server, patience=0.5)


def publish(harness: PostgresHarness, *numbers: int, build: str = "a", day: str = D1) -> PartitionMap:
    return published(harness, request([ORDERS], [day], build=build), [(ORDERS, [order(day, n) for n in numbers])])


def target(harness: PostgresHarness, *numbers: int, build: str = "b", table: Any = ORDERS) -> PartitionMap:
    """The next map, not prepared yet."""
    rows = [{**order(D1, n), "note": "new"} for n in numbers]
    slices = staged(harness, request([table], [D1], build=build), [(table, rows)])
    return with_slices(harness.open(), harness.open().live(), [table], slices)


def prune(harness: PostgresHarness, *keep: int) -> int:
    """Drop what the maps ``keep`` don't need."""
    warehouse = harness.open()
    return warehouse.drop([h for h in warehouse.holdings() if h.kind != "run" and not set(h.maps) & set(keep)])


def definition(harness: PostgresHarness, view: str = VIEW) -> str:
    with harness.connect() as connection:
        return str(connection.execute("select pg_get_viewdef(%s::regclass)", [view]).fetchone()[0])  # type: ignore[index]


def ids(harness: PostgresHarness) -> list[int]:
    return sorted(row[1] for row in harness.read("orders"))


@contextmanager
def reader(harness: PostgresHarness) -> Iterator[psycopg.Connection[Any]]:
    """Somebody who has read the orders and keeps the transaction open."""
    with harness.connect() as connection:
        connection.execute("begin")
        connection.execute(f"select count(*) from {VIEW}")
        yield connection
        connection.execute("rollback")


@contextmanager
def snapshot(harness: PostgresHarness) -> Iterator[psycopg.Connection[Any]]:
    """Somebody whose snapshot is taken, and who has not touched the view: no lock stands in anybody's way."""
    with harness.connect() as connection:
        connection.execute("begin isolation level repeatable read")
        connection.execute("select 1 from pg_class")
        yield connection
        connection.execute("rollback")


def seen(connection: psycopg.Connection[Any]) -> list[int]:
    return sorted(row[0] for row in connection.execute(f"select id from {VIEW}"))


def test_grants_options_comments_and_what_is_built_upon_a_view_outlive_openings_and_compactions(
    harness: PostgresHarness,
) -> None:
    publish(harness, 1)
    with harness.connect() as connection:
        connection.execute("drop role if exists looker")
        connection.execute("create role looker")
        connection.execute(f"grant select on {VIEW} to looker")
        connection.execute(f"grant select (id) on {VIEW} to public")
        connection.execute(f"alter view {VIEW} set (security_barrier = true)")
        connection.execute(f"comment on view {VIEW} is 'ours'; comment on column {VIEW}.id is 'the key'")
        connection.execute(f"create view analytics_prod.top as select id from {VIEW}")
    facts = """select c.oid, c.relacl::text, c.reloptions, obj_description(c.oid), col_description(c.oid, 2),
        (select attacl::text from pg_attribute where attrelid = c.oid and attname = 'id') from pg_class c
        where c.oid = %s::regclass"""

    def look() -> object:
        with harness.connect() as connection:
            return connection.execute(facts, [VIEW]).fetchone()

    before = look()
    for number in range(2, 5):
        publish(harness, number, build="ab"[number % 2])
        prune(harness, harness.open().pointer().number)
        assert harness.open().compact() == ("orders",)
        assert look() == before
    assert harness.read("top") == [(4,)]
    with harness.connect() as connection:
        connection.execute("drop owned by looker; drop role looker")


def test_a_compacted_view_reads_one_table_and_hides_what_is_staged_later(harness: PostgresHarness) -> None:
    first = publish(harness, 1)
    assert harness.open().compact() == ("orders",)
    assert harness.open().compact() == ()
    assert "live_shop" not in definition(harness)
    staged(harness, request([ORDERS], [D1]), [(ORDERS, [order(D1, 9)])])  # into the very same version
    assert ids(harness) == [1]
    publish(harness, 2, day=D2)
    assert "live_shop" in definition(harness)
    assert ids(harness) == [1, 2]
    assert harness.open().revert(first.number, base=2, fence=1) == 3
    assert ids(harness) == [1]


def test_a_view_stays_open_while_kept_maps_differ_or_another_slice_lies_between(harness: PostgresHarness) -> None:
    publish(harness, 1)
    staged(harness, request([ORDERS], [D1]), [(ORDERS, [order(D1, 9)])])
    publish(harness, 2)
    assert harness.open().compact() == ()
    warehouse = harness.open()
    warehouse.drop([h for h in warehouse.holdings() if h.maps == (1,)])
    assert warehouse.compact() == ()  # what was staged and never published would show
    assert ids(harness) == [2]
    prune(harness, 2)
    assert warehouse.compact() == ("orders",)
    assert ids(harness) == [2]


def test_nothing_is_compacted_before_it_is_published(harness: PostgresHarness) -> None:
    harness.open().prepare(target(harness, 1))
    assert harness.open().compact() == ()
    assert ids(harness) == []


def test_a_repeatable_reader_sees_its_own_state_whatever_happens(harness: PostgresHarness) -> None:
    publish(harness, 1)
    harness.open().compact()
    wanted = target(harness, 2)
    with snapshot(harness) as old:
        harness.open().prepare(wanted)
        harness.open().publish(wanted, base=1, fence=1)
        assert ids(harness) == [2]
        assert harness.open().compact() == ()
        prune(harness, 2)
        assert harness.open().compact() == ()
        assert seen(old) == [1]
    prune(harness, 2)
    assert harness.open().compact() == ("orders",)
    assert ids(harness) == [2]


def test_a_view_is_not_compacted_under_an_older_snapshot(harness: PostgresHarness) -> None:
    publish(harness, 1)
    with snapshot(harness) as old:
        publish(harness, 2)  # the same version, so that the view needs no other branch
        prune(harness, 2)
        assert harness.open().compact() == ()
        assert seen(old) == [1]
    assert harness.open().compact() == ("orders",)
    assert ids(harness) == [2]


def test_publishing_and_going_back_wait_for_no_reader(harness: PostgresHarness) -> None:
    publish(harness, 1)
    wanted = target(harness, 2)
    harness.open().prepare(wanted)
    with reader(harness) as slow:
        harness.open().publish(wanted, base=1, fence=1)
        assert seen(slow) == [2]
        assert harness.open().revert(1, base=2, fence=1) == 3
        assert seen(slow) == [1]


def test_opening_waits_politely_says_so_gives_up_and_goes_on_later(harness: PostgresHarness) -> None:
    publish(harness, 1)
    wanted = target(harness, 2)
    with reader(harness) as slow:
        pid = slow.info.backend_pid
        with pytest.raises(WarehouseUnavailable, match=str(pid)) as found:
            harness.open().prepare(wanted)
        assert harness.said == [f"waiting for 1 transaction that holds orders ({pid})"]
        assert "go on" in found.value.hint or "goes on" in found.value.hint
        with pytest.raises(GroundMoved):
            harness.open().publish(replace(wanted, build="other"), base=1, fence=1)
        assert ids(harness) == [1]
    harness.open().prepare(wanted)
    harness.open().publish(wanted, base=1, fence=1)
    assert ids(harness) == [2]


def test_a_map_whose_views_are_not_all_open_is_not_published(harness: PostgresHarness) -> None:
    publish(harness, 1)
    wanted = target(harness, 2)
    with reader(harness), pytest.raises(WarehouseUnavailable):
        harness.open().prepare(wanted)
    with pytest.raises(GroundMoved):
        harness.open().publish(wanted, base=1, fence=1)
    assert ids(harness) == [1]


def test_a_view_that_is_not_ours_is_never_replaced(harness: PostgresHarness) -> None:
    publish(harness, 1)
    with harness.connect() as connection:
        connection.execute("create view analytics_prod.totals as select 1 as theirs")
    with pytest.raises(Refused, match=r"analytics_prod\.totals was not made by Lanewise"):
        published(harness, request([TOTALS], ["all"]), [(TOTALS, [])])
    assert harness.read("totals") == [(1,)]
    with harness.connect() as connection:
        connection.execute("drop view analytics_prod.totals")
    other = harness.open(project="other")
    wanted = replace(request([ORDERS], [D1]), project="other")
    harness.write(other.open_run(wanted, [ORDERS], ()), ORDERS, [order(D1, 5)])
    mine = with_slices(other, other.live(), [ORDERS], other.stage(wanted, [ORDERS]))
    with pytest.raises(Refused, match="belongs to the pipeline shop"):
        other.prepare(mine)
    assert ids(harness) == [1]


def test_a_column_that_goes_is_told_and_refused_while_something_is_built_upon_the_view(
    harness: PostgresHarness,
) -> None:
    warehouse = harness.open()
    assert warehouse.breaks("orders", ORDERS.columns) is None
    publish(harness, 1)
    assert warehouse.breaks("orders", ORDERS.columns) is None
    assert warehouse.breaks("orders", WIDER.columns) is None
    found = warehouse.breaks("orders", NARROW.columns)
    assert found is not None
    assert (found.changes, found.dependants) == (("amount is dropped",), ())
    retyped = (*ORDERS.columns[:2], Column("amount", "DOUBLE"))
    assert warehouse.breaks("orders", retyped).changes == (  # type: ignore[union-attr]
        "amount becomes double precision, from numeric(18,2)",
    )
    with harness.connect() as connection:
        connection.execute(f"create view analytics_prod.top as select id from {VIEW}")
    assert warehouse.breaks("orders", NARROW.columns).dependants == ("analytics_prod.top",)  # type: ignore[union-attr]
    with pytest.raises(Refused, match=r"analytics_prod\.top is built upon it: amount is dropped"):
        warehouse.prepare(target(harness, 2, table=NARROW))
    assert harness.read("orders") == harness.read("orders")
    assert ids(harness) == [1]


def test_a_breaking_change_is_published_whole_and_taken_back_whole(harness: PostgresHarness) -> None:
    publish(harness, 1)
    with harness.connect() as connection:
        connection.execute(f"grant select on {VIEW} to public; comment on view {VIEW} is 'ours'")
        connection.execute(f"alter view {VIEW} set (security_barrier = true)")
    before = harness.read("orders")
    wanted = target(harness, 2, table=NARROW)
    harness.open().prepare(wanted)
    assert harness.read("orders") == before
    harness.open().publish(wanted, base=1, fence=1)
    assert [len(row) for row in harness.read("orders")] == [2]
    assert ids(harness) == [2]
    assert harness.open().revert(1, base=2, fence=1) == 3
    assert harness.read("orders") == before
    harness.open().revert(2, base=3, fence=1)
    assert ids(harness) == [2]
    with harness.connect() as connection:
        kept = connection.execute(
            "select relacl::text, reloptions, obj_description(oid) from pg_class where oid = %s::regclass", [VIEW]
        ).fetchone()
    assert kept is not None
    assert "=r/" in kept[0]
    assert kept[1:] == (["security_barrier=true"], "ours")


def test_a_breaking_change_behind_a_reader_gives_up_with_nothing_changed(harness: PostgresHarness) -> None:
    publish(harness, 1)
    wanted = target(harness, 2, table=NARROW)
    harness.open().prepare(wanted)
    with reader(harness) as slow:
        with pytest.raises(WarehouseUnavailable, match=str(slow.info.backend_pid)):
            harness.open().publish(wanted, base=1, fence=1)
        assert harness.open().pointer().number == 1
        assert seen(slow) == [1]
    harness.open().publish(wanted, base=1, fence=1)
    assert ids(harness) == [2]


def test_going_back_from_an_added_column_breaks_nothing(harness: PostgresHarness) -> None:
    publish(harness, 1)
    wanted = target(harness, 2, table=WIDER)
    harness.open().prepare(wanted)
    harness.open().publish(wanted, base=1, fence=1)
    with harness.connect() as connection:
        connection.execute(f"create view analytics_prod.notes as select note from {VIEW}")
    assert harness.open().revert(1, base=2, fence=1) == 3
    assert [row[1:] for row in harness.read("orders")] == [(1, order(D1, 1)["amount"], None)]
    publish(harness, 3)
    assert ids(harness) == [3]


@pytest.mark.parametrize("after", [True, False], ids=["carried out", "never arrived"])
def test_the_outcome_of_a_lost_answer_is_found_out(harness: PostgresHarness, after: bool) -> None:
    publish(harness, 1)
    wanted = target(harness, 2)
    harness.open().prepare(wanted)
    with cutting(harness.server.port, b"clock_timestamp", after=after) as way:
        lossy = PostgresHarness.__new__(PostgresHarness)
        lossy.__dict__.update(harness.__dict__ | {"fields": {"port": way.here}})
        lossy.open().publish(wanted, base=1, fence=1)
        assert way.cuts == 1
    assert harness.open().live() == wanted
    with cutting(harness.server.port, b"clock_timestamp", after=after) as way:
        lossy.fields = {"port": way.here}
        assert lossy.open().revert(1, base=2, fence=1) == 3
        assert way.cuts == 1
    assert harness.open().maps() == (1, 2, 3)


def test_a_publisher_that_is_ended_while_it_waits_finds_out_who_came_first(harness: PostgresHarness) -> None:
    publish(harness, 1)
    wanted = target(harness, 2)
    harness.open().prepare(wanted)
    outcome: list[object] = []
    with harness.connect() as other:
        other.execute("begin; update lanewise_prod.pointers set seen = seen")
        thread = threading.Thread(target=lambda: outcome.append(harness.open().publish(wanted, base=1, fence=1)))
        thread.start()
        with harness.connect() as admin:
            for _ in range(500):
                ended = admin.execute("select pg_terminate_backend(pid) from pg_stat_activity where wait_event_type = "
                                      "'Lock' and query like '%moved as%'").fetchall()  # fmt: skip
                if ended:
                    break
                time.sleep(0.01)
        assert ended
        other.execute("commit")
        thread.join(20)
    assert outcome == [None]
    assert harness.open().live() == wanted


@pytest.mark.parametrize("change", ["update {} set id = 0", "delete from {}", "truncate {}"])
def test_rows_of_a_version_are_never_changed(harness: PostgresHarness, change: str) -> None:
    first = publish(harness, 1)
    relation = "lanewise_prod." + relation_of(first.tables["orders"].slices[D1][0])
    with harness.connect() as connection, pytest.raises(psycopg.errors.InsufficientPrivilege, match="never changed"):
        connection.execute(change.format(relation))
    assert ids(harness) == [1]


def test_a_version_goes_whole_when_nobody_needs_it_and_rows_when_some_do(harness: PostgresHarness) -> None:
    first = publish(harness, 1)
    publish(harness, 2)  # another slice of the same version
    publish(harness, 3, build="b")
    old = first.tables["orders"].slices[D1][0]

    def there() -> list[int] | None:
        with harness.connect() as connection:
            name = "lanewise_prod." + relation_of(old)
            if connection.execute("select to_regclass(%s)", [name]).fetchone() == (None,):
                return None
            return sorted(row[0] for row in connection.execute(f"select id from {name}"))

    assert there() == [1, 2]
    assert prune(harness, 2, 3) > 0
    assert there() == [2]
    assert ids(harness) == [3]
    assert prune(harness, 3) > 0
    assert there() is None
    assert [h.kind for h in harness.open().holdings() if h.kind != "run"] == ["map", "slice"]
    assert ids(harness) == [3]


def test_what_a_reader_may_still_see_is_dropped_the_next_time(harness: PostgresHarness) -> None:
    publish(harness, 1)
    publish(harness, 2, build="b")
    wanted = target(harness, 3, build="c")
    with snapshot(harness) as old:
        harness.open().prepare(wanted)
        harness.open().publish(wanted, base=2, fence=1)
        prune(harness, 3)
        assert harness.open().maps() == (3,)
        assert seen(old) == [2]
        assert [h.maps for h in harness.open().holdings() if h.kind == "slice"].count(()) == 2
    assert prune(harness, 3) > 0
    assert [h.maps for h in harness.open().holdings() if h.kind == "slice"] == [(3,)]


def test_a_map_of_what_was_dropped_meanwhile_is_refused(harness: PostgresHarness) -> None:
    publish(harness, 1)
    wanted = target(harness, 2)
    prune(harness, 1)
    with pytest.raises(GroundMoved, match="does not have"):
        harness.open().prepare(wanted)
    assert ids(harness) == [1]


def test_going_back_to_nothing_shows_no_rows_of_a_plain_view(harness: PostgresHarness) -> None:
    publish(harness, 1)
    assert harness.open().compact() == ("orders",)
    assert harness.open().revert(0, base=1, fence=1) == 2
    assert ids(harness) == []


def test_an_operator_who_may_not_make_the_store_is_told_what_helps(harness: PostgresHarness) -> None:
    with harness.connect() as connection:
        connection.execute("create role small; set role small")
        with pytest.raises(Refused, match="has no analytics_prod, lanewise_prod") as found:
            store.ensure(connection, harness.open().place)
        assert "lane provision prod" in found.value.hint
        connection.execute("reset role; drop role small")


def test_going_back_to_a_map_that_is_dropped_at_this_very_moment_is_refused_in_words(harness: PostgresHarness) -> None:
    """The pointer is held while maps are dropped; who waits for it saw the map still, and finds its content gone."""
    for build in "ab":
        published(harness, request([ORDERS], [D1], build=build), [(ORDERS, [order(D1, 1)])])
    refused: list[Exception] = []

    def go_back() -> None:
        try:
            harness.open().revert(1, base=2, fence=2)
        except NotFound as error:
            refused.append(error)

    other = threading.Thread(target=go_back)
    with harness.connect() as root, root.transaction():
        root.execute("select from lanewise_prod.pointers for update")
        other.start()
        while not root.execute("select from pg_locks where not granted").fetchall():
            time.sleep(0.01)
        root.execute("delete from lanewise_prod.maps where number = 1")
        root.execute("delete from lanewise_prod.contents where id <> (select content from lanewise_prod.pointers)")
    other.join()
    assert [type(error) for error in refused] == [NotFound]
    assert harness.open().pointer().number == 2
