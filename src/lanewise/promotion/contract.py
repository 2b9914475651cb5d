"""What readers of a table would notice: its declared columns against those that are published."""

from __future__ import annotations

from collections.abc import Sequence

from lanewise.domain.project import Column, Table


def breaking_changes(table: Table, live: Sequence[Column]) -> tuple[str, ...]:
    """One sentence for every published column that readers would miss or find changed. A column appended at the end
    breaks nobody. Empty when the table declares no columns: then what the run writes decides, and is judged."""
    if not table.columns or not live:
        return ()
    new = {column.name: column for column in table.columns}
    sentences = [_said(table, "column_dropped", c.name, "is dropped") for c in live if c.name not in new]
    for old in live:
        if old.name in new:
            sentences.extend(_changed(table, old, new[old.name]))
    return (*sentences, *_reordered(table, live))


def _changed(table: Table, old: Column, new: Column) -> list[str]:
    found = []
    if _type(old) != _type(new):
        found.append(_said(table, "column_retyped", old.name, f"goes from {old.type} to {new.type}"))
    if old.nullable and not new.nullable:
        found.append(f"{table.name}: column {old.name} may no longer be NULL")
    if new.nullable and not old.nullable:
        found.append(f"{table.name}: column {old.name} may be NULL, which readers have not met")
    return found


def _reordered(table: Table, live: Sequence[Column]) -> list[str]:
    """Positions matter to whoever selects ``*``: what stays keeps its order, and what is new comes after it."""
    published = {column.name for column in live}
    names = [column.name for column in table.columns]
    before, after = [c.name for c in live if c.name in names], [name for name in names if name in published]
    if before != after:
        return [f"{table.name}: columns change their order, from {', '.join(before)} to {', '.join(after)}"]
    last = max((at for at, name in enumerate(names) if name in published), default=-1)
    inserted = [name for name in names[:last] if name not in published]
    return [f"{table.name}: column {name} is inserted before published ones; append it at the end" for name in inserted]


def _said(table: Table, what: str, column: str, happens: str) -> str:
    for change in table.changes:
        if change.what == what and (not change.columns or column in change.columns):
            return f"{table.name}: column {column} {happens}, as declared: {change.reason}"
    return f"{table.name}: column {column} {happens}"


def _type(column: Column) -> str:
    return "".join(column.type.upper().split())
