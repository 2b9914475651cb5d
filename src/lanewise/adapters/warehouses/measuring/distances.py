"""How far two unkeyed sets of rows are from each other, a number per column and partition; 0 is equal.

Numbers and times: the Wasserstein distance over the old side's standard deviation, from a hundred quantiles and at
least the difference of the means (one outlier moves no quantile). Everything else: the Jensen-Shannon distance of the
values' shares (base 2, so 1 at the most), NULL being a value. For numbers a change in the share of NULLs counts too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lanewise.adapters.warehouses.measuring.engine import Engine
from lanewise.domain.project import Column
from lanewise.publication import sql
from lanewise.publication.types import is_number, plain_type
from lanewise.publication.views import PARTITION

_FRACTIONS = tuple(i / 200 for i in range(1, 200, 2))
_FINITE = "1e140"  # what is beyond, like the infinities and NaN, has no square to take a deviation from
_MEASURES = 5
_AT_ONCE = 250  # columns: PostgreSQL answers at most 1,664 figures at once


def distances(engine: Engine, columns: Sequence[Column], old: str, new: str) -> dict[str, dict[str, float]]:
    """Partition -> column -> distance. ``old`` and ``new`` are queries with the hidden partition column. Where one
    side has no rows every distance is 1."""
    found: dict[str, dict[str, float]] = {}
    measured = [c for c in columns if _as_number(c)]
    sides = [_measure(engine, measured, side) for side in (old, new)]
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
            for partition, distance in engine.rows(_shares(column, old, new)):
                found[partition].setdefault(column.name, round(float(distance or 0.0), 12))
    return found


def _as_number(column: Column) -> str:
    """The column as a number; empty where it has none."""
    name, type_ = sql.identifier(column.name), plain_type(column.type)
    if type_ == "DATE" or type_.startswith("TIMESTAMP"):
        name = f"extract(epoch FROM {name})"
    elif not is_number(type_):
        return ""
    return sql.cast(name, "FLOAT8")


def _measure(engine: Engine, columns: Sequence[Column], side: str) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for at in range(0, max(1, len(columns)), _AT_ONCE):
        items = [PARTITION]
        for column in columns[at : at + _AT_ONCE]:
            number = _as_number(column)
            finite = f"abs({number}) < {_FINITE}"
            items.append(engine.quantiles(number, _FRACTIONS, finite))
            items += [f"{call}({number}) FILTER (WHERE {finite})" for call in ("avg", "stddev_pop", "count")]
            items.append("count(*)")
        for partition, *figures in engine.rows(sql.select(items, sql.subquery(side, "side"), group=PARTITION)):
            found.setdefault(partition, []).extend(figures)
    return found


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
    """The Jensen-Shannon distance per partition, in one statement that joins nothing: both sides are counted
    together, so that NULL is a value like any other."""
    value = sql.aliased(sql.cast(sql.identifier(column.name), "VARCHAR"), "v")
    both = [
        sql.select([sql.aliased(PARTITION, "p"), value, f"{number} AS side"], sql.subquery(query, "side"))
        for number, query in enumerate((old, new))
    ]
    counts = [sql.aliased(sql.count_if(f"side = {number}"), name) for number, name in enumerate("on")]
    counted = sql.select(["p", "v", *counts], sql.subquery(sql.union_all(both), "sides"), group="p, v")
    shares = sql.select(
        ["p", *(sql.aliased(f"{sql.cast(n, 'FLOAT8')} / nullif(sum({n}) OVER (PARTITION BY p), 0)", share)
                for n, share in (("o", "a"), ("n", "b")))], sql.subquery(counted, "counted"))  # fmt: skip
    half = "CASE WHEN {0} = 0 THEN 0 ELSE {0} * ln(2 * {0} / (a + b)) END"
    divergence = f"sum({half.format('a')} + {half.format('b')}) / (2 * ln(2))"
    return sql.select(["p", f"sqrt(greatest(0, {divergence}))"], sql.subquery(shares, "shares"), group="p")
