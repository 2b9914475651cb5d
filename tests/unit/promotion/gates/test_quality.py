"""The gate `quality` and the judging of data checks."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanewise.domain.evidence import CheckResult, Moment, Result
from lanewise.domain.project import Check, Table
from lanewise.errors import ConfigError
from lanewise.promotion.gates.quality import QualityGate, judge_checks
from lanewise.testing.gate import FakeLook, GateContract, judged

UNIQUE = Check("unique(order_id)", "unique", {"columns": ["order_id"]})


def drop(limit):
    return Check("row_count", "row_count", {"max_drop": limit})


def look(checks, results, moved=("orders_daily",)):
    project = replace(FakeLook().project, tables={"orders_daily": Table("orders_daily", checks=tuple(checks))})
    return FakeLook(moment=Moment.CANDIDATE, project=project, results=tuple(results), moved=moved)


def one(check, rows, bad=0, **facts):
    """The verdict on one result of one check."""
    table = Table("orders_daily", checks=(check,))
    (verdict,) = judge_checks(
        {"orders_daily": table}, [CheckResult("orders_daily", check.name, check.kind, rows, bad, facts)]
    )
    return verdict


class TestContract(GateContract):
    gate_class = QualityGate

    def passing_look(self):
        return look([UNIQUE], [CheckResult("orders_daily", UNIQUE.name, "unique", 336_776, 0)])


def test_broken_rows_fail_with_a_sentence_that_counts_them():
    verdict = one(UNIQUE, 336_776, 12)
    assert verdict.result is Result.FAIL
    assert verdict.reason == "orders_daily: unique(order_id): 12 of 336,776 rows break it"


def test_a_check_that_looked_at_no_rows_leaves_doubt():
    assert one(UNIQUE, 0).result is Result.INCONCLUSIVE


def test_a_check_that_was_not_evaluated_leaves_doubt():
    (verdict,) = judge_checks({"t": Table("t", checks=(UNIQUE,))}, [])
    assert verdict.result is Result.INCONCLUSIVE
    assert verdict.reason == "t: unique(order_id): was not evaluated"


def test_a_table_may_say_that_it_is_rightly_empty():
    table = Table("t", checks=(UNIQUE, Check("rows", "row_count", {"min": "0"})))
    results = [CheckResult("t", UNIQUE.name, "unique", 0, 0), CheckResult("t", "rows", "row_count", 0, 0)]
    assert {v.result for v in judge_checks({"t": table}, results)} == {Result.PASS}


@pytest.mark.parametrize(
    ("rows", "result"), [(95, Result.PASS), (94, Result.FAIL), (0, Result.FAIL), (500, Result.PASS)]
)
def test_a_drop_is_compared_with_what_is_live(rows, result):
    assert one(drop("0.05"), rows, live_rows=100).result is result


@pytest.mark.parametrize(("rows", "result"), [(110, Result.PASS), (111, Result.FAIL), (1, Result.PASS)])
def test_a_rise_is_compared_with_what_is_live(rows, result):
    assert one(Check("row_count", "row_count", {"max_rise": "0.1"}), rows, live_rows=100).result is result


def test_a_limit_is_exact_where_floats_are_not():
    # 0.07 * 300 is 21.000000000000004 in floating point, and 0.29 * 100 is 28.999999999999996
    assert one(drop("0.29"), 71, live_rows=100).result is Result.PASS
    assert one(drop("0.29"), 70, live_rows=100).result is Result.FAIL
    assert one(drop("0.07"), 300 - 21, live_rows=300).result is Result.PASS


@given(st.integers(1, 10**12), st.integers(0, 10**12), st.decimals("0", "1", places=4))
def test_a_drop_passes_exactly_when_what_is_lost_is_within_the_limit(live, rows, limit):
    passes = Decimal(live - rows) <= limit * live and rows > 0
    assert (one(drop(str(limit)), rows, live_rows=live).result is Result.PASS) == passes


def test_with_nothing_live_only_the_absolute_limits_bind():
    assert "nothing live" in one(drop("0.05"), 3).reason
    assert one(drop("0.05"), 3, live_rows=0).result is Result.PASS
    assert one(Check("n", "row_count", {"min": 4, "max_drop": "0.05"}), 3).result is Result.FAIL
    assert one(Check("n", "row_count", {"max": 2}), 3).result is Result.FAIL


def test_rows_of_new_days_hide_no_drop_in_the_old_ones():
    assert one(drop("0.05"), 100, live_rows=100, paired_rows=90).result is Result.FAIL
    assert one(drop("0.05"), 100, live_rows=90, paired_rows=90).result is Result.PASS


def test_a_broken_result_of_an_unknown_table_is_broken_all_the_same():
    (verdict,) = judge_checks({}, [CheckResult("ghost", "c", "sql", 5, 1)])
    assert verdict.result is Result.FAIL


def test_verdicts_come_in_the_order_of_the_checks_whatever_the_order_of_the_results():
    table = Table("t", checks=(UNIQUE, Check("b", "sql"), Check("a", "sql")))
    results = [CheckResult("t", name, "sql", 1, 0) for name in ("a", "unique(order_id)", "b")]
    assert [v.check for v in judge_checks({"t": table}, results)] == ["unique(order_id)", "b", "a"]


def test_one_broken_check_fails_the_gate_and_the_others_are_counted():
    results = [
        CheckResult("orders_daily", UNIQUE.name, "unique", 10, 2),
        CheckResult("orders_daily", "b", "sql", 10, 1),
    ]
    verdict = judged(QualityGate({}), look([UNIQUE, Check("b", "sql")], results))
    assert verdict.result is Result.FAIL
    assert verdict.reason == "orders_daily: unique(order_id): 2 of 10 rows break it (and 1 more)"
    assert len(verdict.details) == 2


def test_tables_without_any_check_leave_doubt():
    verdict = judged(QualityGate({}), look([], []))
    assert verdict.result is Result.INCONCLUSIVE
    assert "has no checks" in verdict.reason


def test_a_promotion_that_computes_nothing_has_nothing_to_check():
    assert judged(QualityGate({}), look([UNIQUE], [], moved=())).passes


def test_it_looks_before_the_release_and_after():
    assert QualityGate({}).moments == (Moment.CANDIDATE, Moment.AFTER)


def test_it_takes_no_arguments():
    with pytest.raises(ConfigError, match="no argument"):
        QualityGate({"max_bad": 3})
