"""How far two unkeyed sets of rows are from each other, a number per column and partition; 0 is equal.

Numbers and times: the Wasserstein distance over the old side's standard deviation, from a hundred quantiles and at
least the difference of the means (one outlier moves no quantile). Everything else: the Jensen-Shannon distance of the
values' shares (base 2, so 1 at the most), NULL being a value. For numbers a change in the share of NULLs counts too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import duckdb

from lanewise.domain.project import Column
from lanewise.publication import sql
from lanewise.publication.types import is_number, plain_type
from lanewise.publication.views import PARTITION

_QUANTILES = "[" + ", ".join(f"{i / 200}" for i in range(1, 200, 2)) + "]"
_MEASURES = 5


def distances(
    connection: duckdb.DuckDBPyConnection, columns: Sequence[Column], old: str, new: str
) -> dict[str, dict[str, float]]:
    """Partition -> column -> distance. ``old`` and ``new`` are relations with the hidden partition column. Where one
    side has no rows every distance is 1."""
    found: dict[str, dict[str, float]] = {}
    measured = [c for c in columns if _as_number(c)]
    sides = [_measure(connection, measured, side) for side in (old, new)]
    for partition in sorted({*sides[0], *sides[1]}):
        here, there = (side.get(partition) for side in sides)
        if here is None or there is None:
            found[partition] = {c.name: 1.0 for c in columns}
            continue
        found[partition] = {
            c.name: _between(here[at : at + _MEASURES], there[at : at + _MEASURES])
            for at, c in zip(range(0, _MEASURES * len(measured), _MEASURES), measured, strict=True)
        }
    for column in columns:
        if not _as_number(column):
            for partition, distance in connection.execute(_shares(column, old, new)).fetchall():
                found[partition].setdefault(column.name, round(float(distance or 0.0), 12))
    return found


def _as_number(column: Column) -> str:
    """The column as a number; empty where it has none."""
    name, type_ = sql.identifier(column.name), plain_type(column.type)
    if is_number(type_):
        return sql.cast(name, "DOUBLE")
    return sql.call("epoch", name) if type_ == "DATE" or type_.startswith("TIMESTAMP") else ""


def _measure(connection: duckdb.DuckDBPyConnection, columns: Sequence[Column], side: str) -> dict[str, tuple[Any, ...]]:
    items = [PARTITION]
    for column in columns:
        finite = f"{_as_number(column)}) FILTER (WHERE isfinite({_as_number(column)}))"
        items += [
            f"quantile_cont({_as_number(column)}, {_QUANTILES}) FILTER (WHERE isfinite({_as_number(column)}))",
            "avg(" + finite,
            "stddev_pop(" + finite,
            "count(" + finite,
            "count(*)",
        ]
    return {row[0]: row[1:] for row in connection.execute(sql.select(items, side, group=PARTITION)).fetchall()}


def _between(old: Sequence[Any], new: Sequence[Any]) -> float:
    (quantiles_old, mean_old, deviation, values_old, rows_old) = old
    (quantiles_new, mean_new, _, values_new, rows_new) = new
    absent = abs(values_old / rows_old - values_new / rows_new)
    if not quantiles_old or not quantiles_new:
        return float(absent)
    moved = sum(abs(a - b) for a, b in zip(quantiles_old, quantiles_new, strict=True)) / len(quantiles_old)
    moved = max(moved, abs(mean_old - mean_new))
    scaled = moved / deviation if deviation else (1.0 if moved else 0.0)
    return round(float(max(scaled, absent)), 12)


def _shares(column: Column, old: str, new: str) -> str:
    """The Jensen-Shannon distance per partition, in one statement."""
    value = sql.cast(sql.identifier(column.name), "VARCHAR")
    pieces = []
    for side in (old, new):
        grouped = sql.select([PARTITION, f"{value} AS v", "count(*) AS n"], side, group=f"{PARTITION}, {value}")
        share = f"n / sum(n) OVER (PARTITION BY {PARTITION}) AS share"
        pieces.append(sql.select([PARTITION, "v", share], sql.subquery(grouped, "counted")))
    joined = (
        f"({pieces[0]}) AS o FULL OUTER JOIN ({pieces[1]}) AS n "
        f"ON o.{PARTITION} = n.{PARTITION} AND o.v IS NOT DISTINCT FROM n.v"
    )
    shares = sql.select([f"coalesce(o.{PARTITION}, n.{PARTITION}) AS p", "coalesce(o.share, 0) AS a",
                         "coalesce(n.share, 0) AS b"], joined)  # fmt: skip
    half = "CASE WHEN {0} = 0 THEN 0 ELSE {0} * log2(2 * {0} / (a + b)) END"
    divergence = f"sum({half.format('a')} + {half.format('b')}) / 2"
    return sql.select(["p", f"sqrt(greatest(0, {divergence}))"], sql.subquery(shares, "shares"), group="p")
