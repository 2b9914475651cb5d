"""What every warehouse must do. A plug-in's author subclasses both classes and gives them a harness::

    class TestOurWarehouse(PublicationContract, ComputationContract):
        @pytest.fixture
        def harness(self, tmp_path):
            return OurHarness(tmp_path)

``PublicationContract`` needs no SQL, so the fake passes it too; ``ComputationContract`` (in ``warehouse_engine``) is
about what engines do.
"""

# ruff: noqa: S101 - a conformance suite is made of assertions
from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, Protocol

import pytest

from lanewise.domain.ports import Warehouse
from lanewise.domain.project import Column, Grain, PartitionSpec, Table, TableKind
from lanewise.domain.publication import PartitionMap, Pointer, Slice, TableMap
from lanewise.domain.run import Purpose, RunRequest, Space
from lanewise.errors import FenceRefused, GroundMoved, NotFound, Refused

Row = Mapping[str, Any]

DAYS = PartitionSpec("day", Grain.DAY)
ORDERS = Table(
    "orders",
    TableKind.PARTITION,
    DAYS,
    key=("id",),
    columns=(Column("day", "DATE"), Column("id", "BIGINT"), Column("amount", "DECIMAL(18,2)")),
)
TOTALS = Table("totals", TableKind.FULL, columns=(Column("name", "VARCHAR"), Column("n", "BIGINT")))
D1, D2, D3 = "2024-01-01", "2024-01-02", "2024-01-03"

_counter = itertools.count(1)


class Harness(Protocol):
    """What the suite needs beside the port."""

    def open(self, environment: str = "prod") -> Warehouse:
        """A new handle on the same warehouse, empty at the test's start."""

    def write(self, space: Space, table: Table, rows: Sequence[Row]) -> None:
        """Leave these rows as the run's output of the table, as a run would, in the table's declared types."""

    def lose(self, one: Slice) -> None:
        """Take a slice's data away behind the warehouse's back."""

    def read(self, table: str, environment: str = "prod") -> list[tuple[Any, ...]]:
        """What a reader who connects now sees, every column and row, sorted."""


def request(tables: Sequence[Table], partitions: Sequence[str], *, build: str = "a", run: str = "") -> RunRequest:
    """A run of ``build`` over some partitions, into one version per build and table."""
    return RunRequest(
        id=run or f"run-{next(_counter)}",
        project="shop",
        environment="prod",
        build=f"sha256:{build * 64}",
        config="sha256:c",
        purpose=Purpose.SCHEDULED,
        partitions=tuple(partitions),
        tables=tuple(t.name for t in tables),
        command=("true",),
        fingerprints={t.name: f"sha256:{build * 64}" for t in tables},
        inputs="sha256:in",
    )


def order(day: str, number: int, amount: str | None = "1.00") -> Row:
    """A row of ``ORDERS``."""
    return {"day": day, "id": number, "amount": None if amount is None else Decimal(amount)}


def staged(
    harness: Harness, wanted: RunRequest, outputs: Sequence[tuple[Table, Sequence[Row]]]
) -> Mapping[str, tuple[Slice, ...]]:
    """Open a run, leave its outputs, stage them."""
    warehouse, tables = harness.open(), [table for table, _ in outputs]
    space = warehouse.open_run(wanted, tables, ())
    for table, rows in outputs:
        harness.write(space, table, rows)
    return warehouse.stage(wanted, tables)


def with_slices(
    warehouse: Warehouse, live: PartitionMap, tables: Sequence[Table], slices: Mapping[str, Sequence[Slice]]
) -> PartitionMap:
    """The map after ``live`` in which these slices serve their partitions."""
    found = dict(live.tables)
    for table in tables:
        held = found.get(table.name)
        parts = dict(held.slices) if held else {}
        fresh: dict[str, tuple[Slice, ...]] = {}
        for one in slices[table.name]:
            fresh[one.partition] = (*fresh.get(one.partition, ()), one)
        everything = {**parts, **fresh}
        columns = table.columns or warehouse.columns([s for part in everything.values() for s in part])
        found[table.name] = TableMap(table.name, table.kind, columns, everything, table.partition)
    build = next(s.build for part in slices.values() for s in part)
    return replace(live, number=live.number + 1, build=build, config="sha256:c", tables=found)


