"""Which column types hold every value of which others, so that a published column never changes its type for
no reason and a view never casts what can't be cast."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

from lanewise.domain.project import Column

_INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
_UNSIGNED = ("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT")
_DIGITS = {
    "TINYINT": 3, "SMALLINT": 5, "INTEGER": 10, "BIGINT": 19, "UTINYINT": 3, "USMALLINT": 5, "UINTEGER": 10,
    "UBIGINT": 20,
}  # fmt: skip
_EXACT_IN_DOUBLE = {"TINYINT", "SMALLINT", "INTEGER", "UTINYINT", "USMALLINT", "UINTEGER", "FLOAT", "DOUBLE"}
_ALIASES = {
    "INT": "INTEGER", "INT4": "INTEGER", "INT8": "BIGINT", "LONG": "BIGINT", "INT2": "SMALLINT", "SHORT": "SMALLINT",
    "INT1": "TINYINT", "TEXT": "VARCHAR", "STRING": "VARCHAR", "CHAR": "VARCHAR", "BPCHAR": "VARCHAR",
    "BOOL": "BOOLEAN", "REAL": "FLOAT", "FLOAT4": "FLOAT", "FLOAT8": "DOUBLE", "NUMERIC": "DECIMAL",
    "DATETIME": "TIMESTAMP", "TIMESTAMPTZ": "TIMESTAMP WITH TIME ZONE", "BYTEA": "BLOB",
}  # fmt: skip
_DECIMAL = re.compile(r"DECIMAL\((\d+),(\d+)\)")
UNBOUNDED = "UNBOUNDED DECIMAL"
"""A decimal number of any length, as PostgreSQL's ``numeric`` without digits is; a DECIMAL has 18 and 3."""


@cache
def plain_type(text: str) -> str:
    """One spelling per type: upper case, no needless space, DuckDB's first name for it. A type that quotes names or
    values stands as it is."""
    if "'" in text or '"' in text:
        return text.strip()
    upper = re.sub(r"\s*([(),])\s*", r"\1", " ".join(text.upper().split()))
    head, bracket, tail = upper.partition("(")
    if bracket and _ALIASES.get(head, head) == "VARCHAR":
        return "VARCHAR"
    name = _ALIASES.get(head, head)
    if name == "DECIMAL":
        tail = tail.rstrip(")") or "18,3"
        return f"DECIMAL({tail if ',' in tail else tail + ',0'})"
    return name + bracket + tail


@cache
def holds(wide: str, narrow: str) -> bool:
    """Whether every value of ``narrow`` is the same value in ``wide``."""
    wide, narrow = plain_type(wide), plain_type(narrow)
    if wide == narrow:
        return True
    if wide in _INTEGERS:
        return _holds_integer(wide, narrow)
    if wide in _UNSIGNED:
        return narrow in _UNSIGNED and _UNSIGNED.index(narrow) <= _UNSIGNED.index(wide)
    if wide == "DOUBLE":
        return narrow in _EXACT_IN_DOUBLE
    return _holds_decimal(wide, narrow) or (wide == "TIMESTAMP" and narrow == "DATE")


def _holds_integer(wide: str, narrow: str) -> bool:
    if narrow in _INTEGERS:
        return _INTEGERS.index(narrow) <= _INTEGERS.index(wide)
    return narrow in _UNSIGNED and _UNSIGNED.index(narrow) < _INTEGERS.index(wide)


def _holds_decimal(wide: str, narrow: str) -> bool:
    found = _DECIMAL.fullmatch(narrow)
    if wide == UNBOUNDED:
        return found is not None or is_whole(narrow)
    decimal = _DECIMAL.fullmatch(wide)
    if decimal is None:
        return False
    width, scale = int(decimal[1]), int(decimal[2])
    if narrow in _DIGITS:
        return _DIGITS[narrow] <= width - scale
    return found is not None and int(found[2]) <= scale and int(found[1]) - int(found[2]) <= width - scale


def widest(one: str, other: str) -> str:
    """A type that holds both: one of the two, or text when neither holds the other."""
    if holds(one, other):
        return one
    return other if holds(other, one) else "VARCHAR"


def is_whole(type_: str) -> bool:
    """Whether it holds whole numbers."""
    return plain_type(type_) in {*_INTEGERS, *_UNSIGNED}


def is_float(type_: str) -> bool:
    """Whether it holds binary floating point numbers, whose last digits depend on the order of a sum."""
    return plain_type(type_) in {"FLOAT", "DOUBLE"}


def is_number(type_: str) -> bool:
    """Whether it holds numbers of any kind."""
    plain = plain_type(type_)
    return is_whole(plain) or is_float(plain) or plain == UNBOUNDED or bool(_DECIMAL.fullmatch(plain))


def comparable(one: str, other: str) -> str:
    """The type that values of both are compared in: one that holds both, DOUBLE for other numbers, else text."""
    found = widest(one, other)
    numbers = is_number(one) and is_number(other)
    return "DOUBLE" if numbers and found == "VARCHAR" else found


def joint_columns(schemas: Iterable[tuple[Column, ...]]) -> tuple[Column, ...]:
    """The columns of all these schemas in order of appearance, each in a type that holds every schema's values.
    A column that some schema lacks is nullable."""
    found: dict[str, Column] = {}
    seen: dict[str, int] = {}
    every = tuple(schemas)
    for column in (column for columns in every for column in columns):
        held = found.get(column.name)
        type_ = widest(held.type, column.type) if held else column.type
        nullable = column.nullable or bool(held and held.nullable)
        found[column.name] = Column(column.name, type_, nullable)
        seen[column.name] = seen.get(column.name, 0) + 1
    return tuple(c if seen[c.name] == len(every) else Column(c.name, c.type) for c in found.values())
