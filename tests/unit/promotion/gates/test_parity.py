"""The gate `parity`."""

from dataclasses import replace
from typing import ClassVar

import pytest

from lanewise.domain.environment import Environment
from lanewise.domain.evidence import Moment, Result
from lanewise.domain.project import Column, DeclaredChange, Table
from lanewise.errors import ConfigError
from lanewise.promotion.gates.parity import ParityGate
from lanewise.testing.gate import FakeLook, GateContract, judged

COLUMNS = (Column("day", "DATE"), Column("code", "VARCHAR"))
STAGE = Environment("stage", 1, {}, {})


def look(here, there, *, candidate=None, changes=()):
    """``here`` and ``there``: columns and rows per partition of table t; None for nothing published."""
    project = replace(FakeLook().project, tables={"t": Table("t", changes=changes)})
    return FakeLook(
        moment=Moment.CANDIDATE,
        project=project,
        target=STAGE,
        published_of={name: {"t": found} for name, found in (("stage", here), ("prod", there)) if found},
        columns_of={"candidate": {"t": candidate}} if candidate else {},
    )


def volumes(here, there, **arguments):
    return judged(ParityGate(arguments), look((COLUMNS, here), (COLUMNS, there)))


class TestContract(GateContract):
    gate_class = ParityGate
    arguments: ClassVar = {"against": "prod", "factor": 3}

    def passing_look(self):
        return look((COLUMNS, {"a": 100}), (COLUMNS, {"a": 300}))


def test_volume_is_compared_over_the_partitions_that_both_publish():
    assert volumes({"a": 100, "b": 9_999}, {"a": 200, "c": 9_999}).passes
    verdict = volumes({"a": 100}, {"a": 201})
    assert verdict.result is Result.FAIL
    assert verdict.reason == "t: 100 rows in stage, 201 in prod"


def test_the_factor_is_exact_and_holds_both_ways():
    assert volumes({"a": 21}, {"a": 30}, factor="1.43").passes
    assert volumes({"a": 10}, {"a": 11}, factor="1.1").passes
    assert volumes({"a": 11}, {"a": 10}, factor=1.1).passes
    assert volumes({"a": 12}, {"a": 10}, factor="1.1").result is Result.FAIL


def test_one_empty_side_fails_and_two_leave_doubt():
    assert volumes({"a": 0}, {"a": 5}, factor=1000).result is Result.FAIL
    assert volumes({"a": 0}, {"a": 0}).result is Result.INCONCLUSIVE
    assert volumes({"a": 5}, {"b": 5}).result is Result.INCONCLUSIVE


def test_a_missing_or_retyped_column_is_unlike():
    less = judged(ParityGate({}), look((COLUMNS[:1], {"a": 1}), (COLUMNS, {"a": 1})))
    assert less.result is Result.FAIL
    assert "code is dropped" in less.reason
    other = (COLUMNS[0], Column("code", "INTEGER"))
    assert judged(ParityGate({}), look((other, {"a": 1}), (COLUMNS, {"a": 1}))).result is Result.FAIL


def test_a_declared_drop_and_a_column_ahead_are_fine():
    dropped = look((COLUMNS[:1], {"a": 1}), (COLUMNS, {"a": 1}), changes=(DeclaredChange("column_dropped", "meant"),))
    assert judged(ParityGate({}), dropped).passes
    assert judged(ParityGate({}), look((COLUMNS, {"a": 1}), (COLUMNS[:1], {"a": 1}))).passes


def test_at_the_candidate_its_columns_are_what_counts():
    ahead = look((COLUMNS[:1], {"a": 1}), (COLUMNS, {"a": 1}), candidate=COLUMNS)
    assert judged(ParityGate({}), ahead).passes
    assert judged(ParityGate({"moment": "before"}), replace(ahead, moment=Moment.BEFORE)).result is Result.FAIL


def test_with_nothing_published_over_there_there_is_nothing_to_be_like():
    verdict = judged(ParityGate({}), look((COLUMNS, {"a": 1}), None))
    assert verdict.result is Result.INCONCLUSIVE
    assert "first release" in verdict.hint


def test_a_target_on_its_first_release_is_compared_by_columns_alone_and_says_so():
    verdict = judged(ParityGate({}), look(None, (COLUMNS, {"a": 1}), candidate=COLUMNS))
    assert verdict.passes
    assert "no rows to compare yet" in verdict.reason
    assert judged(ParityGate({}), look(None, (COLUMNS, {"a": 1}))).result is Result.INCONCLUSIVE


def test_the_last_environment_is_the_default_and_comparing_it_with_itself_is_an_error():
    itself = replace(look((COLUMNS, {"a": 1}), (COLUMNS, {"a": 1})), target=Environment("prod", 2, {}, {}))
    assert judged(ParityGate({}), itself).result is Result.ERROR
    assert judged(ParityGate({"against": "stage"}), itself).passes


def test_a_table_that_is_missing_here_is_named():
    missing = look((COLUMNS, {"a": 1}), (COLUMNS, {"a": 1}))
    both = {"t": Table("t"), "u": Table("u")}
    published = {**missing.published_of, "prod": {name: (COLUMNS, {"a": 1}) for name in both}}
    missing = replace(missing, project=replace(missing.project, tables=both), published_of=published)
    assert "u is published in prod and not in stage" in judged(ParityGate({}), missing).reason


@pytest.mark.parametrize("arguments", [{"factor": "0.5"}, {"factor": "NaN"}, {"factor": True}, {"moment": "after"}])
def test_a_wrong_argument_is_refused(arguments):
    with pytest.raises(ConfigError, match="gate parity"):
        ParityGate(arguments)
