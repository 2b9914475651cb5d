from __future__ import annotations

import sys

import pytest

from lanewise.errors import WarehouseUnavailable, WrongInput
from lanewise.runtime.blocks import Block
from lanewise.runtime.relations import inserts_into
from lanewise.runtime.run import Run

from .conftest import document


def postgres_run(directory: str) -> Run:
    engine = {"type": "postgres", "directory": directory, "connection": {"host": "127.0.0.1", "port": 1, "dbname": "x"},
              "password": None, "outputs": {}, "inputs": {}, "own": {}, "offsets": {"daily": "17"}}  # fmt: skip
    run = {"id": "r1", "purpose": "scheduled", "partitions": ["2013-01-01"], "tables": ["daily"],
           "declared": {"daily": []}}  # fmt: skip
    return Run(document(run=run, engine=engine))


def test_what_needs_no_engine_logs_in_nowhere(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "lanewise.runtime.postgres_engine", None)
    with postgres_run(str(tmp_path)) as run:
        assert (run.partitions.first, run.offset("daily"), run.wants("daily")) == ("2013-01-01", "17", True)
    assert not (tmp_path / "blocks").exists()


def test_without_the_driver_it_is_said_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    monkeypatch.delitem(sys.modules, "lanewise.runtime.postgres_engine", raising=False)
    with pytest.raises(WrongInput, match="needs psycopg") as caught, postgres_run(str(tmp_path)) as run:
        run.sql("select 1")
    assert "lanewise[postgres]" in caught.value.hint


def test_a_server_that_is_away_leaves_no_block_open(tmp_path):
    with pytest.raises(WarehouseUnavailable, match=r"127\.0\.0\.1/x"), postgres_run(str(tmp_path)) as run:
        run.sql("select 1")
    assert not (tmp_path / "blocks").exists()


def test_a_block_is_open_until_it_is_done(tmp_path):
    first, second = Block(str(tmp_path)), Block(str(tmp_path))
    first.done(["a"])
    assert sorted(f.suffix for f in (tmp_path / "blocks").iterdir()) == [".done", ".open"]
    second.done([])
    assert [f.read_text() for f in sorted((tmp_path / "blocks").iterdir())] == ['{"tables": ["a"]}', '{"tables": []}']


@pytest.mark.parametrize(
    ("text", "query"),
    [('insert into "a%s"."b" select 1', "select 1"), (' INSERT\ninto "a%s"."b"\n with x as (select 1) from x',
     "with x as (select 1) from x"), ('insert into "a%s"."b" values (1)', ""), ('insert into "a%s"."bb" select 1', ""),
     ('select 1; insert into "a%s"."b" select 1', "")],
)  # fmt: skip
def test_an_insert_of_a_query_is_known(text, query):
    assert inserts_into('"a%s"."b"', text) == query
