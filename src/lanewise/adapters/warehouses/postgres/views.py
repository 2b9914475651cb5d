"""The published views: what stands in the schema, what a map needs of it, and the statements that bring it there."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql as composed

from lanewise.adapters.warehouses.postgres.place import Place
from lanewise.domain.project import Column
from lanewise.errors import Refused
from lanewise.publication import mapped_views, sql
from lanewise.publication.mapped_views import Branch, begins_with, create_view, open_query, plain_query

_SEEN = """
select n.view, w.pipeline, w.name, w.columns, w.shapes, w.versions, w.upto, c.oid, c.relkind, c.reloptions,
  exists (select from pg_rewrite r join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid
    join pg_class t on d.refclassid = 'pg_class'::regclass and t.oid = d.refobjid
    where r.ev_class = c.oid and t.relnamespace = (select oid from pg_namespace where nspname = %(store)s))
from (select unnest(%(wanted)s::text[])
    union select view from {s}.views where pipeline = %(pipeline)s and schema = %(public)s) n(view)
left join {s}.views w on w.view = n.view and w.schema = %(public)s
left join (pg_class c join pg_namespace p on p.oid = c.relnamespace and p.nspname = %(public)s) on c.relname = n.view"""

_ELSEWHERE = """
select name, format('%%I.%%I', schema, view) from {s}.views where pipeline = %s
and (schema <> %s or view <> name || %s) order by name limit 1"""

_NEEDED = """
with kept as (
    select content from {s}.maps where pipeline = %(p)s
    union select content from {s}.prepared where pipeline = %(p)s and number > coalesce(
        (select number from {s}.pointers where pipeline = %(p)s), 0))
select distinct t.name, t.shape, b.version from kept join {s}.members using (content)
join {s}.table_maps t on t.id = table_map left join {s}.branches b using (table_map)"""


@dataclass(frozen=True)
class Seen:
    """A view of ours as it stands. ``upto`` is the newest slice of a plain one."""

    view: str
    name: str
    oid: int
    columns: tuple[Column, ...]
    shapes: frozenset[str]
    versions: tuple[int, ...]
    upto: int | None
    options: Mapping[str, str]


@dataclass(frozen=True)
class Contract:
    """What a view is to serve: the columns it has afterwards, and the shapes of the contracts it may show."""

    columns: tuple[Column, ...]
    shapes: frozenset[str]


@dataclass(frozen=True)
class _Form:
    """A view's query, the versions it reads, and up to which slice when it is plain."""

    query: str
    versions: tuple[int, ...]
    upto: int | None = None


