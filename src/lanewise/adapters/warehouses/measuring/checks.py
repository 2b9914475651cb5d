"""Data checks over exactly these slices, a few statements a table whatever the number of partitions.

NULLs: ``unique``, ``accepted_values`` and ``range`` pass over them; forbidding them is what ``not_null`` is for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import cached_property
from typing import Any

from lanewise.adapters.warehouses.measuring.engine import Engine
from lanewise.domain.evidence import CheckResult
from lanewise.domain.project import Check, Column, Table
from lanewise.domain.publication import Slice, TableMap
from lanewise.errors import NotFound, WrongInput
from lanewise.publication import sql
from lanewise.publication.types import is_number

_VIEW = "lanewise_slices"
_EXAMPLES = 5


@dataclass(frozen=True)
class Checker:
    """Evaluates one table's checks over some slices."""

    engine: Engine
    table: Table
    slices: Sequence[Slice]
    live: TableMap | None

    def results(self, checks: Sequence[Check]) -> tuple[CheckResult, ...]:
        """One result per check, in order."""
        rows = sum(s.rows for s in self.slices)
        if not self._columns:
            raise WrongInput(f"{self.table.name} has no columns to check", hint="declare them in lanewise.yaml")
        conditions = {check.name: _condition(check, self.table, self._columns) for check in checks}
        if any(check.kind == "sql" for check in checks):
            self.engine.name(_VIEW, self.engine.relation(self._columns, self.slices))
        bad = self._count(conditions)
        return tuple(self._result(check, rows, conditions[check.name], bad) for check in checks)

    @cached_property
    def _columns(self) -> Sequence[Column]:
        return self.engine.columns(self.slices) or self.table.columns

    @cached_property
    def _rows(self) -> str:
        return sql.subquery(self.engine.relation(self._columns, self.slices), _VIEW)

    def _count(self, conditions: Mapping[str, str]) -> Mapping[str, int]:
        """Every check that looks at one row at a time, in one pass."""
        asked = {name: condition for name, condition in conditions.items() if condition}
        if not asked:
            return {}
        counts = self._asked(sql.select([sql.count_if(c) for c in asked.values()], self._rows), ", ".join(asked))
        return dict(zip(asked, counts, strict=True))

    def _result(self, check: Check, rows: int, condition: str, bad: Mapping[str, int]) -> CheckResult:
        facts: dict[str, Any] = {}
        if condition:
            found = bad[check.name]
        elif check.kind == "unique":
            found, condition = self._duplicates(check)
        elif check.kind == "row_count":
            found, facts = 0, self._live_rows()
        else:
            found = self._query(check)
        if found and condition and self.table.key:
            facts["examples"] = self._examples(condition)
        return CheckResult(self.table.name, check.name, check.kind, rows, found, facts)

    def _duplicates(self, check: Check) -> tuple[int, str]:
        key = [sql.identifier(_column(self.table, self._columns, name).name) for name in check.arguments["columns"]]
        names = ", ".join(key)
        keyed = sql.every(f"{k} IS NOT NULL" for k in key)
        groups = sql.select(["count(*) AS n"], self._rows, where=keyed, group=names, tail="HAVING count(*) > 1")
        surplus = self._asked(sql.select(["coalesce(sum(n - 1), 0)"], sql.subquery(groups, "doubles")), check.name)[0]
        doubles = sql.select(key, self._rows, where=keyed, group=names, tail="HAVING count(*) > 1")
        return int(surplus), f"({names}) IN ({doubles})"

    def _live_rows(self) -> dict[str, Any]:
        """``live_rows``: what is live in the same partitions, None where the table is not live at all;
        ``paired_rows``: those of the looked-at rows whose partition is live too."""
        if self.live is None:
            return {"live_rows": None, "paired_rows": 0}
        partitions = {s.partition for s in self.slices} & set(self.live.slices)
        live = sum(s.rows for p in partitions for s in self.live.slices[p])
        return {"live_rows": live, "paired_rows": sum(s.rows for s in self.slices if s.partition in partitions)}

    def _query(self, check: Check) -> int:
        query = str(check.arguments["query"])
        answer = self._asked(query.replace("{table}", sql.identifier(_VIEW)), check.name, foreign=True)
        if not answer or not isinstance(answer[0], int | Decimal) or answer[0] != int(answer[0]):
            raise WrongInput(f"the check {check.name} of {self.table.name} must count bad rows: one row, one number")
        return int(answer[0])

    def _examples(self, condition: str) -> list[list[str]]:
        key = [sql.cast(sql.identifier(_column(self.table, self._columns, k).name), "VARCHAR") for k in self.table.key]
        order = ", ".join(str(number) for number in range(1, len(key) + 1))
        query = sql.select(
            ["DISTINCT " + ", ".join(key)], self._rows, where=condition, tail=f"ORDER BY {order} LIMIT {_EXAMPLES}"
        )
        return [[str(v) for v in row] for row in self.engine.rows(query)]

    def _asked(self, query: str, what: str, *, foreign: bool = False) -> tuple[Any, ...]:
        rows = self.engine.asked(query, f"the check {what} of {self.table.name}", foreign=foreign)
        return rows[0] if rows else ()


def _condition(check: Check, table: Table, columns: Sequence[Column]) -> str:
    """When a row is bad; empty for checks that look at more than a row."""
    arguments = check.arguments
    if check.kind == "not_null":
        names = [sql.identifier(_column(table, columns, name).name) for name in arguments["columns"]]
        return sql.some(f"{name} IS NULL" for name in names)
    if check.kind == "accepted_values":
        column = _column(table, columns, arguments["column"])
        name = sql.identifier(column.name)
        values = ", ".join(_literal(v, column) for v in arguments["values"] if v is not None)
        return f"{name} IS NOT NULL AND {name} NOT IN ({values})" if values else f"{name} IS NOT NULL"
    if check.kind == "range":
        column = _column(table, columns, arguments["column"])
        limits = [
            f"{sql.identifier(column.name)} {beyond} {_literal(arguments[side], column)}"
            for side, beyond in (("min", "<"), ("max", ">"))
            if arguments.get(side) is not None
        ]
        return sql.some(limits)
    if check.kind in {"unique", "row_count", "sql"}:
        return ""
    raise NotFound("kind of check", check.kind,
                   known=("not_null", "unique", "row_count", "accepted_values", "range", "sql"))  # fmt: skip


def _literal(value: Any, column: Column) -> str:
    """A value to compare a column with. A number stays a number, also where it is written as text: as text it would
    be rounded to the column's type. Everything else is text, which an engine reads as the column's type."""
    if not is_number(column.type):
        return sql.literal(str(value).lower() if isinstance(value, bool) else str(value))
    try:
        return sql.literal(Decimal(value) if isinstance(value, str) else value)
    except InvalidOperation:
        return sql.literal(value)


def _column(table: Table, columns: Sequence[Column], name: str) -> Column:
    for column in columns:
        if column.name.lower() == name.lower():
            return column
    raise NotFound(f"column of {table.name}", name, known=[c.name for c in columns])
