"""The small written forms: durations (``30m``), shares (``5%``), names, time zones."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
NAME_RULE = "a name is made of letters, digits, _ and -, starts with a letter or digit, and has at most 63"

_DURATION = re.compile(r"([0-9]{1,9})\s*(s|m|h|d|w)")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def parse_duration(text: str) -> timedelta:
    """``45s``, ``30m``, ``24h``, ``14d`` or ``2w``; ``ValueError`` otherwise."""
    found = _DURATION.fullmatch(text.strip())
    if not found:
        raise ValueError("must be a duration such as 30m, 24h or 14d")
    try:
        return timedelta(**{_UNITS[found[2]]: int(found[1])})
    except OverflowError as error:
        raise ValueError("must be a shorter duration") from error


def show_duration(duration: timedelta) -> str:
    """The shortest written form: ``14d``, ``90m``."""
    seconds = int(duration.total_seconds())
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def parse_share(value: object) -> Decimal:
    """``5%`` or ``0.05`` as Decimal("0.05"), without float arithmetic; ``ValueError`` otherwise."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError("must be a share such as 5%")  # noqa: TRY004 - pydantic reports ValueError
    text = str(value).strip()
    percent = text.endswith("%")
    try:
        number = Decimal(text.removesuffix("%").strip())
    except InvalidOperation:
        raise ValueError("must be a share such as 5%") from None
    if not number.is_finite() or number < 0 or number.adjusted() > 6 or number.as_tuple().exponent < -12:  # type: ignore[operator] # finite: an int
        raise ValueError("must be a share such as 5%")
    if not percent and number > 1:
        raise ValueError(f"must be a share such as 5%; did you mean {text}%?")
    return Decimal(decimal_text(number.scaleb(-2) if percent else number))


def decimal_text(number: Decimal) -> str:
    """One spelling for equal numbers: ``0.1`` for 0.10, ``10`` for 1E+1."""
    text = format(number, "f")
    return (text.rstrip("0").rstrip(".") if "." in text else text) or "0"


def show_share(share: Decimal) -> str:
    """``0.05`` as ``5%``."""
    return decimal_text(share.scaleb(2)) + "%"


def parse_number(value: object) -> str:
    """A non-negative number as decimal text; ``ValueError`` otherwise."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError("must be a number")  # noqa: TRY004 - pydantic reports ValueError
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        raise ValueError("must be a number") from None
    if not number.is_finite() or number < 0 or abs(number.adjusted()) > 30:
        raise ValueError("must be a number of 0 or more")
    return decimal_text(number)


def known_timezone(name: str) -> str:
    """An IANA time zone; ``ValueError`` otherwise."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"{name[:60]!r} is no time zone; write it like UTC or Europe/Berlin") from error
    return name


def iso_moment(text: str) -> str:
    """An ISO 8601 date or time; ``ValueError`` otherwise."""
    try:
        datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError("must be a date or time such as 2026-12-24 or 2026-12-24T18:00") from error
    return text


def _at_most_one(share: Decimal) -> Decimal:
    if share > 1:
        raise ValueError("must be a share of at most 100%")
    return share


def _duration(value: object) -> timedelta:
    if not isinstance(value, str):
        raise ValueError("must be a duration such as 30m, 24h or 14d")  # noqa: TRY004 - pydantic reports ValueError
    return parse_duration(value)


def as_list(value: object) -> Any:
    """One text where a list of texts may stand."""
    return [value] if isinstance(value, str) else value


Text = Annotated[str, Field(min_length=1)]
Texts = Annotated[list[Text], BeforeValidator(as_list, json_schema_input_type=list[Text] | Text)]

Duration = Annotated[
    timedelta,
    BeforeValidator(_duration),
    WithJsonSchema({"type": "string", "pattern": "^[0-9]+ ?[smhdw]$", "examples": ["30m", "24h", "14d"]}),
]
_SHARE_SCHEMA = WithJsonSchema({
    "anyOf": [{"type": "string", "pattern": "^[0-9.]+ ?%$"}, {"type": "number", "minimum": 0, "maximum": 1}],
    "examples": ["5%"],
})  # fmt: skip
Share = Annotated[Decimal, BeforeValidator(parse_share), AfterValidator(_at_most_one), _SHARE_SCHEMA]
Change = Annotated[Decimal, BeforeValidator(parse_share), _SHARE_SCHEMA]
Number = Annotated[str, BeforeValidator(parse_number), WithJsonSchema({"type": "number", "minimum": 0})]
Timezone = Annotated[str, AfterValidator(known_timezone)]
Moment = Annotated[str, AfterValidator(iso_moment)]
