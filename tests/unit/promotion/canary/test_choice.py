"""Which partitions a canary looks at."""

import math
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lanewise.errors import WrongInput
from lanewise.promotion.canary.choice import choose

YEAR = {(date(2013, 1, 1) + timedelta(days=d)).isoformat(): 900 + (d * 37) % 101 for d in range(364)}
YEAR["2013-12-31"] = 776
SIZES = st.dictionaries(st.text(max_size=12), st.integers(0, 10**9), max_size=60)
SHARES = st.decimals("0.01", "1", places=2)


@given(SIZES, SHARES, st.text(max_size=5))
def test_it_is_a_subset_of_the_asked_size_in_order(sizes, share, key):
    chosen = choose(sizes, share, key=key)
    assert len(chosen) == math.ceil(share * len(sizes))
    assert list(chosen) == sorted(set(chosen) & set(sizes))


@given(SIZES.filter(bool))
def test_at_least_one_is_chosen(sizes):
    assert len(choose(sizes, Decimal("0.000001"), key="k")) == 1


@given(SIZES, SHARES, SHARES)
def test_a_smaller_share_is_part_of_a_larger_one(sizes, one, other):
    small, large = sorted((one, other))
    assert set(choose(sizes, small, key="k")) <= set(choose(sizes, large, key="k"))


@settings(max_examples=40)
@given(SIZES, SHARES, st.randoms(use_true_random=False))
def test_the_order_in_which_partitions_are_told_does_not_matter(sizes, share, random):
    shuffled = list(sizes.items())
    random.shuffle(shuffled)
    assert choose(dict(shuffled), share, key="k") == choose(sizes, share, key="k")


def test_the_telling_ones_come_first():
    sizes = {"2026-03-01": 5, "2026-03-02": 9, "2026-02-28": 5, "2026-03-03": 1, "2026-03-04": 5, "2026-03-05": 5}
    order = ["2026-03-05", "2026-03-02", "2026-03-03", "2026-02-28"]  # newest, largest, smallest, a month end and first
    for count in range(1, 5):
        assert set(choose(sizes, Decimal(count) / 6, key="k")) == set(order[:count])


def test_five_percent_of_a_year_is_nineteen_days_with_its_ends_and_extremes():
    chosen = choose(YEAR, Decimal("0.05"), key="k")
    assert len(chosen) == 19
    assert {"2013-01-01", "2013-12-31", max(YEAR, key=lambda d: (YEAR[d], d))} <= set(chosen)


def test_the_key_decides_the_lot():
    lots = {choose(YEAR, Decimal("0.05"), key=str(n)) for n in range(5)}
    assert len(lots) == 5


def test_the_lot_is_fair():
    counts = dict.fromkeys(YEAR, 0)
    for n in range(200):
        for day in choose(YEAR, Decimal("0.05"), key=str(n)):
            counts[day] += 1
    drawn = sorted(counts.values())[:-3]  # the strata are always in: the last day, the largest, the first
    assert max(drawn) < 30  # 8.8 expected, standard deviation 2.9


def test_names_that_are_no_dates_have_no_month_end():
    sizes = {"eu": 5, "us": 9, "apac": 5, "2013-13-31": 1, "not-a-date": 2}
    assert choose(sizes, Decimal("0.4"), key="k") == ("2013-13-31", "us")
    assert choose({"9999-12-31": 1}, Decimal(1), key="k") == ("9999-12-31",)


def test_hours_of_a_month_end_are_one():
    hours = {f"2026-02-28T{hour:02}": 5 for hour in range(24)} | {"2026-03-01T00": 9}
    assert choose(hours, Decimal(2) / 25, key="k") == ("2026-02-28T00", "2026-03-01T00")
    assert "2026-02-28T23" in choose(hours, Decimal(3) / 25, key="k")


@pytest.mark.parametrize("share", ["0", "-0.1", "1.01"])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(WrongInput):
        choose({"a": 1}, Decimal(share), key="k")


def test_of_nothing_nothing_is_chosen():
    assert choose({}, Decimal("0.05"), key="k") == ()
