"""How DuckDB measures: an ``Engine`` over slices that are files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from lanewise.adapters.warehouses.embedded.branches import columns_of, relation
from lanewise.adapters.warehouses.embedded.engine import first_line
from lanewise.adapters.warehouses.embedded.layout import Layout
from lanewise.adapters.warehouses.measuring.engine import Cell
from lanewise.domain.project import Column
from lanewise.domain.publication import Slice
from lanewise.errors import WrongInput
from lanewise.publication import sql
from lanewise.publication.types import is_float
from lanewise.publication.views import PARTITION


@dataclass(frozen=True)
class DuckDBEngine:
    """Satisfies ``measuring.engine.Engine``."""

    layout: Layout
    connection: duckdb.DuckDBPyConnection
    whole_type: str = "HUGEINT"

    def columns(self, slices: Sequence[Slice]) -> tuple[Column, ...]:
        """As the files' folders say; opens none."""
        return columns_of(self.layout, slices)

    def relation(self, columns: Sequence[Column], slices: Sequence[Slice]) -> str:
        """Over exactly their files."""
        return relation(self.layout, columns, slices)

    def name(self, view: str, query: str) -> None:
        """A temporary view."""
        self.connection.execute(sql.create_view(view, query, temporary=True))

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """The answer."""
        return self.connection.execute(query).fetchall()

    def asked(self, query: str, what: str, *, foreign: bool = False) -> list[tuple[Any, ...]]:  # noqa: ARG002 - nobody waits for it here
        """The answer. Here a check's query may do what the build's own code may do: it runs as the same person."""
        try:
            return self.connection.execute(query).fetchall()
        except duckdb.IOException:
            raise
        except duckdb.Error as error:
            raise WrongInput(f"{what} can't be evaluated: {first_line(error)}") from error

    def checksums(
        self, columns: Sequence[Column], cells: Sequence[Cell], slices: Sequence[Slice]
    ) -> Mapping[str, tuple[int, int]]:
        """One pass."""
        items = [PARTITION, "count(*)", sql.call("sum", self.row_hash(cells))]
        rows = self.rows(sql.select(items, sql.subquery(self.relation(columns, slices), "side"), group=PARTITION))
        return {p: (int(n), int(h)) for p, n, h in rows}

    def compared_as(self, type_: str) -> str:
        """Every type has an equality."""
        return type_

    def row_hash(self, cells: Sequence[Cell]) -> str:
        """64 bits."""
        return sql.call("hash", *(cell.value for cell in cells))

    def sum_text(self, value: str, type_: str) -> str:
        """Kahan's sum of floats, to six places."""
        found = f"round(fsum({value}), 6)" if is_float(type_) else sql.call("sum", value)
        return sql.cast(found, "VARCHAR")

    def quantiles(self, value: str, fractions: Sequence[float], condition: str) -> str:
        """All in one sort."""
        wanted = "[" + ", ".join(map(str, fractions)) + "]"
        return f"quantile_cont({value}, {wanted}) FILTER (WHERE {condition})"
