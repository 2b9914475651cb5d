"""What rights are made of on PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from lanewise.adapters.warehouses.postgres.place import Place
from lanewise.domain.environment import Role

PUBLIC = "public"
"""Everybody, as a grantee. No role can have this name."""

ROLES = (Role.RUNNER, Role.PUBLISHER, Role.READER)


class Sort(StrEnum):
    """What rights are given on."""

    DATABASE = "database"
    SCHEMA = "schema"
    RELATION = "relation"  # a table, view or sequence
    COLUMN = "column"
    ROUTINE = "routine"
    DEFAULTS = "defaults"  # what somebody's future things will have


@dataclass(frozen=True, order=True)
class Thing:
    """``name``: (database), (schema), (schema, relation), (schema, relation, column), (schema, routine, arguments), or
    for defaults (whose, in which schema or "", of what: the catalog's letter)."""

    sort: Sort
    name: tuple[str, ...]


@dataclass(frozen=True)
class Grant:
    """One privilege of one grantee."""

    thing: Thing
    grantee: str
    privilege: str
    why: str = field(default="", compare=False)


@dataclass(frozen=True)
class Held:
    """A grant as the catalogs have it."""

    grant: Grant
    owner: str
    grantor: str
    grantable: bool

    @property
    def by_owner(self) -> bool:
        """Whether it hangs on nobody else's grant option."""
        return self.grantor == self.owner


@dataclass(frozen=True)
class Login:
    """A role of the server that somebody of this environment logs in as."""

    name: str
    plays: tuple[Role, ...]


@dataclass(frozen=True)
class Desired:
    """What one environment declares.

    ``owners``: schema -> who owns it ("" for whoever does). ``grants``: on the database, the schemas, the inputs and
    future things. ``beside``: what other environments declare on things that they share with this one.
    ``strangers``: login -> the other environment that it belongs to. ``databases``: other environments' on the server.
    """

    lane: str
    place: Place
    database: str
    logins: tuple[Login, ...]
    owners: Mapping[str, str]
    grants: frozenset[Grant]
    beside: frozenset[Grant] = frozenset()
    inputs: tuple[tuple[str, str], ...] = ()
    readers: tuple[str, ...] = ()
    member_of: tuple[str, ...] = ()
    strangers: Mapping[str, str] = field(default_factory=dict)
    databases: Mapping[str, str] = field(default_factory=dict)
    shared: tuple[str, ...] = ()  # the environments in the same database

    def login(self, role: Role) -> str:
        """Who plays a role; "" when config names nobody."""
        return next((login.name for login in self.logins if role in login.plays), "")

    @property
    def ours(self) -> frozenset[str]:
        """The logins of this environment."""
        return frozenset(login.name for login in self.logins)

    @property
    def schemas(self) -> tuple[str, str, str]:
        """Published views, the store, the rooms."""
        return (self.place.public, self.place.store, self.place.rooms)


@dataclass(frozen=True)
class Attributes:
    """What a role of the server may do everywhere."""

    superuser: bool
    inherit: bool
    createrole: bool
    createdb: bool
    login: bool
    replication: bool
    bypassrls: bool


@dataclass(frozen=True)
class Membership:
    """``member`` may act as ``role``."""

    role: str
    member: str


@dataclass(frozen=True)
class Relation:
    """A table, view or sequence of ours. ``part`` is what it is there for: store, rooms, view or other."""

    schema: str
    name: str
    owner: str
    part: str


@dataclass(frozen=True)
class Operator:
    """Who provisions, and what they may do. ``inherits``: a membership gives them its rights by itself. ``acts_as``:
    roles whose rights they have; ``gives``: roles that they may make anybody a member of."""

    name: str
    version: int
    superuser: bool = False
    createrole: bool = False
    creates_schemas: bool = False
    inherits: bool = True
    acts_as: frozenset[str] = frozenset()
    gives: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Actual:
    """What the catalogs say, as far as it concerns one environment."""

    operator: Operator
    database_owner: str
    roles: Mapping[str, Attributes]
    memberships: tuple[Membership, ...]
    owners: Mapping[str, str]  # schema -> owner
    relations: tuple[Relation, ...]
    inputs: Mapping[tuple[str, str], str]  # declared input -> owner, those that are there
    held: tuple[Held, ...]
    definers: tuple[str, ...] = ()  # SECURITY DEFINER routines of other people that everybody may call
    would_lose: tuple[str, ...] = ()  # logins with rights here that can connect only as everybody can
