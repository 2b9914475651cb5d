"""Runs on PostgreSQL: rooms are made and filled by the runner's login, and turned into slices by the publisher's."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from lanewise.adapters.warehouses.demands import continues, demand_all
from lanewise.adapters.warehouses.embedded import rooms as folders
from lanewise.adapters.warehouses.embedded.failures import disk_errors
from lanewise.adapters.warehouses.embedded.layout import Layout
from lanewise.adapters.warehouses.postgres import rooms
from lanewise.adapters.warehouses.postgres.inputs import Inputs
from lanewise.adapters.warehouses.postgres.loading import Loader
from lanewise.adapters.warehouses.postgres.locations import by_relation
from lanewise.adapters.warehouses.postgres.place import Place
from lanewise.adapters.warehouses.postgres.reading import count_partitions, read
from lanewise.adapters.warehouses.postgres.server import Server
from lanewise.adapters.warehouses.postgres.staging import Stager, newest_offset
from lanewise.adapters.warehouses.postgres.store import ensure
from lanewise.adapters.warehouses.postgres.types import check_known, check_storable
from lanewise.domain.environment import Connection, Role
from lanewise.domain.project import Table
from lanewise.domain.publication import InputPin, Slice, TableMap
from lanewise.domain.run import RunRequest, Space, Written
from lanewise.publication.sql import qualified

_SAME_TEXT = "set local timezone = 'UTC'; set local datestyle = 'ISO, YMD'; set local intervalstyle = 'postgres'"
"""What the text of a value, and so the name of a partition, must not depend on."""


@dataclass(frozen=True)
class Running:
    """What a warehouse does for runs. ``home`` is the project's ``.lanewise``; ``source`` its ``src`` connection."""

    server: Server
    place: Place
    home: Path
    source: Connection | None
    say: Callable[[str], None]

    def open_run(
        self, request: RunRequest, tables: Sequence[Table], inputs: Sequence[InputPin], live: Mapping[str, TableMap]
    ) -> Space:
        """Make the run's room, empty, and say how to write there."""
        for table in tables:
            check_storable(table.name, table.columns)
        with self.server.session() as connection:
            ensure(connection, self.place)
            for table in tables:
                check_known(connection, table.name, table.columns)
            own = self._own(connection, request, tables, live)
        with self.server.session(Role.RUNNER) as connection:
            left = rooms.of_run(connection, self.place, request.id)  # the same run's, when a crash made it start again
            rooms.drop(connection, self.place, list(left))
        self._folder(request.id)
        folders.remember_pins(self._layout, request.id, inputs)
        readable = self._inputs.engine_inputs(request.id, inputs)
        engine = {
            "type": "postgres", "directory": str(self._layout.run(request.id).absolute()), **self._login(),
            "schema": self.place.rooms, "outputs": rooms.outputs_of(self.place, self._layout, request.id, tables),
            "inputs": readable, **own,
        }  # fmt: skip
        return Space(request.id, engine)

    def written(self, run: str, tables: Sequence[Table], live: Mapping[str, TableMap]) -> tuple[Written, ...]:
        """What the run left, one entry per table that it wrote to."""
        left = self._left(run, tables)
        found = []
        with self.server.session() as connection:
            connection.execute(_SAME_TEXT)
            for table in tables:
                if table.name not in left:
                    continue
                reading = read(connection, self.place.rooms, left[table.name], table, live.get(table.name))
                counts = dict(count_partitions(connection, reading))
                nulls = counts.pop(None, 0)
                partitions = {str(p): counts[p] for p in sorted(counts, key=str)}
                found.append(Written(table.name, reading.columns, partitions, nulls))
        return tuple(found)

    def stage(
        self, request: RunRequest, tables: Sequence[Table], live: Mapping[str, TableMap]
    ) -> Mapping[str, tuple[Slice, ...]]:
        """The run's slices, all of them or none."""
        self._inputs.check(folders.pins_of(self._layout, request.id))
        wanted = [t for t in tables if t.name in request.tables]
        left = self._left(request.id, wanted)
        demand_all(wanted, left)
        found: dict[str, tuple[Slice, ...]] = {}
        with self.server.session() as connection:
            connection.execute(_SAME_TEXT)
            ensure(connection, self.place)
            stager = Stager(self.place, request, live, connection)
            for table in wanted:
                reading = read(connection, self.place.rooms, left[table.name], table, live.get(table.name))
                found[table.name] = stager.stage(reading)
        self._analyze(request.id, found)
        return found

    def discard(self, run: str) -> None:
        """Throw the room away."""
        with self.server.session(Role.RUNNER) as connection:
            rooms.drop(connection, self.place, list(rooms.of_run(connection, self.place, run)))
        folders.discard(self._layout, run)

    def pin(self, inputs: Sequence[str]) -> tuple[InputPin, ...]:
        """The inputs as they are now."""
        return self._inputs.pin(inputs)

    def _left(self, run: str, tables: Sequence[Table]) -> dict[str, str]:
        """Table -> the relation that holds what the run left for it. Files are loaded first. ``RunFailed`` while a
        block of the run never ended."""
        files = folders.outputs(self._layout, run, tables)
        if files:
            Loader(self.server, self.place, self._layout).load(run, files, {t.name: t for t in tables})
        with self.server.session(Role.RUNNER) as connection:
            noted = rooms.of_run(connection, self.place, run)
            left = {str(said["table"]): name for name, said in noted.items() if said.get("table")}
            publisher, runner = (self.server.parameters(r).get("user") for r in (Role.PUBLISHER, Role.RUNNER))
            if publisher and publisher != runner:
                rooms.share(connection, self.place, list(left.values()), str(publisher))
        return {t.name: left[t.name] for t in tables if t.name in left}

    def _analyze(self, run: str, slices: Mapping[str, tuple[Slice, ...]]) -> None:
        """Tell the planner what came, beside what is there: a view over it is read at once."""
        mine = [s for found in slices.values() for s in found if s.run == run and s.rows]
        with self.server.session(autocommit=True) as connection:
            for relation in by_relation(mine):
                connection.execute(sql.SQL("analyze {}").format(sql.Identifier(self.place.store, relation)))

    def _own(
        self, connection: psycopg.Connection[Any], request: RunRequest, tables: Sequence[Table],
        live: Mapping[str, TableMap],
    ) -> dict[str, Any]:  # fmt: skip
        """What a run may read of what is live: the published views, and where its appends go on."""
        offsets: dict[str, str] = {}
        for table in tables:
            known = live.get(table.name)
            if table.offset and known and continues(table, known, request.fingerprints.get(table.name, "")):
                found = newest_offset(connection, self.place, table, known)
                if found is not None:
                    offsets[table.name] = found
        views = {name: qualified(self.place.public, self.place.view(name)) for name in live}
        return {"own": views, "offsets": offsets}

    def _login(self) -> dict[str, Any]:
        """How the run logs in: plain fields and references, never a value."""
        reference = self.server.connection.acting_as(Role.RUNNER).secrets.get("password")
        password = {"text": reference.text, "previous": reference.previous} if reference else None
        return {"connection": self.server.parameters(Role.RUNNER), "password": password}

    def _folder(self, run: str) -> None:
        room = self._layout.run(run)
        with disk_errors(f"no room can be made for the run {run}"):
            shutil.rmtree(room, ignore_errors=True)
            (room / "outputs").mkdir(parents=True)

    @property
    def _layout(self) -> Layout:
        return Layout(self.home / "warehouse", self.home, self.place.environment)

    @property
    def _inputs(self) -> Inputs:
        return Inputs(self.server, self.place, self.source, self._layout)
