"""How partitions and names are written into SQL."""

from __future__ import annotations


def quoted(name: str) -> str:
    """A name as a SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as a SQL literal."""
    return "'" + text.replace("'", "''") + "'"


class Partitions(tuple[str, ...]):
    """A run's partitions, in order. In an f-string they are a SQL list: ``('2013-01-01', '2013-01-02')``.

    DuckDB compares a DATE with such texts as it stands. For a table cut by month compare
    ``strftime(column, '%Y-%m')``, by hour ``strftime(column, '%Y-%m-%dT%H')``.
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
