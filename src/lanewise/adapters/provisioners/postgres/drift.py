"""What somebody holds and nothing declares. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from lanewise.adapters.provisioners.postgres import statements as say
from lanewise.adapters.provisioners.postgres.nouns import PUBLIC, Actual, Desired, Grant, Held, Sort, Thing
from lanewise.adapters.provisioners.postgres.steps import Step
from lanewise.domain.environment import Role
from lanewise.domain.provision import Kind

_FUTURE = {"r": "future tables", "S": "future sequences", "f": "future functions", "n": "future schemas",
           "L": "future large objects"}  # fmt: skip


def revoked(wanted: Desired, actual: Actual) -> Iterator[Step]:
    """Steps that take it away, each naming who had what from whom."""
    declared = wanted.grants | wanted.beside
    views = {(found.schema, found.name) for found in actual.relations if found.part == "view"}
    mixed, siblings = is_mixed(wanted, actual), _siblings(wanted, actual)
    found: dict[tuple[Thing, str, str, bool], list[Held]] = {}
    for held in _with_built_in(wanted, actual):
        if held.grant.grantee == _owner_to_be(wanted, held.grant.thing, views):
            continue
        if not _concerns(wanted, held, views, mixed=mixed):
            continue
        fine = held.grant in declared or _works_with(wanted, held, views) or _of_a_sibling(wanted, held, siblings)
        if fine and not held.grantable:
            continue
        if held.by_owner or held.grant.thing.sort is Sort.DEFAULTS:  # others fall with the one that they hang on
            found.setdefault((held.grant.thing, held.grant.grantee, held.owner, fine), []).append(held)
    for (thing, grantee, owner, fine), helds in found.items():
        privileges = [held.grant.privilege for held in helds]
        cascade = any(held.grantable for held in helds)
        built_in = _is_new(wanted, actual) and _is_built_in(thing, grantee)
        why = _told(thing, grantee, privileges, owner, may_pass=fine)
        yield Step(
            Kind.REVOKE, say.revoke(privileges, thing, grantee, option_only=fine, cascade=cascade),
            f"{why}: servers give it by themselves" if built_in else why, drift=not built_in, acts_as=(owner,),
            about=frozenset({f"role {owner}"}),
        )  # fmt: skip
    yield from _memberships(wanted, actual)


def is_mixed(wanted: Desired, actual: Actual) -> bool:
    """Whether the schema of published views holds other people's things as well. Then the others keep their way in."""
    ours = wanted.ours | frozenset(wanted.strangers)
    return any(
        found.schema == wanted.place.public and found.part == "other" and found.owner not in ours
        for found in actual.relations
    )


def _owner_to_be(wanted: Desired, thing: Thing, views: set[tuple[str, str]]) -> str:
    """Who will own it, where that changes: what they hold now becomes theirs by owning."""
    if thing.sort is Sort.SCHEMA:
        return wanted.owners.get(thing.name[0], "")
    kept = thing.sort in {Sort.RELATION, Sort.COLUMN} and thing.name[0] == wanted.place.store
    return wanted.login(Role.PUBLISHER) if kept or thing.name[:2] in views else ""


def _is_new(wanted: Desired, actual: Actual) -> bool:
    """Whether the environment was not provisioned before: then what every server gives everybody is no drift."""
    return not (wanted.ours <= actual.roles.keys() and actual.owners.keys() >= set(wanted.schemas))


def _is_built_in(thing: Thing, grantee: str) -> bool:
    future = thing.sort is Sort.DEFAULTS and not thing.name[1]
    return grantee == PUBLIC and (future or thing.sort in {Sort.DATABASE, Sort.SCHEMA})


def _with_built_in(wanted: Desired, actual: Actual) -> Iterator[Held]:
    """What is held, and what a role that is yet to be made would give everybody by itself."""
    yield from actual.held
    for role in (Role.RUNNER, Role.PUBLISHER):
        login = wanted.login(role)
        if login and login not in actual.roles and (role is Role.RUNNER or login != wanted.login(Role.RUNNER)):
            yield Held(Grant(Thing(Sort.DEFAULTS, (login, "", "f")), PUBLIC, "EXECUTE"), login, login, grantable=False)


def _concerns(wanted: Desired, held: Held, views: set[tuple[str, str]], *, mixed: bool) -> bool:
    thing, grantee = held.grant.thing, held.grant.grantee
    known = grantee in wanted.ours or grantee in wanted.strangers
    match thing.sort:
        case Sort.DATABASE if thing.name[0] != wanted.database:
            return grantee in wanted.ours and thing.name[0] in wanted.databases
        case Sort.DATABASE:
            return known or (grantee == PUBLIC and not wanted.shared)
        case Sort.SCHEMA:
            return _in_schema(wanted, thing.name[0], held, mixed=mixed)
        case Sort.DEFAULTS:
            exclusive = wanted.schemas[1:] if mixed or wanted.shared else wanted.schemas
            return grantee in wanted.ours or thing.name[0] in wanted.ours or thing.name[1] in exclusive
        case _:  # routines are only read where they are ours
            inside = thing.name[0] in wanted.schemas[1:] or thing.name[:2] in views
            return inside or grantee in wanted.ours or thing.sort is Sort.ROUTINE


