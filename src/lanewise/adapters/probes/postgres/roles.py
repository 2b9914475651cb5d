"""Who an identity can become, and what lifts it above all grants."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from psycopg import sql

from lanewise.adapters.probes.postgres.session import Session
from lanewise.domain.isolation import Attempt, Outcome, Target

_ATTRIBUTES = """
select array(select distinct word from pg_roles, lateral (values (rolsuper, 'superuser'), (rolbypassrls, 'bypassrls'),
    (rolcreaterole, 'createrole'), (rolreplication, 'replication')) a (has, word)
    where has and pg_has_role(%(who)s::name, oid, 'member') order by 1) as found
"""

_PREDEFINED = """
select rolname::text as role from pg_roles where rolname in ('pg_read_all_data', 'pg_write_all_data',
    'pg_read_server_files', 'pg_write_server_files', 'pg_execute_server_program', 'pg_maintain', 'pg_signal_backend')
    and pg_has_role(%(who)s::name, oid, 'member')
    and not (select rolsuper from pg_roles where rolname = %(who)s) order by 1
"""

_WAYS = """
with recursive way (member, role, path) as (
    select m.member, m.roleid, array[m.roleid] from pg_auth_members m
        where pg_get_userbyid(m.member) = %(who)s
    union all
    select m.member, m.roleid, way.path || m.roleid from pg_auth_members m join way on m.member = way.role
        where not m.roleid = any(way.path))
select array(select pg_get_userbyid(step)::text from unnest(path) with ordinality p (step, nth) order by nth) as path
from way where pg_get_userbyid(role) = %(role)s order by cardinality(path) limit 1
"""


def above_grants(session: Session, target: Target) -> Iterator[Attempt]:
    """Attributes and predefined roles that open everything."""
    identity = session.holder.identity
    found = session.rows(_ATTRIBUTES)[0]["found"]
    yield Attempt(
        identity, target, "stand above grants",
        "select rolsuper, rolbypassrls, rolcreaterole, rolreplication from pg_roles where pg_has_role(oid, 'member')",
        Outcome.ALLOWED if found else Outcome.DENIED, ", ".join(found) or "none of them",
    )  # fmt: skip
    roles = [row["role"] for row in session.rows(_PREDEFINED)]
    yield Attempt(
        identity, target, "be in a role above grants",
        "select rolname from pg_roles where rolname ~ '^pg_' and pg_has_role(oid, 'member')",
        Outcome.ALLOWED if roles else Outcome.DENIED, ", ".join(roles) or "none",
    )  # fmt: skip


def becoming(session: Session, lane: str, roles: Iterable[str]) -> Iterator[Attempt]:
    """``set role`` to each of the other's roles, and whether their rights are inherited without it."""
    for role in roles:
        target = Target(lane, "role", role)
        tried = session.attempt(target, "become", sql.SQL("set local role {}").format(sql.Identifier(role)))
        if tried is None or "22023" in tried.answer[:5]:  # no such role on this server: nobody to become
            continue
        if tried.outcome is Outcome.ALLOWED:
            tried = Attempt(tried.identity, target, tried.action, tried.statement, tried.outcome, _way(session, role))
        yield tried
        yield inherits(session, target)


def inherits(session: Session, target: Target) -> Attempt:
    """Whether the identity has the role's rights as its own."""
    has = session.rows("select pg_has_role(%(who)s::name, %(role)s::name, 'usage') as has", {"role": target.name})[0][
        "has"
    ]
    return Attempt(
        session.holder.identity, target, "inherit", f"select pg_has_role('{target.name}', 'usage')",
        Outcome.ALLOWED if has else Outcome.DENIED, _way(session, target.name) if has else "false",
    )  # fmt: skip


def _way(session: Session, role: str) -> str:
    found = session.rows(_WAYS, {"role": role})
    return f"accepted; member of {' of '.join(found[0]['path'])}" if found else "accepted; by a role above grants"
