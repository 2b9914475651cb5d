"""Runs on PostgreSQL: from pipeline code, or files of a command that knows nothing of Lanewise, to slices."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from lanewise.adapters.warehouses.postgres.staging import Stager
from lanewise.domain.project import Column, Grain, PartitionSpec, Table, TableKind
from lanewise.errors import NotFound, RunFailed, WrongInput
from lanewise.testing.postgres import Server
from lanewise.testing.warehouse import D1, D2, DAYS, ORDERS, TOTALS, request

from .postgres_runs import Bench, run_of

FREE = replace(ORDERS, columns=())
"""Orders whose columns are whatever the run writes."""


@pytest.fixture
def bench(server: Server, tmp_path: Path) -> Bench:
    return Bench(server, tmp_path, server.database())


@pytest.fixture
def bench15(postgres15: Server, tmp_path: Path) -> Bench:
    """Where the generation can't matter."""
    return Bench(postgres15, tmp_path, postgres15.database())


def test_what_a_block_wrote_becomes_slices(bench: Bench) -> None:
    wanted = request([ORDERS, TOTALS], [D1, D2])
    space = bench.open(wanted, ORDERS, TOTALS)
    with run_of(wanted, space, ORDERS, TOTALS) as run:
        run.sql(f"insert into {run.output('orders')} values ('{D1}', 1, 1.5), ('{D1}', 2, null)")
        run.output("totals")
    first, second = bench.running.written(wanted.id, [ORDERS, TOTALS], {})
    assert (first.columns, dict(first.partitions), first.null_partitions) == (ORDERS.columns, {D1: 2}, 0)
    assert (second.table, dict(second.partitions)) == ("totals", {})
    slices = bench.stage(wanted, ORDERS, TOTALS)
    assert [(s.partition, s.rows, s.run) for s in slices["orders"]] == [(D1, 2, wanted.id), (D2, 0, wanted.id)]
    assert slices["orders"][0].bytes > 0
    assert bench.rows(slices["orders"]) == [(date(2024, 1, 1), 1, Decimal("1.50")), (date(2024, 1, 1), 2, None)]
    with bench.connect() as connection:
        query = "select part, row_count, byte_count, run from lanewise_prod.slices order by id"
        registered = connection.execute(query).fetchall()
    assert registered == [(s.partition, s.rows, s.bytes, s.run) for s in (*slices["orders"], *slices["totals"])]


def test_a_block_that_was_left_by_an_error_hands_over_nothing(bench: Bench) -> None:
    wanted = request([ORDERS], [D1])
    space = bench.open(wanted, ORDERS)
    with pytest.raises(ZeroDivisionError), run_of(wanted, space, ORDERS) as run:  # noqa: PT012 - a block that fails late
        run.sql(f"insert into {run.output('orders')} values ('{D1}', 1, 1)")
        raise ZeroDivisionError
    with pytest.raises(RunFailed, match="broken off"):
        bench.running.written(wanted.id, [ORDERS], {})
    with pytest.raises(RunFailed, match="broken off"):
        bench.stage(wanted, ORDERS)


def test_a_swallowed_error_is_told_at_the_end_of_the_block(bench: Bench) -> None:
    """The server has undone everything by then: to commit it would pass silently."""
    wanted = request([ORDERS], [D1])
    space = bench.open(wanted, ORDERS)
    with pytest.raises(RunFailed, match="undone") as caught, run_of(wanted, space, ORDERS) as run:  # noqa: PT012 - as above
        run.sql(f"insert into {run.output('orders')} values ('{D1}', 1, 1)")
        with pytest.raises(Exception, match="division"):
            run.sql("select 1 / 0")
    assert "transaction()" in caught.value.hint
    with pytest.raises(RunFailed, match="broken off"):
        bench.stage(wanted, ORDERS)


def test_an_error_inside_of_a_savepoint_undoes_that_statement_alone(bench15: Bench) -> None:
    wanted = request([ORDERS], [D1])
    space = bench15.open(wanted, ORDERS)
    with run_of(wanted, space, ORDERS) as run:
        run.sql(f"insert into {run.output('orders')} values ('{D1}', 1, 1)")
        with pytest.raises(Exception, match="division"), run.connection.transaction():
            run.sql("select 1 / 0")
    assert [s.rows for s in bench15.stage(wanted, ORDERS)["orders"]] == [1]