def _in_schema(wanted: Desired, schema: str, held: Held, *, mixed: bool) -> bool:
    grantee = held.grant.grantee
    if schema in wanted.schemas[1:] or grantee in wanted.ours:
        return True
    create = grantee == PUBLIC and held.grant.privilege == "CREATE"
    if schema == wanted.place.public:
        return not mixed or create or grantee in wanted.strangers
    # Everybody's sessions look into the schema `public`: what is made there can stand in for what others call.
    return create and schema == "public"


def _works_with(wanted: Desired, held: Held, views: set[tuple[str, str]]) -> bool:
    """Rights that go with what is there: readers on views, runner and publisher in the rooms."""
    thing, grant = held.grant.thing, held.grant
    readers = _readers(wanted)
    pair = {wanted.login(Role.RUNNER), wanted.login(Role.PUBLISHER)}
    if thing.sort is Sort.RELATION and thing.name[:2] in views:
        return grant.grantee in readers and grant.privilege == "SELECT"
    if thing.sort is Sort.RELATION and thing.name[0] == wanted.place.rooms:
        return grant.grantee in pair and held.owner in pair
    if thing.sort is Sort.DEFAULTS and thing.name[1] == wanted.place.rooms:
        return grant.grantee in pair and thing.name[0] in pair
    return False


def _siblings(wanted: Desired, actual: Actual) -> frozenset[str]:
    """The schemas into which other pipelines of this environment publish with the same logins. Their own config
    declares those; here they are known by what provisioning left: the publisher may make views there, and its future
    ones are read by this environment's readers. Never a schema of another environment."""
    publisher, held = wanted.login(Role.PUBLISHER), {one.grant for one in actual.held}
    theirs = {grant.thing.name[0] for grant in wanted.beside if grant.thing.sort is Sort.SCHEMA}
    return frozenset(
        schema for grant in held
        if grant.thing.sort is Sort.DEFAULTS and grant.privilege == "SELECT" and grant.grantee in _readers(wanted)
        and grant.thing.name[0] == publisher and (schema := grant.thing.name[1])
        and schema not in {*wanted.schemas, *theirs}
        and Grant(Thing(Sort.SCHEMA, (schema,)), publisher, "CREATE") in held
    )  # fmt: skip


def _of_a_sibling(wanted: Desired, held: Held, siblings: frozenset[str]) -> bool:
    """Whether it is what provisioning gives for the published views of another pipeline."""
    thing, grant, publisher = held.grant.thing, held.grant, wanted.login(Role.PUBLISHER)
    reads = grant.grantee in _readers(wanted)
    if thing.sort is Sort.SCHEMA and thing.name[0] in siblings:
        makes = grant.grantee == publisher
        return (grant.privilege == "USAGE" and (reads or makes)) or (grant.privilege == "CREATE" and makes)
    if thing.sort is Sort.RELATION and thing.name[0] in siblings:
        return reads and grant.privilege == "SELECT" and held.owner == publisher
    future = thing.sort is Sort.DEFAULTS and thing.name[1] in siblings and thing.name[0] == publisher
    return future and reads and grant.privilege == "SELECT"


def _readers(wanted: Desired) -> frozenset[str]:
    return frozenset({wanted.login(Role.READER), wanted.login(Role.RUNNER), *wanted.readers} - {""})


def _memberships(wanted: Desired, actual: Actual) -> Iterator[Step]:
    for found in actual.memberships:
        if found.member in wanted.ours and found.role in wanted.member_of:
            continue
        inherits = found.member in wanted.ours
        if inherits:
            whose = wanted.strangers.get(found.role)
            why = f"{found.member} could act as {found.role}" + (f" of {whose}" if whose else "")
        else:
            whose = wanted.strangers.get(found.member)
            why = f"{found.member}{f' of {whose}' if whose else ''} could act as {found.role}"
        yield Step(Kind.REVOKE, say.leave_role(found.role, found.member), why, drift=True,
                   demands=f"gives:{found.role}")  # fmt: skip


def _told(thing: Thing, grantee: str, privileges: list[str], owner: str, *, may_pass: bool) -> str:
    who = "everybody" if grantee == PUBLIC else grantee
    what = ", ".join(sorted(privileges))
    if thing.sort is Sort.DEFAULTS:
        kind, schema = _FUTURE.get(thing.name[2], "future things"), f" in {thing.name[1]}" if thing.name[1] else ""
        where = f"{owner}'s {kind}{schema}"
    else:
        where = f"{'.'.join(thing.name[: 3 if thing.sort is Sort.COLUMN else 2])}"
    if may_pass:
        return f"{who} could pass {what} on {where} on to others"
    return f"{who} had {what} on {where}, which nothing declares"
