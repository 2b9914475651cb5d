"""What every warehouse's engine must do: staging, checks and comparison. See ``lanewise.testing.warehouse``."""

# ruff: noqa: S101 - a conformance suite is made of assertions
from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal

import pytest

from lanewise.domain.project import Check, Column, TableKind
from lanewise.errors import LaneError, RunFailed
from lanewise.testing.warehouse import D1, D2, ORDERS, TOTALS, Harness, order, published, request, staged


class ComputationContract:
    """Staging, checks and comparison: what an engine does."""

    @pytest.fixture
    def harness(self) -> Harness:
        """The one thing to override."""
        raise NotImplementedError

    def test_rows_without_a_partition_are_refused(self, harness: Harness) -> None:
        """NULL is no partition."""
        with pytest.raises(RunFailed, match="1 rows"):
            staged(harness, request([ORDERS], [D1]), [(ORDERS, [order(D1, 1), {**order(D1, 2), "day": None}])])

    def test_rows_outside_of_the_requested_partitions_are_refused(self, harness: Harness) -> None:
        """A run may not touch what it was not asked for."""
        with pytest.raises(RunFailed, match=D2):
            staged(harness, request([ORDERS], [D1]), [(ORDERS, [order(D1, 1), order(D2, 2)])])

    def test_a_wanted_table_that_was_not_written_is_refused(self, harness: Harness) -> None:
        """Doubt never passes."""
        warehouse, wanted = harness.open(), request([ORDERS, TOTALS], [D1])
        space = warehouse.open_run(wanted, [ORDERS, TOTALS], ())
        harness.write(space, ORDERS, [order(D1, 1)])
        assert [(w.table, dict(w.partitions)) for w in warehouse.written(wanted.id, [ORDERS, TOTALS])] == [
            ("orders", {D1: 1})
        ]
        with pytest.raises(RunFailed, match="totals"):
            warehouse.stage(wanted, [ORDERS, TOTALS])

    def test_a_merge_puts_newer_rows_over_the_live_state(self, harness: Harness) -> None:
        """By key, in the partition; what was not written stands."""
        table = replace(ORDERS, kind=TableKind.MERGE)
        published(harness, request([table], [D1, D2]), [(table, [order(D1, 1), order(D1, 2), order(D2, 3)])])
        wanted = request([table], [D1, D2])
        published(harness, wanted, [(table, [order(D1, 2, "5.00"), order(D1, 4)])])
        seen = {row[1]: row[2] for row in harness.read("orders")}
        assert seen == {1: Decimal("1.00"), 2: Decimal("5.00"), 3: Decimal("1.00"), 4: Decimal("1.00")}

    def test_columns_may_have_the_names_that_queries_like_to_use(self, harness: Harness) -> None:
        """A merge onto what is live, and what is asked of it then."""
        names = ("name", "number", "fresh", "w", "s", "rows", "side", "n")
        columns = (*ORDERS.columns[:2], *(Column(name, "BIGINT") for name in names))
        table = replace(ORDERS, kind=TableKind.MERGE, columns=columns, key=("number",))
        for value in (1, 2):
            row = {"day": D1, "id": value, **dict.fromkeys(names, value)}
            published(harness, request([table], [D1]), [(table, [row])])
        slices = harness.open().live().tables["orders"].slices[D1]
        assert [row[1] for row in harness.read("orders")] == [1, 2]
        assert harness.open().offset(replace(table, offset="number"), slices) == "2"
        assert harness.open().compare(table, slices, slices).partitions[0].same

    def test_a_merge_refuses_the_same_key_twice(self, harness: Harness) -> None:
        """Which row is newer can't be told."""
        table = replace(ORDERS, kind=TableKind.MERGE)
        with pytest.raises(RunFailed, match="twice"):
            staged(harness, request([table], [D1]), [(table, [order(D1, 1), order(D1, 1, "2.00")])])

    def test_an_append_adds_slices_once_and_tells_its_offset(self, harness: Harness) -> None:
        """Staging the same run again, after it was published, adds nothing."""
        table = replace(ORDERS, kind=TableKind.APPEND, partition=None, offset="id")
        published(harness, request([table], ["all"]), [(table, [order(D1, 1), order(D1, 2)])])
        wanted = request([table], ["all"])
        published(harness, wanted, [(table, [order(D1, 3)])])
        published(harness, wanted, [(table, [order(D1, 3)])])
        assert [row[1] for row in harness.read("orders")] == [1, 2, 3]
        slices = harness.open().live().tables["orders"].slices["all"]
        assert len(slices) == 2
        assert harness.open().offset(table, slices) == "3"

    def test_an_appended_column_reads_as_null_in_older_slices(self, harness: Harness) -> None:
        """Typed, and without touching them."""
        wider = replace(ORDERS, columns=(*ORDERS.columns, Column("note", "VARCHAR")))
        published(harness, request([ORDERS], [D1]), [(ORDERS, [order(D1, 1)])])
        published(harness, request([wider], [D2], build="b"), [(wider, [{**order(D2, 2), "note": "new"}])])
        assert sorted((row[1], row[3]) for row in harness.read("orders")) == [(1, None), (2, "new")]

    def test_checks_look_at_exactly_the_given_slices(self, harness: Harness) -> None:
        """Not at what is live."""
        published(harness, request([ORDERS], [D1]), [(ORDERS, [order(D1, 1), order(D1, 2), order(D1, 3)])])
        rows = [order(D1, 1), order(D1, 1), order(D1, 2, None), order(D2, 1, "9.00")]
        slices = staged(harness, request([ORDERS], [D1, D2], build="b"), [(ORDERS, rows)])["orders"]
        checks = (
            Check("n", "not_null", {"columns": ["amount"]}),
            Check("u", "unique", {"columns": ["id"]}),
            Check("r", "row_count", {"max_drop": "0.05"}),
            Check("v", "accepted_values", {"column": "id", "values": [1]}),
            Check("w", "range", {"column": "amount", "min": "0.5", "max": "8.5"}),
            Check("s", "sql", {"query": "select count(*) from {table} where id = 2"}),
        )
        found = {r.check: r for r in harness.open().evaluate(ORDERS, checks, slices)}
        assert {name: r.bad for name, r in found.items()} == {"n": 1, "u": 2, "r": 0, "v": 1, "w": 1, "s": 1}
        assert {r.rows for r in found.values()} == {4}
        assert found["r"].facts["live_rows"] == 3

    def test_a_check_of_an_unknown_column_is_an_error(self, harness: Harness) -> None:
        """Not a pass."""
        slices = staged(harness, request([ORDERS], [D1]), [(ORDERS, [order(D1, 1)])])["orders"]
        with pytest.raises(LaneError, match="amunt"):
            harness.open().evaluate(ORDERS, [Check("n", "not_null", {"columns": ["amunt"]})], slices)

    def test_equal_rows_compare_as_the_same(self, harness: Harness) -> None:
        """Whatever their order."""
        rows = [order(D1, 1), order(D1, 2, None), order(D2, 3)]
        old = staged(harness, request([ORDERS], [D1, D2]), [(ORDERS, rows)])["orders"]
        new = staged(harness, request([ORDERS], [D1, D2], build="b"), [(ORDERS, rows[::-1])])["orders"]
        found = harness.open().compare(ORDERS, old, new)
        assert [(p.partition, p.same, p.rows_old, p.rows_new) for p in found.partitions] == [
            (D1, True, 2, 2),
            (D2, True, 1, 1),
        ]

    def test_differences_are_counted_by_key_and_column(self, harness: Harness) -> None:
        """Added, removed, changed; what both sides have in NULLs and sums."""
        old_rows = [order(D1, 1), order(D1, 2), order(D1, 3, None), order(D2, 9)]
        new_rows = [order(D1, 1), order(D1, 2, "2.50"), order(D1, 4), order(D1, 3, None), order(D2, 9)]
        old = staged(harness, request([ORDERS], [D1, D2]), [(ORDERS, old_rows)])["orders"]
        new = staged(harness, request([ORDERS], [D1, D2], build="b"), [(ORDERS, new_rows)])["orders"]
        first, second = harness.open().compare(ORDERS, old, new).partitions
        assert second.same
        assert (first.keys_added, first.keys_removed, first.keys_changed) == (1, 0, 1)
        amount = {c.column: c for c in first.columns}["amount"]
        assert (amount.changed, amount.nulls_old, amount.nulls_new) == (1, 1, 1)
        assert (amount.sum_old, amount.sum_new) == ("2.00", "3.50")

    def test_duplicates_do_not_cancel(self, harness: Harness) -> None:
        """As they would in a XOR, and they are not multiplied by the join."""
        old_rows = [order(D1, 1), order(D1, 2), order(D1, 2)]
        new_rows = [order(D1, 1), order(D1, 1), order(D1, 2)]
        old = staged(harness, request([ORDERS], [D1]), [(ORDERS, old_rows)])["orders"]
        new = staged(harness, request([ORDERS], [D1], build="b"), [(ORDERS, new_rows)])["orders"]
        found = harness.open().compare(ORDERS, old, new).partitions[0]
        assert not found.same
        assert (found.duplicate_keys_old, found.duplicate_keys_new) == (1, 1)
        assert (found.keys_added, found.keys_removed) == (1, 1)

    def test_values_that_change_rows_do_not_cancel(self, harness: Harness) -> None:
        """As they would in a sum over columns that are hashed one by one."""
        days = [f"2024-01-{n:02}" for n in range(1, 31)]
        rows = [(order(day, 2 * n), order(day, 2 * n + 1, f"{n + 2}.00")) for n, day in enumerate(days)]
        turned = [({**one, "amount": two["amount"]}, {**two, "amount": one["amount"]}) for one, two in rows]
        old, new = (
            staged(harness, request([ORDERS], days, build=build), [(ORDERS, [row for pair in side for row in pair])])
            for side, build in ((rows, "a"), (turned, "b"))
        )
        found = harness.open().compare(ORDERS, old["orders"], new["orders"]).partitions
        assert [p.partition for p in found if p.keys_changed != 2] == []

    def test_a_tolerance_is_honoured(self, harness: Harness) -> None:
        """Up to and including it."""
        table = replace(ORDERS, tolerance={"amount": "0.01"})
        old = staged(harness, request([table], [D1]), [(table, [order(D1, 1), order(D1, 2)])])["orders"]
        rows = [order(D1, 1, "1.01"), order(D1, 2, "1.02")]
        new = staged(harness, request([table], [D1], build="b"), [(table, rows)])["orders"]
        assert harness.open().compare(table, old, new).partitions[0].keys_changed == 1

    def test_a_column_of_another_type_is_compared_after_a_cast(self, harness: Harness) -> None:
        """And told, never skipped; a key too."""
        columns = (Column("day", "DATE"), Column("id", "VARCHAR"), Column("amount", "DOUBLE"))
        other = replace(ORDERS, columns=columns)
        old = staged(harness, request([ORDERS], [D1]), [(ORDERS, [order(D1, 1), order(D1, 2), order(D1, 3)])])["orders"]
        rows = [{"day": D1, "id": str(n), "amount": amount} for n, amount in ((1, 1.0), (2, 1.5), (4, 1.0))]
        new = staged(harness, request([other], [D1], build="b"), [(other, rows)])["orders"]
        found = harness.open().compare(other, old, new)
        assert found.retyped == {"id": ("BIGINT", "VARCHAR"), "amount": ("DECIMAL(18,2)", "DOUBLE")}
        part = found.partitions[0]
        assert (part.keyed, part.same) == (True, False)
        assert (part.keys_added, part.keys_removed, part.keys_changed) == (1, 1, 1)
        assert {c.column: c.changed for c in part.columns} == {"day": 0, "amount": 1}

    def test_the_same_values_in_another_type_are_the_same(self, harness: Harness) -> None:
        """The type is told all the same."""
        other = replace(ORDERS, columns=(*ORDERS.columns[:2], Column("amount", "DOUBLE")))
        old = staged(harness, request([ORDERS], [D1]), [(ORDERS, [order(D1, 1), order(D1, 2, None)])])["orders"]
        rows = [{"day": D1, "id": 1, "amount": 1.0}, {"day": D1, "id": 2, "amount": None}]
        new = staged(harness, request([other], [D1], build="b"), [(other, rows)])["orders"]
        found = harness.open().compare(other, old, new)
        assert [p.same for p in found.partitions] == [True]
        assert set(found.retyped) == {"amount"}

    def test_rows_without_a_key_are_counted_and_not_joined(self, harness: Harness) -> None:
        """NULL is the same as nothing, itself included."""
        table = replace(ORDERS, key=("day", "id"))
        missing = {**order(D1, 0), "id": None}
        old = staged(harness, request([table], [D1]), [(table, [order(D1, 1), missing])])["orders"]
        rows = [order(D1, 1), order(D1, 2), missing, {**missing, "amount": Decimal(7)}]
        new = staged(harness, request([table], [D1], build="b"), [(table, rows)])["orders"]
        found = harness.open().compare(table, old, new).partitions[0]
        assert (found.null_keys_old, found.null_keys_new) == (1, 2)
        assert (found.duplicate_keys_old, found.duplicate_keys_new) == (0, 0)
        assert (found.keys_added, found.keys_removed, found.keys_changed) == (1, 0, 0)

    def test_columns_that_one_side_lacks_are_left_to_the_schema(self, harness: Harness) -> None:
        """The rest is compared."""
        wider = replace(ORDERS, columns=(*ORDERS.columns, Column("note", "VARCHAR")))
        old = staged(harness, request([ORDERS], [D1]), [(ORDERS, [order(D1, 1)])])["orders"]
        new = staged(harness, request([wider], [D1], build="b"), [(wider, [{**order(D1, 1), "note": "x"}])])["orders"]
        found = harness.open().compare(wider, old, new)
        assert [c.name for c in found.columns_old] == ["day", "id", "amount"]
        assert [c.name for c in found.columns_new] == ["day", "id", "amount", "note"]
        assert found.partitions[0].same

    def test_the_last_digits_of_a_float_are_noise(self, harness: Harness) -> None:
        """Within one part in 10⁹; a declared tolerance stands in, and 0 means exactly."""
        floats = replace(ORDERS, columns=(*ORDERS.columns[:2], Column("amount", "DOUBLE")))
        pairs = [(0.1 + 0.2, 0.3), (1.0, 1.0 + 1e-12), (-1e300, -1e300), (5e-324, 5e-324), (2.0, 2.0 + 1e-6)]
        old, new = (
            staged(harness, request([floats], [D1], build=build), [(floats, [
                {"day": D1, "id": number, "amount": pair[side]} for number, pair in enumerate(pairs)
            ])])["orders"]
            for side, build in enumerate("ab")
        )  # fmt: skip
        found = [
            harness.open().compare(replace(floats, tolerance=declared), old, new).partitions[0]
            for declared in ({}, {"amount": "0.00001"}, {"amount": "0"})
        ]
        assert [p.keys_changed for p in found] == [1, 0, 3]

    def test_floats_that_are_no_numbers_are_compared_too(self, harness: Harness) -> None:
        """NaN is the same as NaN, an infinity as itself, -0.0 as 0.0; and none of them as another."""
        floats = replace(ORDERS, columns=(*ORDERS.columns[:2], Column("amount", "DOUBLE")))
        odd = [math.nan, math.inf, -math.inf, 0.0, 1.7e308, -1.7e308, None]
        rows = [{"day": D1, "id": number, "amount": value} for number, value in enumerate(odd)]
        same = [{**row, "amount": -0.0 if row["amount"] == 0 else row["amount"]} for row in rows]
        turned = [{**row, "amount": odd[number - 1]} for number, row in enumerate(rows)]
        old, again, new = (
            staged(harness, request([floats], [D1], build=build), [(floats, written)])["orders"]
            for build, written in (("a", rows), ("b", same), ("c", turned))
        )
        for tolerance in ({}, {"amount": "0.5"}):
            table = replace(floats, tolerance=tolerance)
            assert harness.open().compare(table, old, again).partitions[0].same
            found = harness.open().compare(table, old, new).partitions[0]
            assert (found.same, found.keys_changed) == (False, len(odd))
        unkeyed = harness.open().compare(replace(floats, key=()), old, new).partitions[0]
        assert unkeyed.keyed is False

    def test_a_side_without_rows_is_compared_with_the_other(self, harness: Harness) -> None:
        """Everything was added, or removed."""
        full = staged(harness, request([ORDERS], [D1, D2]), [(ORDERS, [order(D1, 1), order(D2, 2)])])["orders"]
        part = staged(harness, request([ORDERS], [D1, D2], build="b"), [(ORDERS, [order(D2, 2)])])["orders"]
        first, second = harness.open().compare(ORDERS, full, part).partitions
        assert (first.rows_old, first.rows_new, first.keys_removed, second.same) == (1, 0, 1, True)
        assert [p.keys_added for p in harness.open().compare(ORDERS, (), full).partitions] == [1, 1]
        unkeyed = harness.open().compare(replace(ORDERS, key=()), full, part).partitions[0]
        assert set(unkeyed.distances.values()) == {1.0}

    def test_a_check_names_what_is_wrong(self, harness: Harness) -> None:
        """Up to five keys; NULLs pass all but ``not_null``, and the values are taken in the column's type."""
        rows = [order(D1, n, None if n == 9 else f"{n}.00") for n in range(1, 10)]
        slices = staged(harness, request([ORDERS], [D1]), [(ORDERS, rows)])["orders"]
        checks = (
            Check("v", "accepted_values", {"column": "amount", "values": ["1", "2.00", 3, None]}),
            Check("w", "range", {"column": "day", "min": "2024-01-02"}),
            Check("s", "sql", {"query": "select sum(id) from {table} t where _lanewise_partition = '2024-01-01'"}),
            Check("d", "unique", {"columns": ["day"]}),
        )
        found = {r.check: r for r in harness.open().evaluate(ORDERS, checks, slices)}
        assert {name: r.bad for name, r in found.items()} == {"v": 5, "w": 9, "s": 45, "d": 8}
        assert found["v"].facts["examples"] == [["4"], ["5"], ["6"], ["7"], ["8"]]
        assert len(found["d"].facts["examples"]) == 5

    def test_a_query_that_does_not_count_is_an_error(self, harness: Harness) -> None:
        """As is one that can't be read."""
        slices = staged(harness, request([ORDERS], [D1]), [(ORDERS, [order(D1, 1)])])["orders"]
        for query in ("select 'many'", "select null", "select id from {table} where false", "selekt 1"):
            with pytest.raises(LaneError, match="the check s of orders"):
                harness.open().evaluate(ORDERS, [Check("s", "sql", {"query": query})], slices)

    def test_without_a_key_distances_stand_in(self, harness: Harness) -> None:
        """Zero where nothing differs, and never more than the whole for a category."""
        table = replace(ORDERS, key=(), columns=(*ORDERS.columns, Column("city", "VARCHAR")))
        old_rows = [{**order(D1, n, str(n)), "city": "Bonn"} for n in range(10)]
        new_rows = [{**order(D1, n, str(n + 5)), "city": "Bonn" if n else "Köln"} for n in range(10)]
        old = staged(harness, request([table], [D1]), [(table, old_rows)])["orders"]
        new = staged(harness, request([table], [D1], build="b"), [(table, new_rows)])["orders"]
        found = harness.open().compare(table, old, new).partitions[0]
        assert not found.keyed
        assert found.distances["id"] == 0
        assert 1 < found.distances["amount"] < 3
        assert 0 < found.distances["city"] < 0.5
