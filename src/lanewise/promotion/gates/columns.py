"""How the published columns of a table change, and which of those changes a build has declared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from lanewise.domain.project import Column, DeclaredChange

BREAKING = ("column_added", "column_dropped", "column_retyped", "column_reordered", "column_not_null", "table_dropped")
"""The kinds of change that a reader may notice. An added column is one when it is NOT NULL or not at the end."""

_DECLARED_AS = {
    "column_added": "column_added",
    "column_dropped": "column_dropped",
    "column_retyped": "column_retyped",
    "column_reordered": "column_retyped",
    "column_not_null": "column_retyped",
}


@dataclass(frozen=True)
class ColumnChange:
    """One difference between the live columns and the candidate's, told in a few words."""

    what: str
    column: str
    text: str
    breaking: bool = True


def column_changes(
    old: Sequence[Column], new: Sequence[Column], retyped: Mapping[str, tuple[str, str]] | None = None
) -> tuple[ColumnChange, ...]:
    """Every difference, in the order of the columns. ``retyped``: those that an engine found besides."""
    before, after = {c.name: c for c in old}, {c.name: c for c in new}
    found = [ColumnChange("column_dropped", name, f"{name} is dropped") for name in before if name not in after]
    for name in (name for name in before if name in after):
        types = (before[name].type, after[name].type)
        if retyped and name in retyped:
            types = retyped[name]
        if _written(types[0]) != _written(types[1]):
            found.append(ColumnChange("column_retyped", name, f"{name} turns from {types[0]} into {types[1]}"))
        if before[name].nullable and not after[name].nullable:
            found.append(ColumnChange("column_not_null", name, f"{name} becomes NOT NULL"))
    return (*found, *_moved(before, after), *_added(before, after))


def undeclared(changes: Iterable[ColumnChange], declared: Iterable[DeclaredChange]) -> tuple[ColumnChange, ...]:
    """The breaking ones that no declared change covers. A new place or NOT NULL is declared as ``column_retyped``."""
    known = tuple(declared)
    return tuple(change for change in changes if change.breaking and not _covered(change, known))


def _covered(change: ColumnChange, declared: Sequence[DeclaredChange]) -> bool:
    kind = _DECLARED_AS.get(change.what)
    return any(d.what == kind and (not d.columns or change.column in d.columns) for d in declared)


def _written(type_: str) -> str:
    """``decimal(18, 2)`` and ``DECIMAL(18,2)`` are one type, written in two ways."""
    return "".join(type_.upper().split())


def _moved(before: Mapping[str, Column], after: Mapping[str, Column]) -> list[ColumnChange]:
    was = [name for name in before if name in after]
    now = [name for name in after if name in before]
    return [
        ColumnChange("column_reordered", name, f"{name} changes its place")
        for name, other in zip(was, now, strict=True)
        if name != other
    ]


def _added(before: Mapping[str, Column], after: Mapping[str, Column]) -> list[ColumnChange]:
    names = list(after)
    last_kept = max((at for at, name in enumerate(names) if name in before), default=-1)
    found = []
    for at, name in enumerate(names):
        if name in before:
            continue
        if not after[name].nullable:
            found.append(ColumnChange("column_added", name, f"{name} is added as NOT NULL"))
        elif at < last_kept:
            found.append(ColumnChange("column_added", name, f"{name} is added before {names[at + 1]}"))
        else:
            found.append(ColumnChange("column_added", name, f"{name} is added", breaking=False))
    return found
