"""Whether a table that a run left may be read by the publisher at all.

A run's login owns its room and may make there what it likes, and PostgreSQL runs a good deal of that as whoever reads:
the functions of a view, of a row policy, of a cast of one's own type, even of an index when a query is planned. Read
by the publisher they would run with its rights, and could move the pointer. So only a table is read that rests on
nothing but what the server itself, an administrator or the publisher made; and it is held as it was looked at, since
the login is the run's still.
"""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql

from lanewise.errors import RunFailed

_HINT = "write plain tables of the server's own types, without views, row policies or functions of the run's own"

# What is built in has no entry in pg_depend; what an extension brought belongs to an administrator.
_FOUND = """
with recursive family(id) as (
    select {table}::regclass::oid union select inhrelid from pg_inherits join family on inhparent = family.id),
parts(class, id) as (
    select 'pg_class'::regclass::oid, id from family
    union all select 'pg_class'::regclass, indexrelid from pg_index join family on indrelid = id
    union all select 'pg_constraint'::regclass, c.oid from pg_constraint c join family on conrelid = id
    union all select 'pg_attrdef'::regclass, d.oid from pg_attrdef d join family on adrelid = id
    union all select 'pg_rewrite'::regclass, r.oid from pg_rewrite r join family on ev_class = id
    union all select 'pg_statistic_ext'::regclass, s.oid from pg_statistic_ext s join family on stxrelid = id),
trusted(id) as (select oid from pg_roles where rolsuper or rolname = current_user)
select 'it is no table' from family join pg_class c on c.oid = family.id
  where c.relkind not in ('r', 'p') and c.relowner not in (select id from trusted)
union all
select 'it has row policies' from family join pg_class c on c.oid = family.id
  where (c.relrowsecurity or exists (select 1 from pg_policy p where p.polrelid = c.oid))
    and c.relowner not in (select id from trusted)
union all
select 'it rests on ' || pg_describe_object(d.refclassid, d.refobjid, 0) from parts
  join pg_depend d on d.classid = parts.class and d.objid = parts.id
  left join pg_proc f on d.refclassid = 'pg_proc'::regclass and f.oid = d.refobjid
  left join pg_type t on d.refclassid = 'pg_type'::regclass and t.oid = d.refobjid
  left join pg_operator o on d.refclassid = 'pg_operator'::regclass and o.oid = d.refobjid
  where coalesce(f.proowner, t.typowner, o.oprowner) not in (select id from trusted)
limit 1"""


_PATIENCE = "10s"  # in which whoever still writes to it has to end


def demand_harmless(connection: psycopg.Connection[Any], schema: str, relation: str, table: str) -> None:
    """``RunFailed`` where reading it could run code of whoever made it, and while somebody writes to it. Holds the
    table, and its parts, as they are until the caller's transaction ends: no index, policy, statistics or child can be
    put there meanwhile. Nothing is refused to a login that made it itself."""
    name = sql.Identifier(schema, relation)
    _look(connection, name, table)  # a view is refused before what it names is locked
    _hold(connection, name, table)
    _look(connection, name, table)


def _look(connection: psycopg.Connection[Any], name: sql.Identifier, table: str) -> None:
    found = connection.execute(sql.SQL(_FOUND).format(table=sql.Literal(name.as_string()))).fetchone()
    if found:
        raise RunFailed(f"{table}: what the run left can't be trusted: {found[0]}", hint=_HINT)


def _hold(connection: psycopg.Connection[Any], name: sql.Identifier, table: str) -> None:
    row = connection.execute("select current_setting('lock_timeout')").fetchone()
    connection.execute("select set_config('lock_timeout', %s, true)", [_PATIENCE])
    try:
        connection.execute(sql.SQL("lock table {} in share row exclusive mode").format(name))
    except psycopg.errors.LockNotAvailable as error:
        hint = "see that the run and all that it started have ended, then run it again"
        raise RunFailed(f"{table}: what the run left is still being written to", hint=hint) from error
    connection.execute("select set_config('lock_timeout', %s, true)", [row[0] if row else "0"])
