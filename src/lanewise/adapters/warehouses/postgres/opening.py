"""Preparing a map: it is written down, and the views that it changes are opened, so that publishing is one UPDATE."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg

from lanewise.adapters.warehouses.postgres import store
from lanewise.adapters.warehouses.postgres.carrying import carry_out_all
from lanewise.adapters.warehouses.postgres.dependants import dependants
from lanewise.adapters.warehouses.postgres.maps import Maps
from lanewise.adapters.warehouses.postgres.place import Place
from lanewise.adapters.warehouses.postgres.registering import Register
from lanewise.adapters.warehouses.postgres.server import Server
from lanewise.adapters.warehouses.postgres.transactions import Waiting, alone
from lanewise.adapters.warehouses.postgres.views import Contract, Seen, Views, contract
from lanewise.domain.project import Column
from lanewise.domain.publication import Break, PartitionMap, TableMap
from lanewise.errors import GroundMoved, LeaseHeld, Refused
from lanewise.publication.mapped_views import changes

PATIENCE = 60.0
"""Seconds that a preparation waits for readers who hold a view, where the connection has no ``patience``."""


def patience_of(server: Server) -> float:
    """How many seconds to wait for others, as the connection says."""
    said = server.connection.fields.get("patience")
    return float(said) if isinstance(said, int | float | str) and said else PATIENCE


@dataclass(frozen=True)
class Opening:
    """Opens the views of one pipeline."""

    server: Server
    place: Place
    say: Callable[[str], None]

    def prepare(self, target: PartitionMap) -> None:
        """See the port. Does nothing that is done already."""
        with self.server.session() as connection:
            store.ensure(connection, self.place)
        with self._alone() as connection:
            with connection.transaction():
                self._require_newer(connection, target)
                content = Register(connection, self.place).prepare(target)
                Views(connection, self.place).make_live()
            self._open(connection, Maps(self.server, self.place).live(), target)
            Register(connection, self.place).ready(target, content)

    def open_all(self, live: PartitionMap, target: PartitionMap) -> None:
        """Open what ``target`` changes of ``live``, without writing it down."""
        with self._alone() as connection:
            self._open(connection, live, target)

    @contextmanager
    def _alone(self) -> Iterator[psycopg.Connection[Any]]:
        patience = patience_of(self.server)
        with self.server.session(autocommit=True) as connection, alone(connection, self.place, patience) as got:
            if not got:
                raise LeaseHeld(f"the right to change the views of {self.place.pipeline}", "another session")
            yield connection

    def _open(self, connection: psycopg.Connection[Any], live: PartitionMap, target: PartitionMap) -> None:
        views = Views(connection, self.place)
        views.demand_here()
        seen, needed = views.seen(target.tables), views.needed()
        wanted: dict[str, Contract] = {}
        for name, table in target.tables.items():
            found = _contract(seen.get(name), table, live, needed.get(name, {}))
            if found is not None:
                wanted[name] = found
            else:
                self._require_free(connection, seen[name], table)
        for name, held in seen.items():  # a table that is published no more shows no rows
            if name not in target.tables and held.upto is not None:
                wanted[name] = Contract(held.columns, held.shapes)
        statements = _statements(views, seen, needed, wanted, changed(live, target))
        oids = {held.view: held.oid for held in seen.values()}
        carry_out_all(connection, statements, Waiting(self.say, patience_of(self.server)), oids)

    def breaks(self, table: str, columns: Sequence[Column]) -> Break | None:
        """See the port."""
        with self.server.session(autocommit=True) as connection:
            try:
                views = Views(connection, self.place)
                seen = views.seen([table]).get(table)
                needed = views.needed().get(table, {})
            except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
                return None  # nothing was published here yet
            if seen is None:
                return None
            live = Maps(self.server, self.place).live().tables.get(table)
            if contract(seen, columns, live.columns if live else None, needed) is not None:
                return None
            return Break(table, changes(seen.columns, columns), dependants(connection, seen.oid))

    def _require_newer(self, connection: psycopg.Connection[Any], target: PartitionMap) -> None:
        row = Register(connection, self.place).execute(
            "select number from {s}.pointers where pipeline = %s", self.place.pipeline
        ).fetchone()  # fmt: skip
        if row and row[0] > target.number:
            raise GroundMoved(f"map {row[0]} is live, and map {target.number} is older",
                              hint="look again and decide anew")  # fmt: skip

    def _require_free(self, connection: psycopg.Connection[Any], seen: Seen, table: TableMap) -> None:
        """A change that breaks readers is carried out when it is published, unless something is built upon the view."""
        built = dependants(connection, seen.oid)
        if built:
            told = "; ".join(changes(seen.columns, table.columns))
            raise Refused(
                f"{self.place.public}.{seen.view} can't be changed while {', '.join(built)} "
                f"{'is' if len(built) == 1 else 'are'} built upon it: {told}",
                hint="drop what is built upon it (and make it anew afterwards), or keep the published columns",
            )


def changed(live: PartitionMap, target: PartitionMap) -> frozenset[str]:
    """The tables that the two maps do not serve alike."""
    return frozenset(n for n in {*live.tables, *target.tables} if live.tables.get(n) != target.tables.get(n))


def _contract(seen: Seen | None, table: TableMap, live: PartitionMap, needed: Collection[str]) -> Contract | None:
    held = live.tables.get(table.name)
    return contract(seen, table.columns, held.columns if held else None, needed)


def _statements(
    views: Views, seen: Mapping[str, Seen], needed: Mapping[str, Mapping[str, set[int]]],
    wanted: Mapping[str, Contract], moved: Collection[str],
) -> dict[str, str]:  # fmt: skip
    """What is to be done to which view."""
    opened: dict[str, set[int]] = {}
    found: dict[str, str] = {}
    for name, become in wanted.items():
        held = seen.get(name)
        versions = {v for shape, numbers in needed.get(name, {}).items() if shape in become.shapes for v in numbers}
        if held is None or _must_open(held, become, versions, moved):
            opened[name] = versions | set(held.versions if held else ())
        elif become.shapes != held.shapes:
            found[held.view] = views.reshaped(held, become.shapes)
    there = views.branches({v for versions in opened.values() for v in versions})
    for name, versions in opened.items():
        branches = [there[v] for v in sorted(versions) if v in there]
        found[views.place.view(name)] = views.opened(name, wanted[name], branches, seen.get(name))
    return found


def _must_open(held: Seen, become: Contract, versions: set[int], moved: Collection[str]) -> bool:
    if held.upto is not None:
        return held.name in moved or held.columns != become.columns
    return not versions <= set(held.versions) or held.columns != become.columns
