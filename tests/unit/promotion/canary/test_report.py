"""A judgement laid out as a table."""

import json

from lanewise.domain.canonical import canonical_json
from lanewise.domain.comparison import PartitionComparison, TableComparison
from lanewise.domain.environment import Rollout
from lanewise.promotion.canary.judge import judge
from lanewise.promotion.canary.report import canary_table

LOST = PartitionComparison("a", 2000, 1500, keyed=True, same=False, keys_removed=500)
SAME = PartitionComparison("b", 1000, 1000, keyed=True, same=True)
JUDGEMENT = judge({}, [TableComparison("flights_daily", (), (), (LOST, SAME))], [], rollout=Rollout())


def test_a_row_tells_one_table_under_its_titles():
    table = canary_table(JUDGEMENT.rows)
    assert list(table.titles) == list(table.rows[0])
    assert table.cells() == (("flights_daily", "2", "1", "3,000 → 2,500", "0 / 500 / 0", "", "no", "fail"),)


def test_rows_read_back_from_the_ledger_look_the_same():
    kept = json.loads(canonical_json(JUDGEMENT.rows))
    assert canary_table(kept).cells() == canary_table(JUDGEMENT.rows).cells()
