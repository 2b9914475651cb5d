"""How partitions and names are written into SQL."""

from __future__ import annotations


def quoted(name: str) -> str:
    """A name as a SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as a SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def inserts_into(relation: str, text: str) -> str:
    """The query of ``insert into RELATION select …`` (or ``with …``, ``from …``); empty for another statement."""
    import re  # noqa: PLC0415 - 3 ms that code which only asks for partitions need not pay

    head = re.match(rf"\s*insert\s+into\s+{re.escape(relation)}\s+(?=(select|with|from)\b)", text, re.IGNORECASE)
    return text[head.end() :] if head else ""


class Partitions(tuple[str, ...]):
    """A run's partitions, in order. In an f-string they are a SQL list: ``('2013-01-01', '2013-01-02')``.

    A DATE is compared with such texts as it stands, in DuckDB and in PostgreSQL. For a table cut by month compare
    ``strftime(column, '%Y-%m')`` (DuckDB) or ``to_char(column, 'YYYY-MM')`` (PostgreSQL), by hour
    ``strftime(column, '%Y-%m-%dT%H')`` or ``to_char(column, 'YYYY-MM-DD"T"HH24')``.
    """

    __slots__ = ()

    @property
    def first(self) -> str:
        """The first partition."""
        return self[0]

    @property
    def last(self) -> str:
        """The last partition."""
        return self[-1]

    def __str__(self) -> str:
        # No partitions (only unpartitioned tables are wanted) match no row: `in (NULL)` is never true.
        return "(" + (", ".join(literal(name) for name in self) or "NULL") + ")"

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)
