"""What config declares: which logins an environment has, and exactly what each may do. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from lanewise.adapters.provisioners.postgres.nouns import ROLES, Desired, Grant, Login, Sort, Thing
from lanewise.adapters.warehouses.postgres.place import Place, input_at
from lanewise.domain.environment import Connection, Environment, Role
from lanewise.errors import ConfigError, NotFound

_HERE = {"", "localhost", "127.0.0.1", "::1"}
_WHAT = {Role.RUNNER: "runs log in here", Role.PUBLISHER: "Lanewise logs in here to publish",
         Role.READER: "readers log in here"}  # fmt: skip


def desired(lane: Environment, others: Sequence[Environment], inputs: Sequence[str]) -> Desired:
    """What ``lane`` declares, whose ``dst`` connection is of type ``postgres``. ``ConfigError`` where the connection's
    fields make no sense."""
    target, place = lane.connection("dst"), Place.of(lane, "")
    beside = [other for other in others if (found := _dst(other)) and same_database(found, target)]
    declared = declared_inputs(lane, inputs)
    return Desired(
        lane=lane.name,
        place=place,
        database=str(target.fields.get("database", "")),
        logins=logins(target),
        owners={place.public: "", place.store: _login(target, Role.PUBLISHER),
                place.rooms: _login(target, Role.PUBLISHER)},
        grants=frozenset(_grants(lane, declared)),
        beside=frozenset(grant for other in beside for grant in _grants(other, declared_inputs(other, inputs))),
        inputs=declared,
        readers=_names(target, "readers"),
        member_of=_names(target, "member_of"),
        strangers=_strangers(target, others),
        databases=_databases(target, others),
        shared=tuple(other.name for other in beside),
    )  # fmt: skip


def logins(connection: Connection) -> tuple[Login, ...]:
    """Who logs in through a connection, each with the roles that they play."""
    names = {role: _login(connection, role) for role in ROLES}
    return tuple(
        Login(name, tuple(role for role in ROLES if names[role] == name))
        for name in dict.fromkeys(names.values()) if name
    )  # fmt: skip


def same_server(one: Connection, other: Connection) -> bool:
    """Whether two connections name one server, as far as config can tell."""
    return one.type == other.type and _server(one) == _server(other)


def same_database(one: Connection, other: Connection) -> bool:
    """Whether two connections name one database."""
    return same_server(one, other) and one.fields.get("database") == other.fields.get("database")


def declared_inputs(lane: Environment, inputs: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """The inputs that are relations of the warehouse's own database, as (schema, name): the project's, and what other
    pipelines of the environment read (the connection's field ``reads``)."""
    target, source = lane.connection("dst"), _conn(lane, "src")
    wanted = list(_names(target, "reads"))
    if source is not None and same_database(source, target):
        wanted += inputs
    found = dict.fromkeys(input_at(source or target, name) for name in wanted)
    return tuple(found)


def _grants(lane: Environment, inputs: Iterable[tuple[str, str]]) -> Iterator[Grant]:
    """What an environment's logins hold, but for what lies in its schemas already: that is a matter of the catalogs."""
    target, place = lane.connection("dst"), Place.of(lane, "")
    runner, publisher, reader = (_login(target, role) for role in ROLES)
    for role, login in ((role, _login(target, role)) for role in ROLES):
        if login:
            yield Grant(_database(target), login, "CONNECT", _WHAT[role])
    for login in (*_names(target, "readers"), *_names(target, "connects")):
        yield Grant(_database(target), login, "CONNECT", "config lists it among those who log in here")
    for role in (Role.RUNNER, Role.PUBLISHER):
        if login := _login(target, role):
            yield Grant(_database(target), login, "TEMPORARY", "tables of a session's own")
    yield from _on_schemas(place, runner, publisher, [reader, *_names(target, "readers")])
    for schema, relation in inputs if runner else ():
        said = f"the runner reads the declared input {schema}.{relation}"
        yield Grant(Thing(Sort.SCHEMA, (schema,)), runner, "USAGE", said)
        yield Grant(Thing(Sort.RELATION, (schema, relation)), runner, "SELECT", said)


def _on_schemas(place: Place, runner: str, publisher: str, readers: Iterable[str]) -> Iterator[Grant]:
    public, rooms = Thing(Sort.SCHEMA, (place.public,)), Thing(Sort.SCHEMA, (place.rooms,))
    if publisher:
        yield Grant(public, publisher, "USAGE", "published views lie there")
        yield Grant(public, publisher, "CREATE", "the publisher makes the views")
    for login in dict.fromkeys([*readers, runner]):
        if login:
            yield Grant(public, login, "USAGE", "published views are read there")
        if login and publisher and login != publisher:
            later = Thing(Sort.DEFAULTS, (publisher, place.public, "r"))
            yield Grant(later, login, "SELECT", "views that are published later are read too")
    if runner and runner != publisher:
        yield Grant(rooms, runner, "USAGE", "runs write there")
        yield Grant(rooms, runner, "CREATE", "runs write tables of their own")
        if publisher:
            later = Thing(Sort.DEFAULTS, (runner, place.rooms, "r"))
            yield Grant(later, publisher, "SELECT", "the publisher reads what runs will have written")


def _strangers(target: Connection, others: Iterable[Environment]) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for other in others:
        for connection in other.connections.values():
            if same_server(connection, target):
                found |= {login.name: other.name for login in logins(connection)}
    return found


def _databases(target: Connection, others: Iterable[Environment]) -> Mapping[str, str]:
    """Other environments' warehouses on the same server, in databases of their own."""
    return {
        str(found.fields.get("database", "")): other.name
        for other in others
        if (found := _dst(other)) and same_server(found, target) and not same_database(found, target)
    }


def _database(connection: Connection) -> Thing:
    return Thing(Sort.DATABASE, (str(connection.fields.get("database", "")),))


def _login(connection: Connection, role: Role) -> str:
    return str(connection.acting_as(role).fields.get("user") or "")


def _names(connection: Connection, field: str) -> tuple[str, ...]:
    """A field that lists names. ``ConfigError`` for anything else."""
    found = connection.fields.get(field) or []
    if not isinstance(found, list) or not all(isinstance(name, str) and name for name in found):
        raise ConfigError(f"{field} of {connection.name} must be a list of names", hint=f"write {field}: [NAME]")
    return tuple(str(name) for name in found)


def _server(connection: Connection) -> tuple[str, str]:
    host = str(connection.fields.get("host") or "").lower()
    return ("localhost" if host in _HERE else host, str(connection.fields.get("port") or 5432))


def _conn(lane: Environment, role: str) -> Connection | None:
    try:
        return lane.connection(role)
    except NotFound:
        return None


def _dst(lane: Environment) -> Connection | None:
    found = _conn(lane, "dst")
    return found if found is not None and found.type == "postgres" else None
