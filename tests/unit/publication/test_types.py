from __future__ import annotations

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanewise.publication.types import comparable, holds, plain_type, widest

TYPES = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "FLOAT",
         "DOUBLE", "DECIMAL(9,2)", "DECIMAL(18,3)", "DECIMAL(38,0)", "DECIMAL(4,4)", "VARCHAR", "DATE", "TIMESTAMP",
         "BOOLEAN")  # fmt: skip
EXTREMES = {
    "TINYINT": ("-128", "127"), "SMALLINT": ("-32768", "32767"), "INTEGER": ("-2147483648", "2147483647"),
    "BIGINT": ("-9223372036854775808", "9223372036854775807"), "UTINYINT": ("255",), "USMALLINT": ("65535",),
    "UINTEGER": ("4294967295",), "UBIGINT": ("18446744073709551615",), "FLOAT": ("0.1", "3e38"), "DOUBLE": ("0.1",),
    "DECIMAL(9,2)": ("-9999999.99",), "DECIMAL(18,3)": ("999999999999999.999",), "DECIMAL(4,4)": ("0.1234",),
    "DECIMAL(38,0)": ("9" * 38,), "DATE": ("2024-02-29",), "TIMESTAMP": ("2024-02-29 12:00:00",),
    "BOOLEAN": ("true",), "VARCHAR": ("x",), "HUGEINT": ("170141183460469231731687303715884105727",),
}  # fmt: skip


@pytest.mark.parametrize("narrow", TYPES)
@pytest.mark.parametrize("wide", TYPES)
def test_a_type_that_holds_another_gives_every_value_back(wide, narrow):
    if not holds(wide, narrow):
        return
    with duckdb.connect() as connection:
        for value in EXTREMES[narrow]:
            there = f"cast('{value}' as {narrow})"
            assert connection.execute(f"select cast(cast({there} as {wide}) as {narrow}) = {there}").fetchone() == (
                True,
            )


@given(st.sampled_from(TYPES), st.sampled_from(TYPES))
def test_the_widest_of_two_is_the_same_from_both_sides_and_holds_both_or_is_text(one, other):
    found = widest(one, other)
    assert found == widest(other, one)
    assert found == "VARCHAR" or (holds(found, one) and holds(found, other))


def test_aliases_are_one_type():
    assert plain_type("int") == plain_type("INTEGER")
    assert plain_type("numeric( 18 , 2 )") == plain_type("DECIMAL(18,2)")
    assert plain_type("varchar(10)") == plain_type("text") == "VARCHAR"
    assert plain_type("timestamptz") == "TIMESTAMP WITH TIME ZONE"
    assert plain_type("ENUM('a')") != plain_type("ENUM('A')")


def test_numbers_of_different_kinds_are_compared_as_numbers():
    assert comparable("DOUBLE", "DECIMAL(18,2)") == "DOUBLE"
    assert comparable("DATE", "INTEGER") == "VARCHAR"
