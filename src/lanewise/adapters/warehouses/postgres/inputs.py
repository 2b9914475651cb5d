"""The declared inputs of a run on PostgreSQL: relations of the same database, or files that are loaded into it.

An ordinary relation is pinned by its whole content, read in the database by the runner's login. A view that another
pipeline publishes is pinned by the state of its table in the live map, so that it costs nothing and stays the same
while others are published beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import errors as pg
from psycopg import sql

from lanewise.adapters.warehouses.embedded.layout import Layout
from lanewise.adapters.warehouses.embedded.sources import Sources
from lanewise.adapters.warehouses.postgres.loading import Loader
from lanewise.adapters.warehouses.postgres.place import Place, input_at
from lanewise.adapters.warehouses.postgres.server import Server
from lanewise.adapters.warehouses.postgres.types import columns_of
from lanewise.domain.canonical import digest
from lanewise.domain.environment import Connection, Role
from lanewise.domain.publication import InputPin
from lanewise.errors import GroundMoved, NotFound, WrongInput
from lanewise.publication.sql import qualified

_READABLE = ("r", "v", "m", "p", "f")  # tables, views, materialised ones, partitioned and foreign ones
_STEADY = (
    "set transaction isolation level repeatable read, read only; set local timezone = 'UTC';"
    " set local datestyle = 'ISO, YMD'; set local intervalstyle = 'postgres'; set local extra_float_digits = 1"
)


@dataclass(frozen=True)
class Inputs:
    """The ``src`` connection of an environment whose warehouse is ``server``."""

    server: Server
    place: Place
    source: Connection | None
    layout: Layout

    def pin(self, names: Sequence[str]) -> tuple[InputPin, ...]:
        """The inputs as they are now; relations are read as of one moment."""
        if not names:
            return ()
        if not self._here():
            return tuple(self._files.pin(name) for name in names)
        with self.server.session(Role.RUNNER) as connection:
            connection.execute(_STEADY)
            found = {name: self._find(connection, name) for name in names}
            released = self._released({name: at for name, (kind, *at) in found.items() if kind == "v"})
            return tuple(
                released.get(name) or InputPin(name, self._content(connection, name, *found[name][1:]))
                for name in names
            )

    def check(self, pins: Sequence[InputPin]) -> None:
        """Raise ``GroundMoved`` when an input is no longer what was pinned."""
        now = {pin.name: pin for pin in self.pin([pin.name for pin in pins])}
        for pin in pins:
            if now[pin.name].digest != pin.digest:
                raise GroundMoved(
                    f"the input {pin.name} has changed since it was pinned", hint="start again: it is pinned anew"
                )

    def engine_inputs(self, run: str, pins: Sequence[InputPin]) -> dict[str, Any]:
        """How a run reads them, as JSON data: a relation each. Files are loaded for the run."""
        if not pins:
            return {}
        if self._here():
            self.check(pins)
            return {pin.name: {"relation": qualified(*self._at(pin.name))} for pin in pins}
        loader, found = Loader(self.server, self.place, self.layout), {}
        for pin in pins:
            relation = loader.load_input(run, pin.name, self._files.engine_input(pin))
            found[pin.name] = {"relation": qualified(self.place.rooms, relation)}
        return found

    def _here(self) -> bool:
        """Whether the inputs are relations of this very database, and not files. ``WrongInput`` for anything else."""
        source = self.source
        if source is None:
            raise WrongInput("this project's inputs have no src connection", hint="set src_conn in environments.yaml")
        if source.type in {"files", "duckdb"}:
            return False
        if source.type != "postgres":
            raise WrongInput(
                f"a warehouse on postgres reads inputs from postgres, files or duckdb, not from {source.type}",
                hint=f"change the type of the connection {source.name}",
            )
        if _database(source) != _database(self.server.connection):
            raise WrongInput(
                f"the inputs are in another database ({source.name}) than the warehouse "
                f"({self.server.connection.name}), so they can't be pinned",
                hint='leave `inputs` empty and read them with lane.connection("src"), or bring them into this database',
            )
        return True

    def _at(self, name: str) -> tuple[str, str]:
        return input_at(self.source or self.server.connection, name)

    @property
    def _files(self) -> Sources:
        home = self.layout.home
        return Sources(self.source, home.parent, self.layout.cache, home / "tmp")

    def _find(self, connection: psycopg.Connection[Any], name: str) -> tuple[str, str, str]:
        """The relation's kind, schema and name."""
        schema, relation = self._at(name)
        row = connection.execute(
            "select relkind::text from pg_class join pg_namespace on pg_namespace.oid = relnamespace"
            " where nspname = %s and relname = %s and relkind = any(%s)",
            [schema, relation, list(_READABLE)],
        ).fetchone()
        if row is None:
            raise NotFound("input", name, known=self._known(connection))
        return str(row[0]), schema, relation

    def _known(self, connection: psycopg.Connection[Any]) -> list[str]:
        rows = connection.execute(
            """select nspname, relname from pg_class join pg_namespace on pg_namespace.oid = relnamespace
               where relkind = any(%s) and nspname not in ('pg_catalog', 'information_schema', %s, %s)
               and nspname not like 'pg\\_%%' limit 5000""",
            [list(_READABLE), self.place.store, self.place.rooms],
        ).fetchall()
        return [f"{schema}.{relation}" for schema, relation in rows]

    def _content(self, connection: psycopg.Connection[Any], name: str, schema: str, relation: str) -> str:
        """The digest of a relation's columns and rows, whatever the rows' order."""
        source = sql.Identifier(schema, relation)
        query = sql.SQL("select count(*), coalesce(sum({}), 0)::text from {} as _lanewise_row")
        hashed = sql.SQL("hash_record_extended(_lanewise_row.*, 0)::numeric")
        try:
            with connection.transaction():
                row = connection.execute(query.format(hashed, source)).fetchone()
        except pg.UndefinedFunction:  # a type that has no hash, such as json
            as_text = sql.SQL("hashtextextended(_lanewise_row.*::text, 0)::numeric")
            row = connection.execute(query.format(as_text, source)).fetchone()
        columns = [[c.name, c.type] for c in columns_of(connection, schema, relation)]
        return digest([name, columns, list(row or ())])

    def _released(self, views: Mapping[str, Sequence[str]]) -> Mapping[str, InputPin]:
        """The pins of those views that are published from this environment's store; the others are left out."""
        if not views:
            return {}
        with self.server.session() as connection:
            connection.execute(_STEADY)
            if not _store_is_readable(connection, self.place):
                return {}
            return {
                name: pin for name, (schema, relation) in views.items()
                if (pin := self._released_pin(connection, name, schema, relation))
            }  # fmt: skip

    def _released_pin(
        self, connection: psycopg.Connection[Any], name: str, schema: str, relation: str
    ) -> InputPin | None:
        store = {part: sql.Identifier(self.place.store, part) for part in
                 ("versions", "pointers", "members", "table_maps")}  # fmt: skip
        behind = sql.SQL(
            """select distinct v.pipeline, v.name from pg_rewrite r
               join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid
               join pg_class c on c.oid = d.refobjid and d.refclassid = 'pg_class'::regclass
               join pg_namespace n on n.oid = c.relnamespace and n.nspname = {}
               join {} v on v.relation = c.relname
               where r.ev_class = (select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace
                                   where n.nspname = {} and c.relname = {} and c.relkind = 'v')"""
        ).format(sql.Literal(self.place.store), store["versions"], sql.Literal(schema), sql.Literal(relation))
        tables = connection.execute(behind).fetchall()
        if len(tables) != 1:  # no published view; one that joins several is pinned by its content
            return None
        pipeline, table = tables[0]
        if relation != self.place.view(table) or schema != self.place.public:
            return None  # somebody's own view over a version
        state = sql.SQL(
            "select p.number, t.digest from {} p join {} m on m.content = p.content"
            " join {} t on t.id = m.table_map where p.pipeline = {} and t.name = {}"
        ).format(store["pointers"], store["members"], store["table_maps"], sql.Literal(pipeline), sql.Literal(table))
        row = connection.execute(state).fetchone()
        return InputPin(name, digest([name, pipeline, row[1]]), f"{pipeline}@{row[0]}") if row else None


def _store_is_readable(connection: psycopg.Connection[Any], place: Place) -> bool:
    row = connection.execute(
        "select has_table_privilege(c.oid, 'select') from pg_class c join pg_namespace n on n.oid = c.relnamespace"
        " where n.nspname = %s and c.relname = 'pointers' and has_schema_privilege(n.oid, 'usage')",
        [place.store],
    ).fetchone()
    return bool(row and row[0])


def _database(connection: Connection) -> tuple[str, str, str]:
    fields = connection.fields
    return str(fields.get("host") or "localhost"), str(fields.get("port") or 5432), str(fields.get("database") or "")
