"""What counts as the same value. SQL that every engine reads alike.

Binary floats without a tolerance of their own are taken as equal within one part in 10⁹: the last digits of a sum
depend on its order. In a checksum, values that may differ a little stand for a cell no wider than what is tolerated:
equal checksums then mean equal within tolerance, and unequal ones only that a join has to look.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from lanewise.adapters.warehouses.measuring.engine import Cell
from lanewise.domain.project import Column
from lanewise.publication import sql
from lanewise.publication.types import is_float, is_number, is_whole

_HUGE = "1e290"
"""Floats from here on, the infinities and NaN are compared exactly: sums and products with them would overflow."""

_SPLITTER = "4194305.0"
"""2²² + 1. Of a double, ``x·s - (x·s - x)`` keeps the leading 31 bits, rounded (Veltkamp): cells of 0.93 parts in 10⁹,
at a hundredth of the time that printing ten digits takes."""

_FAR = 10**12  # tolerances from zero, beyond which a double is too coarse to tell cells apart


@dataclass(frozen=True)
class Tolerance:
    """A table's declared tolerances: column -> absolute, as decimal text."""

    declared: Mapping[str, str]

    def of(self, column: Column) -> Decimal | None:
        """What is declared for a column of numbers; None for nothing."""
        for name, text in self.declared.items():
            if name.lower() == column.name.lower() and is_number(column.type):
                return Decimal(text)
        return None

    def cells(self, column: Column) -> tuple[Cell, ...]:
        """What of a column goes into the checksum."""
        name, declared = sql.identifier(column.name), self.of(column)
        number = sql.cast(name, "FLOAT8")
        if declared:
            # Half as wide as allowed, so that what a double rounds off can't matter; one cell is added first, so
            # that no quotient is so small that an engine calls it an underflow.
            half, far = sql.literal(declared / 2), sql.literal(min(declared * _FAR, Decimal(_HUGE)))
            near = f"{number} BETWEEN -{far} AND {far}"
            return (
                Cell(f"CASE WHEN {near} THEN floor(({number} + {half}) / {half}) END", "DOUBLE"),
                Cell(f"CASE WHEN {near} THEN NULL ELSE {name} END", column.type),
            )
        if declared is None and is_float(column.type):
            scaled = f"{number} * {_SPLITTER}"
            rounded = f"CASE WHEN abs({number}) < {_HUGE} THEN {scaled} - ({scaled} - {number}) ELSE {number} END"
            return (Cell(rounded, "DOUBLE"),)
        return (Cell(name, column.type),)

    def differs(self, column: Column, whole_type: str) -> str:
        """When the column is not the same in the joined rows ``o`` and ``n``."""
        old, new = (f"{side}.{sql.identifier(column.name)}" for side in ("o", "n"))
        differs, declared = f"{old} IS DISTINCT FROM {new}", self.of(column)
        if declared is None and not is_float(column.type):
            return differs
        wide = "FLOAT8" if is_float(column.type) else whole_type if is_whole(column.type) else ""
        if wide:
            old, new = sql.cast(old, wide), sql.cast(new, wide)
        if declared is None:
            close = f"abs({old} - {new}) * 1000000000 <= greatest(abs({old}), abs({new}))"
        else:
            close = f"abs({old} - {new}) <= {sql.literal(declared)}"
        if is_float(column.type):
            close = f"CASE WHEN abs({old}) < {_HUGE} AND abs({new}) < {_HUGE} THEN {close} ELSE false END"
        return f"{differs} AND NOT coalesce({close}, false)"
