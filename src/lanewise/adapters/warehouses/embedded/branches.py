"""Slices as branches of a view: which files they are, and which columns those have, without opening one.

Every file lies in a folder that is named for its physical schema and holds it as ``columns.json``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from lanewise.adapters.warehouses.embedded.layout import Layout, write_durably
from lanewise.domain.project import Column
from lanewise.domain.publication import Slice
from lanewise.errors import WarehouseUnavailable
from lanewise.publication.types import joint_columns
from lanewise.publication.views import Branch, view_query

_DEPTH = 5  # ENV/versions/TABLE/FINGERPRINT/SCHEMA


@dataclass(frozen=True)
class Schema:
    """A physical schema. ``hive``: the (column, type) that the folders below are named for."""

    columns: tuple[Column, ...]
    hive: tuple[str, str] | None

    def folder(self, version: Path) -> Path:
        """The folder of this schema in a version's folder."""
        return version / hashlib.sha256(self._bytes()).hexdigest()[:8]

    def write(self, folder: Path) -> None:
        """Leave the schema beside its files."""
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "columns.json").exists():
            write_durably(folder / "columns.json", self._bytes())

    def _bytes(self) -> bytes:
        columns = [[c.name, c.type, c.nullable] for c in self.columns]
        return json.dumps({"columns": columns, "hive": self.hive}).encode()


def read_schema(folder: str) -> Schema:
    """The schema that ``Schema.write`` left."""
    try:
        with open(f"{folder}/columns.json", "rb") as file:  # noqa: PTH123 - a thousand tables: pathlib doubles the time
            return _parse(file.read())
    except FileNotFoundError as error:
        raise WarehouseUnavailable(f"{folder} is gone: its slices can't be read") from error


@lru_cache(maxsize=1024)
def _parse(data: bytes) -> Schema:
    document = json.loads(data)
    hive = document["hive"]
    return Schema(tuple(Column(*c) for c in document["columns"]), (hive[0], hive[1]) if hive else None)


def locations(slices: Iterable[Slice]) -> list[str]:
    """The files of these slices, relative to the warehouse."""
    return [line for s in slices for line in s.location.split("\n") if line and not line.endswith("/")]


def branches(layout: Layout, slices: Iterable[Slice]) -> tuple[Branch, ...]:
    """One branch per physical schema; slices of no rows add none."""
    files: dict[str, list[str]] = {}
    root, readable = str(layout.root), layout.folders_are_readable
    for location in locations(slices):
        files.setdefault(schema_folder(location), []).append(f"{root}/{location}")
    schemas = {folder: read_schema(f"{root}/{folder}") for folder in files}
    return tuple(Branch(schemas[f].columns, schemas[f].hive, tuple(paths), readable) for f, paths in files.items())


def schema_folder(location: str) -> str:
    """The folder that holds the columns of a slice's file, relative to the warehouse."""
    return "/".join(location.split("/", _DEPTH)[:_DEPTH])


def columns_of(layout: Layout, slices: Sequence[Slice]) -> tuple[Column, ...]:
    """The columns of all these slices in order of appearance, each in a type that holds every slice's values.
    A column that some slice lacks is nullable."""
    folders = dict.fromkeys(schema_folder(line) for s in slices for line in s.location.split("\n") if line)
    return joint_columns(read_schema(f"{layout.root}/{folder}").columns for folder in folders)


def relation(layout: Layout, columns: Sequence[Column], slices: Sequence[Slice]) -> str:
    """A query over exactly these slices, with the hidden partition column."""
    return view_query(columns, branches(layout, slices), with_partition=True)
