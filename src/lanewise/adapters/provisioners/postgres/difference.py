"""What lies between what is declared and what the catalogs say, as steps in the order in which they work. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from lanewise.adapters.provisioners.postgres import statements as say
from lanewise.adapters.provisioners.postgres.drift import revoked
from lanewise.adapters.provisioners.postgres.nouns import Actual, Desired, Grant, Login, Relation, Sort, Thing
from lanewise.adapters.provisioners.postgres.steps import Step, sorted_out
from lanewise.domain.environment import Role
from lanewise.domain.provision import Kind

_PLAYS = {
    Role.RUNNER: "runs log in as it",
    Role.PUBLISHER: "Lanewise publishes as it",
    Role.READER: "readers log in as it",
}
_HOLDS = {0: "published views lie there", 1: "versions and maps lie there", 2: "runs write there"}

_AT_ONCE = 100  # relations in one statement


@dataclass(frozen=True)
class _Alike:
    """What relations have in common that one statement can name; other things stand ``alone``."""

    alone: Thing | None
    grantee: str
    owner: str
    why: str
    privileges: frozenset[str]


def difference(wanted: Desired, actual: Actual, passwords: Mapping[str, str]) -> tuple[Step, ...]:
    """The steps that lead from one to the other; () when there are none. ``passwords``: login -> why it is to be given
    its password, for those that have one in config and lack it on the server."""
    steps = [
        *_roles(wanted, actual, passwords),
        *_schemas(wanted, actual),
        *_owners(wanted, actual),
        *_granted(wanted, actual),
        *revoked(wanted, actual),
    ]
    return sorted_out(steps, actual.operator, wanted.ours)


def _roles(wanted: Desired, actual: Actual, passwords: Mapping[str, str]) -> Iterator[Step]:
    for login in wanted.logins:
        has, why = actual.roles.get(login.name), passwords.get(login.name, "")
        if has is None:
            yield Step(Kind.CREATE, say.create_role(login.name), _plays(login), demands="createrole",
                       makes=f"role {login.name}", password_of=login.name if why else "")  # fmt: skip
        elif has.superuser or login.name == actual.operator.name:
            continue  # told as a problem, or the one who provisions: not to be cut down from here
        else:
            if statement := say.alter_role(login.name, has):
                raised = has.bypassrls or has.replication
                demand = "superuser" if raised else _over(actual, login.name)
                why_altered = f"{login.name} could do more than it is granted, or not log in"
                yield Step(Kind.ALTER, statement, why_altered, drift=True, demands=demand)
            if why:
                yield Step(Kind.ALTER, say.set_password(login.name), why, password_of=login.name,
                           demands=_over(actual, login.name))  # fmt: skip


def _over(actual: Actual, role: str) -> str:
    """What altering a role takes: the right to create roles, and from PostgreSQL 16 on a hold of that very one."""
    return "createrole" if actual.operator.version < 16 else f"gives:{role}"


def _plays(login: Login) -> str:
    return ", ".join(_PLAYS[role] for role in login.plays)


def _schemas(wanted: Desired, actual: Actual) -> Iterator[Step]:
    for at, schema in enumerate(wanted.schemas):
        if schema not in actual.owners:
            owner = wanted.owners[schema]
            yield Step(Kind.CREATE, say.create_schema(schema, owner), _HOLDS[at], acts_as=(owner,), demands="schemas",
                       makes=f"schema {schema}", about=_about(owner))  # fmt: skip


def _owners(wanted: Desired, actual: Actual) -> Iterator[Step]:
    for schema, owner in wanted.owners.items():
        had = actual.owners.get(schema, owner)
        if owner and had != owner:
            yield Step(Kind.ALTER, say.own_schema(schema, owner), f"{had} owned it, and could do anything there",
                       drift=True, acts_as=(had, owner), about=_about(owner))  # fmt: skip
    publisher = wanted.login(Role.PUBLISHER)
    for relation in actual.relations:
        if publisher and relation.part in {"store", "view"} and relation.owner != publisher:
            statement = say.own_relation(relation.schema, relation.name, publisher)
            yield Step(Kind.ALTER, statement, f"{relation.owner} owned it, and could change or drop it", drift=True,
                       acts_as=(relation.owner, publisher), about=_about(publisher))  # fmt: skip


def _granted(wanted: Desired, actual: Actual) -> Iterator[Step]:
    """What is missing; relations that take the same grants stand in one statement."""
    there = {held.grant for held in actual.held if held.by_owner or held.grant.thing.sort is Sort.DEFAULTS}
    grouped: dict[_Alike, list[Thing]] = {}
    privileges: dict[tuple[Thing, str, str, str], set[str]] = {}
    for grant, owner in _all_grants(wanted, actual):
        known = grant.grantee in wanted.ours or grant.grantee in actual.roles or grant.grantee == actual.operator.name
        if grant not in there and grant.grantee != owner and known:
            privileges.setdefault((grant.thing, grant.grantee, owner, grant.why), set()).add(grant.privilege)
    for (thing, grantee, owner, why), given in privileges.items():
        alone = None if thing.sort is Sort.RELATION else thing
        grouped.setdefault(_Alike(alone, grantee, owner, why, frozenset(given)), []).append(thing)
    for alike, things in grouped.items():
        for at in range(0, len(things), _AT_ONCE):
            chunk = things[at : at + _AT_ONCE]
            statement = say.grant(alike.privileges, chunk, [alike.grantee])
            about = _touched(chunk, alike.grantee)
            yield Step(Kind.GRANT, statement, alike.why, acts_as=(alike.owner,), about=about)


def _all_grants(wanted: Desired, actual: Actual) -> Iterator[tuple[Grant, str]]:
    """Every grant that must be there, with the role that gives it: the owner of the thing."""
    for grant in sorted(wanted.grants, key=_order):
        if grant.thing.sort is Sort.DATABASE:
            yield grant, actual.database_owner
        elif grant.thing.sort is Sort.SCHEMA:
            owner = actual.owners.get(grant.thing.name[0])
            if owner is not None or grant.thing.name[0] in wanted.owners:
                yield grant, wanted.owners.get(grant.thing.name[0]) or owner or actual.operator.name
        elif grant.thing.sort is Sort.RELATION:
            if found := actual.inputs.get((grant.thing.name[0], grant.thing.name[1])):
                yield grant, found
        else:
            yield grant, grant.thing.name[0]
    operator = actual.operator
    if not operator.superuser:
        thing = Thing(Sort.DATABASE, (wanted.database,))
        yield Grant(thing, operator.name, "CONNECT", "it provisions this environment"), actual.database_owner
    for relation in actual.relations:
        yield from _on_relation(wanted, relation)


def _on_relation(wanted: Desired, relation: Relation) -> Iterator[tuple[Grant, str]]:
    thing = Thing(Sort.RELATION, (relation.schema, relation.name))
    publisher = wanted.login(Role.PUBLISHER)
    if relation.part == "view":
        for reader in view_readers(wanted):
            yield Grant(thing, reader, "SELECT", "published views are read"), publisher or relation.owner
    if relation.part == "rooms" and publisher and relation.owner == wanted.login(Role.RUNNER):
        yield Grant(thing, publisher, "SELECT", "the publisher reads what runs wrote"), relation.owner


def view_readers(wanted: Desired) -> tuple[str, ...]:
    """Who reads published views."""
    found = [wanted.login(Role.READER), *wanted.readers, wanted.login(Role.RUNNER)]
    return tuple(dict.fromkeys(name for name in found if name))


def _order(grant: Grant) -> tuple[int, Thing, str, str]:
    return list(Sort).index(grant.thing.sort), grant.thing, grant.grantee, grant.privilege


def _about(*roles: str) -> frozenset[str]:
    return frozenset(f"role {role}" for role in roles if role)


def _touched(things: Iterable[Thing], grantee: str) -> frozenset[str]:
    schemas = {f"schema {thing.name[0]}" for thing in things if thing.sort in {Sort.SCHEMA, Sort.RELATION}}
    schemas |= {f"schema {thing.name[1]}" for thing in things if thing.sort is Sort.DEFAULTS}
    makers = {f"role {thing.name[0]}" for thing in things if thing.sort is Sort.DEFAULTS}
    return frozenset({*schemas, *makers, f"role {grantee}"})
