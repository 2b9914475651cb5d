"""Column types in PostgreSQL's words, and back. A contract names types as DuckDB does; the tables have PostgreSQL's."""

from __future__ import annotations

import re
from functools import cache

from lanewise.errors import WrongInput
from lanewise.publication.sql import type_name
from lanewise.publication.types import plain_type

_TO = {
    "TINYINT": "smallint", "UTINYINT": "smallint", "SMALLINT": "smallint", "USMALLINT": "integer",
    "INTEGER": "integer", "UINTEGER": "bigint", "BIGINT": "bigint", "UBIGINT": "numeric(20,0)",
    "HUGEINT": "numeric(39,0)", "UHUGEINT": "numeric(39,0)", "FLOAT": "real", "DOUBLE": "double precision",
    "VARCHAR": "text", "BOOLEAN": "boolean", "DATE": "date", "TIME": "time without time zone",
    "TIMESTAMP": "timestamp without time zone", "TIMESTAMP WITH TIME ZONE": "timestamp with time zone",
    "INTERVAL": "interval", "UUID": "uuid", "BLOB": "bytea", "JSON": "jsonb",
}  # fmt: skip
_FROM = {
    "smallint": "SMALLINT", "integer": "INTEGER", "bigint": "BIGINT", "real": "FLOAT", "double precision": "DOUBLE",
    "text": "VARCHAR", "character varying": "VARCHAR", "character": "VARCHAR", "name": "VARCHAR", '"char"': "VARCHAR",
    "boolean": "BOOLEAN", "date": "DATE", "time without time zone": "TIME", "timestamp without time zone": "TIMESTAMP",
    "timestamp with time zone": "TIMESTAMP WITH TIME ZONE", "interval": "INTERVAL", "uuid": "UUID", "bytea": "BLOB",
    "jsonb": "JSON", "json": "JSON",
}  # fmt: skip
_FREE_NUMERIC = "numeric"
_NESTED = ("STRUCT", "MAP", "UNION", "ROW")


@cache
def postgres_type(text: str) -> str:
    """The column type that holds every value of ``text``, as ``format_type`` writes it. A type that only PostgreSQL
    has (``inet``, ``geometry``) stands as it is; ``WrongInput`` for one that has no counterpart (``STRUCT``)."""
    if text.strip().lower() == _FREE_NUMERIC:
        return _FREE_NUMERIC  # without limits: DuckDB would give it some
    plain = plain_type(type_name(text.strip()))
    element, bracket, rest = plain.partition("[")
    if bracket:
        return postgres_type(element) + re.sub(r"\d+", "", bracket + rest)
    if plain.startswith("DECIMAL("):
        return "numeric" + plain.removeprefix("DECIMAL")
    if plain.partition("(")[0] in _NESTED:
        raise WrongInput(f"{text} is no type that PostgreSQL has", hint="keep it as JSON there")
    return _TO.get(plain) or text.strip().lower()


@cache
def contract_type(text: str) -> str:
    """What a contract calls the type that ``format_type`` writes as ``text``. A ``numeric`` without limits stays
    that; so does a type that only PostgreSQL has."""
    if text.endswith("[]"):
        return contract_type(text[:-2]) + "[]"
    if text.startswith("numeric("):
        return "DECIMAL" + text.removeprefix("numeric")
    head = text.partition("(")[0]
    if head in {"character varying", "character"}:
        return "VARCHAR"
    whole = re.sub(r"\(\d\)", "", text)  # timestamp(3) with time zone
    return _FROM.get(text) or _FROM.get(whole) or text
