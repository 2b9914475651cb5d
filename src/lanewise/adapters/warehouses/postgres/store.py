"""The store's own tables, in one schema an environment: what a version holds, which slices it has, which maps there
are, and where each pipeline's pointer points.

A *slice* is rows of a version's table that carry the slice's number in the hidden column ``_lanewise_slice``; they
are never changed. A *table map* is one published state of one table, shared by all maps that leave the table as it
is; a *content* is a set of table maps with a release; a *map* is a content under a number; the *pointer* is the live
content of a pipeline. A view's branch joins ``branches`` to ``members`` to ``pointers``, so that one UPDATE of a
pointer moves every table of the pipeline at once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from psycopg import sql

from lanewise.adapters.warehouses.postgres.place import Place
from lanewise.domain.project import Column, Table
from lanewise.errors import Refused
from lanewise.publication.mapped_views import SLICE, shape_of
from lanewise.publication.postgres_types import postgres_type
from lanewise.publication.sql import qualified

FORMAT = 1
_LOCK = 0x1A9E_0001  # advisory: one session at a time makes the store

_TABLES = (
    "create table {s}.format (version int not null)",
    """create table {s}.versions (
        id bigint generated always as identity primary key, pipeline text not null, name text not null,
        fingerprint text not null, relation text not null unique, columns jsonb not null, cut jsonb,
        made_at timestamptz not null default now())""",
    """create table {s}.slices (
        id bigint primary key, version bigint not null references {s}.versions, part text not null,
        row_count bigint not null, byte_count bigint not null, run text not null,
        staged_at timestamptz not null default now())""",
    "create index on {s}.slices (version)",
    "create sequence {s}.slice_numbers as integer",
    """create table {s}.table_maps (
        id bigint generated always as identity primary key, pipeline text not null, name text not null,
        digest text not null, shape text not null, document text not null, unique (pipeline, digest))""",
    """create table {s}.branches (
        version bigint not null references {s}.versions, table_map bigint not null references {s}.table_maps on delete
        cascade, slices bigint[] not null, primary key (version, table_map))""",
    "create index on {s}.branches (table_map)",
    """create table {s}.contents (
        id bigint generated always as identity primary key, pipeline text not null, digest text not null,
        build text not null, config text not null, unique (pipeline, digest))""",
    """create table {s}.members (
        content bigint not null references {s}.contents on delete cascade, table_map bigint not null
        references {s}.table_maps, primary key (content, table_map))""",
    "create index on {s}.members (table_map)",
    """create table {s}.maps (
        pipeline text not null, number bigint not null, content bigint not null references {s}.contents,
        base bigint not null, repeats bigint not null default 0, fence bigint not null,
        published_at timestamptz not null default now(), primary key (pipeline, number))""",
    """create table {s}.prepared (
        pipeline text not null, number bigint not null, content bigint not null references {s}.contents on delete
        cascade, ready boolean not null default false, prepared_at timestamptz not null default now(),
        primary key (pipeline, number, content))""",
    """create table {s}.pointers (
        pipeline text primary key, number bigint not null default 0, content bigint references {s}.contents,
        fence bigint not null default 0, seen bigint not null default 0, base bigint not null default 0,
        repeats bigint not null default 0, moved_at timestamptz not null default now())""",
    """create table {s}.views (
        schema text not null, view text not null, pipeline text not null, name text not null, columns jsonb not null,
        shapes text[] not null, versions bigint[] not null, upto bigint, primary key (schema, view),
        unique (pipeline, name))""",
    """create function {s}.keep() returns trigger language plpgsql as $$ begin
        if coalesce(current_setting('lanewise.dropping', true), '') <> tg_table_schema then
            raise exception 'rows of a version are never changed' using errcode = 'insufficient_privilege';
        end if;
        return null; end $$""",
)  # fmt: skip
"""``views``: what stands in the published schemas (each pipeline of the environment may have its own), and which
contracts it serves (``shapes``, of table maps) from which ``versions``; ``upto`` is the newest slice of a plain view,
NULL for an open one."""


def ensure(connection: psycopg.Connection[Any], place: Place) -> None:
    """Make the schemas and the store's tables where they are missing; nothing where they are there. ``Refused`` with
    the command that helps where this login may not, and for a store whose layout this code doesn't know. Ends in the
    caller's transaction."""
    if is_there(connection, place):
        _require_format(connection, place)
        return
    connection.execute("select pg_advisory_xact_lock(%s)", [_LOCK])
    if is_there(connection, place):
        return
    missing = [name for name in (place.public, place.store, place.rooms) if not _schema(connection, name)]
    try:
        for name in missing:
            connection.execute(sql.SQL("create schema {}").format(sql.Identifier(name)))
        for statement in _TABLES:
            connection.execute(sql.SQL(statement).format(s=sql.Identifier(place.store)))
        connection.execute(sql.SQL("insert into {}.format values ({})").format(sql.Identifier(place.store), FORMAT))
    except psycopg.errors.InsufficientPrivilege as error:
        raise Refused(
            f"{place.environment}'s database has no {', '.join(missing) or place.store} yet, and this login may not "
            "make it", hint=f"`lane provision {place.environment}` shows what an operator has to run",
        ) from error  # fmt: skip


