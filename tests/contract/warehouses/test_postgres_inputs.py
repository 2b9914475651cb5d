"""What runs on PostgreSQL read: relations of the database and files; and what a command leaves as files."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import duckdb
import pytest

from lanewise.domain.environment import Connection
from lanewise.domain.project import Column, Table
from lanewise.errors import GroundMoved, NotFound, Refused, RunFailed, WrongInput
from lanewise.testing.postgres import Server
from lanewise.testing.warehouse import D1, D2, ORDERS, TOTALS, request

from .postgres_runs import Bench, run_of

FREE = replace(ORDERS, columns=())


@pytest.fixture
def bench(server: Server, tmp_path: Path) -> Bench:
    database = server.database()
    return Bench(server, tmp_path, database, source=server.connection(database))


@pytest.fixture
def bench15(postgres15: Server, tmp_path: Path) -> Bench:
    """Where the generation can't matter."""
    database = postgres15.database()
    return Bench(postgres15, tmp_path, database, source=postgres15.connection(database))


def leave(bench: Bench, wanted, table: Table, query: str, *, name: str = "") -> Path:
    """A Parquet file of this DuckDB query."""
    file = bench.outputs(wanted) / (name or f"{table.name}.parquet")
    file.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as engine:
        engine.execute("set timezone = 'UTC'")
        engine.execute(f"copy ({query}) to '{file}' (format parquet)")
    return file


def test_a_csv_file_is_loaded_in_the_declared_types(bench: Bench) -> None:
    wanted = request([ORDERS, TOTALS], [D1, D2])
    bench.open(wanted, ORDERS, TOTALS)
    (bench.outputs(wanted) / "orders.csv").write_text(f"id,day,amount\n1,{D1},2.5\n2,{D2},\n")
    (bench.outputs(wanted) / "totals.csv").write_text("name,n\n")
    written = bench.running.written(wanted.id, [ORDERS, TOTALS], {})
    assert [dict(w.partitions) for w in written] == [{D1: 1, D2: 1}, {}]
    slices = bench.stage(wanted, ORDERS, TOTALS)
    assert bench.rows(slices["orders"]) == [(date(2024, 1, 1), 1, Decimal("2.50")), (date(2024, 1, 2), 2, None)]
    assert slices["totals"][0].rows == 0


def test_a_folder_of_parquet_files_is_one_table(bench15: Bench) -> None:
    wanted = request([FREE], [D1])
    bench15.open(wanted, FREE)
    for number in (1, 2):
        query = f"select date '{D1}' as day, {number} as id, 1.5 as amount"
        leave(bench15, wanted, FREE, query, name=f"orders/{number}.parquet")
    assert [row[1] for row in bench15.rows(bench15.stage(wanted, FREE)["orders"])] == [1, 2]


def test_a_csv_file_loses_no_digit_of_what_is_declared(bench15: Bench) -> None:
    types = {"code": "VARCHAR", "amount": "DECIMAL(38,9)", "big": "HUGEINT", "u": "UUID", "doc": "JSON"}
    table = Table("one", columns=tuple(Column(name, type_) for name, type_ in types.items()))
    wanted = request([table], ["all"])
    bench15.open(wanted, table)
    big = 170141183460469231731687303715884105727
    lines = [
        "CODE,amount,big,u,doc",
        f'007,12345678901234567890.123456789,{big},{UUID(int=10)},"{{""a"": 1.50}}"',
        ",,,,",
    ]
    (bench15.outputs(wanted) / "one.csv").write_text("\n".join(lines))
    row = ("007", Decimal("12345678901234567890.123456789"), Decimal(big), UUID(int=10), {"a": 1.5})
    assert bench15.rows(bench15.stage(wanted, table)["one"]) == [row, (None,) * 5]


