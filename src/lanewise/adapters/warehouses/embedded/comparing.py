"""Old against new, paired, in the engine: first a count and a checksum per partition, and only where those differ a
full outer join on the key.

A checksum is the sum of the rows' hashes (not their XOR, in which duplicates cancel). Values that may differ a little
(binary floats, columns with a tolerance) enter it rounded to a cell no wider than what is tolerated: equal checksums
then mean equal within tolerance, and unequal ones only that the join has to look. Floats without a tolerance of their
own are taken as equal within one part in 10⁹: the last digits of a sum depend on its order.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import duckdb

from lanewise.adapters.warehouses.embedded.branches import columns_of, relation
from lanewise.adapters.warehouses.embedded.distances import distances
from lanewise.adapters.warehouses.embedded.layout import Layout
from lanewise.domain.comparison import ColumnDifference, PartitionComparison, TableComparison
from lanewise.domain.project import Column, Table
from lanewise.domain.publication import Slice
from lanewise.publication import sql
from lanewise.publication.types import comparable, is_float, is_number, is_whole, plain_type
from lanewise.publication.views import PARTITION

_OLD, _NEW = "old_rows", "new_rows"
_RELATIVE = "0.000000001"


@dataclass(frozen=True)
class Comparer:
    """Compares two sets of slices of one table."""

    layout: Layout
    connection: duckdb.DuckDBPyConnection
    table: Table
    old: Sequence[Slice]
    new: Sequence[Slice]

    def compare(self) -> TableComparison:
        """Every partition that either side has, in order."""
        old, new = columns_of(self.layout, self.old), columns_of(self.layout, self.new)
        types = {c.name.lower(): c.type for c in old}
        common = tuple(
            Column(c.name, comparable(types[c.name.lower()], c.type)) for c in new if c.name.lower() in types
        )
        retyped = {
            c.name: (types[c.name.lower()], c.type)
            for c in new
            if c.name.lower() in types and plain_type(types[c.name.lower()]) != plain_type(c.type)
        }
        return TableComparison(self.table.name, old, new, self._partitions(common), retyped)

    def _partitions(self, common: Sequence[Column]) -> tuple[PartitionComparison, ...]:
        sums_old, sums_new = (self._checksums(common, slices) for slices in (self.old, self.new))
        names = sorted({s.partition for s in (*self.old, *self.new)})
        known = {c.name.lower() for c in common}
        keyed = bool(self.table.key) and all(k.lower() in known for k in self.table.key)
        differ = [p for p in names if sums_old.get(p) != sums_new.get(p)]
        found: Mapping[str, Mapping[str, Any]] = {}
        if differ:
            self._views(common, differ)
            found = self._joined(common) if keyed else distances(self.connection, common, _OLD, _NEW)
        return tuple(
            PartitionComparison(
                partition=p,
                rows_old=sums_old.get(p, (0, 0))[0],
                rows_new=sums_new.get(p, (0, 0))[0],
                keyed=keyed,
                same=p not in differ,
                **(found.get(p, {}) if keyed or p not in differ else {"distances": found.get(p, {})}),
            )
            for p in names
        )

    def _checksums(self, common: Sequence[Column], slices: Sequence[Slice]) -> dict[str, tuple[int, int]]:
        if not common:
            counts: dict[str, tuple[int, int]] = {}
            for one in slices:
                counts[one.partition] = (counts.get(one.partition, (0, 0))[0] + one.rows, 0)
            return {p: n for p, n in counts.items() if n[0]}
        values = sql.call("hash", *(_rounded(c, self._tolerance(c)) for c in common))
        rows = sql.subquery(relation(self.layout, common, slices), "side")
        query = sql.select([PARTITION, "count(*)", f"sum({values})"], rows, group=PARTITION)
        return {p: (int(n), int(h)) for p, n, h in self.connection.execute(query).fetchall()}

    def _views(self, common: Sequence[Column], partitions: Collection[str]) -> None:
        wanted = set(partitions)
        for name, slices in ((_OLD, self.old), (_NEW, self.new)):
            query = relation(self.layout, common, [s for s in slices if s.partition in wanted])
            self.connection.execute(sql.create_view(name, query, temporary=True))

    def _tolerance(self, column: Column) -> Decimal | None:
        for name, text in self.table.tolerance.items():
            if name.lower() == column.name.lower() and is_number(column.type):
                return Decimal(text)
        return None

    def _joined(self, common: Sequence[Column]) -> dict[str, dict[str, Any]]:
        key = [sql.identifier(k) for k in self.table.key]
        keys = {k.lower() for k in self.table.key}
        values = [c for c in common if c.name.lower() not in keys]
        defects_old, defects_new = self._defects(key, _OLD), self._defects(key, _NEW)
        doubles = any(d[0] for d in (*defects_old.values(), *defects_new.values()))
        query = self._join_query(key, values, numbered=doubles)
        counts = {row[0]: row[1:] for row in self.connection.execute(query).fetchall()}
        nothing = (0, 0, 0, *([0, 0, 0, None, None] * len(values)))
        found = {}
        for p in {*counts, *defects_old, *defects_new}:
            row = counts.get(p, nothing)
            found[p] = {
                "keys_added": row[0], "keys_removed": row[1], "keys_changed": row[2],
                "duplicate_keys_old": defects_old.get(p, (0, 0))[0], "null_keys_old": defects_old.get(p, (0, 0))[1],
                "duplicate_keys_new": defects_new.get(p, (0, 0))[0], "null_keys_new": defects_new.get(p, (0, 0))[1],
                "columns": tuple(ColumnDifference(c.name, *row[3 + 5 * i : 8 + 5 * i]) for i, c in enumerate(values)),
            }  # fmt: skip
        return found

    def _defects(self, key: Sequence[str], side: str) -> dict[str, tuple[int, int]]:
        """Partition -> keys that come more than once, rows whose key is NULL."""
        unkeyed = sql.some(f"{k} IS NULL" for k in key)
        groups = sql.select([PARTITION, "count(*) AS n", f"({unkeyed}) AS unkeyed"], side,
                            group=", ".join([PARTITION, *key]))  # fmt: skip
        items = [PARTITION, sql.count_if("n > 1 AND NOT unkeyed"), "coalesce(sum(n) FILTER (WHERE unkeyed), 0)"]
        query = sql.select(items, sql.subquery(groups, "keys"), group=PARTITION)
        return {p: (int(n), int(nulls)) for p, n, nulls in self.connection.execute(query).fetchall()}

    def _join_query(self, key: Sequence[str], values: Sequence[Column], *, numbered: bool) -> str:
        """``numbered``: a key that comes several times is paired first with first, second with second."""
        present = sql.every(f"{k} IS NOT NULL" for k in key)
        items = ["*"]
        if numbered:
            order = sql.call("hash", *(sql.identifier(c.name) for c in values)) if values else "1"
            items.append(f"row_number() OVER (PARTITION BY {', '.join([PARTITION, *key])} ORDER BY {order}) AS nth")
        on = sql.every(f"o.{k} = n.{k}" for k in [PARTITION, *key, *(["nth"] if numbered else [])])
        sides = [f"({sql.select(items, side, where=present)}) AS {short}" for side, short in ((_OLD, "o"), (_NEW, "n"))]
        both = f"o.{PARTITION} IS NOT NULL AND n.{PARTITION} IS NOT NULL"
        changed = [self._changed(c) for c in values]
        columns = [
            f"coalesce(o.{PARTITION}, n.{PARTITION})",
            sql.count_if(f"o.{PARTITION} IS NULL"),
            sql.count_if(f"n.{PARTITION} IS NULL"),
            sql.count_if(f"{both} AND ({sql.some(changed)})"),
        ]
        for column, differs in zip(values, changed, strict=True):
            columns += _measures(column, both, differs)
        return sql.select(columns, " FULL OUTER JOIN ".join(sides) + " ON " + on, group="1")

    def _changed(self, column: Column) -> str:
        old, new = (f"{side}.{sql.identifier(column.name)}" for side in ("o", "n"))
        differs = f"{old} IS DISTINCT FROM {new}"
        tolerance = self._tolerance(column)
        if tolerance is None and not is_float(column.type):
            return differs
        if is_whole(column.type):
            old, new = sql.cast(old, "HUGEINT"), sql.cast(new, "HUGEINT")
        limit = sql.literal(tolerance) if tolerance is not None else f"{_RELATIVE} * greatest(abs({old}), abs({new}))"
        finite = f"isfinite({old}) AND isfinite({new}) AND " if is_float(column.type) else ""
        return f"{differs} AND NOT coalesce({finite}abs({old} - {new}) <= {limit}, false)"


def _measures(column: Column, both: str, differs: str) -> list[str]:
    """Changed, NULLs old and new, sums old and new."""
    old, new = (f"{side}.{sql.identifier(column.name)}" for side in ("o", "n"))
    found = [sql.count_if(f"{both} AND ({differs})")]
    found += [sql.count_if(f"{both} AND {side} IS NULL") for side in (old, new)]
    for side in (old, new):
        if is_float(column.type):
            found.append(sql.cast(f"round(fsum({side}) FILTER (WHERE {both}), 6)", "VARCHAR"))
        elif is_number(column.type):
            found.append(sql.cast(f"sum({side}) FILTER (WHERE {both})", "VARCHAR"))
        else:
            found.append("NULL")
    return found


def _rounded(column: Column, tolerance: Decimal | None) -> str:
    """What of a value goes into the checksum: its cell, no wider than what is tolerated."""
    name = sql.identifier(column.name)
    if tolerance:
        return f"floor({name} / {sql.literal(tolerance)})"
    if is_float(column.type):
        return f"format('{{:.9e}}', {name} + 0.0)"  # ten digits; adding zero makes -0.0 the same as 0.0
    return name
