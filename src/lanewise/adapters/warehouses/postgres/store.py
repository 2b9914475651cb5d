"""The store's own tables, in one schema an environment: what a version holds, which slices it has, which maps there
are, and where each pipeline's pointer points.

A *slice* is rows of a version's table that carry the slice's number in the hidden column ``_lanewise_slice``; they
are never changed. A *table map* is one published state of one table, shared by all maps that leave the table as it
is; a *content* is a set of table maps with a release; a *map* is a content under a number; the *pointer* is the live
content of a pipeline. A view's branch joins ``branches`` to ``members`` to ``pointers``, so that one UPDATE of a
pointer moves every table of the pipeline at once.
"""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql

from lanewise.adapters.warehouses.postgres.place import Place
from lanewise.errors import Refused

SLICE = "_lanewise_slice"
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
    "create sequence {s}.slice_numbers",
    """create table {s}.table_maps (
        id bigint generated always as identity primary key, pipeline text not null, name text not null,
        digest text not null, document text not null, unique (pipeline, digest))""",
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
        cascade, prepared_at timestamptz not null default now(), primary key (pipeline, number, content))""",
    """create table {s}.pointers (
        pipeline text primary key, number bigint not null default 0, content bigint references {s}.contents,
        fence bigint not null default 0, seen bigint not null default 0, base bigint not null default 0,
        repeats bigint not null default 0, moved_at timestamptz not null default now())""",
)  # fmt: skip


def ensure(connection: psycopg.Connection[Any], place: Place) -> None:
    """Make the schemas and the store's tables where they are missing; nothing where they are there. ``Refused`` with
    the command that helps where this login may not. Ends in the caller's transaction."""
    if _there(connection, place):
        return
    connection.execute("select pg_advisory_xact_lock(%s)", [_LOCK])
    if _there(connection, place):
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


def _there(connection: psycopg.Connection[Any], place: Place) -> bool:
    found = connection.execute("select to_regclass(%s) is not null", [_qualified(place.store, "pointers")]).fetchone()
    return bool(found and found[0]) and all(_schema(connection, name) for name in (place.public, place.rooms))


def _schema(connection: psycopg.Connection[Any], name: str) -> bool:
    found = connection.execute("select 1 from pg_namespace where nspname = %s", [name]).fetchone()
    return found is not None


def _qualified(schema: str, name: str) -> str:
    return ".".join('"' + part.replace('"', '""') + '"' for part in (schema, name))
