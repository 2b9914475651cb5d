"""The noise floor: how much the old build differs from itself on the same input (A/A)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from lanewise.domain.comparison import ColumnDifference, PartitionComparison, TableComparison

UNNAMED = "values"
"""Stands for the column where a comparison says that keys changed and not in which column."""

_SIMILAR = 2
"""A share up to so many times the noise's own is put down to noise."""

_DISTANCE_FACTOR, _DISTANCE_FLOOR = 3, 0.02
"""A distance counts when it is beyond three times the noise and beyond two hundredths of a standard deviation."""


@dataclass(frozen=True)
class Noise:
    """What A/A showed for one table, over all the partitions it ran on. Without A/A everything is 0: no excuse."""

    rows: int = 0
    changed: Mapping[str, int] = field(default_factory=dict)  # column -> keys
    removed: int = 0
    added: int = 0
    distances: Mapping[str, float] = field(default_factory=dict)

    @property
    def keys_differ(self) -> bool:
        """Even the old build does not give the same keys or rows twice."""
        return bool(self.removed or self.added)

    def explains_changed(self, column: str, keys: int, rows: int) -> bool:
        """The same column changes by itself, for a similar or higher share of the keys."""
        return _similar(keys, rows, self.changed.get(column, 0), self.rows, _SIMILAR)

    def explains_removed(self, keys: int, rows: int, *, keyed: bool) -> bool:
        """Keys (or rows) go by themselves as often."""
        return _similar(keys, rows, self.removed, self.rows, _SIMILAR if keyed else _DISTANCE_FACTOR)

    def explains_added(self, keys: int, rows: int, *, keyed: bool) -> bool:
        """Keys (or rows) come by themselves as often."""
        return _similar(keys, rows, self.added, self.rows, _SIMILAR if keyed else _DISTANCE_FACTOR)

    def explains_distance(self, name: str, distance: float) -> bool:
        """Close to the noise, or too small to matter. What is not a number is explained by nothing."""
        return distance <= max(_DISTANCE_FLOOR, _DISTANCE_FACTOR * self.distances.get(name, 0.0))


def noise_floor(comparisons: Iterable[TableComparison]) -> Mapping[str, Noise]:
    """Table -> its noise, from comparisons of the old build with itself."""
    partitions: dict[str, list[PartitionComparison]] = {}
    for comparison in comparisons:
        partitions.setdefault(comparison.table, []).extend(comparison.partitions)
    return {table: _noise(found) for table, found in partitions.items()}


def lost(p: PartitionComparison) -> int:
    """Keys that went; rows, where rows went that no key accounts for (duplicates, NULL keys, no key at all)."""
    return max(p.keys_removed, p.rows_old - p.rows_new + p.keys_added, 0)


def gained(p: PartitionComparison) -> int:
    """Keys that came, or rows beyond them."""
    return max(p.keys_added, p.rows_new - p.rows_old + p.keys_removed, 0)


def changed_columns(p: PartitionComparison) -> tuple[ColumnDifference, ...]:
    """The columns that changed for some key; one unnamed column when only the keys were counted."""
    found = tuple(c for c in p.columns if c.changed)
    if p.keys_changed and not found:
        return (ColumnDifference(UNNAMED, p.keys_changed, 0, 0),)
    return found


def _noise(partitions: Iterable[PartitionComparison]) -> Noise:
    changed: Counter[str] = Counter()
    distances: dict[str, float] = {}
    rows = removed = added = 0
    for p in partitions:
        rows, removed, added = rows + p.rows_old, removed + lost(p), added + gained(p)
        changed.update({c.column: c.changed for c in changed_columns(p)})
        for name, distance in p.distances.items():
            if distance > distances.get(name, 0.0):
                distances[name] = distance
    return Noise(rows, dict(changed), removed, added, distances)


def _similar(count: int, rows: int, noise: int, noise_rows: int, factor: int) -> bool:
    """``count / rows <= factor * noise / noise_rows``, in whole numbers."""
    return noise > 0 and count * noise_rows <= factor * noise * rows
