from __future__ import annotations

from decimal import Decimal

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanewise.domain.project import Column
from lanewise.errors import WrongInput
from lanewise.publication import sql
from lanewise.publication.views import PARTITION, Branch, view_query, view_statement

texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
HOSTILE = ("select", 'a"b', "a'b", "x; drop table t", "--", "a.b", "ü ß", "\n", "{", "$1", "%s", "?")


@given(texts)
def test_a_text_comes_back_from_the_engine_as_it_went_in(text):
    with duckdb.connect() as connection:
        assert connection.execute(sql.select([sql.literal(text)], "(VALUES (1))")).fetchone() == (text,)


@given(texts.filter(bool))
def test_a_name_names_what_it_says(name):
    with duckdb.connect() as connection:
        connection.execute(sql.select([sql.aliased("1", name)], "(VALUES (1))"))
        assert connection.description[0][0] == name


@pytest.mark.parametrize("value", [0, -7, None, Decimal("0.10"), 1.5, 1e-9, 2**70])
def test_numbers_stay_numbers(value):
    with duckdb.connect() as connection:
        found = connection.execute(sql.select([sql.literal(value)], "(VALUES (1))")).fetchone()[0]
    assert found is value if value is None else Decimal(str(found)) == Decimal(str(value)) or found == value


def test_a_zero_byte_is_refused():
    for build in (sql.literal, sql.identifier):
        with pytest.raises(WrongInput):
            build("a\0b")


@pytest.mark.parametrize(
    "good", ["INTEGER", "decimal(18, 2)", "TIMESTAMP WITH TIME ZONE", "VARCHAR[]", 'STRUCT("a b" INTEGER, c VARCHAR)[]',
             "MAP(VARCHAR, INTEGER)", "ENUM('a', 'b''c')"],
)  # fmt: skip
def test_every_kind_of_type_is_a_type(good):
    with duckdb.connect() as connection:
        connection.execute(sql.select([sql.cast("NULL", good)], "(VALUES (1))"))


@pytest.mark.parametrize(
    "bad", ["", "INTEGER)", "INTEGER); drop table t; --", "INTEGER, 1", "x'y", "a(b", "1", "INTEGER -- c", "a)b(", "é"],
)  # fmt: skip
def test_what_is_no_type_never_reaches_the_engine(bad):
    with pytest.raises(WrongInput):
        sql.type_name(bad)


def test_hostile_names_of_tables_columns_and_files_read_back(tmp_path):
    for number, name in enumerate(HOSTILE):
        folder = tmp_path / f"{number}[x]*"
        folder.mkdir()
        file = folder / "a'b.parquet"
        with duckdb.connect() as connection:
            connection.execute(f"copy (select {number} as {sql.identifier(name)}) to {sql.literal(str(file))}")
            branch = Branch((Column(name, "INTEGER"),), None, (str(file),))
            connection.execute(view_statement(name, [Column(name, "BIGINT")], [branch]))
            assert connection.execute(f"select * from {sql.identifier(name)}").fetchall() == [(number,)]


def test_a_view_of_nothing_has_its_types():
    with duckdb.connect() as connection:
        connection.execute(view_statement("t", [Column("a", "DECIMAL(18,2)"), Column("b", "DATE")], []))
        rows = connection.execute("describe t").fetchall()
    assert [row[:2] for row in rows] == [("a", "DECIMAL(18,2)"), ("b", "DATE")]


def test_a_column_that_a_branch_lacks_is_a_typed_null_and_another_type_is_cast(tmp_path):
    file = tmp_path / "a.parquet"
    with duckdb.connect() as connection:
        connection.execute(f"copy (select 7::integer as a) to '{file}'")
        branch = Branch((Column("a", "INTEGER"),), None, (str(file),))
        query = view_query([Column("a", "BIGINT"), Column("b", "DATE")], [branch], with_partition=True)
        assert connection.execute(query).fetchall() == [(7, None, "all")]
        assert [row[1] for row in connection.execute("describe " + query).fetchall()] == ["BIGINT", "DATE", "VARCHAR"]


def test_a_needless_cast_is_not_written():
    branch = Branch((Column("a", "decimal(18, 2)"),), None, ("/x.parquet",))
    assert "CAST" not in view_query([Column("a", "DECIMAL(18,2)")], [branch])


def test_a_table_without_columns_is_refused():
    with pytest.raises(WrongInput):
        view_query([], [])
    assert PARTITION.startswith("_")
