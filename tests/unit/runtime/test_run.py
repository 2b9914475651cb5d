from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanewise.errors import NotFound, Refused, WarehouseUnavailable, WrongInput
from lanewise.runtime.relations import Partitions
from lanewise.runtime.run import Run

from .conftest import document

COLUMNS = [["order_date", "DATE", True], ["n", "INTEGER", True]]


@pytest.fixture
def room(tmp_path: Path) -> dict:
    orders = tmp_path / "orders 'x'.csv"
    orders.write_text("order_id,order_date\n1,2013-01-01\n2,2013-01-02\n3,2013-01-03\n")
    return {
        "type": "duckdb", "directory": str(tmp_path / "room"),
        "outputs": {"daily": {"columns": [], "file": str(tmp_path / "room" / "outputs" / "daily.parquet")},
                    "typed": {"columns": COLUMNS, "file": str(tmp_path / "room" / "outputs" / "typed.parquet")}},
        "inputs": {"raw.orders": {"kind": "files", "paths": [str(orders)], "format": "csv"}},
        "own": "", "offsets": {"daily": "17"},
    }  # fmt: skip


def run_of(
    room: dict,
    *,
    tables: tuple[str, ...] = ("daily", "typed"),
    partitions: tuple[str, ...] = ("2013-01-01", "2013-01-02"),
) -> Run:
    run = {"id": "r1", "purpose": "scheduled", "partitions": list(partitions), "tables": list(tables),
           "declared": {"daily": [], "typed": COLUMNS, "aside": []}}  # fmt: skip
    return Run(document(run=run, engine=room))


def selected(text: str) -> list:
    with duckdb.connect() as connection:
        return connection.execute(f"select {text}").fetchall()


def rows(room: dict, table: str) -> list:
    return duckdb.sql(f"from read_parquet('{room['outputs'][table]['file']}') order by all").fetchall()


def test_the_first_insert_of_an_undeclared_table_makes_it(room):
    with run_of(room) as run:
        run.sql(
            f"\n  Insert  INTO {run.output('daily')}\nselect order_date, count(*) n from {run.input('raw.orders')} "
            f"where order_date in {run.partitions} group by 1"
        )
        run.sql(f"insert into {run.output('daily')} select date '2013-01-09', 5")
    assert [(str(d), n) for d, n in rows(room, "daily")] == [("2013-01-01", 1), ("2013-01-02", 1), ("2013-01-09", 5)]
    assert not Path(room["outputs"]["typed"]["file"]).exists()


def test_a_declared_table_takes_any_insert_and_may_stay_empty(room):
    with run_of(room) as run:
        run.sql(f"insert into {run.output('typed')} (n) values (?)", [4])
    assert rows(room, "typed") == [(None, 4)]
    Path(room["outputs"]["typed"]["file"]).unlink()
    with run_of(room) as run:
        run.output("typed")
    assert rows(room, "typed") == []


@pytest.mark.parametrize(
    "text", ["insert into {0} (a) select 1", "insert into {0} values (1)", "insert into {0} by name select 1 a",
             "-- why\ninsert into {0} select 1", "begin; insert into {0} select 1", "select * from {0}"]
)  # fmt: skip
def test_another_head_of_an_undeclared_table_says_what_to_do(room, text):
    with pytest.raises(WrongInput, match="daily has no columns yet") as caught, run_of(room) as run:
        run.sql(text.format(run.output("daily")))
    assert "declare the columns of daily" in caught.value.hint
    assert "create table" in caught.value.hint
    assert not Path(room["outputs"]["daily"]["file"]).exists()


def test_create_table_as_works_for_an_undeclared_table(room):
    with run_of(room) as run:
        run.sql(f"create or replace table {run.output('daily')} as with x as (select 1 a) select * from x")
        run.sql(f"insert into {run.output('daily')} values (2)")
    assert rows(room, "daily") == [(1,), (2,)]


def test_an_error_of_the_sql_itself_comes_through_as_it_is(room):
    with pytest.raises(duckdb.CatalogException, match="nosuch"), run_of(room) as run:
        run.sql(f"insert into {run.output('daily')} select * from nosuch")