def _require_format(connection: psycopg.Connection[Any], place: Place) -> None:
    found = connection.execute(
        sql.SQL("select max(version) from {}.format").format(sql.Identifier(place.store))
    ).fetchone()
    if found != (FORMAT,):
        raise Refused(
            f"the store {place.store} has the layout {found and found[0]}, and this Lanewise knows {FORMAT}",
            hint="use the Lanewise that made it",
        )


def version_table(
    connection: psycopg.Connection[Any], place: Place, table: Table, columns: Sequence[Column], fingerprint: str,
    *, indexed: bool = True,
) -> tuple[int, str]:  # fmt: skip
    """The number and the name (in the store) of the table for what this fingerprint computes in these columns; made
    where it isn't there, with its indexes and the guard that keeps its rows as they are. Its first column is
    ``_lanewise_slice``. Two sessions that ask for the same one wait for each other. Without ``indexed`` it is for the
    caller to call ``index_version`` when the first rows are in, in the same transaction: half of the time."""
    relation = place.version(table.name, fingerprint, shape_of(columns))
    cut = table.partition
    names = {"s": sql.Identifier(place.store), "relation": sql.Identifier(place.store, relation)}
    found = connection.execute(
        sql.SQL("""insert into {s}.versions (pipeline, name, fingerprint, relation, columns, cut)
            values (%s, %s, %s, %s, %s, %s) on conflict (relation) do update set relation = excluded.relation
            returning id, to_regclass(%s) is not null""").format(**names),
        [place.pipeline, table.name, fingerprint, relation, json.dumps([[c.name, c.type, c.nullable] for c in columns]),
         json.dumps([cut.column, cut.grain.value, cut.timezone]) if cut else None, qualified(place.store, relation)],
    ).fetchone()  # fmt: skip
    assert found is not None  # noqa: S101 - an upsert returns its row
    if not found[1]:
        # what was registered for a table that somebody dropped is lost: maps that name it are told as incomplete
        connection.execute(sql.SQL("delete from {s}.slices where version = %s").format(**names), [found[0]])
        _make_version(connection, names, columns)
        if indexed:
            index_version(connection, place, relation, table, columns)
    return int(found[0]), relation


def index_version(
    connection: psycopg.Connection[Any], place: Place, relation: str, table: Table, columns: Sequence[Column]
) -> None:
    """Give a version's table its indexes; nothing where it has them."""
    name = sql.Identifier(place.store, relation)
    query = sql.SQL("select relhasindex from pg_class where oid = {}::regclass")
    found = connection.execute(query.format(sql.Literal(qualified(place.store, relation)))).fetchone()
    if found and found[0]:
        return
    # Slices are written one after the other, so a BRIN index finds them. With a b-tree on their numbers the planner
    # takes it for reading whole tables through their views, slice by slice and on one processor.
    connection.execute(
        sql.SQL("create index on {} using brin ({}) with (pages_per_range = 16, autosummarize = on)").format(
            name, sql.Identifier(SLICE)
        )
    )
    cut = table.partition
    for column in (c.name for c in columns if cut and c.name == cut.column):
        connection.execute(sql.SQL("create index on {} ({})").format(name, sql.Identifier(column)))


def dropping(connection: psycopg.Connection[Any], place: Place) -> None:
    """Lift the guard of versions until the transaction ends."""
    connection.execute("select set_config('lanewise.dropping', %s, true)", [place.store])


def _make_version(
    connection: psycopg.Connection[Any], names: Mapping[str, sql.Composable], columns: Sequence[Column]
) -> None:
    listed = [sql.SQL("{} {}").format(sql.Identifier(c.name), sql.SQL(postgres_type(c.type))) for c in columns]
    # four bytes: often they fit into the gap before a wider column, and a row grows by nothing
    hidden = sql.SQL("{} integer not null").format(sql.Identifier(SLICE))
    connection.execute(sql.SQL("create table {relation} ({listed})").format(
        **names, listed=sql.SQL(", ").join([hidden, *listed])))  # fmt: skip
    connection.execute(sql.SQL(
        "create trigger keep before update or delete or truncate on {relation} for each statement "
        "execute function {s}.keep()").format(**names))  # fmt: skip


def is_there(connection: psycopg.Connection[Any], place: Place) -> bool:
    """Whether the store is made, with the schemas beside it."""
    found = connection.execute("select to_regclass(%s) is not null", [qualified(place.store, "pointers")]).fetchone()
    return bool(found and found[0]) and all(_schema(connection, name) for name in (place.public, place.rooms))


def _schema(connection: psycopg.Connection[Any], name: str) -> bool:
    found = connection.execute("select 1 from pg_namespace where nspname = %s", [name]).fetchone()
    return found is not None
