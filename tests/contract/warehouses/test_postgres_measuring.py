from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from psycopg import sql
from tests.contract.warehouses.embedded_harness import NoSecrets

from lanewise.adapters.warehouses.measuring.engine import Cell
from lanewise.adapters.warehouses.postgres.locations import location
from lanewise.adapters.warehouses.postgres.measuring import Measuring
from lanewise.adapters.warehouses.postgres.place import Place
from lanewise.adapters.warehouses.postgres.server import Server as Login
from lanewise.adapters.warehouses.postgres.store import ensure, version_table
from lanewise.domain.comparison import PartitionComparison
from lanewise.domain.project import Check, Column, Table
from lanewise.domain.publication import Slice
from lanewise.errors import LaneError, WarehouseUnavailable, WrongInput
from lanewise.publication.mapped_views import SLICE
from lanewise.publication.postgres_types import postgres_type
from lanewise.testing.postgres import Server

PLACE = Place("prod", "shop", "analytics", "", "lanewise_prod", "lanewise_prod_runs")
TABLE = Table("things", key=("id",))


@dataclass
class Shelf:
    """A store whose versions the test fills by itself, in SQL."""

    connection: psycopg.Connection[Any]
    measuring: Measuring
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def version(self, *columns: tuple[str, str]) -> Callable[[str, str], Slice]:
        """A new version with these columns (name, the contract's type); gives back what stages a partition of it from
        the rows after VALUES."""
        made = version_table(self.connection, PLACE, TABLE, [Column(*c) for c in columns], f"f{next(self._numbers)}")
        relation, names = made[1], ", ".join(f'"{name}"' for name, _ in columns)

        def stage(partition: str, values: str = "") -> Slice:
            number, rows = next(self._numbers), 0
            if values:
                casts = ", ".join(f"cast(column{i} as {postgres_type(t)})" for i, (_, t) in enumerate(columns, 1))
                into = f"{PLACE.store}.{relation} ({names}, {SLICE})"
                query = f"insert into {into} select {casts}, {number} from (values {values}) as v"
                rows = self.connection.execute(query).rowcount
            self.connection.execute(
                f"insert into {PLACE.store}.slices (id, version, part, row_count, byte_count, run) "
                "values (%s, %s, %s, %s, 1, 'r')", [number, made[0], partition, rows],
            )  # fmt: skip
            return Slice("things", partition, "sha256:1", location(relation, number), rows, rows * 50, "r", "sha256:b")

        return stage

    def pair(self, type_: str, old: Sequence[str], new: Sequence[str], new_type: str = "") -> PartitionComparison:
        """Two versions with one column beside the key, compared."""
        sides = []
        for values, held in ((old, type_), (new, new_type or type_)):
            stage = self.version(("id", "BIGINT"), ("x", held))
            sides.append([stage("all", ", ".join(f"({n}, {v})" for n, v in enumerate(values)))])
        return self.measuring.compare(TABLE, *sides).partitions[0]

    def check(self, query: str, *slices: Slice, table: Table = TABLE) -> int:
        """The count of one ``sql`` check."""
        return self.measuring.evaluate(table, [Check("c", "sql", {"query": query})], slices, None)[0].bad


@pytest.fixture
def shelf(server: Server) -> Iterator[Shelf]:
    yield from shelves(server)


def shelves(server: Server) -> Iterator[Shelf]:
    login = Login(server.connection(server.database()), NoSecrets())
    with login.session() as connection:
        ensure(connection, PLACE)
    with login.session(autocommit=True) as connection:
        yield Shelf(connection, Measuring(login, PLACE))