@dataclass(frozen=True)
class Views:
    """Looks at the views of one pipeline, and words what is to be done to them."""

    connection: psycopg.Connection[Any]
    place: Place

    def seen(self, tables: Iterable[str] = ()) -> dict[str, Seen]:
        """The views that stand, by table: those of ``tables``, and all others of the pipeline. ``Refused`` when what
        has a table's name there is not ours."""
        wanted = {self.place.view(table): table for table in tables}
        where = {"store": self.place.store, "wanted": list(wanted), "pipeline": self.place.pipeline,
                 "public": self.place.public}  # fmt: skip
        statement = composed.SQL(_SEEN).format(s=composed.Identifier(self.place.store))
        rows = self.connection.execute(statement, where).fetchall()
        found = {}
        for view, pipeline, name, columns, shapes, versions, upto, oid, kind, options, ours in rows:
            if oid is None:
                continue
            if pipeline != self.place.pipeline or kind not in {"v", b"v"} or not ours:
                if view not in wanted:
                    continue  # somebody put something else where a table of ours once was published
                raise self._not_ours(view, pipeline)
            found[name] = Seen(
                view, name, oid, tuple(Column(*c) for c in columns), frozenset(shapes), tuple(versions), upto,
                dict(option.split("=", 1) for option in options or ()),
            )  # fmt: skip
        return found

    def demand_here(self) -> None:
        """``Refused`` when the pipeline publishes under other names: who reads those would see less with every map."""
        rows = self.rows(_ELSEWHERE, self.place.pipeline, self.place.public, self.place.suffix)
        if rows:
            name, elsewhere = rows[0]
            raise Refused(
                f"{name} is published as {elsewhere}, and config now says {self.place.public}.{self.place.view(name)}",
                hint="add an environment for the new place, promote into it, and let readers move over",
            )

    def make_live(self) -> None:
        """The view that all open ones ask, where it isn't there."""
        there = self.connection.execute("select to_regclass(%s)", [self._store(self.place.live)]).fetchone()
        if not (there and there[0]):
            statement = mapped_views.live_view(self._mapped, self.place.pipeline)
            self.connection.execute(statement.encode())

    def needed(self) -> dict[str, dict[str, set[int]]]:
        """Table -> shape of a contract -> the versions that kept and prepared maps need for it."""
        found: dict[str, dict[str, set[int]]] = {}
        statement = composed.SQL(_NEEDED).format(s=composed.Identifier(self.place.store))
        for name, shape, version in self.connection.execute(statement, {"p": self.place.pipeline}):
            versions = found.setdefault(name, {}).setdefault(shape, set())
            if version is not None:
                versions.add(version)
        return found

    def branches(self, versions: Collection[int]) -> dict[int, Branch]:
        """The versions whose tables are there."""
        rows = self.rows("""select id, relation, columns from {s}.versions
            where id = any(%s) and to_regclass(format('%%I.%%I', %s::text, relation)) is not null""",
            list(versions), self.place.store)  # fmt: skip
        return {id_: Branch(id_, relation, tuple(Column(*c) for c in columns)) for id_, relation, columns in rows}

    def opened(
        self, table: str, wanted: Contract, branches: Sequence[Branch], seen: Seen | None, *, replace: bool = True
    ) -> str:
        """The statements that make it an open view of these branches."""
        query = open_query(self._mapped, wanted.columns, branches)
        form = _Form(query, tuple(b.version for b in branches))
        return self._changed(table, wanted, form, seen, replace=replace)

    def plain(self, seen: Seen, branch: Branch, upto: int) -> str:
        """The statements that make it a plain view of one version."""
        form = _Form(plain_query(self._mapped, seen.columns, branch, upto), (branch.version,), upto)
        return self._changed(seen.name, Contract(seen.columns, seen.shapes), form, seen)

    def reshaped(self, seen: Seen, shapes: Collection[str]) -> str:
        """The statement that notes that a view as it stands serves these contracts."""
        return " ".join([
            "UPDATE", self._store("views"), "SET shapes =", _texts(shapes),
            "WHERE schema =", sql.literal(self.place.public), "AND view =", sql.literal(seen.view),
        ])  # fmt: skip

    def rows(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """The rows of a query on the store; ``{s}`` is its schema."""
        query = composed.SQL(statement).format(s=composed.Identifier(self.place.store))
        return self.connection.execute(query, parameters).fetchall()

    def _changed(self, table: str, wanted: Contract, form: _Form, seen: Seen | None, *, replace: bool = True) -> str:
        """The view, and the row that tells what it is: both or none."""
        view = self.place.view(table)
        values = [
            sql.literal(self.place.public), sql.literal(view), sql.literal(self.place.pipeline),
            sql.literal(table), _columns(wanted.columns),
            _texts(wanted.shapes), _numbers(form.versions), sql.literal(form.upto),
        ]  # fmt: skip
        row = " ".join([
            "INSERT INTO", self._store("views"), "(schema, view, pipeline, name, columns, shapes, versions, upto)",
            "VALUES (", ", ".join(values), ") ON CONFLICT (pipeline, name) DO UPDATE SET columns = excluded.columns,",
            "shapes = excluded.shapes, versions = excluded.versions, upto = excluded.upto",
        ])  # fmt: skip
        options = seen.options if seen else {}
        return create_view(self.place.public, view, form.query, options=options, replace=replace) + "; " + row

    @property
    def _mapped(self) -> mapped_views.Place:
        return mapped_views.Place(self.place.store, self.place.live)

    def _store(self, table: str) -> str:
        return sql.qualified(self.place.store, table)

    def _not_ours(self, view: str, pipeline: str | None) -> Refused:
        other = pipeline and pipeline != self.place.pipeline
        owner = f"belongs to the pipeline {pipeline}" if other else "was not made by Lanewise"
        return Refused(
            f"{self.place.public}.{view} {owner}, and is not replaced",
            hint="move it away, or publish under another `schema` or `table_suffix`",
        )


def contract(
    seen: Seen | None, wanted: Sequence[Column], live: Sequence[Column] | None, kept: Collection[str]
) -> Contract | None:
    """What the view becomes for a table of these columns; None when it can't become that in place.

    ``live`` are the columns that are published now, ``kept`` the shapes of the maps that are kept. A contract that
    the view has served already it serves again, with what it has more as typed NULLs: going back breaks nothing.
    """
    shape = mapped_views.shape_of(wanted)
    if seen is None:
        return Contract(tuple(wanted), frozenset({shape}))
    served = seen.shapes & set(kept)
    shapes = served | {shape}
    if shape in served:
        return Contract(seen.columns, shapes)
    if begins_with(wanted, seen.columns):
        return Contract(tuple(wanted), shapes)
    if begins_with(seen.columns, wanted) and (live is None or begins_with(wanted, live)):
        return Contract(seen.columns, shapes)
    return None


def _columns(columns: Sequence[Column]) -> str:
    items = [
        sql.call("jsonb_build_array", sql.literal(c.name), sql.literal(c.type), sql.literal(c.nullable))
        for c in columns
    ]
    return sql.call("jsonb_build_array", *items)


def _texts(values: Iterable[str]) -> str:
    return "ARRAY[" + ", ".join(sql.literal(value) for value in sorted(values)) + "]::text[]"


def _numbers(values: Iterable[int]) -> str:
    return "ARRAY[" + ", ".join(sql.literal(value) for value in sorted(values)) + "]::bigint[]"
