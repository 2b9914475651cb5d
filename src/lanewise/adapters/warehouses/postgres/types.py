"""The columns that relations have, as contracts name them, and which columns PostgreSQL can't hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg

from lanewise.domain.project import Column
from lanewise.errors import WrongInput
from lanewise.publication.mapped_views import SLICE
from lanewise.publication.postgres_types import contract_type, postgres_type

_SYSTEM = ("tableoid", "xmin", "cmin", "xmax", "cmax", "ctid")
"""Columns that every table of the server has."""


def columns_of(connection: psycopg.Connection[Any], schema: str, relation: str) -> tuple[Column, ...]:
    """The columns of a table or view, in order, as they are declared; () where there is no such relation."""
    rows = connection.execute(
        """select attname, format_type(atttypid, atttypmod), attnotnull from pg_attribute
           join pg_class on pg_class.oid = attrelid join pg_namespace on pg_namespace.oid = relnamespace
           where nspname = %s and relname = %s and attnum > 0 and not attisdropped order by attnum""",
        [schema, relation],
    ).fetchall()
    return tuple(Column(str(name), contract_type(str(type_)), not required) for name, type_, required in rows)


def check_storable(table: str, columns: Sequence[Column]) -> None:
    """``WrongInput`` when a column of the table can't be stored in PostgreSQL, saying which."""
    for column in columns:
        try:
            postgres_type(column.type)
        except WrongInput as error:
            raise WrongInput(f"{table}.{column.name}: {error.message}", hint=error.hint) from error
        if len(column.name.encode()) > 63 or "\0" in column.name or not column.name:
            raise WrongInput(f"{table}: {column.name!r} can't name a column in PostgreSQL",
                             hint="a name has at most 63 bytes there")  # fmt: skip
        if column.name in _SYSTEM or column.name.lower() == SLICE:
            raise WrongInput(f"{table}: the column name {column.name} is taken", hint="give the column another name")


def check_known(connection: psycopg.Connection[Any], table: str, columns: Sequence[Column]) -> None:
    """``WrongInput`` when this server has not got the type of a column: an extension that is not installed, say."""
    stored = {c.name: postgres_type(c.type) for c in columns}
    rows = connection.execute(
        "select t from unnest(%s::text[]) t where to_regtype(t) is null", [sorted(set(stored.values()))]
    ).fetchall()
    unknown = {row[0] for row in rows}
    for column in columns:
        if stored[column.name] in unknown:
            raise WrongInput(f"{table}.{column.name}: this server has no type {column.type}",
                             hint="install the extension that brings it, or declare another type")  # fmt: skip
