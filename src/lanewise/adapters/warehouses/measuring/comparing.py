"""Old against new, paired, in the engine: first a count and a checksum per partition, and only where those differ a
join on the key.

A checksum is the sum of the rows' hashes (not their XOR, in which duplicates cancel). Keys that come twice or are NULL
are counted before anything is joined; the join then pairs what both sides have, and what it leaves over is added or
removed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from lanewise.adapters.warehouses.measuring.distances import distances
from lanewise.adapters.warehouses.measuring.engine import Cell, Engine
from lanewise.adapters.warehouses.measuring.tolerance import Tolerance
from lanewise.domain.comparison import ColumnDifference, PartitionComparison, TableComparison
from lanewise.domain.project import Column, Table
from lanewise.domain.publication import Slice
from lanewise.publication import sql
from lanewise.publication.types import comparable, is_number, plain_type
from lanewise.publication.views import PARTITION

_AT_ONCE = 250  # columns: five figures of each, and PostgreSQL answers at most 1,664 at once


@dataclass(frozen=True)
class _Keys:
    """One side's keys in one partition."""

    rows: int = 0  # with a key
    repeated: int = 0  # keys that come more than once
    missing: int = 0  # rows whose key is NULL


@dataclass(frozen=True)
class Comparer:
    """Compares two sets of slices of one table."""

    engine: Engine
    table: Table
    old: Sequence[Slice]
    new: Sequence[Slice]

    def compare(self) -> TableComparison:
        """Every partition that either side has, in order."""
        old, new = self._columns
        types = {c.name.lower(): c.type for c in old}
        retyped = {
            c.name: (types[c.name.lower()], c.type)
            for c in new
            if c.name.lower() in types and plain_type(types[c.name.lower()]) != plain_type(c.type)
        }
        return TableComparison(self.table.name, old, new, self._partitions(), retyped)

    @cached_property
    def _columns(self) -> tuple[tuple[Column, ...], tuple[Column, ...]]:
        return self.engine.columns(self.old), self.engine.columns(self.new)

    @cached_property
    def _common(self) -> tuple[Column, ...]:
        """The columns that both sides have, in the types they are compared in; all where a side has no slices."""
        old, new = self._columns
        old, new = old or new, new or old
        types = {c.name.lower(): c.type for c in old}
        return tuple(
            Column(c.name, self.engine.compared_as(comparable(types[c.name.lower()], c.type)))
            for c in new
            if c.name.lower() in types
        )

    @cached_property
    def _key(self) -> tuple[str, ...]:
        """The key's columns, quoted as both sides have them; () without one that both have."""
        known = {c.name.lower(): sql.identifier(c.name) for c in self._common}
        names = [k.lower() for k in self.table.key]
        return tuple(known[k] for k in names) if all(k in known for k in names) else ()

    @cached_property
    def _tolerance(self) -> Tolerance:
        return Tolerance(self.table.tolerance)

    def _partitions(self) -> tuple[PartitionComparison, ...]:
        sums_old, sums_new = self._checksums(self.old), self._checksums(self.new)
        names = sorted({s.partition for s in (*self.old, *self.new)})
        differ = {p for p in names if sums_old.get(p, (0, 0)) != sums_new.get(p, (0, 0))}
        found = self._looked_into(differ) if differ and self._common else {}
        return tuple(
            PartitionComparison(
                partition=p,
                rows_old=sums_old.get(p, (0, 0))[0],
                rows_new=sums_new.get(p, (0, 0))[0],
                keyed=bool(self._key),
                same=p not in differ,
                **found.get(p, {}),
            )
            for p in names
        )

    def _checksums(self, slices: Sequence[Slice]) -> Mapping[str, tuple[int, int]]:
        if not self._common:
            counts: dict[str, tuple[int, int]] = {}
            for one in slices:
                counts[one.partition] = (counts.get(one.partition, (0, 0))[0] + one.rows, 0)
            return counts
        return self.engine.checksums(self._common, self._cells(self._common), slices)

    def _cells(self, columns: Sequence[Column]) -> list[Cell]:
        return [cell for column in columns for cell in self._tolerance.cells(column)]

    def _looked_into(self, partitions: set[str]) -> Mapping[str, Mapping[str, Any]]:
        old, new = (
            self.engine.relation(self._common, [s for s in slices if s.partition in partitions])
            for slices in (self.old, self.new)
        )
        if not self._key:
            return {p: {"distances": found} for p, found in distances(self.engine, self._common, old, new).items()}
        keys = [self._keys(side) for side in (old, new)]
        joined = self._joined(old, new, numbered=any(k.repeated for side in keys for k in side.values()))
        return {p: self._counted(p, keys, joined) for p in partitions}

    def _counted(
        self, partition: str, keys: Sequence[Mapping[str, _Keys]], joined: Mapping[str, Sequence[Any]]
    ) -> Mapping[str, Any]:
        old, new = (side.get(partition, _Keys()) for side in keys)
        pairs, changed, *figures = joined.get(partition, (0, 0, *([0, 0, 0, None, None] * len(self._values))))
        columns = []
        for at, column in enumerate(self._values):
            differ, filled_old, filled_new, *sums = figures[5 * at : 5 * at + 5]
            columns.append(ColumnDifference(column.name, differ, pairs - filled_old, pairs - filled_new, *sums))
        return {
            "keys_added": new.rows - pairs, "keys_removed": old.rows - pairs, "keys_changed": changed,
            "duplicate_keys_old": old.repeated, "null_keys_old": old.missing,
            "duplicate_keys_new": new.repeated, "null_keys_new": new.missing,
            "columns": tuple(columns),
        }  # fmt: skip

    @cached_property
    def _values(self) -> tuple[Column, ...]:
        """The columns beside the key."""
        return tuple(c for c in self._common if sql.identifier(c.name) not in self._key)

    def _keys(self, side: str) -> Mapping[str, _Keys]:
        unkeyed = sql.some(f"{k} IS NULL" for k in self._key)
        groups = sql.select([PARTITION, "count(*) AS n", f"({unkeyed}) AS unkeyed"], sql.subquery(side, "side"),
                            group=", ".join([PARTITION, *self._key]))  # fmt: skip
        items = [PARTITION, "sum(n) FILTER (WHERE NOT unkeyed)", sql.count_if("n > 1 AND NOT unkeyed"),
                 "sum(n) FILTER (WHERE unkeyed)"]  # fmt: skip
        rows = self.engine.rows(sql.select(items, sql.subquery(groups, "keys"), group=PARTITION))
        return {p: _Keys(int(keyed or 0), int(repeated), int(missing or 0)) for p, keyed, repeated, missing in rows}

    def _joined(self, old: str, new: str, *, numbered: bool) -> Mapping[str, Sequence[Any]]:
        """Partition -> pairs, those that differ, and per column: changed, filled in old and new, sums."""
        source = self._pairs(old, new, numbered=numbered)
        changed = {c.name: self._tolerance.differs(c, self.engine.whole_type) for c in self._values}
        found: dict[str, list[Any]] = {}
        for at in range(0, max(1, len(self._values)), _AT_ONCE):
            items = [f"o.{PARTITION}"]
            if at == 0:
                items += ["count(*)", sql.count_if(sql.some(changed.values()))]
            for column in self._values[at : at + _AT_ONCE]:
                items += [sql.count_if(changed[column.name]), *self._figures(column)]
            for partition, *figures in self.engine.rows(sql.select(items, source, group=f"o.{PARTITION}")):
                found.setdefault(partition, []).extend(figures)
        return found

    def _figures(self, column: Column) -> list[str]:
        sides = [f"{side}.{sql.identifier(column.name)}" for side in ("o", "n")]
        number = is_number(column.type)
        return [
            *(sql.call("count", side) for side in sides),
            *(self.engine.sum_text(side, column.type) if number else "NULL" for side in sides),
        ]

    def _pairs(self, old: str, new: str, *, numbered: bool) -> str:
        """Both sides joined. ``numbered``: a key that comes several times is paired first with first, second with
        second, in the order of what the rows hold."""
        key = [PARTITION, *self._key]
        present = sql.every(f"{k} IS NOT NULL" for k in self._key)
        items = ["*"]
        if numbered:
            order = self.engine.row_hash(self._cells(self._values)) if self._values else "1"
            items.append(f"row_number() OVER (PARTITION BY {', '.join(key)} ORDER BY {order}) AS nth")
            key.append("nth")
        sides = [
            sql.subquery(sql.select(items, sql.subquery(side, "side"), where=present), name)
            for side, name in ((old, "o"), (new, "n"))
        ]
        return " JOIN ".join(sides) + " ON " + sql.every(f"o.{k} = n.{k}" for k in key)