ALIKE = [
    ("VARCHAR", ["''", "null", "'ä'", "'İ'"]),
    ("BLOB", [r"'\x00ff'", r"'\x'", "null"]),
    ("BOOLEAN", ["true", "null"]),
    ("DECIMAL(38,10)", ["'1234567890123456789012345678.0123456789'", "'NaN'", "null"]),
    ("UNBOUNDED DECIMAL", ["1.50", "'Infinity'", "'-Infinity'", "'NaN'"]),
    ("HUGEINT", ["'170141183460469231731687303715884105727'"]),
    ("FLOAT", ["'NaN'", "'Infinity'", "3.4e38", "-3.4e38", "1e-45", "'-0'"]),
    ("DOUBLE", ["'NaN'", "'Infinity'", "'-Infinity'", "1.7e308", "5e-324", "'-0'"]),
    ("TIMESTAMP WITH TIME ZONE", ["'2024-03-31 01:30+00'", "'infinity'", "'-infinity'"]),
    ("TIMESTAMP", ["'2024-02-29 12:00:00.000001'", "'0044-03-15 BC'"]),
    ("TIME WITH TIME ZONE", ["'12:00+02'"]),
    ("INTERVAL", ["'1 month 2 days'"]),
    ("DATE", ["'infinity'", "'-infinity'", "'2024-01-01'", "'300000-01-01'", "'4713-01-01 BC'"]),
    ("UUID", ["'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'"]),
    ("JSON", ["""'{"a": 1, "b": null}'""", "'null'", "null"]),
    ("INTEGER[]", ["'{1,null}'", "'{}'", "null"]),
    ("VARCHAR[]", ["""'{"",NULL}'"""]),
    ("BIT", ["b'101'"]),
    ("point", ["'(1,2)'", "null"]),
    ("point[]", ["""'{"(1,2)"}'"""]),
    ("box", ["'(1,2),(3,4)'"]),
    ("inet", ["'10.0.0.1'"]),
]  # fmt: skip


@pytest.mark.parametrize(("type_", "values"), ALIKE, ids=[type_ for type_, _ in ALIKE])
def test_every_type_is_the_same_as_itself_and_another_value_is_seen(
    shelf: Shelf, type_: str, values: list[str]
) -> None:
    assert shelf.pair(type_, values, values).same
    other = ["null" if value != "null" else values[0] for value in values]
    found = shelf.pair(type_, values, other)
    assert (found.same, found.keys_changed) == (False, len(values))
    assert shelf.measuring.compare(replace(TABLE, key=()), (), ()).partitions == ()


def test_xml_is_compared_as_text(postgres15: Server) -> None:
    """The other server is built without it."""
    for shelf in shelves(postgres15):
        assert shelf.pair("xml", ["'<a/>'", "null"], ["'<a/>'", "null"]).same
        assert shelf.pair("xml", ["'<a/>'", "null"], ["'<b/>'", "null"]).keys_changed == 1


def test_an_unkeyed_table_of_odd_types_has_distances(shelf: Shelf) -> None:
    """Values that no standard deviation can be taken of count as absent."""
    columns = (("a", "DOUBLE"), ("b", "point"), ("c", "TIMESTAMP"), ("d", "JSON"), ("e", "BIGINT"))
    old = shelf.version(*columns)("all", "(1, '(1,2)', '2024-01-01', '{}', 1), (1e300, null, 'infinity', '{}', 2)")
    new = shelf.version(*columns)("all", "(1, '(1,2)', '2024-01-01', '{}', 1), (1, null, '2024-01-01', '[]', 2)")
    found = shelf.measuring.compare(replace(TABLE, key=()), [old], [new]).partitions[0].distances
    assert set(found) == {"a", "b", "c", "d", "e"}
    assert (found["a"], found["b"], found["c"], found["e"]) == (0.5, 0, 0.5, 0)
    assert 0 < found["d"] < 1


def test_values_that_change_rows_are_seen(shelf: Shelf) -> None:
    """A record's hash is linear in its fields' hashes: a bare sum of them overlooked about every third swap."""
    pairs = itertools.pairwise(str(n) for n in range(40))
    assert [pair for pair in pairs if shelf.pair("INTEGER", pair, pair[::-1]).same] == []


def test_both_halves_of_a_whole_number_count(shelf: Shelf) -> None:
    """As when a signed number is read as an unsigned one."""
    for old, new in (("-1", "4294967295"), ("1", "4294967296"), ("-9223372036854775808", "2147483647")):
        assert shelf.pair("BIGINT", [old], [new]).keys_changed == 1


@pytest.mark.parametrize(("old", "new"), [
    ("''", "null"), ("'a'", "'a '"), ("'ä'", "U&'a\\0308'"),
])  # fmt: skip
def test_texts_that_look_alike_differ(shelf: Shelf, old: str, new: str) -> None:
    assert shelf.pair("VARCHAR", [old], [new]).keys_changed == 1


