"""Column types in PostgreSQL's words, and back. A contract names types as DuckDB does; the tables have PostgreSQL's.

What PostgreSQL has under another name is renamed; what only PostgreSQL has (``inet``, ``citext``, an enum) passes by
its own name; what it can't hold is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

from lanewise.errors import WrongInput
from lanewise.publication.types import UNBOUNDED, plain_type

_STORED: Mapping[str, str] = {
    "VARCHAR": "text", "BOOLEAN": "boolean", "SMALLINT": "smallint", "INTEGER": "integer", "BIGINT": "bigint",
    "TINYINT": "smallint", "HUGEINT": "numeric(39,0)", "UTINYINT": "smallint", "USMALLINT": "integer",
    "UINTEGER": "bigint", "UBIGINT": "numeric(20,0)", "UHUGEINT": "numeric(39,0)", "FLOAT": "real",
    "DOUBLE": "double precision", "DATE": "date", "TIME": "time without time zone",
    "TIME WITH TIME ZONE": "time with time zone", "TIMESTAMP": "timestamp without time zone",
    "TIMESTAMP_S": "timestamp without time zone", "TIMESTAMP_MS": "timestamp without time zone",
    "TIMESTAMP WITH TIME ZONE": "timestamp with time zone", "INTERVAL": "interval", "BLOB": "bytea", "JSON": "jsonb",
    "UUID": "uuid", "BIT": "bit varying", UNBOUNDED: "numeric",
}  # fmt: skip
_KNOWN: Mapping[str, str] = {
    "text": "VARCHAR", "character varying": "VARCHAR", "character": "VARCHAR", "name": "VARCHAR", "bpchar": "VARCHAR",
    "boolean": "BOOLEAN", "smallint": "SMALLINT", "integer": "INTEGER", "bigint": "BIGINT", "real": "FLOAT",
    "double precision": "DOUBLE", "date": "DATE", "time without time zone": "TIME",
    "time with time zone": "TIME WITH TIME ZONE", "timestamp without time zone": "TIMESTAMP",
    "timestamp with time zone": "TIMESTAMP WITH TIME ZONE", "interval": "INTERVAL", "bytea": "BLOB", "json": "JSON",
    "jsonb": "JSON", "uuid": "UUID", "bit varying": "BIT", "bit": "BIT", "numeric": UNBOUNDED,
    "numeric(39,0)": "HUGEINT",
}  # fmt: skip
_REFUSED: Mapping[str, str] = {
    "STRUCT": "declare it as JSON", "MAP": "declare it as JSON", "UNION": "declare it as JSON",
    "ENUM": "declare it as VARCHAR, with a check of its accepted values",
    "TIMESTAMP_NS": "declare it as TIMESTAMP: PostgreSQL keeps microseconds",
    "LIST": "write a list as its element's type and [], such as BIGINT[]",
}  # fmt: skip
_ARRAY = re.compile(r"\s*\[\d*\]$")
_LENGTH = re.compile(r"\(\d+\)")
_NAME = r'(?:[a-z_][a-z0-9_$]*|"(?:[^"\0]|"")+")'
_OWN = re.compile(rf"(?:{_NAME}\.)?{_NAME}(?:\(\s*-?\w+(?:\s*,\s*-?\w+)*\s*\))?", re.IGNORECASE)
_DECIMAL = re.compile(r"DECIMAL\((\d+),(\d+)\)")
_NUMERIC = re.compile(r"numeric\((\d+),(-?\d+)\)")
_WIDEST = 1000  # digits that numeric(p,s) may have


@cache
def postgres_type(type_: str) -> str:
    """A contract's type as ``format_type`` writes it: ``DECIMAL(18,2)`` is ``numeric(18,2)``. Safe to stand in a
    statement. ``WrongInput`` for what PostgreSQL can't hold (``STRUCT``), with what to declare instead."""
    element, text = 0, type_.strip()
    while _ARRAY.search(text):
        text, element = _ARRAY.sub("", text), element + 1
    plain = plain_type(text)
    for name, hint in _REFUSED.items():
        if re.fullmatch(rf"{name}\s*(\(.*)?", plain, re.DOTALL | re.IGNORECASE):
            raise WrongInput(f"PostgreSQL has no column type {type_}", hint=hint)
    found = _STORED.get(plain) or _decimal(plain) or _own(plain)
    if not found:
        raise WrongInput(f"{type_!r} is no column type", hint="write it as DuckDB does, e.g. DECIMAL(18,2)")
    return found + "[]" * bool(element)  # an array of any depth is one type there


@cache
def contract_type(text: str) -> str:
    """What a contract calls the type that ``format_type`` writes so: ``numeric(18,2)`` is ``DECIMAL(18,2)``, and
    ``numeric`` without digits is ``UNBOUNDED DECIMAL``. A type that only PostgreSQL has keeps its name."""
    if text.endswith("[]"):
        return contract_type(text[:-2]) + "[]"
    if found := _KNOWN.get(text):
        return found
    if (digits := _NUMERIC.fullmatch(text)) and 0 <= int(digits[2]) <= int(digits[1]):
        return f"DECIMAL({digits[1]},{digits[2]})"
    if text.startswith("numeric"):
        return UNBOUNDED
    if text.startswith("interval "):
        return "INTERVAL"
    return _KNOWN.get(_LENGTH.sub("", text), text)


def _decimal(plain: str) -> str:
    found = _DECIMAL.fullmatch(plain)
    if found is None:
        return ""
    if int(found[1]) > _WIDEST:
        raise WrongInput(f"PostgreSQL has no column type {plain}", hint=f"it keeps at most {_WIDEST} digits")
    return f"numeric({found[1]},{found[2]})"


def _own(plain: str) -> str:
    """A type that only PostgreSQL knows; names in quotes keep their letters."""
    if not _OWN.fullmatch(plain):
        return ""
    return plain if '"' in plain else plain.lower()