TYPED = {
    "TINYINT": ("-5::tinyint", "SMALLINT", -5), "UBIGINT": ("18446744073709551615::ubigint", "DECIMAL(20,0)",
                                                            Decimal(18446744073709551615)),
    "DECIMAL": ("12345678901234567890.123456789::decimal(38,9)", "DECIMAL(38,9)",
                Decimal("12345678901234567890.123456789")),
    "FLOAT": ("1.5::float", "FLOAT", 1.5), "DOUBLE": ("-0.1::double", "DOUBLE", -0.1),
    "BOOLEAN": ("true", "BOOLEAN", True),
    "VARCHAR": ("'a''b\\c\t%s é'", "VARCHAR", "a'b\\c\t%s é"), "BLOB": ("'\\x00\\xFF'::blob", "BLOB", b"\x00\xff"),
    "DATE": ("date '0001-02-03'", "DATE", date(1, 2, 3)), "TIME": ("time '01:02:03.000004'", "TIME", time(1, 2, 3, 4)),
    "TIMESTAMP": ("timestamp '2024-02-29 01:02:03.000004'", "TIMESTAMP",
                  datetime.fromisoformat("2024-02-29T01:02:03.000004")),
    "TIMESTAMPTZ": ("timestamptz '2024-02-29 01:00:00+01'", "TIMESTAMP WITH TIME ZONE",
                    datetime(2024, 2, 29, tzinfo=UTC)),
    "UUID": ("'00000000-0000-0000-0000-00000000000a'::uuid", "UUID", UUID(int=10)),
    "JSON": ("'{\"a\": [1, null]}'::json", "JSON", {"a": [1, None]}),
    "BIGINT[]": ("[1, null, 3]::bigint[]", "BIGINT[]", [1, None, 3]),
    "VARCHAR[]": ("['a,b', '\"{}']", "VARCHAR[]", ["a,b", '"{}']),
    "UUID[]": ("['00000000-0000-0000-0000-00000000000a'::uuid]", "UUID[]", [UUID(int=10)]),
}  # fmt: skip


@pytest.mark.parametrize("name", TYPED)
def test_every_type_of_a_file_arrives_as_it_is(bench15: Bench, name: str) -> None:
    expression, type_, value = TYPED[name]
    table = Table("one")
    wanted = request([table], ["all"])
    bench15.open(wanted, table)
    leave(bench15, wanted, table, f"select {expression} as v union all select null")
    [written] = bench15.running.written(wanted.id, [table], {})
    assert [c.type for c in written.columns] == [type_]
    rows = [row[0] for row in bench15.rows(bench15.stage(wanted, table)["one"])]
    assert None in rows
    assert value in rows


