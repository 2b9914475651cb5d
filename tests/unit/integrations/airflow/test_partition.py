"""Which partition a run of Airflow's clock computes."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from lanewise.integrations.airflow.partition import Cut, partitions_of

MIDNIGHT = datetime(2013, 1, 6, 0, tzinfo=UTC)
NEW_YORK = "America/New_York"


@pytest.mark.parametrize(
    ("grain", "name"),
    [("hour", "2013-01-05T19"), ("day", "2013-01-05"), ("month", "2013-01"), ("year", "2013")],
)
def test_a_moment_is_cut_to_the_grain_in_the_tables_time_zone(grain: str, name: str) -> None:
    assert partitions_of(None, MIDNIGHT, {}, Cut(grain, NEW_YORK)) == (name,)
    assert partitions_of(None, MIDNIGHT, {}, Cut("day")) == ("2013-01-06",)


def test_a_partition_key_comes_first_and_is_cut_where_it_is_a_moment() -> None:
    assert partitions_of("2013-02-01T00:00:00", MIDNIGHT, {}, Cut("day")) == ("2013-02-01",)
    assert partitions_of("2013-02", MIDNIGHT, {}, Cut("month")) == ("2013-02",)
    assert partitions_of("EU", MIDNIGHT, {}, Cut("value")) == ("EU",)


def test_a_person_may_say_which() -> None:
    assert partitions_of(None, MIDNIGHT, {"partitions": ["2013-03-01", "2013-03-02"]}, Cut("day")) == (
        "2013-03-01",
        "2013-03-02",
    )


def test_without_anything_to_go_by_there_is_none() -> None:
    assert partitions_of(None, None, {}, Cut("day")) == ()
    assert partitions_of(None, MIDNIGHT, {}, Cut("")) == ()
    assert partitions_of(None, MIDNIGHT, {}, Cut("value")) == ()
