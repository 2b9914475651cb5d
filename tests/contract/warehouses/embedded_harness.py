from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb

from lanewise.adapters.warehouses.embedded import EmbeddedWarehouse, open_warehouse
from lanewise.domain.environment import Connection, Environment
from lanewise.domain.project import Table
from lanewise.domain.publication import Slice
from lanewise.domain.run import Space


class NoSecrets:
    def resolve(self, reference: object, *, previous: bool = False) -> str:
        raise AssertionError("a warehouse of files needs no secret")

    age = redact = resolve


def lane_of(name: str, destination: Connection, source: Connection | None = None, **settings: Any) -> Environment:
    """An environment with these connections, as config would give it."""
    named = {"dst": destination, **({"src": source} if source else {})}
    settings = {f"{role}_conn": found.name for role, found in named.items()} | settings
    return Environment(name, 0, settings, {found.name: found for found in named.values()})


class EmbeddedHarness:
    def __init__(self, root: Path, source: Connection | None = None, path: str | None = None) -> None:
        self.root, self.source = root, source
        self.destination = Connection("warehouse", "duckdb", {"path": path} if path else {})

    def open(self, environment: str = "prod", project: str = "shop") -> EmbeddedWarehouse:
        return open_warehouse(
            home=self.root / ".lanewise",
            lane=lane_of(environment, self.destination, self.source),
            project=project,
            secrets=NoSecrets(),
            say=print,
        )

    def write(self, space: Space, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        with duckdb.connect() as connection:
            columns = ", ".join(f'"{c.name.replace(chr(34), chr(34) * 2)}" {c.type}' for c in table.columns)
            connection.execute(f"create table output ({columns})")
            for row in rows:
                values = [row[c.name] for c in table.columns]
                connection.execute(f"insert into output values ({', '.join('?' * len(values))})", values)
            file = space.engine["outputs"][table.name]["file"].replace("'", "''")
            connection.execute(f"copy output to '{file}' (format parquet)")

    def lose(self, one: Slice) -> None:
        for location in one.location.split("\n"):
            (self.open().layout.root / location).unlink()

    def read(self, table: str, environment: str = "prod") -> list[tuple[Any, ...]]:
        name = table.replace('"', '""')
        with duckdb.connect(str(self.open(environment).layout.link), read_only=True) as connection:
            return connection.execute(f'select * from "{name}" order by all').fetchall()