def test_a_file_is_loaded_once_and_again_when_it_has_changed(bench15: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = request([ORDERS], [D1])
    bench15.open(wanted, ORDERS)
    file = bench15.outputs(wanted) / "orders.csv"
    file.write_text(f"day,id,amount\n{D1},1,1\n")
    for _ in range(2):
        bench15.running.written(wanted.id, [ORDERS], {})
    with bench15.connect() as connection:
        connection.execute(f'update {bench15.place.rooms}."{bench15.rooms()[0]}" set id = 77')
    assert [row[1] for row in bench15.rows(bench15.stage(wanted, ORDERS)["orders"])] == [77]
    file.write_text(f"day,id,amount\n{D1},1,1\n{D1},2,1\n")
    assert [row[1] for row in bench15.rows(bench15.stage(wanted, ORDERS)["orders"])] == [1, 2]


def test_a_table_that_was_written_in_both_ways_is_refused(bench15: Bench) -> None:
    wanted = request([ORDERS], [D1])
    with run_of(wanted, bench15.open(wanted, ORDERS), ORDERS) as run:
        run.output("orders")
    (bench15.outputs(wanted) / "orders.csv").write_text(f"day,id,amount\n{D1},1,1\n")
    with pytest.raises(RunFailed, match="in SQL and left as a file"):
        bench15.running.written(wanted.id, [ORDERS], {})


@pytest.mark.parametrize(
    ("text", "said"),
    [(f"day,id\n{D1},1\n", "did not write the declared columns amount"),
     (f"day,id,amount,more\n{D1},1,1,1\n", "not declared: more"),
     (f"day,id,amount\n{D1},1,1\n{D1},x,1\n", "orders.id: 1 values are no BIGINT"),
     ("", "did not write the declared columns")],
)  # fmt: skip
def test_a_file_that_breaks_the_contract_is_refused(bench15: Bench, text: str, said: str) -> None:
    wanted = request([ORDERS], [D1])
    bench15.open(wanted, ORDERS)
    (bench15.outputs(wanted) / "orders.csv").write_text(text)
    with pytest.raises(RunFailed, match=said):
        bench15.running.written(wanted.id, [ORDERS], {})
    assert bench15.rooms() == []


@pytest.mark.parametrize(("query", "said"), [("select 'a' || chr(0) as v", "0x00"),
                                             ("select {'a': 1} as v", "no column type STRUCT")])  # fmt: skip
def test_a_file_that_the_server_can_not_hold_is_refused(bench15: Bench, query: str, said: str) -> None:
    table = Table("one")
    wanted = request([table], ["all"])
    bench15.open(wanted, table)
    leave(bench15, wanted, table, query)
    with pytest.raises(RunFailed, match=said):
        bench15.running.written(wanted.id, [table], {})
    assert bench15.rooms() == []


def test_a_relation_is_pinned_by_its_content_whatever_its_order(bench: Bench) -> None:
    with bench.connect() as connection:
        connection.execute('create schema raw; create table raw.orders (n int, "%s" text)')
        connection.execute("insert into raw.orders values (1, 'a'), (2, 'b'), (2, 'b')")
        [first] = bench.running.pin(["raw.orders"])
        connection.execute("begin; create temp table t as table raw.orders; truncate raw.orders;"
                           " insert into raw.orders select * from t order by 1 desc; commit")  # fmt: skip
        assert bench.running.pin(["raw.orders"]) == (first,)
        connection.execute("delete from raw.orders where ctid = (select max(ctid) from raw.orders)")
        [second] = bench.running.pin(["raw.orders"])
        connection.execute("alter table raw.orders add column j json")
        [third] = bench.running.pin(["raw.orders"])
        connection.execute("update raw.orders set j = '{\"a\": 1}' where n = 2")
        [fourth] = bench.running.pin(["raw.orders"])
        connection.execute("create view raw.seen as table raw.orders")
        assert bench.running.pin(["raw.seen"])[0].release == ""
    assert len({p.digest for p in (first, second, third, fourth)}) == 4
    assert first.release == ""
    assert bench.running.pin([]) == ()


def test_an_input_without_a_schema_lies_where_its_connection_says(bench15: Bench) -> None:
    with bench15.connect() as connection:
        connection.execute("create schema landing; create table landing.orders as select 1 as id")
    source = bench15.server.connection(bench15.database, schema="landing")
    there = Bench(bench15.server, bench15.home, bench15.database, source=source)
    pins = there.running.pin(["orders"])
    space = there.open(request([ORDERS], [D1]), ORDERS, pins=pins)
    assert space.engine["inputs"]["orders"]["relation"] == '"landing"."orders"'


def test_an_input_that_is_not_there_is_told_with_the_nearest_names(bench15: Bench) -> None:
    with bench15.connect() as connection:
        connection.execute("create schema raw; create table raw.orders (n int)")
    with pytest.raises(NotFound, match=r"raw\.ordres") as caught:
        bench15.running.pin(["raw.orders", "raw.ordres"])
    assert "raw.orders" in caught.value.hint


def test_a_run_reads_the_pinned_relation_and_nothing_that_changed_since(bench: Bench) -> None:
    with bench.connect() as connection:
        connection.execute('create schema raw; create table raw."or%ders" as select 7 as n')
    pins = bench.running.pin(["raw.or%ders"])
    wanted = request([ORDERS], [D1])
    with run_of(wanted, bench.open(wanted, ORDERS, pins=pins), ORDERS) as run:
        run.sql(f"insert into {run.output('orders')} select '{D1}', n, 1 from {run.input('raw.or%ders')}")
        with bench.connect() as connection:
            connection.execute('insert into raw."or%ders" values (8)')
        assert run.sql(f"select count(*) from {run.input('raw.or%ders')}").fetchone() == (1,)
    with pytest.raises(GroundMoved, match=r"raw\.or%ders has changed"):
        bench.stage(wanted, ORDERS)
    with pytest.raises(GroundMoved):
        bench.open(request([ORDERS], [D1]), ORDERS, pins=pins)
    with bench.connect() as connection:
        connection.execute('delete from raw."or%ders" where n = 8')
    assert bench.stage(wanted, ORDERS)["orders"][0].rows == 1


def test_files_are_pinned_by_their_bytes_and_loaded_for_the_run(bench: Bench) -> None:
    folder = bench.home / "data" / "raw"
    folder.mkdir(parents=True)
    (folder / "orders.csv").write_text("day,id,amount\n2024-01-01,1,2.5\n")
    with duckdb.connect() as engine:
        engine.execute(f"copy (select 1 as n, uuid() as u, ['a'] as l) to '{folder}/things.parquet' (format parquet)")
    bench.source = Connection("files", "files", {"path": "data"})
    pins = bench.running.pin(["raw.orders", "raw.things"])
    wanted = request([ORDERS], [D1])
    with run_of(wanted, bench.open(wanted, ORDERS, pins=pins), ORDERS) as run:
        run.sql(f"insert into {run.output('orders')} select day, id, amount from {run.input('raw.orders')}")
        types = f"select pg_typeof(u)::text, pg_typeof(l)::text, l[1] from {run.input('raw.things')}"
        assert run.sql(types).fetchone() == ("uuid", "text[]", "a")
    assert bench.rows(bench.stage(wanted, ORDERS)["orders"]) == [(date(2024, 1, 1), 1, Decimal("2.50"))]
    file = folder / "orders.csv"
    file.write_text("day,id,amount\n2024-01-01,1,3.5\n")
    os.utime(file, ns=(1, 1))
    with pytest.raises(GroundMoved):
        bench.stage(wanted, ORDERS)
    bench.running.discard(wanted.id)
    assert bench.rooms() == []


def test_tables_of_a_duckdb_file_are_loaded_too(bench15: Bench) -> None:
    with duckdb.connect(str(bench15.home / "up.duckdb")) as engine:
        engine.execute("create schema raw; create table raw.orders as select 5 as id")
    bench15.source = Connection("up", "duckdb", {"path": "up.duckdb"})
    pins = bench15.running.pin(["raw.orders"])
    wanted = request([ORDERS], [D1])
    with run_of(wanted, bench15.open(wanted, ORDERS, pins=pins), ORDERS) as run:
        assert run.sql(f"select * from {run.input('raw.orders')}").fetchall() == [(5,)]


@pytest.mark.parametrize(
    ("source", "said"),
    [(None, "no src connection"), (Connection("q", "kafka", {}), "not from kafka"),
     (Connection("other", "postgres", {"host": "elsewhere.db", "database": "x"}), "another database")],
)  # fmt: skip
def test_inputs_that_can_not_be_read_here_say_what_to_do(bench15: Bench, source: Connection | None, said: str) -> None:
    bench15.source = source
    with pytest.raises(WrongInput, match=said) as caught:
        bench15.running.pin(["raw.orders"])
    assert caught.value.hint
    assert bench15.running.pin([]) == ()
    wanted = request([ORDERS], [D1])
    assert bench15.open(wanted, ORDERS).engine["inputs"] == {}


def test_an_input_that_the_runner_may_not_read_is_refused(bench15: Bench) -> None:
    role = f"shut_out_{bench15.database}"
    with bench15.connect() as connection:
        connection.execute(f"create schema raw; create table raw.orders (n int); create role {role} login password 'p'")
        connection.execute("revoke all on raw.orders from public; grant usage on schema raw to public")
    bench15.login = bench15.server.connection(bench15.database, runner=role)
    bench15.login = replace(bench15.login, secrets={"runner_password": _reference("env:P")})
    bench15.secrets.known["env:P"] = "p"
    with pytest.raises(Refused, match="permission denied"):
        bench15.running.pin(["raw.orders"])


def _reference(text: str, previous: str | None = None):
    from lanewise.domain.environment import SecretRef

    return SecretRef(text, previous)