def test_leaving_by_an_exception_hands_over_nothing(room):
    def work() -> None:
        with run_of(room) as run:
            run.sql(f"insert into {run.output('daily')} select 1")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
    assert not Path(room["outputs"]["daily"]["file"]).exists()
    assert len(list((Path(room["directory"]) / "blocks").glob("*.open"))) == 1


def test_a_block_that_ended_well_is_marked_as_done_and_names_its_tables(room):
    with run_of(room) as run:
        run.sql(f"insert into {run.output('daily')} select 1")
    blocks = list((Path(room["directory"]) / "blocks").iterdir())
    assert [block.suffix for block in blocks] == [".done"]
    assert json.loads(blocks[0].read_text()) == {"tables": ["daily"]}
    assert [f.name for f in (Path(room["directory"]) / "outputs").iterdir()] == ["daily.parquet"]


def test_a_second_process_of_the_same_run_adds_to_what_the_first_wrote(room):
    for n in (1, 2):
        with run_of(room) as run:
            run.sql(f"insert into {run.output('typed')} (n) values (?)", [n])
            run.sql(f"insert into {run.output('daily')} select {n}")
    assert rows(room, "typed") == [(None, 1), (None, 2)]
    assert rows(room, "daily") == [(1,), (2,)]


def test_a_second_process_that_writes_another_table_leaves_the_first_ones_alone(room):
    with run_of(room) as run:
        run.sql(f"insert into {run.output('typed')} (n) values (1)")
    with run_of(room) as run:
        run.sql(f"insert into {run.output('daily')} select 2")
    assert rows(room, "typed") == [(None, 1)]


def test_a_table_that_is_not_wanted_may_be_written_and_is_left_behind(room):
    with run_of(room, tables=("daily",)) as run:
        assert run.wants("daily")
        assert not run.wants("aside")
        run.sql(f"insert into {run.output('aside')} select 1")
        run.sql(f"insert into {run.output('daily')} select * from {run.output('aside')}")
    assert rows(room, "daily") == [(1,)]


def test_unknown_names_say_which_was_meant(room):
    with run_of(room) as run:
        for call, name, meant in [
            (run.output, "dayly", "daily"), (run.input, "raw.order", "raw.orders"), (run.wants, "typd", "typed"),
            (run.state, "dail", "daily"), (run.offset, "dail", "daily"),
        ]:  # fmt: skip
            with pytest.raises(NotFound) as caught:
                call(name)
            assert meant in caught.value.hint


def test_results_come_as_rows_and_as_arrow(room):
    with run_of(room) as run:
        assert run.sql("select 1 union all select 2 order by 1").fetchall() == [(1,), (2,)]
        assert run.sql("select $a as a", {"a": 7}).arrow().to_pydict() == {"a": [7]}
        assert run.sql("select 1 where false").fetchone() is None
        assert run.connection.execute("select 42").fetchone() == (42,)


def test_the_state_is_what_is_published_or_an_empty_relation(room, tmp_path):
    with run_of(room) as run:
        assert run.sql(f"select count(*) from {run.state('typed')}").fetchall() == [(0,)]
        with pytest.raises(NotFound, match="published table"):
            run.state("daily")
    catalog = tmp_path / "prod.duckdb"
    with duckdb.connect(str(catalog)) as connection:
        connection.execute("create view daily as select 5 as n")
    with run_of(room | {"own": str(catalog)}) as run:
        assert run.sql(f"from {run.state('daily')}").fetchall() == [(5,)]
        assert run.sql(f"from {run.state('daily')}").fetchall() == [(5,)]


def test_an_input_may_be_another_pipelines_catalog(room, tmp_path):
    catalog = tmp_path / "up.duckdb"
    with duckdb.connect(str(catalog)) as connection:
        connection.execute("create schema analytics; create view analytics.orders as select 8 as n")
    inputs = {"up.orders": {"kind": "catalog", "path": str(catalog), "relation": "analytics.orders"}}
    with run_of(room | {"inputs": inputs}) as run:
        assert run.sql(f"from {run.input('up.orders')}").fetchall() == [(8,)]
        with pytest.raises(duckdb.Error):
            run.sql("create table catalog_0.analytics.x as select 1")


def test_an_append_run_knows_where_the_published_rows_end(room):
    with run_of(room) as run:
        assert run.offset("daily") == "17"
        assert run.offset("typed") is None


