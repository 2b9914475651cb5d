"""The Postgres warehouse for the conformance suites: an empty database per test, a schema per environment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from tests.contract.warehouses.embedded_harness import lane_of

from lanewise.adapters.warehouses.postgres.locations import relation_of
from lanewise.adapters.warehouses.postgres.warehouse import PostgresWarehouse, open_warehouse
from lanewise.domain.environment import Connection
from lanewise.domain.project import Table
from lanewise.domain.publication import Slice
from lanewise.domain.run import Space
from lanewise.publication.postgres_types import postgres_type
from lanewise.testing.postgres import Server


class NoSecrets:
    def resolve(self, reference: object, *, previous: bool = False) -> str:
        raise AssertionError("the tests' own servers trust this user")

    age = concerns = redact = resolve


class PostgresHarness:
    def __init__(self, root: Path, server: Server, source: Connection | None = None, **fields: Any) -> None:
        self.root, self.server, self.source, self.fields = root, server, source, fields
        self.database = server.database()
        self.said: list[str] = []

    def open(self, environment: str = "prod", project: str = "shop") -> PostgresWarehouse:
        destination = self.server.connection(self.database)
        destination = Connection(destination.name, destination.type, {**destination.fields, **self.fields})
        lane = lane_of(environment, destination, self.source, schema=f"analytics_{environment}", table_suffix="")
        return open_warehouse(
            home=self.root / ".lanewise", lane=lane, project=project, secrets=NoSecrets(), say=self.said.append
        )

    def connect(self) -> psycopg.Connection[Any]:
        """A session of the test's own, in autocommit."""
        return self.server.connect(self.database)

    def write(self, space: Space, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        output = space.engine["outputs"][table.name]
        columns = sql.SQL(", ").join(
            sql.SQL("{} {}").format(sql.Identifier(c.name), sql.SQL(postgres_type(c.type))) for c in table.columns
        )
        with self.connect() as connection:
            relation = sql.SQL(output["relation"])
            connection.execute(sql.SQL("create table {} ({})").format(relation, columns))
            connection.execute(sql.SQL("comment on table {} is {}").format(relation, output["comment"]))
            place = sql.SQL(", ").join(sql.Placeholder() * len(table.columns))
            with connection.cursor() as cursor:
                statement = sql.SQL("insert into {} values ({})").format(relation, place)
                cursor.executemany(statement, [[row[c.name] for c in table.columns] for row in rows])

    def lose(self, one: Slice) -> None:
        with self.connect() as connection:
            name = sql.Identifier(self.open().place.store, relation_of(one))
            connection.execute(sql.SQL("drop table {} cascade").format(name))

    def read(self, table: str, environment: str = "prod") -> list[tuple[Any, ...]]:
        place = self.open(environment).place
        with self.connect() as connection:
            name = sql.Identifier(place.public, place.view(table))
            return sorted(connection.execute(sql.SQL("select * from {}").format(name)).fetchall(), key=repr)
