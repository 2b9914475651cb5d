from __future__ import annotations

import pytest

from lanewise.errors import WrongInput
from lanewise.publication.postgres_types import contract_type, postgres_type
from lanewise.publication.types import holds, is_number, plain_type

KEPT = (
    "VARCHAR", "BOOLEAN", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "FLOAT", "DOUBLE", "DECIMAL(18,2)", "DATE",
    "DECIMAL(38,0)", "TIME", "TIME WITH TIME ZONE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE", "INTERVAL", "BLOB", "JSON",
    "UUID", "BIT", "UNBOUNDED DECIMAL", "BIGINT[]", "DECIMAL(18,2)[]", "inet", "citext", '"Mood ""x"" é"', "app.mood",
)  # fmt: skip


@pytest.mark.parametrize("type_", KEPT)
def test_a_type_comes_back_as_it_was_declared(type_):
    assert contract_type(postgres_type(type_)) == type_


@pytest.mark.parametrize(
    ("type_", "stored"),
    [("TINYINT", "smallint"), ("UTINYINT", "smallint"), ("USMALLINT", "integer"), ("UINTEGER", "bigint"),
     ("UBIGINT", "numeric(20,0)"), ("varchar( 20 )", "text"), ("numeric", "numeric(18,3)"), ("int[3][]", "integer[]"),
     ("timestamptz", "timestamp with time zone"), ("geometry(Point, 4326)", "geometry(point,4326)")],
)  # fmt: skip
def test_what_has_no_counterpart_is_stored_in_the_next_wider_type(type_, stored):
    assert postgres_type(type_) == stored


@pytest.mark.parametrize("type_", ["STRUCT(a INTEGER)", 'struct("a b" int)[]', "MAP(INTEGER, INTEGER)", "UNION(a INT)",
                                   "ENUM('a', 'b')", "TIMESTAMP_NS", "DECIMAL(1001,0)"])  # fmt: skip
def test_what_can_not_be_stored_says_what_to_declare(type_):
    with pytest.raises(WrongInput, match="PostgreSQL has no column type") as caught:
        postgres_type(type_)
    assert caught.value.hint


@pytest.mark.parametrize("type_", ["int; drop table x", "", "int)", "integer primary key", "'x'", '"a', "a b", "x(1",
                                   "int default now()", "int\0"])  # fmt: skip
def test_a_text_that_is_no_type_gets_into_no_statement(type_):
    with pytest.raises(WrongInput, match="is no column type"):
        postgres_type(type_)


@pytest.mark.parametrize(
    ("stored", "type_"),
    [("character varying(20)", "VARCHAR"), ("character(3)", "VARCHAR"), ("timestamp(3) with time zone",
     "TIMESTAMP WITH TIME ZONE"), ("numeric(10,-2)", "UNBOUNDED DECIMAL"), ("json", "JSON"), ("bit(3)", "BIT"),
     ("interval day to second", "INTERVAL"), ("character varying(9)[]", "VARCHAR[]"), ("numeric(4,4)", "DECIMAL(4,4)")],
)  # fmt: skip
def test_what_an_input_may_have_is_named_as_a_contract_does(stored, type_):
    assert contract_type(stored) == type_


def test_a_number_without_digits_holds_every_number_and_is_held_by_none():
    for narrow in ("DECIMAL(38,10)", "HUGEINT", "UBIGINT", "UNBOUNDED DECIMAL"):
        assert holds("UNBOUNDED DECIMAL", narrow)
    assert not holds("DECIMAL(38,3)", "UNBOUNDED DECIMAL")
    assert not holds("UNBOUNDED DECIMAL", "DOUBLE")
    assert is_number("unbounded decimal")
    assert plain_type("unbounded decimal") == "UNBOUNDED DECIMAL"
