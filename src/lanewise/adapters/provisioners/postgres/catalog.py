"""What the server's catalogs say of one environment: roles, owners, and who holds what. Reads only."""

from __future__ import annotations

from typing import Any

import psycopg

from lanewise.adapters.provisioners.postgres.nouns import (
    Actual,
    Attributes,
    Desired,
    Grant,
    Held,
    Membership,
    Operator,
    Relation,
    Sort,
    Thing,
)
from lanewise.domain.environment import Role

Session = psycopg.Connection[Any]

_ROLES = """
select rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, rolbypassrls
from pg_roles where rolname = any(%(roles)s)"""

_MEMBERS = """
select distinct r.rolname, m.rolname from pg_auth_members a
join pg_roles r on r.oid = a.roleid join pg_roles m on m.oid = a.member
where (r.rolname = any(%(ours)s) or m.rolname = any(%(ours)s)) and m.rolname <> current_user and not m.rolsuper"""

_OPERATOR = """
select current_user::text, current_setting('server_version_num')::int / 10000, rolsuper, rolcreaterole,
       has_database_privilege(current_database(), 'CREATE'), rolinherit
from pg_roles where rolname = current_user"""

_ACTS_AS = "select rolname from pg_roles where pg_has_role(current_user, oid, 'USAGE')"

_GIVES = """
select r.rolname from pg_auth_members a join pg_roles r on r.oid = a.roleid
where a.admin_option and pg_has_role(current_user, a.member, 'USAGE')"""

_OWNERS = """
select nspname, pg_get_userbyid(nspowner) from pg_namespace
where nspname = any(%(schemas)s) or nspname = any(%(input_schemas)s)"""

# A view is ours when it reads the store, or when the publisher made it.
_RELATIONS = """
with mine as (
    select w.ev_class from pg_rewrite w
    join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = w.oid and d.refclassid = 'pg_class'::regclass
    join pg_class s on s.oid = d.refobjid join pg_namespace n on n.oid = s.relnamespace
    where n.nspname = %(store)s)
select n.nspname, c.relname, pg_get_userbyid(c.relowner),
       case when n.nspname = %(store)s then 'store' when n.nspname = %(rooms)s then 'rooms'
            when c.relkind = 'v' and (pg_get_userbyid(c.relowner) = %(publisher)s
                                      or c.oid in (select ev_class from mine)) then 'view'
            else 'other' end
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname = any(%(schemas)s) and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
  and not exists (select 1 from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid
                  and d.deptype in ('i', 'a') and c.relkind = 'S')
order by 1, 2"""

_INPUTS = """
select n.nspname, c.relname, pg_get_userbyid(c.relowner) from pg_class c join pg_namespace n on n.oid = c.relnamespace
join unnest(%(input_schemas)s::text[], %(input_names)s::text[]) as w(schema, name)
  on (w.schema, w.name) = (n.nspname, c.relname) where c.relkind in ('r', 'p', 'v', 'm', 'f')"""

# Built-in rights have no entry: a routine and a database give some to everybody, a future routine does as well.
_HELD = """
with entries(sort, name, owner, acl) as (
    select 'database', array[datname::text], datdba, coalesce(datacl, acldefault('d', datdba)) from pg_database
    where datname = current_database() or datname = any(%(databases)s)
  union all
    select 'schema', array[nspname::text], nspowner, nspacl from pg_namespace
    where nspname !~ '^pg_' and nspname <> 'information_schema'
  union all
    select 'relation', array[n.nspname::text, c.relname::text], c.relowner, c.relacl
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
  union all
    select 'column', array[n.nspname::text, c.relname::text, a.attname::text], c.relowner, a.attacl
    from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
    where a.attacl is not null and a.attnum > 0 and not a.attisdropped
  union all
    select 'routine', array[n.nspname::text, p.proname::text, pg_get_function_identity_arguments(p.oid)], p.proowner,
           coalesce(p.proacl, acldefault('f', p.proowner))
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace
    where (n.nspname in (%(store)s, %(rooms)s) or pg_get_userbyid(p.proowner) = any(%(ours)s))
      and not exists (select 1 from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid
                      and d.deptype = 'e')
  union all
    select 'defaults', array[pg_get_userbyid(d.defaclrole)::text, coalesce(n.nspname, '')::text, d.defaclobjtype::text],
           d.defaclrole, d.defaclacl
    from pg_default_acl d left join pg_namespace n on n.oid = d.defaclnamespace where d.defaclobjtype <> 'T'
  union all
    select 'defaults', array[r.rolname::text, '', 'f'], r.oid, acldefault('f', r.oid) from pg_roles r
    where r.rolname = any(%(makers)s) and not exists (
        select 1 from pg_default_acl d
        where d.defaclrole = r.oid and d.defaclnamespace = 0 and d.defaclobjtype = 'f'))
select e.sort, e.name, pg_get_userbyid(e.owner), coalesce(g.rolname, 'public'), x.privilege_type,
       pg_get_userbyid(x.grantor), x.is_grantable
from entries e cross join lateral aclexplode(e.acl) x left join pg_roles g on g.oid = x.grantee
where x.grantee <> e.owner and (
    e.sort in ('database', 'routine') or g.rolname = any(%(ours)s)
    or e.sort <> 'defaults' and e.name[1] = any(%(schemas)s) or e.sort = 'schema' and e.name[1] = 'public'
    or e.sort = 'defaults' and (e.name[2] = any(%(schemas)s) or e.name[1] = any(%(ours)s)))"""

