"""How environments are kept apart where they publish, and who logs in there. Pure: it compares what config says, and
what the servers really allow is for ``lane isolation`` to measure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from lanewise.config.node import Document
from lanewise.domain.environment import Connection, Environment, Origin, Role
from lanewise.errors import ConfigError, NotFound

POSTGRES = "postgres"
_HERE = {"", "localhost", "127.0.0.1", "::1"}
_SERVING = (Role.RUNNER, Role.PUBLISHER, Role.READER)


class Wall(IntEnum):
    """What stands between two environments, the weakest first."""

    NOTHING = 0
    SUFFIX = 1  # one schema: grants name views one by one
    SCHEMA = 2
    DATABASE = 3
    SERVER = 4
    FILES = 5  # embedded: files of its own
    KIND = 6  # warehouses of different types

    @property
    def words(self) -> str:
        """As it ends "kept apart from stage by …"."""
        return {Wall.NOTHING: "nothing", Wall.SUFFIX: "suffix alone", Wall.FILES: "files of its own",
                Wall.KIND: "another kind of warehouse"}.get(self, self.name.lower())  # fmt: skip


@dataclass(frozen=True)
class Weakness:
    """Something that is weaker than it could be: ``kind`` is ``suffix``, ``login`` or ``runner``; then what and why it
    matters, what to do, and where it stands."""

    kind: str
    message: str
    hint: str
    origin: Origin


@dataclass(frozen=True)
class Separation:
    """How one environment is kept apart. ``walls``: the other environments, each with what stands between.
    ``logins``: role to user, empty where nobody logs in; ``shared``: environments that have one of them too."""

    environment: str
    walls: Mapping[str, Wall]
    logins: Mapping[str, str] = field(default_factory=dict)
    shared: tuple[str, ...] = ()
    weaknesses: tuple[Weakness, ...] = ()

    @property
    def sentence(self) -> str:
        """All of it in a line: ``kept apart from stage by database; 3 logins of its own``."""
        by_wall: dict[Wall, list[str]] = {}
        for name, wall in self.walls.items():
            by_wall.setdefault(wall, []).append(name)
        parts = [f"from {_listed(names)} by {wall.words}" for wall, names in sorted(by_wall.items())]
        walls = f"kept apart {', '.join(parts)}" if parts else "the only environment"
        return f"{walls}; {self._login_words()}" if self.logins else walls

    def _login_words(self) -> str:
        users = set(self.logins.values())
        many = "one login for all roles" if len(users) == 1 else f"{len(users)} logins"
        return f"{many}, shared with {_listed(self.shared)}" if self.shared else f"{many}{_own(users)}"


def separations(environments: Mapping[str, Environment], tables: Collection[str] = ()) -> dict[str, Separation]:
    """Every environment's, in order. ``tables`` are the project's, whose names a suffix must keep apart."""
    lanes = {name: _Lane.of(lane) for name, lane in environments.items()}
    found = {}
    for name, lane in lanes.items():
        others = {other: one for other, one in lanes.items() if other != name}
        walls = {other: _wall(lane, one, tables) for other, one in others.items()}
        shared = tuple(other for other, one in others.items() if lane.same_server(one) and lane.users & one.users)
        weaknesses = tuple(_weaknesses(lane, walls, shared))
        found[name] = Separation(name, walls, lane.logins, shared, weaknesses)
    return found


def demand_apart(document: Document, environments: Mapping[str, Environment], tables: Collection[str] = ()) -> None:
    """``ConfigError``, at its place, when two environments would publish to the very same views or share a store."""
    lanes = [_Lane.of(lane) for lane in environments.values()]
    for at, lane in enumerate(lanes):
        for other in lanes[:at]:
            if _wall(lane, other, tables) is Wall.NOTHING:
                raise _error(document, lane, other)


@dataclass(frozen=True)
class _Lane:
    """Where an environment publishes, as far as config tells."""

    environment: Environment
    connection: Connection | None

    @classmethod
    def of(cls, environment: Environment) -> _Lane:
        try:
            return cls(environment, environment.connection("dst"))
        except NotFound:
            return cls(environment, None)

    @property
    def name(self) -> str:
        return self.environment.name

    @property
    def type(self) -> str:
        return self.connection.type if self.connection else ""

    @property
    def server(self) -> tuple[str, str]:
        fields = self.connection.fields if self.connection else {}
        host = str(fields.get("host") or "").lower()
        return ("" if host in _HERE else host, str(fields.get("port") or 5432))

    @property
    def database(self) -> str:
        return str(self.connection.fields.get("database") or "") if self.connection else ""

    @property
    def schema(self) -> str:
        return str(self.environment.settings.get("schema") or "public")

    @property
    def suffix(self) -> str:
        return str(self.environment.settings.get("table_suffix") or "")

    @property
    def stores(self) -> set[str]:
        """The schemas of its versions and maps, and of runs' rooms."""
        name = str((self.connection.fields.get("store") if self.connection else "") or f"lanewise_{self.name}")
        return {name, f"{name}_runs"}

    @property
    def logins(self) -> dict[str, str]:
        if self.connection is None or self.type != POSTGRES:
            return {}
        acting = {role.value: self.connection.acting_as(role).fields.get("user") for role in _SERVING}
        return {role: str(user or "the OS user") for role, user in acting.items()}

    @property
    def users(self) -> set[str]:
        return set(self.logins.values())

    def same_server(self, other: _Lane) -> bool:
        return self.type == other.type == POSTGRES and self.server == other.server


