"""The gate `schema` and the comparison of columns."""

from dataclasses import replace
from typing import ClassVar

import pytest

from lanewise.domain.evidence import Moment, Result
from lanewise.domain.project import Column, DeclaredChange, Table
from lanewise.errors import ConfigError
from lanewise.promotion.gates.columns import column_changes, undeclared
from lanewise.promotion.gates.schema import SchemaGate
from lanewise.testing.gate import FakeLook, GateContract, judged

DAY, CODE, NOTE = Column("day", "DATE"), Column("code", "VARCHAR"), Column("note", "VARCHAR")
LIVE = (DAY, CODE)


def look(candidate, *changes, live=LIVE, dropped=()):
    project = replace(FakeLook().project, tables={"t": Table("t", changes=changes)})
    columns = {"live": {"t": live} if live else {}, "candidate": {"t": candidate} if candidate else {}}
    return FakeLook(moment=Moment.CANDIDATE, project=project, moved=("t",), dropped=dropped, columns_of=columns)


BREAKING = {
    "column_dropped": ((DAY,), "t: code is dropped", "column_dropped"),
    "column_retyped": ((DAY, Column("code", "INTEGER")), "t: code turns from VARCHAR into INTEGER", "column_retyped"),
    "column_reordered": ((CODE, DAY), "t: day changes its place", "column_retyped"),
    "column_not_null": ((DAY, Column("code", "VARCHAR", nullable=False)), "t: code becomes NOT NULL", "column_retyped"),
    "column_added": ((DAY, NOTE, CODE), "t: note is added before code", "column_added"),
}


class TestContract(GateContract):
    gate_class = SchemaGate
    arguments: ClassVar = {"allow": ["column_dropped"]}

    def passing_look(self):
        return look(LIVE)


def test_a_nullable_column_at_the_end_passes_and_is_told():
    verdict = judged(SchemaGate({}), look((*LIVE, NOTE)))
    assert verdict.passes
    assert "note is added" in verdict.reason


@pytest.mark.parametrize("kind", BREAKING)
def test_what_breaks_readers_fails_unless_declared_or_allowed(kind):
    candidate, words, declared_as = BREAKING[kind]
    verdict = judged(SchemaGate({}), look(candidate))
    assert verdict.result is Result.FAIL
    assert words in verdict.reason
    assert judged(SchemaGate({}), look(candidate, DeclaredChange(declared_as, "meant"))).passes
    assert judged(SchemaGate({"allow": [kind]}), look(candidate)).passes


def test_a_declaration_for_one_column_does_not_cover_another():
    declared = DeclaredChange("column_dropped", "meant", columns=("day",))
    assert judged(SchemaGate({}), look((DAY,), declared)).result is Result.FAIL
    assert judged(SchemaGate({}), look((CODE,), declared)).passes


def test_a_declared_change_of_values_covers_no_column():
    assert judged(SchemaGate({}), look((DAY,), DeclaredChange("values", "meant"))).result is Result.FAIL


def test_an_added_column_that_is_not_null_breaks_those_who_insert():
    assert judged(SchemaGate({}), look((*LIVE, Column("note", "VARCHAR", nullable=False)))).result is Result.FAIL


def test_a_table_that_goes_away_needs_to_be_allowed():
    verdict = judged(SchemaGate({}), look(LIVE, dropped=("old",)))
    assert verdict.result is Result.FAIL
    assert "old is no longer published" in verdict.reason
    assert judged(SchemaGate({"allow": ["table_dropped"]}), look(LIVE, dropped=("old",))).passes


def test_a_first_release_has_no_columns_to_compare_with_and_says_so():
    verdict = judged(SchemaGate({}), look(LIVE, live=()))
    assert verdict.passes
    assert "nothing of t is live yet" in verdict.reason


def test_a_moved_table_whose_columns_nobody_saw_leaves_doubt():
    assert judged(SchemaGate({}), look(())).result is Result.INCONCLUSIVE


def test_a_promotion_that_computes_nothing_keeps_the_columns():
    assert judged(SchemaGate({}), FakeLook(moment=Moment.CANDIDATE)).passes


def test_dropping_a_column_moves_none_of_the_others():
    assert [c.what for c in column_changes((DAY, CODE, NOTE), (CODE, NOTE))] == ["column_dropped"]


def test_a_type_that_only_the_engine_sees_change_is_a_change():
    (change,) = column_changes(LIVE, LIVE, {"code": ("VARCHAR", "BLOB")})
    assert change.text == "code turns from VARCHAR into BLOB"
    assert undeclared([change], [])


def test_how_a_type_is_written_is_no_change():
    assert column_changes((Column("price", "DECIMAL(18,2)"),), (Column("price", "decimal(18, 2)"),)) == ()


def test_an_unknown_kind_to_allow_is_refused():
    with pytest.raises(ConfigError, match="allow"):
        SchemaGate({"allow": ["everything"]})