def published(
    harness: Harness, wanted: RunRequest, outputs: Sequence[tuple[Table, Sequence[Row]]], *, fence: int = 1
) -> PartitionMap:
    """Write, stage and publish over what is live."""
    slices = staged(harness, wanted, outputs)
    warehouse = harness.open()
    live = warehouse.live()
    target = with_slices(warehouse, live, [table for table, _ in outputs], slices)
    warehouse.prepare(target)
    warehouse.publish(target, base=live.number, fence=fence)
    return target


class PublicationContract:
    """Maps, the pointer, fences: what needs no SQL."""

    @pytest.fixture
    def harness(self) -> Harness:
        """The one thing to override."""
        raise NotImplementedError

    def test_nothing_is_live_at_first(self, harness: Harness) -> None:
        """Everything answers, with nothing."""
        warehouse = harness.open()
        assert warehouse.pointer() == Pointer(0, 0, "", "")
        assert warehouse.live() == warehouse.map_at(0) == PartitionMap("shop")
        assert warehouse.maps() == ()
        assert warehouse.holdings() == ()

    def test_staged_slices_are_seen_by_nobody(self, harness: Harness) -> None:
        """Until a map names them."""
        published(harness, request([ORDERS], [D1]), [(ORDERS, [order(D1, 1)])])
        before = harness.read("orders")
        staged(harness, request([ORDERS], [D1], build="b"), [(ORDERS, [order(D1, 9)])])
        assert harness.read("orders") == before
        assert len(before) == 1

    def test_a_published_map_is_what_is_live_for_every_handle(self, harness: Harness) -> None:
        """The pointer, the map and the readers agree."""
        target = published(
            harness,
            request([ORDERS, TOTALS], [D1, D2]),
            [(ORDERS, [order(D1, 1), order(D2, 2)]), (TOTALS, [{"name": "all", "n": 2}])],
        )
        assert harness.open().live() == target
        assert harness.open().pointer() == Pointer(1, 1, target.build, "sha256:c")
        assert len(harness.read("orders")) == 2
        assert harness.read("totals") == [("all", 2)]

    def test_a_requested_partition_without_rows_is_a_slice_of_no_rows(self, harness: Harness) -> None:
        """So that emptiness is published like anything else."""
        slices = staged(harness, request([ORDERS], [D1, D2]), [(ORDERS, [order(D1, 1)])])["orders"]
        assert [(s.partition, s.rows) for s in slices] == [(D1, 1), (D2, 0)]
        assert harness.open().columns(slices) == ORDERS.columns

    def test_a_table_of_no_rows_keeps_its_columns(self, harness: Harness) -> None:
        """Readers find an empty table, not a missing one."""
        published(harness, request([ORDERS], [D1]), [(ORDERS, [])])
        assert harness.read("orders") == []
        assert harness.open().live().tables["orders"].columns == ORDERS.columns

    def test_a_partition_is_replaced_and_the_others_stay(self, harness: Harness) -> None:
        """A rerun of one day."""
        published(harness, request([ORDERS], [D1, D2]), [(ORDERS, [order(D1, 1), order(D2, 2)])])
        published(harness, request([ORDERS], [D2], build="b"), [(ORDERS, [order(D2, 7), order(D2, 8)])])
        assert sorted(row[1] for row in harness.read("orders")) == [1, 7, 8]

    def test_an_older_fence_is_refused_and_changes_nothing(self, harness: Harness) -> None:
        """Somebody else has taken over."""
        harness.open().raise_fence(5)
        with pytest.raises(FenceRefused):
            published(harness, request([ORDERS], [D1]), [(ORDERS, [order(D1, 1)])], fence=4)
        assert harness.open().pointer() == Pointer(0, 5, "", "")
        with pytest.raises(FenceRefused):
            harness.open().raise_fence(4)
        harness.open().raise_fence(5)
        published(harness, request([ORDERS], [D1]), [(ORDERS, [order(D1, 1)])], fence=5)

    def test_publishing_under_a_newer_fence_raises_it(self, harness: Harness) -> None:
        """A write carries its fence with it."""
        target = published(harness, request([ORDERS], [D1]), [(ORDERS, [order(D1, 1)])], fence=7)
        with pytest.raises(FenceRefused):
            harness.open().revert(1, base=target.number, fence=6)

    def test_a_map_decided_on_older_ground_is_refused(self, harness: Harness) -> None:
        """Two writers: the second one has to look again."""
        slices = staged(harness, request([ORDERS], [D1]), [(ORDERS, [order(D1, 1)])])
        late = with_slices(harness.open(), harness.open().live(), [ORDERS], slices)
        harness.open().prepare(late)
        published(harness, request([ORDERS], [D2]), [(ORDERS, [order(D2, 2)])])
        with pytest.raises(GroundMoved):
            harness.open().publish(late, base=0, fence=1)
        assert [row[1] for row in harness.read("orders")] == [2]

    def test_a_map_that_is_not_prepared_or_not_newer_is_refused(self, harness: Harness) -> None:
        """Numbers only grow, and publishing does no work."""
        target = published(harness, request([ORDERS], [D1]), [(ORDERS, [order(D1, 1)])])
        with pytest.raises(GroundMoved):
            harness.open().publish(replace(target, number=2, build="other"), base=1, fence=1)
        again = replace(target, build="other")
        harness.open().prepare(again)
        with pytest.raises(GroundMoved):
            harness.open().publish(again, base=1, fence=1)

    def test_publishing_what_is_live_is_nothing(self, harness: Harness) -> None:
        """After a crash the same call may come again."""
        target = published(harness, request([ORDERS], [D1]), [(ORDERS, [order(D1, 1)])])
        harness.open().prepare(target)
        harness.open().publish(target, base=0, fence=1)
        assert harness.open().pointer().number == 1
        assert harness.open().maps() == (1,)

    def test_preparing_shows_nothing_and_may_be_repeated(self, harness: Harness) -> None:
        """Also when another map was prepared under the number in between."""
        slices = staged(harness, request([ORDERS], [D1]), [(ORDERS, [order(D1, 1)])])
        mine = with_slices(harness.open(), harness.open().live(), [ORDERS], slices)
        harness.open().prepare(mine)
        harness.open().prepare(replace(mine, build="other"))
        harness.open().prepare(mine)
        assert harness.open().pointer().number == 0
        assert harness.open().maps() == ()
        harness.open().publish(mine, base=0, fence=1)
        assert harness.open().live() == mine

    def test_going_back_gives_the_exact_map_under_a_new_number(self, harness: Harness) -> None:
        """Rollback flips pointers."""
        first = published(harness, request([ORDERS], [D1]), [(ORDERS, [order(D1, 1)])])
        seen = harness.read("orders")
        published(harness, request([ORDERS], [D1, D2], build="b"), [(ORDERS, [order(D1, 8), order(D2, 9)])], fence=2)
        assert harness.open().revert(1, base=2, fence=3) == 3
        assert harness.read("orders") == seen
        assert harness.open().live() == replace(first, number=3)
        assert harness.open().pointer() == Pointer(3, 3, first.build, first.config, repeats=1)
        assert harness.open().maps() == (1, 2, 3)
        assert harness.open().map_at(3) == replace(first, number=3)

    def test_going_back_twice_is_going_back_once(self, harness: Harness) -> None:
        """A crash between doing and journalling: the next holder calls it again."""
        for number in (1, 2):
            published(harness, request([ORDERS], [D1]), [(ORDERS, [order(D1, number)])])
        assert harness.open().revert(1, base=2, fence=2) == 3
        assert harness.open().revert(1, base=2, fence=3) == 3
        assert harness.open().pointer().number == 3
        assert harness.open().revert(2, base=3, fence=3) == 4
        assert [row[1] for row in harness.read("orders")] == [2]

    def test_going_back_needs_the_ground_and_a_kept_map(self, harness: Harness) -> None:
        """Refused, and nothing is changed."""
        for number in (1, 2):
            published(harness, request([ORDERS], [D1]), [(ORDERS, [order(D1, number)])])
        with pytest.raises(GroundMoved):
            harness.open().revert(1, base=1, fence=2)
        with pytest.raises(NotFound):
            harness.open().revert(9, base=2, fence=2)
        assert harness.open().pointer().number == 2

    def test_what_going_back_would_miss_is_named(self, harness: Harness) -> None:
        """Before anybody has to go back; what other maps need is their own matter."""
        first = published(harness, request([ORDERS], [D1, D2]), [(ORDERS, [order(D1, 1)])])  # D2 is of no rows
        second = published(harness, request([ORDERS], [D1], build="b"), [(ORDERS, [order(D1, 2)])])
        warehouse = harness.open()
        assert [warehouse.missing(number) for number in (0, 1, 2)] == [(), (), ()]
        lost = first.tables["orders"].slices[D1][0]
        assert lost not in second.tables["orders"].slices[D1]
        harness.lose(lost)
        assert harness.open().missing(1) == (lost.location,)
        assert harness.open().missing(2) == ()
        with pytest.raises(NotFound):
            warehouse.missing(3)

    def test_a_first_release_goes_back_to_nothing(self, harness: Harness) -> None:
        """Map 0 is the empty one."""
        published(harness, request([ORDERS], [D1]), [(ORDERS, [order(D1, 1)])])
        assert harness.open().revert(0, base=1, fence=2) == 2
        assert harness.open().revert(0, base=1, fence=2) == 2
        assert harness.open().live() == PartitionMap("shop", 2)
        assert harness.open().pointer() == Pointer(2, 2, "", "")

    def test_environments_do_not_see_each_other(self, harness: Harness) -> None:
        """The same tables, another lane."""
        published(harness, request([ORDERS], [D1]), [(ORDERS, [order(D1, 1)])], fence=9)
        assert harness.open("stage").pointer() == Pointer(0, 0, "", "")
        assert harness.open("stage").holdings() == ()

    def test_what_a_map_needs_is_never_dropped(self, harness: Harness) -> None:
        """Retention may ask wrongly; the warehouse refuses."""
        for number in (1, 2):
            published(harness, request([ORDERS], [D1]), [(ORDERS, [order(D1, number)])])
        warehouse = harness.open()
        needed = [h for h in warehouse.holdings() if h.kind == "slice" and 2 in h.maps]
        assert needed
        with pytest.raises(Refused):
            warehouse.drop(needed)
        with pytest.raises(Refused):
            warehouse.drop([h for h in warehouse.holdings() if h.kind == "map" and 2 in h.maps])
        with pytest.raises(Refused):
            warehouse.drop([h for h in warehouse.holdings() if h.kind == "slice" and h.maps == (1,)])
        assert [row[1] for row in harness.read("orders")] == [2]

    def test_an_old_map_and_what_only_it_needs_are_dropped_together(self, harness: Harness) -> None:
        """And then it can't be gone back to."""
        for number in (1, 2):
            published(harness, request([ORDERS], [D1]), [(ORDERS, [order(D1, number)])])
        warehouse = harness.open()
        old = [h for h in warehouse.holdings() if h.maps == (1,)]
        assert {h.kind for h in old} == {"map", "slice"}
        assert warehouse.drop(old) == sum(h.bytes for h in old)
        assert warehouse.maps() == (2,)
        with pytest.raises(NotFound):
            warehouse.map_at(1)
        assert [row[1] for row in harness.read("orders")] == [2]

    def test_a_discarded_run_leaves_its_slices(self, harness: Harness) -> None:
        """They may be published already."""
        wanted = request([ORDERS], [D1])
        published(harness, wanted, [(ORDERS, [order(D1, 1)])])
        assert [h.name for h in harness.open().holdings() if h.kind == "run"] == [wanted.id]
        harness.open().discard(wanted.id)
        harness.open().discard(wanted.id)
        assert [h for h in harness.open().holdings() if h.kind == "run"] == []
        assert len(harness.read("orders")) == 1
