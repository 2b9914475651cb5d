"""A judgement laid out as a table."""

import json

from lanewise.domain.canonical import canonical_json
from lanewise.domain.comparison import PartitionComparison, TableComparison
from lanewise.domain.environment import Rollout
from lanewise.promotion.canary.judge import judge
from lanewise.promotion.canary.report import canary_table, judgement_table

LOST = PartitionComparison("a", 2000, 1500, keyed=True, same=False, keys_removed=500)
SAME = PartitionComparison("b", 1000, 1000, keyed=True, same=True)
JUDGEMENT = judge({}, [TableComparison("flights_daily", (), (), (LOST, SAME))], [], rollout=Rollout())


def test_a_row_tells_one_table_under_its_titles():
    table = judgement_table(JUDGEMENT)
    assert list(table.titles) == list(table.rows[0])
    assert table.cells() == (("flights_daily", "2", "1", "3,000 → 2,500", "0 / 500 / 0", "", "no", "fail"),)


def test_below_the_table_stand_the_verdict_and_what_it_proves():
    assert judgement_table(JUDGEMENT).lines == (
        "fail: flights_daily: 500 keys removed in 1 of 2 partitions",
        "1 bad of 2 partitions: the share of bad ones is below 98% (95% confidence)",
    )


def test_the_bound_is_not_said_twice():
    clean = judge({}, [TableComparison("t", (), (), (SAME,))], [], rollout=Rollout())
    assert len(judgement_table(clean).lines) == 1


def test_rows_read_back_from_the_ledger_look_the_same():
    kept = json.loads(canonical_json(JUDGEMENT.rows))
    assert canary_table(kept).cells() == judgement_table(JUDGEMENT).cells()
