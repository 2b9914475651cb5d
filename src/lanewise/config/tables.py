"""One table of ``lanewise.yaml``: its partition, columns, checks and declared changes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from lanewise.config.node import Document
from lanewise.config.project_models import CheckModel, TableModel
from lanewise.config.values import decimal_text
from lanewise.domain.project import (
    Check,
    Column,
    DeclaredChange,
    Grain,
    History,
    PartitionSpec,
    Table,
    TableKind,
)
from lanewise.errors import nearest_hint

_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9_ ,()\[\]\"]*")
_COLUMN = re.compile(r"[^\x00-\x1f\x7f]{1,128}")
_KINDS = ("not_null", "unique", "row_count", "accepted_values", "range", "sql")


def table(document: Document, name: str, models: Mapping[str, TableModel | None]) -> Table:
    """The table of that name; ``ConfigError`` where its parts don't fit together."""
    model = models[name] or TableModel()
    path: list[str | int] = ["tables", name]
    _kind_fits(document, path, model)
    columns = tuple(Column(key, column.type, column.nullable) for key, column in model.columns.items())
    _column_types(document, path, columns)
    checks = _checks(document, path, model.checks)
    made = Table(
        name=name,
        kind=_kind(model),
        partition=_partition(model),
        key=tuple(model.key),
        columns=columns,
        checks=checks,
        history=History(model.history),
        depends=tuple(model.depends),
        upstream=tuple(model.upstream),
        settings=tuple(model.settings),
        tolerance=model.tolerance,
        changes=tuple(
            DeclaredChange(c.what, c.reason, tuple(c.columns), None if c.limit is None else decimal_text(c.limit))
            for c in model.changes
        ),
        offset=model.offset,
    )
    if columns:
        _columns_known(document, path, made)
    return made


def _kind(model: TableModel) -> TableKind:
    return TableKind(model.kind or ("partition" if model.partition else "full"))


def _partition(model: TableModel) -> PartitionSpec | None:
    cut = model.partition
    return PartitionSpec(cut.column, Grain(cut.grain), cut.timezone) if cut else None


def _kind_fits(document: Document, path: list[str | int], model: TableModel) -> None:
    kind = _kind(model)
    if kind is TableKind.PARTITION and not model.partition:
        hint = "add partition: {column: …, grain: day}"
        raise document.error(f"{path[-1]} is cut into partitions, and names no column", document.find(path), hint=hint)
    if kind is TableKind.FULL and model.partition:
        place = document.find([*path, "kind"])
        raise document.error(f"{path[-1]} is of kind full and has a partition", place, hint="write kind: partition")
    if kind is TableKind.MERGE and not model.key:
        message = f"{path[-1]} is merged by key, and has none"
        raise document.error(message, document.find(path), hint="add key: [COLUMN]")
    if model.offset and kind is not TableKind.APPEND:
        message = f"{path[-1]} is of kind {kind}, which keeps no offset"
        raise document.error(message, document.key([*path, "offset"]), hint="write kind: append")


def _column_types(document: Document, path: list[str | int], columns: Iterable[Column]) -> None:
    seen: set[str] = set()
    for column in columns:
        place = document.key([*path, "columns", column.name])
        if not _COLUMN.fullmatch(column.name):
            raise document.error("this is no name for a column", place)
        if column.name.lower() in seen:
            raise document.error(f"two columns are called {column.name[:60]}, but for case", place)
        seen.add(column.name.lower())
        if not _TYPE.fullmatch(column.type) or column.type.count("(") != column.type.count(")"):
            value = document.find([*path, "columns", column.name])
            raise document.error(f"{column.name[:60]} has no SQL type here", value, hint="write it like DECIMAL(18,2)")


def _checks(document: Document, path: list[str | int], models: list[CheckModel]) -> tuple[Check, ...]:
    made: dict[str, Check] = {}
    for index, model in enumerate(models):
        place = document.find([*path, "checks", index])
        kinds = [kind for kind in _KINDS if getattr(model, kind) is not None]
        if len(kinds) != 1:
            hint = f"write one of {', '.join(_KINDS)}"
            raise document.error("a check has exactly one kind", place, hint=hint)
        arguments = _arguments(kinds[0], model)
        if problem := _problem(kinds[0], arguments):
            raise document.error(problem, document.find([*path, "checks", index, kinds[0]]))
        name = model.name or _default_name(kinds[0], arguments, index)
        if name in made:
            hint = "give one of them a name: {…, name: …}"
            raise document.error(f"two checks of {path[-1]} are called {name[:80]}", place, hint=hint)
        made[name] = Check(name, kinds[0], arguments)
    return tuple(made.values())


def _arguments(kind: str, model: CheckModel) -> dict[str, Any]:
    if kind in {"not_null", "unique"}:
        return {"columns": list(getattr(model, kind))}
    if kind == "sql":
        return {"query": model.sql}
    given = getattr(model, kind).model_dump(exclude_none=True)
    shares = {"max_drop", "max_rise"}
    return {key: decimal_text(value) if key in shares else value for key, value in given.items()}


def _problem(kind: str, arguments: Mapping[str, Any]) -> str:
    if kind == "sql" and "{table}" not in arguments["query"]:
        return "the query does not mention {table}, so it looks at nothing that a run wrote"
    if kind == "row_count" and not arguments:
        return "row_count takes at least one of min, max, max_drop, max_rise"
    if kind == "range" and not {"min", "max"} & set(arguments):
        return "range takes min, max or both"
    low, high = arguments.get("min"), arguments.get("max")
    if isinstance(low, int | float) and isinstance(high, int | float) and low > high:
        return "min is above max: nothing can pass"
    return ""


def _default_name(kind: str, arguments: Mapping[str, Any], index: int) -> str:
    if kind == "sql":
        return f"sql_{index + 1}"
    columns = arguments.get("columns") or [arguments["column"]] if kind != "row_count" else []
    return "_".join([kind, *columns])


def _columns_known(document: Document, path: list[str | int], made: Table) -> None:
    """Where the columns are declared, whatever names one must name one of them."""
    known = {column.name for column in made.columns}
    used: list[tuple[list[str | int], str]] = [(["key", index], key) for index, key in enumerate(made.key)]
    if made.partition:
        used.append((["partition", "column"], made.partition.column))
    if made.offset:
        used.append((["offset"], made.offset))
    used += [(["tolerance", column], column) for column in made.tolerance]
    for index, check in enumerate(made.checks):
        columns = check.arguments.get("columns") or [check.arguments.get("column")]
        used += [(["checks", index, check.kind], column) for column in columns if column]
    for where, column in used:
        if column not in known:
            hint = nearest_hint(column, known)
            raise document.error(
                f"{made.name} has no column {column[:60]!r}", document.find([*path, *where]), hint=hint
            )
