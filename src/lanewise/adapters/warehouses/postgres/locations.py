"""Where a slice lies, as ``Slice.location`` says it: ``TABLE#NUMBER``, the version's table in the store and the
number that the slice's rows carry there. A slice of no rows has a number too."""

from __future__ import annotations

from collections.abc import Iterable

from lanewise.domain.publication import Slice


def location(relation: str, number: int) -> str:
    """What a slice of that version's table is found by."""
    return f"{relation}#{number}"


def relation_of(one: Slice) -> str:
    """The version's table, without its schema."""
    return one.location.rpartition("#")[0]


def number_of(one: Slice) -> int:
    """The slice's number, of which there is no second in its environment's store."""
    return int(one.location.rpartition("#")[2])


def by_relation(slices: Iterable[Slice]) -> dict[str, list[int]]:
    """Version's table -> the numbers of these slices in it, each once."""
    found: dict[str, dict[int, None]] = {}
    for one in slices:
        found.setdefault(relation_of(one), {})[number_of(one)] = None
    return {relation: list(numbers) for relation, numbers in found.items()}
