"""What an environment owns in a database, as the catalogs tell it to anybody who may connect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lanewise.adapters.probes.postgres.session import Session, database, where
from lanewise.adapters.provisioners.postgres.desired import declared_inputs
from lanewise.adapters.warehouses.postgres.place import Place
from lanewise.domain.environment import Connection, Environment, Role
from lanewise.domain.isolation import Holder
from lanewise.domain.project import Project

TYPE = "postgres"
KINDS = {"r": "table", "p": "table", "v": "view", "m": "view", "f": "table", "S": "sequence"}


@dataclass(frozen=True)
class Scope:
    """Which objects of one database are looked at, from one identity's point of view.

    ``schemas`` are the environment's; in a ``mixed`` one (two environments share it) those whose name ends like
    ``suffix``, and not like one of ``other_suffixes``. ``roles`` are its logins: what they own is its own, wherever
    it lies. ``every``: the database is that environment's alone, so all that lies in it is. ``inputs`` are
    ``schema.name`` of what both may read.
    """

    database: str
    schemas: tuple[str, ...]
    roles: tuple[str, ...]
    mixed: str = ""
    suffix: str = ""
    other_suffixes: tuple[str, ...] = ()
    every: bool = False
    inputs: tuple[str, ...] = ()

    def parameters(self) -> Mapping[str, Any]:
        """As the queries name them."""
        longer = [f"%{_literal(s)}" for s in self.other_suffixes if len(s) > len(self.suffix)]
        return {"schemas": list(self.schemas), "roles": list(self.roles), "every": self.every, "mixed": self.mixed,
                "like": f"%{_literal(self.suffix)}", "unlike": longer, "inputs": list(self.inputs)}  # fmt: skip


def connections(lane: Environment) -> tuple[Connection, ...]:
    """An environment's databases: its warehouse first."""
    found = [c for c in lane.connections.values() if c.type == TYPE]
    return tuple(sorted(found, key=lambda c: c.name != lane.settings.get("dst_conn")))


def place_of(lane: Environment, connection: Connection, pipeline: str) -> Place | None:
    """Where the environment publishes, when that is through this connection."""
    return Place.of(lane, pipeline) if _is_dst(lane, connection) else None


def users(lane: Environment, server: tuple[str, int]) -> tuple[str, ...]:
    """The environment's logins on one server; the operator's is nobody's in particular."""
    roles = (Role.RUNNER, Role.PUBLISHER, Role.READER)
    found = (c.acting_as(role).fields.get("user") for c in connections(lane) if where(c) == server for role in roles)
    return tuple(dict.fromkeys(str(user) for user in found if user))


def foreign(holder: Holder, place: Connection) -> bool:
    """Whether the identity's own environment has no business in that database."""
    return database(place) not in {database(own) for own in connections(holder.lane)}


def scope_of(
    holder: Holder, lane: Environment, place: Connection, lanes: Mapping[str, Environment], project: Project
) -> Scope:
    """What ``lane`` has in the database ``place`` that ``holder`` must keep away from."""
    there = place_of(lane, place, project.name)
    others = [found for found in lanes.values() if found.name != lane.name]
    beside = [found for other in others for own in connections(other) if database(own) == database(place)
              if (found := place_of(other, own, project.name))]  # fmt: skip
    mine = {user for other in others for user in users(other, where(place))}
    shared = there is not None and any(found.public == there.public for found in beside)
    return Scope(
        database=str(place.fields.get("database") or ""),
        schemas=(there.public, there.store, there.rooms) if there else (),
        roles=tuple(user for user in users(lane, where(place)) if user not in mine),
        mixed=there.public if there and shared else "",
        suffix=there.suffix if there else "",
        other_suffixes=tuple(found.suffix for found in beside),
        every=lane.name != holder.lane.name and foreign(holder, place),
        inputs=inputs_of(lane, place, project.inputs),
    )


_SYSTEM = "n.nspname !~ '^pg_' and n.nspname <> 'information_schema'"
TABLE_RIGHTS = (
    "array['select', 'insert', 'update', 'delete', 'truncate', 'references', 'trigger'] || case when "
    "current_setting('server_version_num')::int >= 170000 then array['maintain'] else array[]::text[] end"
)
"""MAINTAIN (from 17 on) is to lock a table, among others."""

_ME = "with me as materialized (select oid from pg_roles where pg_has_role(%(who)s::name, oid, 'member'))"
"""Whom the identity can be, itself included: what it does not inherit, SET ROLE gives it."""

