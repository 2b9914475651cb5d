"""The probe of type ``postgres``: every login, against every other environment's databases, and against home."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from lanewise.adapters.probes.postgres import roles, tries
from lanewise.adapters.probes.postgres.catalog import (
    OWNERS,
    Scope,
    connections,
    foreign,
    place_of,
    scope_of,
    users,
)
from lanewise.adapters.probes.postgres.futures import Futures
from lanewise.adapters.probes.postgres.session import Refusal, Session, database, session, where
from lanewise.adapters.warehouses.postgres.place import Place
from lanewise.domain.environment import Connection, Environment, Role
from lanewise.domain.isolation import Attempt, Holder, Identity, Outcome, Target
from lanewise.domain.ports import Secrets
from lanewise.domain.project import Project

ALL = (*tries.READ, *tries.WRITE)
_TRIED = (Role.RUNNER, Role.PUBLISHER, Role.READER)


def open_probe(*, secrets: Secrets, project: Project, lanes: Mapping[str, Environment], root: Path) -> PostgresProbe:
    """See ``ProbeOpener``."""
    del root  # servers are named by host
    return PostgresProbe(secrets, project, lanes, Futures(secrets, lanes))


@dataclass(frozen=True)
class PostgresProbe:
    """Satisfies ``domain.isolation.Probe``."""

    secrets: Secrets
    project: Project
    lanes: Mapping[str, Environment]
    futures: Futures

    def holders(self, lane: Environment, connection: Connection) -> tuple[Holder, ...]:
        """A warehouse's runner and publisher, its reader where one is named; another connection's named roles, or
        its one login."""
        warehouse = connection.name == lane.settings.get("dst_conn")
        named = {*connection.roles, *((Role.RUNNER, Role.PUBLISHER) if warehouse else ())}
        found = [(role.value, connection.acting_as(role)) for role in _TRIED if role in named]
        logins = found or [("login", connection.acting_as(Role.RUNNER))]
        return tuple(
            Holder(Identity(lane.name, connection.name, role, str(login.fields.get("user") or "")), lane, login)
            for role, login in logins
        )

    def prove(self, holder: Holder) -> str:
        """Logs in at home."""
        try:
            with session(holder, holder.connection, self.secrets):
                return ""
        except Refusal as refusal:
            return refusal.answer

    def attempts(self, holder: Holder, other: Environment) -> Iterator[Attempt]:
        """Every database of the other environment, or where that is closed, who it could become."""
        for place in connections(other):
            yield from self._shared_login(holder, other, place)
            try:
                with session(holder, place, self.secrets) as here:
                    if foreign(holder, place):
                        yield _connected(holder, other, place, Outcome.ALLOWED, "connected")
                    yield from self._inside(here, other, place)
            except Refusal as refusal:
                outcome = Outcome.DENIED if refusal.denied else Outcome.UNREACHABLE
                yield _connected(holder, other, place, outcome, refusal.answer)
                yield from self._from_home(holder, other, place)
            yield from self._futures(holder, other, place)

    def overreach(self, holder: Holder) -> Iterator[Attempt]:
        """Nothing but the publisher publishes, and readers read what is published alone."""
        lane, role = holder.lane, holder.identity.role
        place = place_of(lane, holder.connection, self.project.name)
        if place is None or role not in {Role.RUNNER, Role.READER}:
            return
        publisher = str(lane.connection("dst").acting_as(Role.PUBLISHER).fields.get("user") or "")
        if publisher == holder.identity.user:
            yield _shared(holder, Target(lane.name, "role", publisher), f"{role} and publisher are one login")
            return
        with session(holder, holder.connection, self.secrets) as here:
            yield from roles.becoming(here, lane.name, [publisher])
            yield from self._at_home(here, place, Role(role))

    def _at_home(self, here: Session, place: Place, role: Role) -> Iterator[Attempt]:
        """A run writes to its rooms and reads what it likes of its own environment; a reader sees what is published,
        and so no version or room, where rows lie that nobody has audited."""
        holder = here.holder
        scope = self._scope(holder, holder.lane, holder.connection)
        closed: list[tuple[str, tuple[str, ...]]] = [(place.public, tries.WRITE), (place.store, tries.WRITE)]
        if role is Role.READER:
            closed = [(place.public, tries.WRITE), *((name, ALL) for name in (place.store, place.rooms))]
        for schema, forbidden in closed:
            narrow = replace(scope, schemas=(schema,), roles=(), inputs=())
            yield from tries.on_schemas(here, holder.lane.name, replace(narrow, mixed=""), ("create",))
            yield from tries.on_relations(here, holder.lane.name, narrow, forbidden)
        inputs = replace(scope, schemas=(), roles=())
        yield from tries.on_relations(here, holder.lane.name, inputs, tries.WRITE)

    def _inside(self, here: Session, other: Environment, place: Connection) -> Iterator[Attempt]:
        holder = here.holder
        scope = self._scope(holder, other, place)
        yield from roles.above_grants(here, _server(other, place))
        owners = [row["role"] for row in here.rows(OWNERS, scope.parameters())]
        yield from roles.becoming(here, other.name, self._others(holder, [*scope.roles, *owners]))
        yield from tries.on_database(here, other.name, scope)
        yield from tries.on_schemas(here, other.name, scope, ("usage", "create"))
        yield from tries.on_relations(here, other.name, scope, ALL)
        yield from tries.on_functions(here, other.name, scope)

    def _from_home(self, holder: Holder, other: Environment, place: Connection) -> Iterator[Attempt]:
        """Roles are the whole server's: whom the identity can become shows in its own database too."""
        if where(place) != where(holder.connection):
            return
        with session(holder, holder.connection, self.secrets) as here:
            yield from roles.above_grants(here, _server(other, place))
            yield from roles.becoming(here, other.name, self._others(holder, users(other, where(place))))
        yield from self._behind_the_door(holder, other, place)

    def _behind_the_door(self, holder: Holder, other: Environment, place: Connection) -> Iterator[Attempt]:
        """What is granted to it in a database that it can't enter, as the owner's login sees it: one careless CONNECT
        away from use."""
        login = place.acting_as(Role.PUBLISHER)
        owner = Holder(Identity(other.name, place.name, "owner", str(login.fields.get("user") or "")), other, login)
        scope = replace(self._scope(holder, other, place), every=False)
        try:
            with session(owner, place, self.secrets) as lent:
                here = Session(holder, lent.connection)
                yield from tries.held(here, other.name, scope)
                yield from tries.on_functions(here, other.name, scope)
        except Refusal as refusal:
            yield Attempt(
                holder.identity, Target(other.name, "database", str(place.fields.get("database") or "")),
                "look up its grants", f"connect as {owner.identity.user}", Outcome.UNREACHABLE,
                f"{other.name}'s own publisher can't log in to look them up: {refusal.answer}",
            )  # fmt: skip

    def _futures(self, holder: Holder, other: Environment, place: Connection) -> list[Attempt]:
        published = place_of(other, place, self.project.name)
        if published is None or where(place) != where(holder.connection):
            return []
        return self.futures.attempts(holder, other, place, published)

    def _shared_login(self, holder: Holder, other: Environment, place: Connection) -> Iterator[Attempt]:
        """One login for two environments is no wall. An input connection that both name is a declared one: what may be
        written through it is tried all the same."""
        user = holder.identity.user
        if where(place) != where(holder.connection) or not user:
            return
        warehouses = {lane.settings.get("dst_conn") for lane in (holder.lane, other)}
        declared = place.name == holder.connection.name and place.name not in warehouses
        having = [role.value for role in _TRIED if place.acting_as(role).fields.get("user") == user]
        if having and not declared:
            yield _shared(holder, Target(other.name, "role", user), f"it is {other.name}'s {' and '.join(having)} too")

    def _scope(self, holder: Holder, lane: Environment, place: Connection) -> Scope:
        return scope_of(holder, lane, place, self.lanes, self.project)

    @staticmethod
    def _others(holder: Holder, names: list[str] | tuple[str, ...]) -> list[str]:
        return [name for name in dict.fromkeys(names) if name != holder.identity.user]


def _connected(holder: Holder, other: Environment, place: Connection, outcome: Outcome, answer: str) -> Attempt:
    host, port, name = database(place)
    statement = f"connect to {name} at {host}:{port} as {holder.identity.user}"
    return Attempt(holder.identity, Target(other.name, "database", name), "connect", statement, outcome, answer)


def _shared(holder: Holder, target: Target, answer: str) -> Attempt:
    return Attempt(holder.identity, target, "share a login", "compare the logins that config names", Outcome.ALLOWED,
                   answer)  # fmt: skip


def _server(lane: Environment, place: Connection) -> Target:
    host, port = where(place)
    return Target(lane.name, "server", f"{host}:{port}")
