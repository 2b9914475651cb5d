from __future__ import annotations

from datetime import UTC, datetime

import pytest

from lanewise.errors import WrongInput
from lanewise.integrations.prefect.clock import partitions

DUE = datetime(2013, 3, 1, 4, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("grain", "timezone", "expected"),
    [
        ("hour", "UTC", "2013-03-01T03"),
        ("day", "UTC", "2013-02-28"),
        ("day", "America/New_York", "2013-02-27"),  # half past eleven at night there, the day before
        ("month", "UTC", "2013-02"),
        ("month", "America/New_York", "2013-01"),
        ("year", "UTC", "2012"),
    ],
)
def test_the_clock_computes_what_had_ended_when_the_run_was_due(grain: str, timezone: str, expected: str):
    assert partitions({}, DUE, grain, timezone) == (expected,)


def test_the_day_after_the_clocks_went_forward_is_the_day_before():
    assert partitions({}, datetime(2013, 3, 11, 3, 30, tzinfo=UTC), "day", "America/New_York") == ("2013-03-09",)
    assert partitions({}, datetime(2013, 3, 11, 4, 30, tzinfo=UTC), "day", "America/New_York") == ("2013-03-10",)


def test_a_person_may_name_others():
    assert partitions({"partitions": ["2013-01-05", "2013-01-06"]}, DUE, "day", "UTC") == ("2013-01-05", "2013-01-06")
    assert partitions({"partitions": "EU"}, DUE, "value", "UTC") == ("EU",)


def test_what_is_cut_by_value_has_no_last_one():
    with pytest.raises(WrongInput, match="follow no clock") as caught:
        partitions({}, DUE, "value", "UTC")
    assert "partitions" in caught.value.hint


def test_a_project_without_partitions_is_asked_for_none():
    assert partitions({"partitions": None}, DUE, "", "UTC") == ()
