"""Which partition a run of Airflow's clock computes."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from lanewise.integrations.airflow.partition import partitions_of

MIDNIGHT = datetime(2013, 1, 5, 19, tzinfo=ZoneInfo("America/New_York"))


@pytest.mark.parametrize(
    ("grain", "name"),
    [("hour", "2013-01-05T19"), ("day", "2013-01-05"), ("month", "2013-01"), ("year", "2013")],
)
def test_a_moment_is_cut_to_the_grain_in_its_own_time_zone(grain: str, name: str) -> None:
    assert partitions_of(None, MIDNIGHT, {}, grain) == (name,)


def test_a_partition_key_comes_first_and_is_cut_where_it_is_a_moment() -> None:
    assert partitions_of("2013-02-01T00:00:00", MIDNIGHT, {}, "day") == ("2013-02-01",)
    assert partitions_of("2013-02", MIDNIGHT, {}, "month") == ("2013-02",)
    assert partitions_of("EU", MIDNIGHT, {}, "value") == ("EU",)


def test_a_person_may_say_which() -> None:
    assert partitions_of(None, MIDNIGHT, {"partitions": ["2013-03-01", "2013-03-02"]}, "day") == (
        "2013-03-01",
        "2013-03-02",
    )


def test_without_anything_to_go_by_there_is_none() -> None:
    assert partitions_of(None, None, {}, "day") == ()
    assert partitions_of(None, MIDNIGHT, {}, "") == ()
    assert partitions_of(None, MIDNIGHT, {}, "value") == ()