def test_the_first_insert_of_an_undeclared_table_makes_it_and_a_later_block_adds_to_it(bench: Bench) -> None:
    wanted = request([FREE], [D1])
    space = bench.open(wanted, FREE)
    with run_of(wanted, space, FREE) as run:
        run.sql(f"\n  Insert  INTO {run.output('orders')}\nselect date '{D1}' as day, 1 as id, 2.5 as amount")
        run.sql(f"insert into {run.output('orders')} values ('{D1}', 2, 3)")
    with run_of(wanted, space, FREE) as run:
        run.sql(f"insert into {run.output('orders')} select date '{D1}', 3, 4")
    [written] = bench.running.written(wanted.id, [FREE], {})
    assert [c.type for c in written.columns] == ["DATE", "INTEGER", "UNBOUNDED DECIMAL"]
    assert len(bench.rows(bench.stage(wanted, FREE)["orders"])) == 3


@pytest.mark.parametrize(
    "text", ["insert into {0} values (1)", "select * from {0}", "-- why\ninsert into {0} select 1"]
)
def test_another_first_statement_of_an_undeclared_table_says_what_to_do(bench15: Bench, text: str) -> None:
    wanted = request([FREE], [D1])
    space = bench15.open(wanted, FREE)
    with pytest.raises(WrongInput, match="orders has no columns yet"), run_of(wanted, space, FREE) as run:
        run.sql(text.format(run.output("orders")))


