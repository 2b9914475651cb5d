"""Which partitions an environment's data policy gives."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lanewise.domain.environment import DataPolicy, Environment
from lanewise.domain.partition import parse_partition, partition_name
from lanewise.domain.project import Grain, PartitionSpec, Project, Source, Table
from lanewise.domain.publication import PartitionMap
from lanewise.errors import ConfigError
from lanewise.promotion.ground import Ground, data_partitions, recut

TODAY = date(2013, 3, 1)
TIMES = [Grain.HOUR, Grain.DAY, Grain.MONTH, Grain.YEAR]
BEGIN, FEBRUARY = parse_partition("2012-12", Grain.MONTH), parse_partition("2013-02", Grain.MONTH)


@pytest.mark.parametrize(
    ("first", "last", "grain", "expected"),
    [
        ("2013-02-26", "2013-02-28", Grain.DAY, ("2013-02-26", "2013-02-27", "2013-02-28")),
        ("2013-02-27", "today", Grain.DAY, ("2013-02-27", "2013-02-28", "2013-03-01")),
        ("2013-02-27", "yesterday", Grain.DAY, ("2013-02-27", "2013-02-28")),
        ("2013-02-27", None, Grain.DAY, ("2013-02-27", "2013-02-28")),
        ("2013-02-27", "yesterday", Grain.MONTH, ("2013-02",)),
        ("2013-02-27", "today", Grain.MONTH, ("2013-02", "2013-03")),
        ("2012-11", "2013", Grain.YEAR, ("2012", "2013")),
        ("2013-04-01", "yesterday", Grain.DAY, ()),
        ("2013-03-01", "yesterday", Grain.DAY, ()),
        ("2013-03-01", "2013-03-01", Grain.DAY, ("2013-03-01",)),
        (None, None, Grain.DAY, ()),
        ("yesterday", "today", Grain.DAY, ("2013-02-28", "2013-03-01")),
        ("today", "today", Grain.MONTH, ("2013-03",)),
        ("today", None, Grain.DAY, ()),
    ],
)
def test_the_policy_gives_every_partition_from_first_to_last(first, last, grain, expected):
    assert data_partitions(DataPolicy(first=first, last=last), grain, TODAY) == expected


def test_ends_written_in_a_coarser_grain_are_whole():
    policy = DataPolicy(first="2012-02", last="2012-02")
    days, hours = (data_partitions(policy, grain, TODAY) for grain in (Grain.DAY, Grain.HOUR))
    assert (days[0], days[-1], len(days)) == ("2012-02-01", "2012-02-29", 29)
    assert (hours[0], hours[-1], len(hours)) == ("2012-02-01T00", "2012-02-29T23", 29 * 24)


def test_an_hourly_table_up_to_today_ends_with_the_current_hour():
    policy = DataPolicy(first="2013-03-01", last="today")
    assert data_partitions(policy, Grain.HOUR, datetime(2013, 3, 1, 2, 59, tzinfo=UTC)) == (
        "2013-03-01T00", "2013-03-01T01", "2013-03-01T02")  # fmt: skip


def test_values_are_given_for_a_table_that_is_cut_by_value_and_for_no_other():
    policy = DataPolicy(values=("EU", "AP", "EU"))
    assert data_partitions(policy, Grain.VALUE, TODAY) == ("AP", "EU")
    assert data_partitions(policy, Grain.DAY, TODAY) == ()


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        (DataPolicy(last="today"), "never begins"),
        (DataPolicy(first="2013-02", last="2013-01"), "after its end"),
        (DataPolicy(first="last week"), "no first or last partition"),
    ],
)
def test_a_policy_that_can_not_be_meant_is_one_clear_error(policy, told):
    with pytest.raises(ConfigError, match=told):
        data_partitions(policy, Grain.DAY, TODAY)


@given(st.sampled_from(TIMES), st.datetimes(BEGIN, FEBRUARY))
@settings(deadline=None)
def test_every_moment_between_first_and_last_is_in_a_partition(grain, moment):
    policy = DataPolicy(first="2012-12-01", last="2013-01")
    names = data_partitions(policy, grain, TODAY)
    assert list(names) == sorted(set(names))
    assert (partition_name(moment, grain) in names) == (moment < FEBRUARY or grain is Grain.YEAR)


@given(st.sampled_from(TIMES), st.sampled_from(TIMES), st.datetimes(BEGIN, FEBRUARY))
@settings(deadline=None)
def test_another_cut_holds_every_moment_of_the_old_one(old, new, moment):
    name = partition_name(moment, old)
    found = recut((name,), PartitionSpec("ds", old), PartitionSpec("ds", new))
    assert partition_name(moment, new) in found
    assert partition_name(parse_partition(name, old), new) == found[0]


def test_another_cut_is_unknown_where_values_or_nothing_cut_the_table_before():
    day, value = PartitionSpec("ds"), PartitionSpec("region", Grain.VALUE)
    assert recut(("EU",), value, day) == recut(("2013-01-01",), day, value) == recut(("all",), None, day) == ()
    assert recut(("2013-01-01",), day, None) == ("all",)
    assert recut(("b", "a"), value, value) == ("a", "b")


def test_today_is_the_day_in_the_tables_own_time_zone():
    environment = Environment("prod", 0, {}, {}, data=DataPolicy(first="2013-03-01", last="today"))
    ground = Ground(Project("orders", Source(("**",)), "run"), environment, PartitionMap("orders"), "sha256:b", {},
                    now=datetime(2013, 3, 1, 23, 30, tzinfo=UTC))  # fmt: skip
    tokyo = Table("t", partition=PartitionSpec("ds", timezone="Asia/Tokyo"))
    assert ground.wanted(Table("t", partition=PartitionSpec("ds"))) == ("2013-03-01",)
    assert ground.wanted(tokyo) == ("2013-03-01", "2013-03-02")
    assert ground.wanted(Table("t")) == ("all",)
