"""A small SQL builder for DuckDB's dialect: every name and value goes through ``identifier``, ``literal`` or
``type_name``, so nothing is ever pasted. It costs nothing to import, and a catalog of 1,000 views has hundreds of
thousands of file names to write: a syntax tree for each would take longer than DuckDB needs to read them."""

from __future__ import annotations

import glob
import math
import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from functools import cache

from lanewise.errors import WrongInput

_TYPE_TOKEN = re.compile(r'\s+|"(?:[^"]|"")+"|[A-Za-z_][A-Za-z0-9_]*|[0-9]+|[(),\[\]]|\'(?:[^\']|\'\')*\'')
_OPENING, _CLOSING = {"(", "["}, {")", "]"}


def identifier(name: str) -> str:
    """A name, quoted."""
    if not name or "\0" in name:
        raise WrongInput(f"{name!r} can't be the name of a table or column")
    return '"' + name.replace('"', '""') + '"'


def qualified(schema: str, name: str) -> str:
    """A relation's name in its schema, quoted."""
    return identifier(schema) + "." + identifier(name)


def literal(value: str | float | Decimal | None) -> str:
    """A value. A number stays a number, so that comparing it with a column of whole numbers rounds nothing."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float | Decimal) and math.isfinite(value):
        return format(Decimal(str(value)), "f")
    text = str(value)
    if "\0" in text:
        raise WrongInput(f"{text!r} holds a zero byte, which SQL can't carry")
    return "'" + text.replace("'", "''") + "'"


def file_literal(path: str) -> str:
    """A file's path; a ``*`` or ``[`` in it is no pattern."""
    return literal(glob.escape(path))


@cache
def type_name(text: str) -> str:
    """A column type such as ``DECIMAL(18,2)`` or ``STRUCT("a b" INTEGER)[]``, refused when it is anything else."""
    depth = position = 0
    for token in _TYPE_TOKEN.finditer(text):
        part = token.group()
        depth += (part in _OPENING) - (part in _CLOSING)
        loose = depth == 0 and (part[0] in "'\"," or part.isdigit())
        if token.start() != position or depth < 0 or loose:
            break
        position = token.end()
    if position != len(text) or depth != 0 or not text[:1].isalpha():
        raise WrongInput(f"{text!r} is no column type", hint="write it as DuckDB does, e.g. DECIMAL(18,2)")
    return text


def call(function: str, *arguments: str) -> str:
    """``function(a, b)``."""
    return function + "(" + ", ".join(arguments) + ")"


def cast(expression: str, type_: str) -> str:
    """``CAST(expression AS type)``."""
    return "CAST(" + expression + " AS " + type_name(type_) + ")"


def try_cast(expression: str, type_: str) -> str:
    """``TRY_CAST(expression AS type)``: NULL where it fails."""
    return "TRY_CAST(" + expression + " AS " + type_name(type_) + ")"


def aliased(expression: str, name: str) -> str:
    """``expression AS "name"``."""
    return expression + " AS " + identifier(name)


def every(conditions: Iterable[str]) -> str:
    """All of them, joined by AND; ``true`` for none."""
    return " AND ".join("(" + c + ")" for c in conditions) or "true"


def some(conditions: Iterable[str]) -> str:
    """Any of them, joined by OR; ``false`` for none."""
    return " OR ".join("(" + c + ")" for c in conditions) or "false"


def count_if(condition: str) -> str:
    """How many rows the condition holds for."""
    return "count(*) FILTER (WHERE " + condition + ")"


def select(columns: Sequence[str], source: str, *, where: str = "", group: str = "", tail: str = "") -> str:
    """A SELECT; ``source`` is a table expression, ``tail`` what comes after GROUP BY (HAVING, ORDER BY, LIMIT)."""
    parts = ["SELECT", ", ".join(columns), "FROM", source]
    if where:
        parts += ["WHERE", where]
    if group:
        parts += ["GROUP BY", group]
    if tail:
        parts.append(tail)
    return " ".join(parts)


def subquery(query: str, name: str) -> str:
    """A query in brackets under a name, to stand where a table does."""
    return "(" + query + ") AS " + identifier(name)


def union_all(queries: Sequence[str]) -> str:
    """The rows of all of them."""
    return " UNION ALL ".join(queries)


def create_view(name: str, query: str, *, temporary: bool = False) -> str:
    """``CREATE VIEW "name" AS query``."""
    return " ".join(["CREATE", "TEMPORARY VIEW" if temporary else "VIEW", identifier(name), "AS", query])
