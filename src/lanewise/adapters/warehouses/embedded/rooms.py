"""A run's own room: what it is handed, and what it left.

A run may be written in any language. It leaves, in ``outputs/``, one file ``TABLE.parquet`` (or ``TABLE.csv``, or a
folder ``TABLE/`` of Parquet files) for each table that it computed, even when there are no rows.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lanewise.adapters.warehouses.embedded.failures import disk_errors
from lanewise.adapters.warehouses.embedded.layout import Layout, encoded, write_durably
from lanewise.domain.project import Column, Table
from lanewise.domain.publication import InputPin
from lanewise.domain.run import RunRequest, Space
from lanewise.errors import RunFailed
from lanewise.publication import sql
from lanewise.publication.types import plain_type

_GUESSED_WELL = {"BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "FLOAT",
                 "DOUBLE", "DATE", "TIME", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE"}  # fmt: skip


@dataclass(frozen=True)
class Output:
    """What a run left for one table: a table expression that reads it."""

    table: str
    source: str
    text: Path | None = None  # the CSV file that it is

    def read_as(self, written: Sequence[Column], stored: Sequence[Column]) -> str:
        """The same, with the columns of a CSV file that are stored as text, or in digits that a guess at their type
        would lose (``007``, a long decimal number), read as text. ``written`` is what the guess said."""
        exact = {c.name.lower() for c in stored if plain_type(c.type) not in _GUESSED_WELL}
        names = [c.name for c in written if c.name.lower() in exact]
        if self.text is None or not names:
            return self.source
        types = "{" + ", ".join(sql.literal(name) + ": 'VARCHAR'" for name in names) + "}"
        return _csv(self.text, "types = " + types)


def open_room(
    layout: Layout, request: RunRequest, tables: Sequence[Table], inputs: Mapping[str, Any], own: Mapping[str, Any]
) -> Space:
    """Make the room, empty. ``own`` is the ``own`` and ``offsets`` part of the engine's data."""
    room = layout.run(request.id)
    with disk_errors(f"no room can be made for the run {request.id}"):
        shutil.rmtree(room, ignore_errors=True)  # the same run's, when a crash made it start again
        (room / "outputs").mkdir(parents=True)
    outputs = {
        table.name: {
            "columns": [[c.name, c.type, c.nullable] for c in table.columns],
            "file": str(room.absolute() / "outputs" / f"{encoded(table.name)}.parquet"),
        }
        for table in tables
    }
    engine = {"type": "duckdb", "directory": str(room.absolute()), "outputs": outputs, "inputs": dict(inputs), **own}
    return Space(request.id, engine)


def remember_pins(layout: Layout, run: str, pins: Sequence[InputPin]) -> None:
    """Leave the pins in the room, so that staging can see whether they still hold."""
    with disk_errors(f"the pins of the run {run} can't be written"):
        data = json.dumps([[p.name, p.digest, p.release] for p in pins]).encode()
        write_durably(layout.run(run) / "pins.json", data)


def pins_of(layout: Layout, run: str) -> tuple[InputPin, ...]:
    """What ``remember_pins`` left."""
    try:
        return tuple(InputPin(*pin) for pin in json.loads((layout.run(run) / "pins.json").read_bytes()))
    except FileNotFoundError as error:
        raise RunFailed(f"there is no room of the run {run}", hint="run it again") from error


def outputs(layout: Layout, run: str, tables: Sequence[Table]) -> tuple[Output, ...]:
    """What the run left, by table; tables that it did not write to are left out. ``RunFailed`` while a block of the
    run (``with lane.run()``) never ended: its output is not whole."""
    room = layout.run(run)
    if any((room / "blocks").glob("*.open")):
        raise RunFailed(f"the run {run} was broken off: what it left is not whole", hint="see its log, run it again")
    found = (_output(room / "outputs", table.name) for table in tables)
    return tuple(output for output in found if output is not None)


def discard(layout: Layout, run: str) -> None:
    """Throw the room away."""
    with disk_errors(f"the room of the run {run} can't be removed"):
        shutil.rmtree(layout.run(run), ignore_errors=not layout.run(run).exists())


def _output(folder: Path, table: str) -> Output | None:
    single = folder / f"{encoded(table)}.parquet"
    if single.is_file():
        return Output(table, sql.call("read_parquet", _list([single]), "hive_partitioning = false"))
    several = sorted((folder / encoded(table)).glob("*.parquet"))
    if several:
        options = ("hive_partitioning = false", "union_by_name = true")
        return Output(table, sql.call("read_parquet", _list(several), *options))
    text = folder / f"{encoded(table)}.csv"
    return Output(table, _csv(text), text) if text.is_file() else None


def _csv(file: Path, *options: str) -> str:
    return sql.call("read_csv", _list([file]), "hive_partitioning = false", "header = true", *options)


def _list(files: Sequence[Path]) -> str:
    return "[" + ", ".join(sql.file_literal(str(file)) for file in files) + "]"
