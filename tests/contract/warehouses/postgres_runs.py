"""Runs on a real server, before anything is published: what tests of rooms, staging and the engine share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from lanewise.adapters.warehouses.postgres.locations import number_of, relation_of
from lanewise.adapters.warehouses.postgres.place import Place
from lanewise.adapters.warehouses.postgres.running import Running
from lanewise.adapters.warehouses.postgres.server import Server
from lanewise.domain.environment import Connection, SecretRef
from lanewise.domain.project import Table
from lanewise.domain.publication import InputPin, Slice, TableMap
from lanewise.domain.run import RunRequest, Space
from lanewise.runtime.run import Run
from lanewise.testing.postgres import Server as TestServer

PLACE = Place("prod", "shop", "public", "", "lanewise_prod", "lanewise_prod_runs")


@dataclass
class Values:
    """A secret store that holds these."""

    known: dict[str, str] = field(default_factory=dict)

    def resolve(self, reference: SecretRef, *, previous: bool = False) -> str:
        return self.known[reference.wanted(previous=previous)]


@dataclass
class Bench:
    """One pipeline in an empty database."""

    server: TestServer
    home: Path
    database: str
    place: Place = PLACE
    source: Connection | None = None
    login: Connection | None = None
    secrets: Values = field(default_factory=Values)
    live: dict[str, TableMap] = field(default_factory=dict)

    @property
    def running(self) -> Running:
        login = self.login or self.server.connection(self.database)
        return Running(Server(login, self.secrets), self.place, self.home / ".lanewise", self.source, print)

    def open(self, wanted: RunRequest, *tables: Table, pins: Sequence[InputPin] = ()) -> Space:
        return self.running.open_run(wanted, tables, pins, self.live)

    def stage(self, wanted: RunRequest, *tables: Table) -> Mapping[str, tuple[Slice, ...]]:
        return self.running.stage(wanted, tables, self.live)

    def serve(self, table: Table, slices: Sequence[Slice]) -> None:
        """Let these be what is live."""
        held = self.live[table.name].slices if table.name in self.live else {}
        fresh: dict[str, tuple[Slice, ...]] = {}
        for one in slices:
            fresh[one.partition] = (*fresh.get(one.partition, ()), one)
        columns = table.columns or self.columns(slices[0])
        self.live[table.name] = TableMap(table.name, table.kind, columns, {**held, **fresh}, table.partition)

    def columns(self, one: Slice) -> Any:
        from lanewise.adapters.warehouses.postgres.types import columns_of

        with self.connect() as connection:
            return columns_of(connection, self.place.store, relation_of(one))[1:]

    def rows(self, slices: Sequence[Slice]) -> list[tuple[Any, ...]]:
        """What the slices hold, without the hidden column, sorted."""
        found: list[tuple[Any, ...]] = []
        with self.connect() as connection:
            for one in slices:
                query = sql.SQL("select * from {} where _lanewise_slice = {}")
                name = sql.Identifier(self.place.store, relation_of(one))
                found += connection.execute(query.format(name, sql.Literal(number_of(one)))).fetchall()
        return sorted((row[1:] for row in found), key=str)

    def connect(self) -> psycopg.Connection[Any]:
        return self.server.connect(self.database)

    def outputs(self, wanted: RunRequest) -> Path:
        return self.home / ".lanewise" / "warehouse" / self.place.environment / "runs" / wanted.id / "outputs"

    def rooms(self) -> list[str]:
        with self.connect() as connection:
            query = "select tablename from pg_tables where schemaname = %s order by 1"
            return [row[0] for row in connection.execute(query, [self.place.rooms])]


def run_of(wanted: RunRequest, space: Space, *tables: Table, aside: Sequence[Table] = ()) -> Run:
    """The run as the pipeline's code has it."""
    declared = {t.name: [[c.name, c.type, c.nullable] for c in t.columns] for t in (*tables, *aside)}
    run = {"id": wanted.id, "purpose": "scheduled", "partitions": list(wanted.partitions),
           "tables": list(wanted.tables), "declared": declared}  # fmt: skip
    return Run({"environment": "prod", "project": "shop", "run": run, "engine": space.engine, "root": "", "path": ""})