RELATIONS = f"""
{_ME} select n.nspname as schema, c.relname as name, c.relkind::text as kind, c.oid::bigint as oid,
    n.nspname || '.' || c.relname = any(%(inputs)s::text[]) as input,
    (select a.attname from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        order by c.relkind <> 'S' and has_column_privilege(%(who)s::name, c.oid, a.attnum, 'update') desc, a.attnum
        limit 1) as col,
    k.rights, array(select r from unnest(k.rights) r where exists (select from me where case
        when c.relkind = 'S' then has_sequence_privilege(me.oid, c.oid, r)
        else has_table_privilege(me.oid, c.oid, r)
            or r in ('select', 'insert', 'update', 'references') and has_any_column_privilege(me.oid, c.oid, r) end)
    ) || array(select 'ownership' where exists (select from me where me.oid = c.relowner)) as held
from pg_class c join pg_namespace n on n.oid = c.relnamespace, lateral (select case
    when c.relkind = 'S' then array['select', 'update', 'usage'] else {TABLE_RIGHTS} end) k (rights)
where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S') and {_SYSTEM} and (
    %(every)s or n.nspname || '.' || c.relname = any(%(inputs)s::text[])
    or pg_get_userbyid(c.relowner) = any(%(roles)s::text[]) and not n.nspname = any(%(schemas)s::text[])
    or n.nspname = any(%(schemas)s::text[]) and (n.nspname <> %(mixed)s
        or c.relname like %(like)s and not c.relname like any(%(unlike)s::text[])))
order by 1, 2
"""  # noqa: S608 - made of the constants above

SCHEMAS = f"""
{_ME} select n.nspname as schema, n.oid::bigint as oid, array(
    select r from unnest(array['usage', 'create']) r
    where exists (select from me where has_schema_privilege(me.oid, n.oid, r))) as held
from pg_namespace n
where {_SYSTEM} and n.nspname <> %(mixed)s
    and (%(every)s or n.nspname = any(%(schemas)s::text[]) or pg_get_userbyid(n.nspowner) = any(%(roles)s::text[]))
order by 1
"""  # noqa: S608 - as above

FUNCTIONS = f"""
{_ME} select n.nspname as schema, p.oid::bigint as oid, p.oid::regprocedure::text as name,
    pg_get_userbyid(p.proowner)::text as owner,
    exists (select from me where has_schema_privilege(me.oid, n.oid, 'usage'))
        and exists (select from me where has_function_privilege(me.oid, p.oid, 'execute')) as may
from pg_proc p join pg_namespace n on n.oid = p.pronamespace
where p.prosecdef and {_SYSTEM}
    and (%(every)s or n.nspname = any(%(schemas)s::text[]) and n.nspname <> %(mixed)s
        or pg_get_userbyid(p.proowner) = any(%(roles)s::text[]))
order by 3
"""  # noqa: S608 - as above

SERVERS = f"""
{_ME} select s.srvname as name, exists (select from me where has_server_privilege(me.oid, s.oid, 'usage')) as may
from pg_foreign_server s
where %(every)s or pg_get_userbyid(s.srvowner) = any(%(roles)s::text[]) order by 1
"""  # noqa: S608 - as above

OWNERS = f"""
select distinct pg_get_userbyid(o)::text as role from (
    select n.nspowner from pg_namespace n where {_SYSTEM} and n.nspname <> %(mixed)s
        and (%(every)s or n.nspname = any(%(schemas)s::text[]))
    union select c.relowner from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where {_SYSTEM} and n.nspname <> %(mixed)s and (%(every)s or n.nspname = any(%(schemas)s::text[]))) owners (o)
order by 1
"""  # noqa: S608 - as above

_ACLS = {
    "relation": "select coalesce(c.relacl, acldefault('r', c.relowner)) from pg_class c where c.oid = %(oid)s "
    "union all select a.attacl from pg_attribute a where a.attrelid = %(oid)s and a.attacl is not null",
    "schema": "select coalesce(n.nspacl, acldefault('n', n.nspowner)) from pg_namespace n where n.oid = %(oid)s",
    "database": "select coalesce(d.datacl, acldefault('d', d.datdba)) from pg_database d "
    "where d.datname = current_database()",
    "function": "select coalesce(p.proacl, acldefault('f', p.proowner)) from pg_proc p where p.oid = %(oid)s",
}
_BY_WAY_OF = """
select distinct coalesce(r.rolname, 'PUBLIC')::text as role
from ({acls}) found (acl), aclexplode(found.acl) g left join pg_roles r on r.oid = g.grantee
where g.grantee = 0 or pg_has_role(%(who)s::name, g.grantee, 'member') order by 1
"""


def by_way_of(session: Session, kind: str, oid: int = 0) -> str:
    """Which grants let this identity in: ``; granted to PUBLIC, analysts``. "" where none is to be seen."""
    found = session.rows(_BY_WAY_OF.format(acls=_ACLS[kind]), {"oid": oid})
    me = str(session.holder.identity.user)
    names = [row["role"] if row["role"] != me else f"{me} itself" for row in found]
    return f"; granted to {', '.join(names)}" if names else "; by a role that is above grants"


def inputs_of(lane: Environment, place: Connection, inputs: Sequence[str]) -> tuple[str, ...]:
    """What the environment is declared to read in that database, as ``schema.name``."""
    found = [".".join(parts) for parts in declared_inputs(lane, inputs)] if _is_dst(lane, place) else []
    if place.name == lane.settings.get("src_conn"):
        schema = str(place.fields.get("schema") or "public")
        found += [name if "." in name else f"{schema}.{name}" for name in inputs]
    return tuple(dict.fromkeys(found))


def _is_dst(lane: Environment, place: Connection) -> bool:
    return place.name == lane.settings.get("dst_conn")


def _literal(text: str) -> str:
    """For LIKE: with nothing in it that stands for something else."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
