"""Data checks over exactly these slices, a few statements a table whatever the number of partitions.

NULLs: ``unique``, ``accepted_values`` and ``range`` pass over them; forbidding them is what ``not_null`` is for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

import duckdb

from lanewise.adapters.warehouses.embedded.branches import columns_of, relation
from lanewise.adapters.warehouses.embedded.engine import first_line
from lanewise.adapters.warehouses.embedded.layout import Layout
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

    layout: Layout
    connection: duckdb.DuckDBPyConnection
    table: Table
    slices: Sequence[Slice]
    live: TableMap | None

    def results(self, checks: Sequence[Check]) -> tuple[CheckResult, ...]:
        """One result per check, in order."""
        columns = columns_of(self.layout, self.slices) or self.table.columns
        rows = sum(s.rows for s in self.slices)
        if not columns:
            raise WrongInput(f"{self.table.name} has no columns to check", hint="declare them in lanewise.yaml")
        view = sql.create_view(_VIEW, relation(self.layout, columns, self.slices), temporary=True)
        self.connection.execute(view)
        conditions = {check.name: _condition(check, self.table, columns) for check in checks}
        bad = self._count(conditions)
        return tuple(self._result(check, rows, conditions[check.name], bad, columns) for check in checks)

    def _count(self, conditions: Mapping[str, str]) -> Mapping[str, int]:
        """Every check that looks at one row at a time, in one pass."""
        asked = {name: condition for name, condition in conditions.items() if condition}
        if not asked:
            return {}
        counts = self._fetch(sql.select([sql.count_if(c) for c in asked.values()], _VIEW), self.table.name)
        return dict(zip(asked, counts, strict=True))

    def _result(
        self, check: Check, rows: int, condition: str, bad: Mapping[str, int], columns: Sequence[Column]
    ) -> CheckResult:
        facts: dict[str, Any] = {}
        if condition:
            found = bad[check.name]
        elif check.kind == "unique":
            found, condition = self._duplicates(check, columns)
        elif check.kind == "row_count":
            found, facts = 0, self._live_rows()
        else:
            found = self._query(check)
        if found and condition and self.table.key:
            facts["examples"] = self._examples(condition, columns)
        return CheckResult(self.table.name, check.name, check.kind, rows, found, facts)

    def _duplicates(self, check: Check, columns: Sequence[Column]) -> tuple[int, str]:
        key = [_column(self.table, columns, name) for name in check.arguments["columns"]]
        names = ", ".join(key)
        keyed = sql.every(f"{k} IS NOT NULL" for k in key)
        groups = sql.select(["count(*) AS n"], _VIEW, where=keyed, group=names, tail="HAVING count(*) > 1")
        surplus = self._fetch(sql.select(["coalesce(sum(n - 1), 0)"], sql.subquery(groups, "double")), check.name)[0]
        doubles = sql.select(key, _VIEW, where=keyed, group=names, tail="HAVING count(*) > 1")
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
        answer = self._fetch(query.replace("{table}", sql.identifier(_VIEW)), check.name)
        if not answer or not isinstance(answer[0], int):
            raise WrongInput(f"the check {check.name} of {self.table.name} must count bad rows: one row, one number")
        return answer[0]

    def _examples(self, condition: str, columns: Sequence[Column]) -> list[list[str]]:
        key = [sql.cast(_column(self.table, columns, k), "VARCHAR") for k in self.table.key]
        query = sql.select(
            ["DISTINCT " + ", ".join(key)], _VIEW, where=condition, tail=f"ORDER BY ALL LIMIT {_EXAMPLES}"
        )
        return [[str(v) for v in row] for row in self.connection.execute(query).fetchall()]

    def _fetch(self, query: str, what: str) -> tuple[Any, ...]:
        try:
            return self.connection.execute(query).fetchone() or ()
        except duckdb.IOException:
            raise
        except duckdb.Error as error:
            raise WrongInput(
                f"the check {what} of {self.table.name} can't be evaluated: {first_line(error)}"
            ) from error


def _condition(check: Check, table: Table, columns: Sequence[Column]) -> str:
    """When a row is bad; empty for checks that look at more than a row."""
    arguments = check.arguments
    if check.kind == "not_null":
        return sql.some(_column(table, columns, name) + " IS NULL" for name in arguments["columns"])
    if check.kind == "accepted_values":
        column = _column(table, columns, arguments["column"])
        values = ", ".join(sql.literal(v) for v in arguments["values"] if v is not None)
        return f"{column} IS NOT NULL AND {column} NOT IN ({values})" if values else f"{column} IS NOT NULL"
    if check.kind == "range":
        name = _column(table, columns, arguments["column"])
        numeric = any(is_number(c.type) for c in columns if sql.identifier(c.name) == name)
        low, high = (_limit(arguments.get(side), numeric=numeric) for side in ("min", "max"))
        limits = [f"{name} < {sql.literal(low)}"] if low is not None else []
        limits += [f"{name} > {sql.literal(high)}"] if high is not None else []
        return sql.some(limits)
    if check.kind in {"unique", "row_count", "sql"}:
        return ""
    raise NotFound("kind of check", check.kind,
                   known=("not_null", "unique", "row_count", "accepted_values", "range", "sql"))  # fmt: skip


def _limit(value: Any, *, numeric: bool) -> Any:
    """For a column of numbers, text as a number: compared as text, it would be rounded to the column's type."""
    try:
        return Decimal(value) if numeric and isinstance(value, str) else value
    except InvalidOperation:
        return value


def _column(table: Table, columns: Sequence[Column], name: str) -> str:
    for column in columns:
        if column.name.lower() == name.lower():
            return sql.identifier(column.name)
    raise NotFound(f"column of {table.name}", name, known=[c.name for c in columns])