def test_an_instant_is_the_same_in_any_zone(shelf: Shelf) -> None:
    assert shelf.pair("TIMESTAMP WITH TIME ZONE", ["'2024-01-01 12:00+00'"], ["'2024-01-01 14:00+02'"]).same


@pytest.mark.parametrize(("old", "new", "values", "others", "changed"), [
    ("INTEGER", "BIGINT", ["1", "null"], ["1", "null"], 0),
    ("INTEGER", "VARCHAR", ["1", "2"], ["'1'", "'02'"], 1),
    ("DECIMAL(18,2)", "DECIMAL(18,4)", ["1.5", "2"], ["1.5", "2.0001"], 1),
    ("BIGINT", "DECIMAL(18,2)", ["1", "2"], ["1", "2.5"], 1),
    ("DATE", "TIMESTAMP", ["'2024-01-01'"], ["'2024-01-01 00:00:01'"], 1),
    ("TIMESTAMP", "TIMESTAMP WITH TIME ZONE", ["'2024-01-01'"], ["'2024-01-01 00:00+00'"], 1),
    ("JSON", "VARCHAR", ["'{\"a\":1}'"], ["'{\"a\": 1}'"], 0),
    ("BLOB", "VARCHAR", [r"'\x61'"], ["'a'"], 1),
    ("point", "VARCHAR", ["'(1,2)'"], ["'(1,2)'"], 0),
])  # fmt: skip
def test_another_type_is_compared_after_a_cast(
    shelf: Shelf, old: str, new: str, values: list[str], others: list[str], changed: int
) -> None:
    found = shelf.pair(old, values, others, new)
    assert (found.same, found.keys_changed) == (changed == 0, changed)


def test_keys_of_any_type_are_joined(shelf: Shelf) -> None:
    """Text stands in for a type without equality."""
    for type_, key in (("DOUBLE", "'NaN'"), ("point", "'(1,2)'"), ("JSON", "'{}'"), ("VARCHAR", "''")):
        columns = (("id", type_), ("x", "BIGINT"))
        old, new = (shelf.version(*columns)("all", f"({key}, {number})") for number in (1, 2))
        found = shelf.measuring.compare(TABLE, [old], [new]).partitions[0]
        assert (found.keys_changed, found.keys_added, found.keys_removed) == (1, 0, 0), type_


def test_sums_are_exact_and_in_decimals(shelf: Shelf) -> None:
    floats = shelf.pair("DOUBLE", ["1e300", "0.1", "-1e300"], ["1e300", "0.2", "-1e300"]).columns[0]
    assert (floats.sum_old, floats.sum_new) == ("0.1", "0.2")
    decimals = shelf.pair("DECIMAL(18,2)", ["1.10", "2"], ["1.10", "3"]).columns[0]
    assert (decimals.sum_old, decimals.sum_new) == ("3.10", "4.10")
    whole = shelf.pair("BIGINT", ["9223372036854775807", "1"], ["9223372036854775807", "2"]).columns[0]
    assert (whole.sum_old, whole.sum_new) == ("9223372036854775808", "9223372036854775809")
    assert shelf.pair("VARCHAR", ["'1'"], ["'2'"]).columns[0].sum_old is None


def test_a_tolerance_of_whole_numbers_overflows_nowhere(shelf: Shelf) -> None:
    low, high = shelf.version(("id", "BIGINT"), ("x", "BIGINT")), shelf.version(("id", "BIGINT"), ("x", "BIGINT"))
    old = low("all", "(1, -9223372036854775808), (2, 10), (3, null)")
    new = high("all", "(1, 9223372036854775807), (2, 12), (3, 0)")
    table = replace(TABLE, tolerance={"X": "2"})
    assert shelf.measuring.compare(table, [old], [new]).partitions[0].keys_changed == 2
    assert shelf.measuring.compare(table, [old], [old]).partitions[0].same


