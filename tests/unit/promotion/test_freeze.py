"""Freeze windows, over clock changes in several zones and against a scan of every minute."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lanewise.domain.environment import FreezeWindow
from lanewise.errors import ConfigError
from lanewise.promotion.freeze import HORIZON, OpenFreeze, check_window, next_opening, open_window

MINUTE = timedelta(minutes=1)
WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
WEEKEND = FreezeWindow(rrule="FREQ=WEEKLY;BYDAY=FR,SA,SU", timezone="Europe/Berlin", reason="weekend")

# Around a clock change each: by an hour, by half an hour, at midnight itself (both ways), and a day that never was.
CHANGES = [
    ("Europe/Berlin", datetime(2026, 3, 29, tzinfo=UTC)),
    ("Europe/Berlin", datetime(2026, 10, 25, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 3, 8, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 4, 4, tzinfo=UTC)),
    ("America/Sao_Paulo", datetime(2018, 11, 4, tzinfo=UTC)),
    ("America/Sao_Paulo", datetime(2018, 2, 18, tzinfo=UTC)),
    ("Africa/Cairo", datetime(2026, 4, 24, tzinfo=UTC)),
    ("Asia/Beirut", datetime(2026, 3, 28, tzinfo=UTC)),
    ("Pacific/Apia", datetime(2011, 12, 30, tzinfo=UTC)),
    ("Asia/Kathmandu", datetime(2026, 6, 1, tzinfo=UTC)),
    ("UTC", datetime(2024, 2, 29, tzinfo=UTC)),
]


@st.composite
def scenes(draw: st.DrawFn) -> tuple[list[tuple[str, set[int]]], datetime]:
    """Up to three windows of whole weekdays, one zone each, and a minute near one zone's clock change."""
    zone, around = draw(st.sampled_from(CHANGES))
    zones = [zone, *draw(st.lists(st.sampled_from([z for z, _ in CHANGES]), max_size=2))]
    days = [draw(st.sets(st.integers(0, 6), min_size=1, max_size=4)) for _ in zones]
    now = around + timedelta(minutes=draw(st.integers(-4 * 1440, 4 * 1440)))
    return list(zip(zones, days, strict=True)), now


def frozen_at(windows: list[tuple[str, set[int]]], now: datetime) -> bool:
    return any(now.astimezone(ZoneInfo(zone)).weekday() in days for zone, days in windows)


@given(scenes())
@settings(max_examples=150, deadline=None)
def test_whole_days_freeze_exactly_the_minutes_whose_local_date_they_name(scene):
    named, now = scene
    windows = [
        FreezeWindow(rrule="FREQ=WEEKLY;BYDAY=" + ",".join(WEEKDAYS[d] for d in sorted(days)), timezone=zone)
        for zone, days in named
    ]
    found = open_window(windows, now)
    assert (found is not None) == frozen_at(named, now)
    if found is None:
        following = next_opening(windows, now)
        assert following is not None
        assert following == first_minute(now, lambda m: frozen_at(named, m), 8)
    else:
        end = first_minute(now, lambda m: not frozen_at(named, m), 40)
        assert found.until == end or (end is None and found.until > now + timedelta(days=40))


def first_minute(now: datetime, holds, days: int) -> datetime | None:
    """The first minute for which it holds, scanned one by one; by the quarter where a whole quarter is alike (no zone
    changes within one)."""
    at, last = now, now + timedelta(days=days)
    while at <= last:
        if holds(at):
            return at
        at += MINUTE * 15 if at.minute % 15 == 0 and not holds(at + MINUTE * 15) else MINUTE
    return None


