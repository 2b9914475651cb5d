"""What people should know about an environment's rights beyond the statements. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from lanewise.adapters.provisioners.postgres.desired import same_database
from lanewise.adapters.provisioners.postgres.drift import is_mixed
from lanewise.adapters.provisioners.postgres.nouns import PUBLIC, Actual, Desired, Sort
from lanewise.domain.environment import Environment, Role
from lanewise.errors import NotFound


def problems(wanted: Desired, actual: Actual) -> Iterator[str]:
    """What stands in the way: rights that no grant can bound."""
    if not wanted.login(Role.PUBLISHER):
        yield "config names nobody who publishes: give its connection a `publisher`"
    for login in wanted.logins:
        if other := wanted.strangers.get(login.name):
            yield f"{login.name} is a login of {other} too: a role that two environments share can't be walled off"
        if (has := actual.roles.get(login.name)) and has.superuser:
            plays = " and ".join(login.plays)
            yield f"{login.name} may do everything on this server, and is {wanted.lane}'s {plays}: name another login"


def warnings(wanted: Desired, actual: Actual, lane: Environment) -> Iterator[str]:
    """What is weaker than it could be, what is left alone, and what can't be done yet."""
    runner, publisher = wanted.login(Role.RUNNER), wanted.login(Role.PUBLISHER)
    if runner == publisher:
        yield "runs could publish: give the runner a login of its own"
    if publisher and wanted.login(Role.READER) == publisher:
        yield "readers could publish: give the reader a login of its own"
    if wanted.shared:
        yield (f"{', '.join(wanted.shared)} lies in the same database: schemas and grants are the wall, and everybody "
               "may still log in there; a database of its own is a stronger one")  # fmt: skip
    for schema, name in wanted.inputs:
        if (schema, name) not in actual.inputs:
            yield f"the input {schema}.{name} is not there yet: provision again once it is"
    yield from _inputs_elsewhere(lane)
    for name in sorted({grant.grantee for grant in wanted.grants} - wanted.ours - set(actual.roles)):
        yield f"config lists {name}, and the server knows no such role"
    if is_mixed(wanted, actual):
        yield (f"{wanted.place.public} holds other people's tables as well, so they keep their way in: "
               "a schema of its own is a stronger wall")  # fmt: skip
    yield from (f"everybody may call {routine}" for routine in actual.definers)
    if not wanted.shared and _everybody_connects(wanted, actual):
        for login in actual.would_lose:
            yield f"{login} has rights here and could log in no more: list it in the connection's `connects`"


def _everybody_connects(wanted: Desired, actual: Actual) -> bool:
    return any(
        held.grant.thing.sort is Sort.DATABASE and held.grant.thing.name[0] == wanted.database
        and held.grant.grantee == PUBLIC and held.grant.privilege == "CONNECT"
        for held in actual.held
    )  # fmt: skip


def _inputs_elsewhere(lane: Environment) -> Iterator[str]:
    try:
        source = lane.connection("src")
    except NotFound:
        return
    if source.type == "postgres" and not same_database(source, lane.connection("dst")):
        login = source.acting_as(Role.RUNNER).fields.get("user") or "the runner"
        yield f"inputs come through {source.name}, another database: what {login} may read is given there"
