"""What an engine answers differently from the others. Everything else about measuring is SQL that all of them read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from lanewise.domain.project import Column
from lanewise.domain.publication import Slice


class Cell(NamedTuple):
    """An expression that goes into a row's hash, and the contract's type of what it gives."""

    value: str
    type: str


class Engine(Protocol):
    """A session with an engine, over slices."""

    @property
    def whole_type(self) -> str:
        """A type in which two whole numbers of any type are subtracted without overflow."""

    def columns(self, slices: Sequence[Slice]) -> tuple[Column, ...]:
        """Their columns, each in a type that holds every slice's values."""

    def relation(self, columns: Sequence[Column], slices: Sequence[Slice]) -> str:
        """A query over exactly these slices, in these types, with the hidden column that names each row's partition."""

    def name(self, view: str, query: str) -> None:
        """Give a query a name for the rest of the session."""

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """The answer to a query; reads only."""

    def asked(self, query: str, what: str, *, foreign: bool = False) -> list[tuple[Any, ...]]:
        """The same for what a person asks for: ``WrongInput`` when ``what`` can't be evaluated so. ``foreign``: the
        query's own text is theirs; then also when it would write, or takes too long."""

    def checksums(
        self, columns: Sequence[Column], cells: Sequence[Cell], slices: Sequence[Slice]
    ) -> Mapping[str, tuple[int, int]]:
        """Partition -> number of rows, and the sum of the hashes of their ``cells`` (expressions over ``columns``);
        partitions of no rows may be missing."""

    def compared_as(self, type_: str) -> str:
        """The type that values of this one are compared in: itself, or text where it knows no equality."""

    def row_hash(self, cells: Sequence[Cell]) -> str:
        """One number for all these cells of a row: equal for equal values, for others by chance alone, and such that a
        sum of them sees a value that moved to another row."""

    def sum_text(self, value: str, type_: str) -> str:
        """The aggregate that sums a column of that type of numbers, as decimal text; the same for any order of rows."""

    def quantiles(self, value: str, fractions: Sequence[float], condition: str) -> str:
        """The aggregate that gives the list of these quantiles, interpolated, of the rows that meet the condition."""