@given(st.sampled_from(CHANGES), st.integers(-3000, 3000), st.integers(0, 23), st.integers(1, 47))
@settings(max_examples=150, deadline=None)
def test_a_window_of_hours_lasts_that_many_hours_on_any_day(change, shift, start, hours):
    """Whole days in the duration are the calendar's, the rest is elapsed time."""
    zone, around = change
    now = around + timedelta(minutes=shift)
    window = FreezeWindow(rrule=f"FREQ=DAILY;BYHOUR={start}", timezone=zone, duration=timedelta(hours=hours))
    found, local = open_window([window], now), now.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    inside = []
    for back in range(-1, 5):
        first = local.replace(hour=start, minute=0) - timedelta(days=back)
        begin = first.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
        nominal = (first + timedelta(days=hours // 24)).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
        inside.append(begin <= now < nominal + timedelta(hours=hours % 24))
    assert (found is not None) == any(inside)


def test_friday_to_sunday_ends_on_monday_at_local_midnight():
    saturday = datetime(2026, 11, 7, 15, tzinfo=UTC)
    assert open_window([WEEKEND], saturday) == OpenFreeze(datetime(2026, 11, 8, 23, tzinfo=UTC), "weekend")


def test_a_day_with_a_clock_change_is_one_day():
    sunday = FreezeWindow(rrule="FREQ=WEEKLY;BYDAY=SU", timezone="Europe/Berlin")
    spring = open_window([sunday], datetime(2026, 3, 29, 10, tzinfo=UTC))
    autumn = open_window([sunday], datetime(2026, 10, 25, 10, tzinfo=UTC))
    assert spring is not None
    assert autumn is not None
    assert spring.until - datetime(2026, 3, 28, 23, tzinfo=UTC) == timedelta(hours=23)
    assert autumn.until - datetime(2026, 10, 24, 22, tzinfo=UTC) == timedelta(hours=25)


def test_a_window_begins_with_its_first_moment_and_is_over_at_its_last():
    friday = datetime(2026, 11, 5, 23, tzinfo=UTC)  # midnight in Berlin
    assert open_window([WEEKEND], friday - timedelta(seconds=1)) is None
    assert open_window([WEEKEND], friday) is not None
    assert open_window([WEEKEND], datetime(2026, 11, 8, 23, tzinfo=UTC)) is None


def test_windows_that_touch_or_overlap_are_one_with_the_reason_that_holds_now():
    christmas = FreezeWindow(start="2026-12-21", end="2026-12-27", timezone="Europe/Berlin", reason="holidays")
    year_end = FreezeWindow(start="2026-12-28", end="2027-01-03T12:00", timezone="Europe/Berlin", reason="year end")
    found = open_window([year_end, WEEKEND, christmas], datetime(2026, 12, 22, tzinfo=UTC))
    assert found == OpenFreeze(datetime(2027, 1, 3, 23, tzinfo=UTC), "holidays")  # the Sunday after it


def test_two_windows_at_once_give_both_reasons():
    other = FreezeWindow(rrule="FREQ=DAILY", reason="audit")
    found = open_window([WEEKEND, other], datetime(2026, 11, 7, 12, tzinfo=UTC))
    assert found is not None
    assert set(found.reason.split("; ")) == {"weekend", "audit"}


def test_a_last_date_is_frozen_to_its_end_and_a_last_time_to_the_minute():
    by_date = FreezeWindow(start="2026-12-24", end="2026-12-26")
    by_time = FreezeWindow(start="2026-12-24", end="2026-12-26T06:00")
    noon = datetime(2026, 12, 26, 12, tzinfo=UTC)
    assert open_window([by_date], noon) == OpenFreeze(
        datetime(2026, 12, 27, tzinfo=UTC), "freeze 2026-12-24 to 2026-12-26 (UTC)"
    )
    assert open_window([by_time], noon) is None


def test_an_offset_in_a_time_counts_before_the_time_zone():
    window = FreezeWindow(start="2026-12-24T00:00+09:00", end="2026-12-24T12:00+09:00", timezone="America/New_York")
    assert open_window([window], datetime(2026, 12, 23, 15, tzinfo=UTC)) is not None
    assert open_window([window], datetime(2026, 12, 24, 3, tzinfo=UTC)) is None


def test_a_freeze_without_end_says_a_time_beyond_the_horizon_and_returns():
    now = datetime(2026, 11, 7, 12, tzinfo=UTC)
    found = open_window([FreezeWindow(rrule="FREQ=DAILY")], now)
    assert found is not None
    assert found.until >= now + HORIZON
    assert next_opening([FreezeWindow(rrule="FREQ=DAILY")], now) is None


def test_a_rule_with_until_or_count_comes_to_an_end():
    until = FreezeWindow(rrule="FREQ=WEEKLY;BYDAY=SA;UNTIL=20261107")
    count = FreezeWindow(rrule="FREQ=WEEKLY;BYDAY=SA;COUNT=2", start="2026-10-31")
    for window in (until, count):
        assert open_window([window], datetime(2026, 11, 7, 12, tzinfo=UTC)) is not None
        assert open_window([window], datetime(2026, 11, 14, 12, tzinfo=UTC)) is None
        assert next_opening([window], datetime(2026, 11, 8, tzinfo=UTC)) is None


def test_until_in_utc_is_taken_to_the_local_clock():
    window = FreezeWindow(rrule="FREQ=DAILY;UNTIL=20261107T230000Z", timezone="Europe/Berlin")
    assert open_window([window], datetime(2026, 11, 8, 12, tzinfo=UTC)) is not None
    assert open_window([window], datetime(2026, 11, 9, 12, tzinfo=UTC)) is None


@given(st.integers(2, 9), st.sampled_from(["DAILY", "WEEKLY"]), st.integers(0, 4000))
@settings(deadline=None)
def test_every_nth_day_or_week_counts_from_its_start_however_long_ago(interval, frequency, days):
    step = interval * (7 if frequency == "WEEKLY" else 1)
    window = FreezeWindow(rrule=f"FREQ={frequency};INTERVAL={interval}", start="2015-01-01")
    now = datetime(2015, 1, 1, 12, tzinfo=UTC) + timedelta(days=days)
    assert (open_window([window], now) is not None) == (days % step == 0)


def test_the_next_opening_skips_what_the_present_one_runs_into():
    assert next_opening([WEEKEND], datetime(2026, 11, 7, tzinfo=UTC)) == datetime(2026, 11, 12, 23, tzinfo=UTC)


def test_no_windows_never_freeze():
    now = datetime(2026, 11, 7, tzinfo=UTC)
    assert open_window([], now) is None
    assert next_opening([], now) is None


@pytest.mark.parametrize(
    ("window", "told"),
    [
        (FreezeWindow(), "an rrule, or a start and an end"),
        (FreezeWindow(start="2026-12-24"), "an rrule, or a start and an end"),
        (FreezeWindow(start="2026-12-24", end="2026-12-23"), "not after its start"),
        (FreezeWindow(start="soon", end="2026-12-23"), "'soon' is no date or time"),
        (FreezeWindow(start="9999-12-31", end="9999-12-31"), "is not meant"),
        (FreezeWindow(rrule="FREQ=DAILY", end="2026-12-23"), "has no end"),
        (FreezeWindow(rrule="FREQ=DAILY", timezone="Europe/Atlantis"), "no time zone"),
        (FreezeWindow(rrule="FREQ=DAILY", timezone="../../etc/passwd"), "no time zone"),
        (FreezeWindow(rrule="FREQ=DAILY", duration=timedelta(0)), "more than nothing"),
        (FreezeWindow(rrule="FREQ=DAILY", duration=timedelta(days=500)), "at most 366 days"),
        (FreezeWindow(rrule="FREQ=SECONDLY"), "not SECONDLY"),
        (FreezeWindow(rrule="FREQ=MINUTELY;INTERVAL=5"), "not MINUTELY"),
        (FreezeWindow(rrule="FREQ=HOURLY"), "not HOURLY"),
        (FreezeWindow(rrule="BYDAY=FR"), "not nothing"),
        (FreezeWindow(rrule="every friday"), "has no place"),
        (FreezeWindow(rrule=""), "has no place"),
        (FreezeWindow(rrule="FREQ=WEEKLY;BYDAY=XX"), "is no RRULE"),
        (FreezeWindow(rrule="FREQ=WEEKLY;BYDAY=FR;UNTIL=soon"), "is no RRULE"),
        (FreezeWindow(rrule="FREQ=DAILY;FREQ=WEEKLY"), "has no place"),
        (FreezeWindow(rrule="FREQ=DAILY\nRRULE:FREQ=SECONDLY"), "not"),
        (FreezeWindow(rrule="DTSTART=20260101;FREQ=DAILY"), "has no place"),
        (FreezeWindow(rrule="FREQ=DAILY;BYSECOND=1"), "has no place"),
        (FreezeWindow(rrule="FREQ=DAILY;INTERVAL=0", start="2026-01-01"), "from 1 to 366"),
        (FreezeWindow(rrule="FREQ=DAILY;COUNT=99999999", start="2026-01-01"), "from 1 to 1000"),
        (FreezeWindow(rrule="FREQ=DAILY;COUNT=2;UNTIL=20270101", start="2026-01-01"), "not both"),
        (FreezeWindow(rrule="FREQ=WEEKLY;INTERVAL=2"), "counts from a day"),
        (FreezeWindow(rrule="FREQ=DAILY;COUNT=3"), "counts from a day"),
        (
            FreezeWindow(rrule="FREQ=DAILY;BYHOUR=" + ",".join(map(str, range(24))) + ";BYMINUTE=0,30"),
            "at most 24 times",
        ),
        (FreezeWindow(rrule="FREQ=DAILY;BYMONTH=" + ",".join("1" * 400)), "too long"),
        (FreezeWindow(rrule="FREQ=MONTHLY;BYDAY=+6FR"), "so many of"),
        (FreezeWindow(rrule="FREQ=YEARLY;BYDAY=+54FR"), "so many of"),
        (FreezeWindow(rrule="FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30"), "no day that it falls on"),
        (FreezeWindow(rrule="FREQ=DAILY;INTERVAL=7;BYDAY=TU", start="2026-01-05"), "no day that it falls on"),
    ],
)
def test_a_window_that_can_not_be_meant_is_one_clear_error(window, told):
    with pytest.raises(ConfigError) as caught:
        check_window(window)
    assert told in caught.value.message


@pytest.mark.parametrize(
    "rule",
    ["FREQ=WEEKLY;BYDAY=FR,SA,SU", "RRULE:FREQ=MONTHLY;BYMONTHDAY=-1", "freq=yearly;bymonth=12;bymonthday=24,25,26",
     "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29;BYDAY=MO",
     "FREQ=WEEKLY;BYDAY=FR;BYHOUR=17", "FREQ=YEARLY;BYWEEKNO=53"],
)  # fmt: skip
def test_rules_that_people_write_are_let_through(rule):
    check_window(FreezeWindow(rrule=rule))


TOKENS = ["COUNT=1000", "BYDAY=MO,-1SU", "BYMONTHDAY=31,-31", "BYMONTH=2", "BYYEARDAY=366,-366", "BYWEEKNO=53",
          "BYSETPOS=366,-366", "BYHOUR=23", "BYMINUTE=59", "WKST=SU", "UNTIL=99991231", "UNTIL=00010101T000000Z",
          "BYDAY=+53FR", "BYDAY=-5MO"]  # fmt: skip


@given(
    st.sampled_from(["DAILY", "WEEKLY", "MONTHLY", "YEARLY"]),
    st.sampled_from([1, 2, 7, 366]),
    st.lists(st.sampled_from(TOKENS), max_size=4, unique=True),
)
@settings(max_examples=150, deadline=None)
def test_whatever_is_let_through_can_be_looked_up_and_the_rest_is_a_config_error(frequency, interval, parts):
    rule = ";".join([f"FREQ={frequency}", f"INTERVAL={interval}", *parts])
    window, now = (
        FreezeWindow(rrule=rule, start="2026-01-01", timezone="Pacific/Apia"),
        datetime(2026, 11, 7, tzinfo=UTC),
    )
    try:
        check_window(window)
    except ConfigError:  # any other error, or none in good time, fails
        return
    found = open_window([window], now)
    assert found is None or found.until > now