def test_outside_of_its_block_a_run_does_nothing(room):
    run = run_of(room)
    with pytest.raises(WrongInput, match="inside its block"):
        run.sql("select 1")
    with run:
        pass
    assert not (Path(room["directory"]) / "blocks").exists()
    with pytest.raises(WrongInput, match="inside its block"):
        run.output("daily")


def test_a_run_that_only_reads_partitions_never_starts_the_engine(room):
    import subprocess
    import sys

    run = {"id": "r1", "purpose": "scheduled", "partitions": ["a"], "tables": [], "declared": {}}
    code = (
        "import sys; from lanewise.runtime.run import Run\n"
        f"with Run({document(run=run, engine=room)!r}) as run: print(run.partitions)\n"
        "print('duckdb' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["('a')", "False"]


def test_a_room_that_can_not_be_written_is_one_clear_error(room, tmp_path):
    (tmp_path / "room").write_text("a file where the room belongs")
    with pytest.raises(WarehouseUnavailable), run_of(room) as run:
        run.output("daily")


def test_a_warehouse_of_another_type_is_refused(room):
    with pytest.raises(WrongInput, match="'spark'"), run_of(room | {"type": "spark"}) as run:
        run.output("daily")


@given(
    st.lists(
        st.text(alphabet=st.characters(exclude_characters="\x00", exclude_categories=["Cs"])), min_size=1, max_size=5
    )
)
def test_partitions_in_sql_are_exactly_themselves(names):
    partitions = Partitions(names)
    [(found,)] = selected(f"list_value{partitions}")
    assert found == names
    assert (partitions.first, partitions.last, len(partitions)) == (names[0], names[-1], len(names))


def test_dates_compare_with_partitions():
    partitions = Partitions(["2013-01-01", "2013-01-02"])
    assert f"{partitions}" == str(partitions) == "('2013-01-01', '2013-01-02')"
    assert duckdb.sql(f"select date '2013-01-02' in {partitions}, date '2013-01-03' in {partitions}").fetchall() == [
        (True, False)
    ]


def test_no_partitions_match_no_row():
    assert selected(f"count(*) from (select 'x' p) where p in {Partitions(())}") == [(0,)]


def hand_over(room, value: int = 1, *, fails: bool = False) -> None:
    with run_of(room) as run:
        run.sql(f"insert into {run.output('daily')} select {value}")
        if fails:
            raise ZeroDivisionError


def test_a_try_that_failed_within_its_block_spoils_no_later_one(room, monkeypatch):
    monkeypatch.setenv("LANEWISE_WRITER", "run/load#1")
    with pytest.raises(ZeroDivisionError):
        hand_over(room, fails=True)
    monkeypatch.setenv("LANEWISE_WRITER", "run/load#2")
    hand_over(room)
    assert [mark.suffix for mark in (Path(room["directory"]) / "blocks").iterdir()] == [".done"]
    assert rows(room, "daily") == [(1,)]


def test_a_try_after_one_that_had_handed_over_writes_nothing(room, monkeypatch):
    monkeypatch.setenv("LANEWISE_WRITER", "run/load#1")
    hand_over(room)
    monkeypatch.setenv("LANEWISE_WRITER", "run/load#2")
    with pytest.raises(Refused, match="write it twice"):
        hand_over(room)
    assert rows(room, "daily") == [(1,)]


def test_blocks_of_one_try_and_of_other_tasks_add_up(room, monkeypatch):
    monkeypatch.setenv("LANEWISE_WRITER", "run/load#1")
    hand_over(room, 1)
    hand_over(room, 2)
    monkeypatch.setenv("LANEWISE_WRITER", "run/load[1]#1")
    hand_over(room, 3)
    assert rows(room, "daily") == [(1,), (2,), (3,)]


def test_what_another_task_left_open_stays_open(room, monkeypatch):
    monkeypatch.setenv("LANEWISE_WRITER", "run/load#1")
    with pytest.raises(ZeroDivisionError):
        hand_over(room, fails=True)
    monkeypatch.setenv("LANEWISE_WRITER", "run/other#2")
    hand_over(room)
    assert any((Path(room["directory"]) / "blocks").glob("*.open"))