def test_slices_of_several_versions_make_one_side(shelf: Shelf) -> None:
    """Each in a type that holds them all; a column that one lacks reads as NULL."""
    narrow = shelf.version(("id", "INTEGER"), ("x", "DECIMAL(10,1)"))
    wide = shelf.version(("ID", "BIGINT"), ("note", "VARCHAR"), ("x", "DECIMAL(18,2)"))
    sides = [narrow("d1", "(1, 1.5)"), narrow("d2", "(1, 1.5), (2, null)"), wide("d2", "(3, 'n', 7.25)")]
    again = wide("d1", "(1, null, 1.50)"), wide("d2", "(1, null, 1.5), (2, null, null), (3, 'n', 7.25)")
    assert shelf.measuring.columns(sides[:2]) == (Column("id", "INTEGER"), Column("x", "DECIMAL(10,1)"))
    found = shelf.measuring.compare(TABLE, sides, again)
    assert [(p.partition, p.same, p.rows_old) for p in found.partitions] == [("d1", True, 1), ("d2", True, 3)]


def test_only_the_given_slices_of_a_version_are_looked_at(shelf: Shelf) -> None:
    stage = shelf.version(("id", "BIGINT"), ("x", "BIGINT"))
    stage("d1", "(9, 9)")
    one, other, empty = stage("d1", "(1, 1), (2, null)"), stage("d2", "(5, 5)"), stage("d3")
    found = shelf.measuring.evaluate(TABLE, [Check("n", "not_null", {"columns": ["x"]})], [one, other, empty], None)
    assert (found[0].rows, found[0].bad, found[0].facts) == (3, 1, {"examples": [["2"]]})
    assert shelf.check("select count(distinct _lanewise_partition) from {table}", one, other, empty) == 2
    assert shelf.measuring.columns([empty]) == (Column("id", "BIGINT"), Column("x", "BIGINT"))
    for some in ([one], [one, other], [one, other, empty]):  # few of the version's four slices, and most of them
        compared = shelf.measuring.compare(TABLE, some, some).partitions
        assert [(p.partition, p.rows_old) for p in compared] == [("d1", 2), ("d2", 1), ("d3", 0)][: len(some)]
    table = replace(TABLE, offset="X")
    assert shelf.measuring.offset(table, [one, other]) == "5"
    assert shelf.measuring.offset(table, [empty]) is None


@pytest.mark.parametrize("query", [
    "delete from {table}",
    "with gone as (delete from lanewise_prod.slices returning 1) select count(*) from gone",
    "select 0; delete from lanewise_prod.slices",
    "select 0; rollback; begin read write; delete from lanewise_prod.slices; commit",
    "commit",
    "rollback; begin read write; delete from lanewise_prod.slices",
    "select 0 from set_config('transaction_read_only', 'off', true)",
    "set transaction read write",
    "select nextval('lanewise_prod.slice_numbers')",
    "create table lanewise_prod.mine (a int)",
    "do $$ begin delete from lanewise_prod.slices; end $$",
    "select count(*) into lanewise_prod.mine from {table}",
    "copy (select 1) to stdout",
    "select id from {table} for update",
])  # fmt: skip
def test_a_query_that_would_write_is_refused(shelf: Shelf, query: str) -> None:
    one = shelf.version(("id", "BIGINT"))("all", "(1), (2)")
    with pytest.raises(LaneError, match="check c of things"):
        shelf.check(query, one)
    assert shelf.connection.execute("select count(*) from lanewise_prod.slices").fetchone() == (1,)


def test_what_a_read_only_query_may_do_all_the_same_is_rolled_back(shelf: Shelf) -> None:
    """PostgreSQL 15 makes large objects in read-only transactions."""
    one = shelf.version(("id", "BIGINT"))("all", "(1), (2)")
    with suppress(WrongInput):
        shelf.check("select count(lo_create(0)) from {table}", one)
    assert shelf.connection.execute("select count(*) from pg_largeobject_metadata").fetchone() == (0,)


def test_a_check_may_not_loosen_what_comes_after_it(shelf: Shelf) -> None:
    one = shelf.version(("id", "BIGINT"))("all", "(1), (2)")
    checks = [
        Check("a", "sql", {"query": "select 0 from set_config('default_transaction_read_only', 'off', false)"}),
        Check("b", "sql", {"query": "delete from lanewise_prod.slices"}),
    ]
    with pytest.raises(WrongInput, match="the check b"):
        shelf.measuring.evaluate(TABLE, checks, [one], None)