def _wall(one: _Lane, other: _Lane, tables: Collection[str]) -> Wall:
    if one.type != other.type:
        return Wall.KIND
    if one.type != POSTGRES:
        return Wall.FILES
    if one.server != other.server:
        return Wall.SERVER
    return Wall.DATABASE if one.database != other.database else _within_a_database(one, other, tables)


def _within_a_database(one: _Lane, other: _Lane, tables: Collection[str]) -> Wall:
    if one.stores & other.stores or one.schema in other.stores or other.schema in one.stores:
        return Wall.NOTHING
    if one.schema != other.schema:
        return Wall.SCHEMA
    views = {table + one.suffix for table in tables} & {table + other.suffix for table in tables}
    return Wall.NOTHING if views or one.suffix == other.suffix else Wall.SUFFIX


def _error(document: Document, lane: _Lane, other: _Lane) -> ConfigError:
    stores = lane.stores & other.stores
    if stores or lane.schema in other.stores or other.schema in lane.stores:
        what = f"keep their versions in the same schema ({min(stores or {lane.schema, other.schema})})"
        hint = "give each a `store` of its own, or none: it is lanewise_ENV then"
        origin = _origin(lane, _connection_path(lane, "store"), "settings.schema")
    else:
        what = f"publish the same views ({lane.database}, schema {lane.schema}, suffix {lane.suffix!r})"
        hint = "give each a database, a `schema` or at least a `table_suffix` of its own"
        origin = _origin(lane, "settings.table_suffix", "settings.schema", _connection_path(lane, "database"))
    message = f"{lane.name} and {other.name} are not kept apart: they {what}"
    if not origin.line:
        return document.error(message, document.key(["environments", lane.name]), hint=hint)
    return ConfigError(message, file=origin.file, line=origin.line, column=origin.column, hint=hint)


def _weaknesses(lane: _Lane, walls: Mapping[str, Wall], shared: Sequence[str]) -> Iterator[Weakness]:
    weak = [other for other, wall in walls.items() if wall is Wall.SUFFIX]
    connection, name = (lane.connection.name if lane.connection else ""), lane.name
    if weak:
        yield Weakness(
            "suffix",
            f"{name} is kept apart from {_listed(weak)} by suffix alone: they share the schema {lane.schema}, so "
            "whoever may use it comes near both, and only grants on each view tell them apart",
            'give each a schema of its own (`schema: "NAME_{env}"`), or better a database',
            _origin(lane, "settings.schema", "settings.table_suffix"),
        )
    if shared:
        yield Weakness(
            "login",
            f"{name} and {_listed(shared)} log in as {_listed(sorted(lane.users))} on the same server: what one may, "
            "the other may",
            f"give {connection} a `runner`, `publisher` and `reader` of its own; `lane provision {name}` writes them",
            _origin(lane, *(_connection_path(lane, key) for key in ("runner", "publisher", "reader", "user", "type"))),
        )
    if lane.logins and lane.logins[Role.RUNNER.value] == lane.logins[Role.PUBLISHER.value]:
        yield Weakness(
            "runner",
            f"runs of {name} log in as its publisher, {lane.logins[Role.RUNNER.value]}: a run could write what "
            "readers see",
            f"give {connection} a `runner` and a `publisher` of its own; `lane provision {name}` writes them",
            _origin(lane, *(_connection_path(lane, key) for key in ("publisher", "runner", "user", "type"))),
        )


def _connection_path(lane: _Lane, key: str) -> str:
    return f"connections.{lane.connection.name if lane.connection else ''}.{key}"


def _origin(lane: _Lane, *paths: str) -> Origin:
    """Of the first of these that the file says; else of anything that it says about the environment."""
    origins = lane.environment.origins
    found = [origins[path] for path in paths if path in origins]
    return next((o for o in found if o.line), found[0] if found else Origin("built in"))


def _own(users: set[str]) -> str:
    return " of its own" if len(users) > 1 else ""


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
