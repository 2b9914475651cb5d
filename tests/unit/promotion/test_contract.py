"""What readers of a table would notice."""

import pytest

from lanewise.domain.project import Column, DeclaredChange, Table
from lanewise.promotion.contract import breaking_changes

LIVE = (Column("id", "BIGINT", nullable=False), Column("name", "VARCHAR"), Column("amount", "DECIMAL(18,2)"))


def changes(*columns: Column, declared: tuple[DeclaredChange, ...] = ()) -> tuple[str, ...]:
    return breaking_changes(Table("t", columns=columns, changes=declared), LIVE)


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        (LIVE[:2], ("t: column amount is dropped",)),
        ((*LIVE[:2], Column("amount", "DOUBLE")), ("t: column amount goes from DECIMAL(18,2) to DOUBLE",)),
        ((LIVE[1], LIVE[0], LIVE[2]), ("t: columns change their order, from id, name, amount to name, id, amount",)),
        ((LIVE[0], Column("name", "VARCHAR", nullable=False), LIVE[2]), ("t: column name may no longer be NULL",)),
        ((Column("id", "BIGINT"), *LIVE[1:]), ("t: column id may be NULL, which readers have not met",)),
        ((LIVE[0], Column("new", "DATE"), *LIVE[1:]),
         ("t: column new is inserted before published ones; append it at the end",)),
    ],
)  # fmt: skip
def test_each_change_that_readers_notice_is_one_sentence(columns, told):
    assert changes(*columns) == told


@pytest.mark.parametrize(
    "columns",
    [
        LIVE,
        (*LIVE, Column("new", "DATE"), Column("newer", "DATE")),
        (*LIVE[:2], Column("amount", "decimal(18, 2)")),
        (),
    ],
)
def test_what_is_appended_or_written_otherwise_or_not_declared_breaks_nobody(columns):
    assert changes(*columns) == ()


def test_a_renamed_column_is_one_that_is_dropped():
    assert changes(*LIVE[:2], Column("total", "DECIMAL(18,2)")) == ("t: column amount is dropped",)


def test_a_declared_change_is_still_said_with_its_reason():
    declared = (DeclaredChange("column_dropped", "nobody read it", ("amount",)),)
    assert changes(*LIVE[:2], declared=declared) == ("t: column amount is dropped, as declared: nobody read it",)
    other = (DeclaredChange("column_dropped", "nobody read it", ("name",)),)
    assert changes(*LIVE[:2], declared=other) == ("t: column amount is dropped",)


def test_a_table_that_was_never_published_breaks_nobody():
    assert breaking_changes(Table("t", columns=LIVE), ()) == ()