def test_a_check_that_takes_too_long_ends(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lanewise.adapters.warehouses.postgres.measuring._PATIENCE", "50ms")
    one = shelf.version(("id", "BIGINT"))("all", "(1)")
    with pytest.raises(WrongInput, match="longer than 50ms"):
        shelf.check("select count(pg_sleep(9)) from {table}", one)


def test_a_version_that_is_gone_is_told(shelf: Shelf) -> None:
    one = shelf.version(("id", "BIGINT"))("all", "(1)")
    relation = one.location.partition("#")[0]
    shelf.connection.execute(sql.SQL("drop table lanewise_prod.{}").format(sql.Identifier(relation)))
    with pytest.raises(WarehouseUnavailable, match=relation):
        shelf.measuring.compare(TABLE, [one], [one])
    shelf.connection.execute("delete from lanewise_prod.slices")
    shelf.connection.execute("delete from lanewise_prod.versions")
    with pytest.raises(WarehouseUnavailable, match=relation):
        shelf.measuring.columns([one])


def test_accepted_values_are_taken_in_the_columns_type(shelf: Shelf) -> None:
    columns = (("id", "BIGINT"), ("t", "VARCHAR"), ("b", "BOOLEAN"), ("d", "DATE"), ("x", "DOUBLE"))
    one = shelf.version(*columns)("all", "(1, '1', true, '2024-01-01', 0.1), (2, '%', false, '2024-01-02', 'NaN')")
    asked = {"id": ["1", 3], "t": [1], "b": [True], "d": ["2024-01-01"], "x": ["0.1", 7]}
    checks = [Check(name, "accepted_values", {"column": name, "values": values}) for name, values in asked.items()]
    found = shelf.measuring.evaluate(TABLE, checks, [one], None)
    assert {r.check: r.bad for r in found} == dict.fromkeys(asked, 1)
    with pytest.raises(WrongInput, match="the check d of things can't be evaluated"):
        shelf.measuring.evaluate(
            TABLE, [Check("d", "accepted_values", {"column": "d", "values": ["soon"]})], [one], None
        )


def test_wide_tables_are_compared_in_pieces(shelf: Shelf) -> None:
    """Five figures a column are more than a statement answers."""
    names = [f"c{n}" for n in range(400)]
    columns = (("id", "BIGINT"), *((name, "BIGINT") for name in names))
    old, new = (
        shelf.version(*columns)("all", f"(1, {', '.join(str(n + (n in {3, 399}) * side) for n in range(400))})")
        for side in (0, 1)
    )
    found = shelf.measuring.compare(TABLE, [old], [new]).partitions[0]
    assert (found.keys_changed, [c.column for c in found.columns if c.changed]) == (1, ["c3", "c399"])
    assert (found.columns[399].sum_old, found.columns[399].sum_new) == ("399", "400")
    distances = shelf.measuring.compare(replace(TABLE, key=()), [old], [new]).partitions[0].distances
    assert [name for name, distance in distances.items() if distance] == ["c3", "c399"]


def test_checksums_may_be_taken_in_parallel(shelf: Shelf) -> None:
    """No volatile function, no temporary table: the plan gathers partial sums from workers."""
    stage = shelf.version(("id", "BIGINT"), ("x", "DOUBLE"))
    one = stage("all", ", ".join(f"({n}, {n})" for n in range(5_000)))
    shelf.connection.execute("analyze")
    with shelf.measuring._engine() as engine:
        statements: list[str] = []
        plain = engine.rows
        object.__setattr__(engine, "rows", lambda query: statements.append(query) or plain(query))
        columns = engine.columns([one])
        cells = [Cell(f'"{c.name}"', c.type) for c in columns]
        engine.checksums(columns, cells, [one])
        for name in ("parallel_setup_cost", "parallel_tuple_cost", "min_parallel_table_scan_size"):
            engine.connection.execute(f"set {name} = 0")
        plan = "\n".join(row[0] for row in engine.rows("explain " + statements[0]))
    assert "Gather" in plan
    assert "Partial" in plan


def test_decimals_in_answers_count(shelf: Shelf) -> None:
    one = shelf.version(("id", "BIGINT"))("all", "(1), (2)")
    assert shelf.check("select sum(id) from {table}", one) == int(Decimal(3))
    assert shelf.check("select count(*) from {table} where id % 2 = 0", one) == 1
