"""Freeze windows: when nothing moves forward.

A window is a recurrence (RRULE, RFC 5545) of days or starts in a time zone, or one start and end. Days are nominal: a
day that begins at local midnight lasts until the next local midnight, be that 23, 24 or 25 hours; what a duration has
beyond whole days is elapsed time. Windows that overlap or touch count as one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

from dateutil.rrule import rrule, rrulestr

from lanewise.domain.environment import FreezeWindow
from lanewise.errors import ConfigError

HORIZON = timedelta(days=400)
"""How far ahead windows are looked up: a freeze that never ends is said to last this long."""

_LONGEST = timedelta(days=366)
_FIRST_LOOK = timedelta(days=8)
_ANCHOR = datetime(2001, 1, 1)  # noqa: DTZ001 - a Monday, in the window's own zone: where uncounted rules begin
_NEVER = timedelta(days=365 * 40)  # a rule without a day in 40 years (leap days and weekdays repeat in 28) has none
_LAST_YEARS = datetime(9961, 1, 1)  # noqa: DTZ001 - a search for a day that never comes ends with the year 9999
_YEARS = range(1970, 2201)
_PARTS = frozenset({
    "FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST", "BYMONTH", "BYMONTHDAY", "BYYEARDAY", "BYWEEKNO", "BYDAY",
    "BYSETPOS", "BYHOUR", "BYMINUTE",
})  # fmt: skip
_FREQUENCIES = {"YEARLY", "MONTHLY", "WEEKLY", "DAILY"}
_MOST_INTERVAL, _MOST_COUNT, _MOST_STARTS_A_DAY, _MOST_TEXT = 366, 1000, 24, 300


@dataclass(frozen=True)
class OpenFreeze:
    """A freeze under way: when it ends (UTC), and why it is."""

    until: datetime
    reason: str


@dataclass(frozen=True)
class _Interval:
    start: datetime  # UTC
    end: datetime  # UTC, not included
    reason: str


def open_window(windows: Sequence[FreezeWindow], now: datetime) -> OpenFreeze | None:
    """The freeze that ``now`` (aware) falls in, with all that it runs into; None when the road is open.

    ``windows`` are those that ``check_window`` has let through. A freeze longer than ``HORIZON`` ends at about it.
    """
    look = _FIRST_LOOK
    while True:
        intervals = _between(windows, now, now + look)
        here = [i for i in intervals if i.start <= now < i.end]
        if not here:
            return None
        until = _reach(intervals, now)
        if until < now + look or look >= HORIZON:
            reasons = dict.fromkeys(i.reason for i in here)
            return OpenFreeze(until, "; ".join(reasons))
        look = min(look * 4, HORIZON)


def next_opening(windows: Sequence[FreezeWindow], now: datetime) -> datetime | None:
    """When (UTC) the next freeze begins after ``now``, or after the one that is under way; None if there is none within
    ``HORIZON``."""
    intervals = _between(windows, now, now + HORIZON)
    after = _reach(intervals, now)
    return min((i.start for i in intervals if i.start > after), default=None)


def check_window(window: FreezeWindow) -> None:
    """Raise ``ConfigError`` for a window that says nothing, can't be read, never happens, or would take long to look up
    (seconds, minutes, thousands of repeats)."""
    zone = _zone(window.timezone)
    if window.rrule is None:
        if not (window.start and window.end):
            raise ConfigError("a freeze needs an rrule, or a start and an end")
        span = _span(window, zone)
        if span.end <= span.start:
            raise ConfigError(f"the freeze ends at {window.end}, which is not after its start {window.start}")
        return
    if window.end:
        raise ConfigError("a freeze with an rrule has no end", hint="write UNTIL=… in the rrule, or drop the rrule")
    if not timedelta(0) < window.duration <= _LONGEST:
        raise ConfigError(f"a freeze lasts more than nothing and at most {_LONGEST.days} days, not {window.duration}")
    rule = _Rule.of(window)
    if next(rule.starts(rule.anchor, rule.anchor + _NEVER), None) is None:
        raise ConfigError(f"the freeze rule {window.rrule} has no day that it falls on")


def _between(windows: Sequence[FreezeWindow], first: datetime, last: datetime) -> list[_Interval]:
    """Every interval that meets ``first`` to ``last``, by start."""
    found = (i for window in windows for i in _intervals(window, first, last))
    return sorted((i for i in found if i.start < i.end), key=lambda i: i.start)


def _reach(intervals: Sequence[_Interval], now: datetime) -> datetime:
    """How far the intervals (by start) lead from ``now`` without a gap."""
    until = now
    for interval in intervals:
        if interval.start <= until < interval.end:
            until = interval.end
    return until.astimezone(UTC)


def _intervals(window: FreezeWindow, first: datetime, last: datetime) -> Iterator[_Interval]:
    zone = _zone(window.timezone)
    if window.rrule is None:
        span = _span(window, zone)
        if span.end > first and span.start <= last:
            yield span
        return
    # A day to spare on both sides: offsets are at most 15 hours, and a day at most 25.
    early = first.astimezone(zone).replace(tzinfo=None) - window.duration - timedelta(days=1)
    late = last.astimezone(zone).replace(tzinfo=None) + timedelta(days=1)
    for start in _Rule.of(window).starts(early, late):
        days, rest = divmod(window.duration, timedelta(days=1))
        end = _utc(start + timedelta(days=days), zone) + rest
        if end > first:
            yield _Interval(_utc(start, zone), end, _reason(window))


def _span(window: FreezeWindow, zone: ZoneInfo) -> _Interval:
    start, end = _moment(window.start or "", zone), _moment(window.end or "", zone, whole_day=True)
    return _Interval(start, end, _reason(window))


def _reason(window: FreezeWindow) -> str:
    if window.reason:
        return window.reason
    when = window.rrule or f"{window.start} to {window.end}"
    return f"freeze {when} ({window.timezone})"


@dataclass(frozen=True)
class _Rule:
    """A checked RRULE. ``rule`` repeats without end from ``anchor``; all times are naive, in the window's zone."""

    rule: rrule
    anchor: datetime
    parts: Mapping[str, str]
    until: datetime | None

    @classmethod
    def of(cls, window: FreezeWindow) -> _Rule:
        """Read the rule; ``ConfigError`` for one that is malformed or unbounded work."""
        text = (window.rrule or "").strip().upper().removeprefix("RRULE:")
        parts = _parts(text)
        zone = _zone(window.timezone)
        anchor = _ANCHOR
        if window.start:
            anchor = _moment(window.start, zone).astimezone(zone).replace(tzinfo=None)
        elif "COUNT" in parts or parts.get("INTERVAL", "1") != "1":
            raise ConfigError(f"the freeze rule {text} counts from a day that it does not name",
                              hint="give the freeze a start, e.g. start: 2026-01-05")  # fmt: skip
        plain = ";".join(f"{key}={value}" for key, value in parts.items() if key not in {"COUNT", "UNTIL"})
        try:
            rule = rrulestr(plain, dtstart=anchor)
            until = _until(parts["UNTIL"], zone) if "UNTIL" in parts else None
        except (ValueError, TypeError, IndexError, AttributeError, OverflowError) as error:
            raise ConfigError(f"{text!r} is no RRULE: {error}", hint=_EXAMPLE) from error
        if not isinstance(rule, rrule):
            raise ConfigError(f"{text!r} is more than one RRULE", hint="list it as two freezes")
        if next(iter(rule.replace(dtstart=_LAST_YEARS, interval=1)), None) is None:
            raise ConfigError(f"the freeze rule {text} has no day that it falls on")
        return cls(rule, anchor, parts, until)

    def starts(self, first: datetime, last: datetime) -> Iterator[datetime]:
        """The starts from ``first`` to ``last``. Begins as near to ``first`` as counting allows: the work is that of
        the days in between, not of the years since the anchor."""
        end = last if self.until is None else min(last, self.until)
        if "COUNT" in self.parts:
            counted = islice(self.rule.replace(until=end), int(self.parts["COUNT"]))
            return (start for start in counted if start >= first)
        begin = self._near(first)
        return (start for start in self.rule.replace(dtstart=begin, until=end) if start >= first)

    def _near(self, first: datetime) -> datetime:
        """A day that the rule may begin on instead of its anchor, without changing what it gives from ``first`` on."""
        if first <= self.anchor:
            return self.anchor
        step = {"DAILY": 1, "WEEKLY": 7}.get(self.parts["FREQ"])
        if step is None:  # months and years: few enough to count from the anchor
            return self.anchor
        step *= int(self.parts.get("INTERVAL", "1"))
        return self.anchor + timedelta(days=(first - self.anchor).days // step * step - step)


_EXAMPLE = "for example FREQ=WEEKLY;BYDAY=FR,SA,SU"
_DATES = "write 2026-12-20 or 2026-12-20T18:00"


def _parts(text: str) -> dict[str, str]:
    if len(text) > _MOST_TEXT:
        raise ConfigError(f"a freeze rule of {len(text)} characters is too long", hint=f"at most {_MOST_TEXT}")
    parts: dict[str, str] = {}
    for pair in text.split(";"):
        key, equals, value = pair.partition("=")
        if not (key and equals and value) or key not in _PARTS or key in parts:
            raise ConfigError(f"{pair!r} has no place in the freeze rule {text!r}", hint=_EXAMPLE)
        parts[key] = value
    if parts.get("FREQ") not in _FREQUENCIES:
        raise ConfigError(f"a freeze repeats by {', '.join(sorted(_FREQUENCIES))}, not {parts.get('FREQ', 'nothing')}",
                          hint=_EXAMPLE)  # fmt: skip
    if "COUNT" in parts and "UNTIL" in parts:
        raise ConfigError("a freeze rule has COUNT or UNTIL, not both")
    _within(parts, "INTERVAL", _MOST_INTERVAL)
    _within(parts, "COUNT", _MOST_COUNT)
    most = 53 if parts["FREQ"] == "YEARLY" and "BYMONTH" not in parts else 5  # beyond, dateutil runs out of its lists
    if any(int(n) > most for n in re.findall(r"[0-9]{1,9}", parts.get("BYDAY", ""))):
        raise ConfigError(f"{parts['BYDAY']!r} names a weekday that no month or year has so many of", hint=_EXAMPLE)
    starts = len(parts.get("BYHOUR", "").split(",")) * len(parts.get("BYMINUTE", "").split(","))
    if starts > _MOST_STARTS_A_DAY:
        raise ConfigError(f"a freeze begins at most {_MOST_STARTS_A_DAY} times a day, not {starts}")
    return parts


def _within(parts: Mapping[str, str], key: str, most: int) -> None:
    value = parts.get(key, "1")
    if not re.fullmatch(r"[0-9]{1,6}", value) or not 1 <= int(value) <= most:
        raise ConfigError(f"{key} of a freeze rule is a whole number from 1 to {most}, not {value}")


def _until(text: str, zone: ZoneInfo) -> datetime:
    """UNTIL as local time: a date includes that day, a time with Z is UTC."""
    if re.fullmatch(r"[0-9]{8}", text):
        return datetime.combine(datetime.strptime(text, "%Y%m%d").date(), time.max)  # noqa: DTZ007 - local by design
    if text.endswith("Z"):
        moment = datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        return moment.astimezone(zone).replace(tzinfo=None)
    return datetime.strptime(text, "%Y%m%dT%H%M%S")  # noqa: DTZ007 - local by design


def _moment(text: str, zone: ZoneInfo, *, whole_day: bool = False) -> datetime:
    """ISO 8601 as UTC; local to ``zone`` without an offset. A bare date is its midnight (``whole_day``: the next).

    Raises ``ConfigError`` for anything else, and for years that nobody means.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(f"{text!r} is no date or time of a freeze", hint=_DATES) from error
    if moment.year not in _YEARS:
        raise ConfigError(f"a freeze in {moment.year} is not meant", hint=_DATES)
    if whole_day and not re.search("[T: ]", text):
        moment += timedelta(days=1)
    return _utc(moment, zone) if moment.tzinfo is None else moment.astimezone(UTC)


def _utc(local: datetime, zone: ZoneInfo) -> datetime:
    """A wall-clock time as UTC. One that the clocks skip becomes the moment they jump to; of one that comes twice,
    the first."""
    return local.replace(tzinfo=zone, fold=0).astimezone(UTC)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ConfigError(f"{name!r} is no time zone", hint="for example UTC or Europe/Berlin") from error
