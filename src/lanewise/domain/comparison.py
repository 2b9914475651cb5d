"""Old against new, paired: the numbers that a canary is judged by. Counts only, never values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lanewise.domain.project import Column


@dataclass(frozen=True)
class ColumnDifference:
    """How one column differs over the keys that both sides have. Sums are decimal text, None where not numeric."""

    column: str
    changed: int  # keys whose value differs beyond the tolerance
    nulls_old: int
    nulls_new: int
    sum_old: str | None = None
    sum_new: str | None = None


@dataclass(frozen=True)
class PartitionComparison:
    """One partition of one table. Without a key, ``keys_*`` are 0, ``keyed`` is False and ``distances`` (Wasserstein
    over SD, Jensen-Shannon; 0 is equal) stand in. Duplicate or NULL keys are counted before anything is joined."""

    partition: str
    rows_old: int
    rows_new: int
    keyed: bool
    same: bool  # count and checksum agree: nothing else was computed
    keys_added: int = 0
    keys_removed: int = 0
    keys_changed: int = 0
    duplicate_keys_old: int = 0
    duplicate_keys_new: int = 0
    null_keys_old: int = 0
    null_keys_new: int = 0
    columns: tuple[ColumnDifference, ...] = ()
    distances: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class TableComparison:
    """One table over the compared partitions. ``retyped``: column -> (old type, new type), compared after a cast."""

    table: str
    columns_old: tuple[Column, ...]
    columns_new: tuple[Column, ...]
    partitions: tuple[PartitionComparison, ...]
    retyped: Mapping[str, tuple[str, str]] = field(default_factory=dict)