def test_blocks_beside_each_other_all_write_to_a_declared_table(bench: Bench) -> None:
    wanted = request([ORDERS], [D1])
    space = bench.open(wanted, ORDERS)
    together, errors = threading.Barrier(4), []

    def block(number: int) -> None:
        try:
            with run_of(wanted, space, ORDERS) as run:
                together.wait(20)
                output = run.output("orders")
                run.sql(f"insert into {output} values ('{D1}', %s, 1)", [number])
                together.wait(20)
        except BaseException as error:  # noqa: BLE001 - told to the test
            errors.append(error)

    threads = [threading.Thread(target=block, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert [row[1] for row in bench.rows(bench.stage(wanted, ORDERS)["orders"])] == [0, 1, 2, 3]


def test_parameters_are_the_drivers_and_a_percent_sign_stands_for_itself_without_them(bench15: Bench) -> None:
    wanted = request([ORDERS], [D1, D2])
    space = bench15.open(wanted, ORDERS)
    with run_of(wanted, space, ORDERS) as run:
        assert run.sql("select '100%', 'x' like '%s'").fetchone() == ("100%", False)
        assert run.sql("select %s::int, '5%%'", [7]).fetchall() == [(7, "5%")]
        assert run.sql("select %(n)s::int", {"n": 7}).fetchone() == (7,)
        assert run.sql(f"select date '{D2}' in {run.partitions}").fetchone() == (True,)
        assert run.sql("create temp table aside (a int)").fetchall() == []
        with pytest.raises(NotFound, match="ordres"):
            run.output("ordres")
        with pytest.raises(NotFound, match=r"raw\.x"):
            run.input("raw.x")


def test_rows_come_as_arrow_with_their_types_even_when_there_are_none(bench15: Bench) -> None:
    wanted = request([ORDERS], [D1])
    space = bench15.open(wanted, ORDERS)
    items = (
        "1::smallint a, 2.50::numeric(9,2) b, date '2024-01-02' c, timestamptz '2024-01-01 00:00+01' d, "
        "'x' e, true f, null::float8 g, '{\"k\": 1}'::jsonb h, array[1,2] i, 3::numeric j, interval '1 day' k"
    )
    with run_of(wanted, space, ORDERS) as run:
        full = run.sql(f"select {items}").arrow()
        empty = run.sql(f"select {items} where false").arrow()
    known = ["int16", "decimal128(9, 2)", "date32[day]", "timestamp[us, tz=UTC]", "string", "bool", "double"]
    assert [str(t) for t in full.schema.types][:7] == [str(t) for t in empty.schema.types][:7] == known
    assert full.to_pylist()[0]["b"] == Decimal("2.50")
    assert full.column("i").to_pylist() == [[1, 2]]
    assert empty.num_rows == 0


def test_a_table_that_is_not_wanted_may_be_written_and_is_left_behind(bench15: Bench) -> None:
    wanted, aside = request([ORDERS], [D1]), Table("aside", columns=(Column("x", "DOUBLE"), Column("y", "HUGEINT")))
    space = bench15.open(wanted, ORDERS)
    with run_of(wanted, space, ORDERS, aside=[aside, Table("free")]) as run:
        run.sql(f"insert into {run.output('aside')} values (1.5, 2)")
        run.sql(f"insert into {run.output('free')} select 1 as n")
        run.sql(f"insert into {run.output('orders')} select '{D1}', n, 1 from {run.output('free')}")
    assert len(bench15.rooms()) == 1
    assert [s.rows for s in bench15.stage(wanted, ORDERS)["orders"]] == [1]


def test_state_is_what_is_published_or_an_empty_relation(bench15: Bench) -> None:
    wanted = request([ORDERS], [D1])
    space = bench15.open(wanted, ORDERS)
    with run_of(wanted, space, ORDERS, aside=[Table("free")]) as run:
        assert run.sql(f"select count(*), max(amount) from {run.state('orders')}").fetchone() == (0, None)
        with pytest.raises(NotFound, match="free"):
            run.state("free")
        run.output("orders")
    bench15.serve(ORDERS, bench15.stage(wanted, ORDERS)["orders"])
    with bench15.connect() as connection:
        connection.execute("create view orders as select 1 as one")
    again = request([ORDERS], [D1])
    with run_of(again, bench15.open(again, ORDERS), ORDERS) as run:
        assert run.sql(f"select * from {run.state('orders')}").fetchall() == [(1,)]


def test_staging_that_fails_half_way_leaves_nothing_and_a_second_attempt_disturbs_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = request([ORDERS, TOTALS], [D1])
    space = bench.open(wanted, ORDERS, TOTALS)
    with run_of(wanted, space, ORDERS, TOTALS) as run:
        run.sql(f"insert into {run.output('orders')} values ('{D1}', 1, 1)")
        run.output("totals")
    with monkeypatch.context() as patch:
        calls: list[object] = []

        def broken(self: Stager, *_: object) -> None:
            calls.append(self)
            if len(calls) == 2:
                raise KeyboardInterrupt

        patch.setattr(Stager, "_register", broken)
        with pytest.raises(KeyboardInterrupt):
            bench.stage(wanted, ORDERS, TOTALS)
    with bench.connect() as connection:
        assert connection.execute("select count(*) from lanewise_prod.versions").fetchone() == (0,)
    first, second = bench.stage(wanted, ORDERS, TOTALS), bench.stage(wanted, ORDERS, TOTALS)
    assert bench.rows(first["orders"]) == bench.rows(second["orders"])
    assert first["orders"][0].location != second["orders"][0].location


def test_a_run_that_starts_again_finds_its_room_empty_and_a_discarded_one_is_gone(bench: Bench) -> None:
    wanted, other = request([ORDERS], [D1]), request([ORDERS], [D1])
    bench.running.discard(wanted.id)
    for each in (wanted, other):
        with run_of(each, bench.open(each, ORDERS), ORDERS) as run:
            run.sql(f"insert into {run.output('orders')} values ('{D1}', 1, 1)")
    bench.open(wanted, ORDERS)
    with pytest.raises(RunFailed, match="wrote nothing for orders"):
        bench.stage(wanted, ORDERS)
    assert len(bench.rooms()) == 1
    bench.running.discard(other.id)
    bench.running.discard(other.id)
    assert bench.rooms() == []
    assert not bench.outputs(other).exists()
    with pytest.raises(RunFailed, match="no room"):
        bench.stage(other, ORDERS)


@pytest.mark.parametrize(
    ("column", "type_", "zone", "grain", "values", "names"),
    [("at", "TIMESTAMP WITH TIME ZONE", "America/New_York", Grain.DAY,
      ["2024-01-01 03:00+00", "2024-01-01 05:00+00"], ["2023-12-31", "2024-01-01"]),
     ("at", "TIMESTAMP", "America/New_York", Grain.HOUR, ["2024-01-01 03:59:59"], ["2024-01-01T03"]),
     ("at", "DATE", "UTC", Grain.MONTH, ["2024-02-29"], ["2024-02"]),
     ("at", "DATE", "Asia/Tokyo", Grain.DAY, ["2024-02-29"], ["2024-02-29"]),
     ("at", "VARCHAR", "UTC", Grain.DAY, ["2024-02-29 10:00"], ["2024-02-29"]),
     ("at", "TIMESTAMP WITH TIME ZONE", "UTC", Grain.YEAR, ["2024-12-31 23:30-01"], ["2025"]),
     ("re%gi'on", "VARCHAR", "UTC", Grain.VALUE, ["E'U %s", "a\\b\nü"], ["E'U %s", "a\\b\nü"]),
     ("n", "INTEGER", "UTC", Grain.VALUE, ["7", "-3"], ["7", "-3"]),
     ("at", "DATE", "UTC", Grain.VALUE, ["2024-02-29"], ["2024-02-29"]),
     ("b", "BOOLEAN", "UTC", Grain.VALUE, ["yes"], ["true"])],
)  # fmt: skip
def test_rows_lie_in_the_partition_that_their_column_says(
    bench15: Bench, column: str, type_: str, zone: str, grain: Grain, values: list[str], names: list[str]
) -> None:
    cut = PartitionSpec(column, grain, zone)
    table = Table("events", TableKind.PARTITION, cut, columns=(Column(column, type_),))
    wanted = request([table], names)
    with bench15.connect() as connection:
        connection.execute(f"alter database {bench15.database} set datestyle = 'SQL, DMY'")
        connection.execute(f"alter database {bench15.database} set timezone = 'Asia/Kolkata'")
    with run_of(wanted, bench15.open(wanted, table), table) as run:
        for value in values:
            run.sql(f"insert into {run.output('events')} values (%s)", [value])
    [written] = bench15.running.written(wanted.id, [table], {})
    assert dict(written.partitions) == dict.fromkeys(names, 1)
    assert [(s.partition, s.rows) for s in bench15.stage(wanted, table)["events"]] == [(name, 1) for name in names]


def test_what_breaks_the_contract_is_refused_in_the_same_words_as_anywhere(bench: Bench) -> None:
    strict = replace(ORDERS, columns=(*ORDERS.columns[:2], Column("amount", "DECIMAL(18,2)", nullable=False)))
    cases = {
        "date '2024-01-01' as day, 1 as id": "did not write the declared columns amount",
        "date '2024-01-01' as day, 1 as id, 2 as amount, 3 as more": "not declared: more",
        "date '2024-01-01' as day, 1 as id, null as amount": "orders.amount may not be NULL, and 1 rows",
        "date '2024-01-01' as day, 'x' as id, 2 as amount": "orders.id: it has values that are no BIGINT",
        "date '2024-01-01' as day, 1 as id, 1e17 as amount": r"orders.amount: it has values that are no DECIMAL",
        "null::date as day, 1 as id, 2 as amount": "1 rows lie in no partition, because day is NULL",
        "date '2024-01-09' as day, 1 as id, 2 as amount": r"1 rows lie outside .* \(2024-01-09: 1\)",
        "date '2024-01-01' as day, 1 as id, 2 as \"ID\", 2 as amount": "is written twice, in upper and lower case",
        "date '2024-01-01' as day, 1 as _lanewise_partition": "the column name _lanewise_partition is taken",
    }
    for select, refusal in cases.items():
        wanted = request([strict], [D1])
        with run_of(wanted, bench.open(wanted, strict), replace(strict, columns=())) as run:
            run.sql(f"insert into {run.output('orders')} select {select}")
        with pytest.raises(RunFailed, match=refusal):
            bench.stage(wanted, strict)
    with bench.connect() as connection:
        assert connection.execute("select count(*) from lanewise_prod.slices").fetchone() == (0,)


def test_columns_may_be_written_in_another_case_and_order(bench15: Bench) -> None:
    wanted = request([ORDERS], [D1])
    with run_of(wanted, bench15.open(wanted, ORDERS), FREE) as run:
        run.sql(f'insert into {run.output("orders")} select 1.25 as "Amount", 7 as "ID", \'{D1}\' as "Day"')
    slices = bench15.stage(wanted, ORDERS)["orders"]
    assert bench15.rows(slices) == [(date(2024, 1, 1), 7, Decimal("1.25"))]


def test_an_undeclared_column_keeps_its_live_type_where_that_holds_the_values(bench15: Bench) -> None:
    first, second = request([FREE], [D1]), request([FREE], [D2], build="b")
    with run_of(first, bench15.open(first, FREE), FREE) as run:
        run.sql(f"insert into {run.output('orders')} select date '{D1}' as day, 1::bigint as id, "
                "1::numeric(9,2) as amount, 'x' as note")  # fmt: skip
    bench15.serve(FREE, bench15.stage(first, FREE)["orders"])
    with run_of(second, bench15.open(second, FREE), FREE) as run:
        run.sql(f"insert into {run.output('orders')} select null::text as note, 1::int as id, date '{D2}' as day, "
                "1::numeric as amount, 5 as more")  # fmt: skip
    [written] = bench15.running.written(second.id, [FREE], bench15.live)
    assert [(c.name, c.type) for c in written.columns] == [
        ("day", "DATE"), ("id", "BIGINT"), ("amount", "UNBOUNDED DECIMAL"), ("note", "VARCHAR"), ("more", "INTEGER"),
    ]  # fmt: skip


def test_a_merge_goes_on_from_versions_of_other_shapes(bench: Bench) -> None:
    old = replace(ORDERS, kind=TableKind.MERGE)
    new = replace(old, columns=(old.columns[0], Column("id", "INTEGER"), *old.columns[2:], Column("note", "VARCHAR")))
    first, second = request([old], [D1, D2]), request([new], [D1, D2], build="b")
    with run_of(first, bench.open(first, old), old) as run:
        run.sql(f"insert into {run.output('orders')} values ('{D1}', 1, 1), ('{D1}', 2, 1), ('{D2}', 3, 1)")
    held = bench.stage(first, old)["orders"]
    bench.serve(old, held)
    with run_of(second, bench.open(second, new), new) as run:
        run.sql(f"insert into {run.output('orders')} values ('{D1}', 2, 5, 'b'), ('{D1}', 4, 1, 'b')")
    one, two = bench.stage(second, new)["orders"]
    assert [row[1:] for row in bench.rows([one])] == [
        (1, Decimal("1.00"), None), (2, Decimal("5.00"), "b"), (4, Decimal("1.00"), "b"),
    ]  # fmt: skip
    assert one.rows == 3
    assert (two.location, two.rows, two.version) == (held[1].location, 1, second.fingerprints["orders"])


@pytest.mark.parametrize(("values", "refusal"), [("('{0}', null, 1)", "1 rows have a NULL in the key"),
                                                 ("('{0}', 1, 1), ('{0}', 1, 2)", "1 keys came twice")])  # fmt: skip
def test_a_merge_refuses_what_it_can_not_merge(bench15: Bench, values: str, refusal: str) -> None:
    table = replace(ORDERS, kind=TableKind.MERGE)
    wanted = request([table], [D1])
    with run_of(wanted, bench15.open(wanted, table), table) as run:
        run.sql(f"insert into {run.output('orders')} values {values.format(D1)}")
    with pytest.raises(RunFailed, match=refusal):
        bench15.stage(wanted, table)


def test_an_append_begins_where_the_published_rows_end(bench: Bench) -> None:
    table = replace(ORDERS, kind=TableKind.APPEND, partition=None, offset="id")
    assert "orders" not in bench.open(request([table], ["all"]), table).engine["offsets"]
    first = request([table], ["all"])
    with run_of(first, bench.open(first, table), table) as run:
        run.sql(f"insert into {run.output('orders')} values ('{D1}', 10, 1), ('{D1}', 9, 1)")
    bench.serve(table, bench.stage(first, table)["orders"])
    second = request([table], ["all"])
    with run_of(second, bench.open(second, table), table) as run:
        assert run.offset("orders") == "10"
        run.sql(f"insert into {run.output('orders')} values ('{D1}', 11, 1)")
    slices = bench.stage(second, table)["orders"]
    bench.serve(table, slices)
    assert [s.run for s in slices] == [first.id, second.id]
    assert [s.run for s in bench.stage(second, table)["orders"]] == [first.id, second.id]
    assert bench.open(request([table], ["all"], build="b"), table).engine["offsets"] == {}  # it is rebuilt


HOSTILE = "or\"d%ser's %(x)s é{}\n"


def test_names_may_hold_whatever_a_name_can(bench: Bench) -> None:
    columns = (Column('d"a%sy', "DATE"), Column("i'd {0}\n", "BIGINT"), Column("ä%", "VARCHAR"))
    cut = PartitionSpec('d"a%sy', Grain.DAY)
    table = Table(HOSTILE, TableKind.MERGE, cut, key=("i'd {0}\n",), columns=columns)
    bench.place = replace(bench.place, pipeline='sh"op %s', public="pub'lic %", rooms='ro"oms % é')
    for number in (1, 2):
        wanted = request([table], [D1], run=f'r"un%s{number}/..')
        with run_of(wanted, bench.open(wanted, table), table) as run:
            run.sql(f"insert into {run.output(HOSTILE)} values ('{D1}', {number}, '%s')")
        slices = bench.stage(wanted, table)[HOSTILE]
        bench.serve(table, slices)
    assert bench.rows(slices) == [(date(2024, 1, 1), 1, "%s"), (date(2024, 1, 1), 2, "%s")]
    wanted = request([table], [D1])
    bench.open(wanted, table)
    with duckdb.connect() as engine:
        names = ", ".join('"' + c.name.replace('"', '""') + '"' for c in columns)
        engine.execute(f"create table t as select * from (values (date '{D1}', 5, 'x')) as t({names})")
        file = bench.running.open_run(wanted, [table], (), bench.live).engine["outputs"][HOSTILE]["file"]
        engine.execute("copy t to '" + file.replace("'", "''") + "' (format parquet)")
    assert [row[1] for row in bench.rows(bench.stage(wanted, table)[HOSTILE])] == [1, 2, 5]
    for run_id in ('r"un%s1/..', 'r"un%s2/..', wanted.id):
        bench.running.discard(run_id)
    assert bench.rooms() == []


@pytest.mark.parametrize(
    ("column", "said"),
    [(Column("c" * 64, "BIGINT"), "can't name a column"), (Column("ü" * 32, "BIGINT"), "can't name a column"),
     (Column("c", "STRUCT(a INTEGER)"), r"orders.c: PostgreSQL has no column type STRUCT\(a INTEGER\)"),
     (Column("c", "citext"), "orders.c: this server has no type citext")],
)  # fmt: skip
def test_a_column_that_the_server_can_not_hold_is_refused_before_anything_runs(
    bench15: Bench, column: Column, said: str
) -> None:
    table = Table("orders", columns=(column,))
    with pytest.raises(WrongInput, match=said) as caught:
        bench15.open(request([table], ["all"]), table)
    assert caught.value.hint


def test_a_cut_that_the_server_can_not_make_is_told(bench15: Bench) -> None:
    cut = replace(ORDERS, partition=replace(DAYS, timezone="Mars/Base"), columns=(Column("day", "TIMESTAMPTZ"),))
    wanted = request([cut], [D1])
    with run_of(wanted, bench15.open(wanted, cut), cut) as run:
        run.sql(f"insert into {run.output('orders')} values ('{D1}')")
    with pytest.raises(RunFailed, match="time zone"):
        bench15.stage(wanted, cut)
