from __future__ import annotations

import pytest

from lanewise.domain.project import Column
from lanewise.errors import WrongInput
from lanewise.publication.mapped_views import (
    Branch,
    Place,
    begins_with,
    changes,
    create_view,
    live_view,
    open_query,
    plain_query,
    shape_of,
)
from lanewise.publication.postgres_types import contract_type, postgres_type

PLACE = Place("store", "live_shop")
DAY, NUMBER, AMOUNT = Column("day", "DATE"), Column("n", "BIGINT"), Column("amount", "DECIMAL(18,2)")


def test_an_open_branch_asks_the_map_which_slices_count() -> None:
    query = open_query(PLACE, [DAY], [Branch(7, "v7", (DAY,))])
    assert query == (
        'SELECT "day" FROM "store"."v7" WHERE "_lanewise_slice" IN '
        '(SELECT slice FROM "store"."live_shop" WHERE version = 7)'
    )


def test_every_version_is_a_branch() -> None:
    query = open_query(PLACE, [DAY], [Branch(7, "v7", (DAY,)), Branch(8, "v8", (DAY,))])
    assert query.count(" UNION ALL ") == 1
    assert "version = 7" in query
    assert "version = 8" in query


def test_another_type_is_cast_and_a_column_that_lacks_is_a_typed_null() -> None:
    held = (Column("n", "INTEGER"), Column("Day", "DATE"))
    query = plain_query(PLACE, [DAY, NUMBER, AMOUNT], Branch(7, "v7", held), 12)
    assert query == (
        'SELECT "Day" AS "day", CAST("n" AS bigint) AS "n", CAST(NULL AS numeric(18,2)) AS "amount" '
        'FROM "store"."v7" WHERE "_lanewise_slice" <= 12'
    )


def test_the_same_type_under_another_name_is_not_cast() -> None:
    assert "CAST" not in plain_query(PLACE, [NUMBER], Branch(7, "v7", (Column("n", "int8"),)), 1)


def test_without_a_branch_there_are_columns_and_no_rows() -> None:
    query = open_query(PLACE, [AMOUNT], [])
    assert query == 'SELECT CAST(NULL AS numeric(18,2)) AS "amount" FROM "store"."pointers" WHERE false'


def test_a_table_without_columns_is_refused() -> None:
    with pytest.raises(WrongInput, match="without columns"):
        open_query(PLACE, [], [])


def test_names_and_values_are_quoted() -> None:
    hostile = Column('a"; drop table x; --', "BIGINT")
    query = open_query(Place('s"t', 'l"v'), [hostile], [Branch(1, 'v"1', (hostile,))])
    assert '"a""; drop table x; --"' in query
    assert '"s""t"."v""1"' in query
    assert "it''s" in live_view(PLACE, "it's")


def test_a_replaced_view_names_the_options_it_had() -> None:
    text = create_view("public", "orders", "SELECT 1", options={"security_barrier": "true"})
    assert text == 'CREATE OR REPLACE VIEW "public"."orders" WITH ("security_barrier" = \'true\') AS SELECT 1'


def test_a_contract_that_keeps_its_columns_and_adds_some_begins_with_it() -> None:
    assert begins_with([DAY, NUMBER, AMOUNT], [DAY, NUMBER])
    assert begins_with([Column("n", "int8")], [NUMBER])
    assert not begins_with([DAY], [DAY, NUMBER])
    assert not begins_with([NUMBER, DAY], [DAY, NUMBER])


def test_changes_are_told_by_column() -> None:
    assert changes([DAY, NUMBER], [DAY, NUMBER, AMOUNT]) == ()
    assert changes([DAY, NUMBER], [DAY]) == ("n is dropped",)
    assert changes([DAY, NUMBER], [DAY, Column("n", "VARCHAR")]) == ("n becomes text, from bigint",)
    assert changes([DAY, NUMBER], [NUMBER, DAY]) == ("the order of the columns becomes n, day",)
    assert changes([DAY, NUMBER], [AMOUNT, DAY, NUMBER]) == ("the order of the columns becomes amount, day, n",)


def test_a_shape_is_what_a_reader_sees() -> None:
    assert shape_of([NUMBER]) == shape_of([Column("n", "int8", nullable=False)])
    assert shape_of([NUMBER]) != shape_of([Column("n", "INTEGER")])
    assert shape_of([DAY, NUMBER]) != shape_of([NUMBER, DAY])


@pytest.mark.parametrize(
    ("contract", "postgres", "back"),
    [
        ("DECIMAL(18,2)", "numeric(18,2)", "DECIMAL(18,2)"), ("UBIGINT", "numeric(20,0)", "DECIMAL(20,0)"),
        ("int", "integer", "INTEGER"), ("BIGINT[]", "bigint[]", "BIGINT[]"),
        ("TIMESTAMPTZ", "timestamp with time zone", "TIMESTAMP WITH TIME ZONE"), ("varchar(10)", "text", "VARCHAR"),
        ("JSON", "jsonb", "JSON"), ("inet", "inet", "inet"), ("BLOB", "bytea", "BLOB"),
    ],
)  # fmt: skip
def test_types_go_there_and_back(contract: str, postgres: str, back: str) -> None:
    assert postgres_type(contract) == postgres
    assert contract_type(postgres) == back


def test_a_type_without_a_counterpart_is_refused() -> None:
    with pytest.raises(WrongInput, match="STRUCT"):
        postgres_type("STRUCT(a INTEGER)")