_DEFINERS = """
select n.nspname || '.' || p.proname || ', which runs as ' || pg_get_userbyid(p.proowner) from pg_proc p
join pg_namespace n on n.oid = p.pronamespace
where p.prosecdef and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
  and not (n.nspname in (%(store)s, %(rooms)s) or pg_get_userbyid(p.proowner) = any(%(ours)s))
  and exists (select 1 from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) x
              where x.grantee = 0 and x.privilege_type = 'EXECUTE')
  and not exists (select 1 from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid
                  and d.deptype = 'e') order by 1"""

_WOULD_LOSE = """
with named(id) as (
    select relowner from pg_class
    union select x.grantee from pg_class c cross join aclexplode(c.relacl) x where x.grantee <> 0)
select r.rolname from pg_roles r
where r.rolcanlogin and not r.rolsuper and r.rolname <> all(%(known)s)
  and exists (select 1 from named where pg_has_role(r.oid, named.id, 'USAGE'))
  and not exists (select 1 from pg_database d cross join aclexplode(d.datacl) x
                  where d.datname = current_database() and x.privilege_type = 'CONNECT'
                    and x.grantee <> 0 and pg_has_role(r.oid, x.grantee, 'USAGE'))
order by 1"""


def read(session: Session, wanted: Desired) -> Actual:
    """All of it that concerns one environment."""
    about = _parameters(wanted)
    operator = _operator(session)
    return Actual(
        operator=operator,
        database_owner=_database_owner(session),
        roles={row[0]: Attributes(*row[1:]) for row in session.execute(_ROLES, about)},
        memberships=tuple(Membership(*row) for row in session.execute(_MEMBERS, about)),
        owners={row[0]: row[1] for row in session.execute(_OWNERS, about)},
        relations=tuple(Relation(*row) for row in session.execute(_RELATIONS, about)),
        inputs={(row[0], row[1]): row[2] for row in session.execute(_INPUTS, about)},
        held=tuple(_held(row) for row in session.execute(_HELD, about)),
        definers=tuple(row[0] for row in session.execute(_DEFINERS, about)),
        would_lose=tuple(row[0] for row in session.execute(_WOULD_LOSE, about)),
    )


def _parameters(wanted: Desired) -> dict[str, Any]:
    return {
        "ours": list(wanted.ours),
        "roles": [*wanted.ours, *wanted.strangers, *(grant.grantee for grant in wanted.grants)],
        "schemas": list(wanted.schemas),
        "store": wanted.place.store,
        "rooms": wanted.place.rooms,
        "publisher": wanted.login(Role.PUBLISHER),
        "input_schemas": [schema for schema, _ in wanted.inputs],
        "input_names": [name for _, name in wanted.inputs],
        "databases": list(wanted.databases),
        "makers": [wanted.login(Role.RUNNER), wanted.login(Role.PUBLISHER)],
        "known": [*wanted.ours, *(grant.grantee for grant in wanted.grants | wanted.beside)],
    }


def _operator(session: Session) -> Operator:
    row = session.execute(_OPERATOR).fetchone()
    if row is None:
        raise LookupError("the server does not know who is logged in")
    name, version, superuser, createrole, creates_schemas, inherits = row
    return Operator(
        name,
        version,
        superuser,
        createrole,
        creates_schemas,
        inherits,
        acts_as=frozenset(found[0] for found in session.execute(_ACTS_AS)),
        gives=frozenset(found[0] for found in session.execute(_GIVES)),
    )


def _database_owner(session: Session) -> str:
    row = session.execute(
        "select pg_get_userbyid(datdba) from pg_database where datname = current_database()"
    ).fetchone()
    return str(row[0]) if row else ""


def _held(row: Any) -> Held:
    sort, name, owner, grantee, privilege, grantor, grantable = row
    return Held(Grant(Thing(Sort(sort), tuple(name)), grantee, privilege), owner, grantor, grantable)
