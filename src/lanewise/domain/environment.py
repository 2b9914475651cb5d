"""Where a build runs: the nouns of ``environments.yaml``, resolved. It never travels inside a build."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from lanewise.domain.canonical import digest
from lanewise.errors import NotFound, SecretUnavailable

Value = str | int | float | bool | None | list[Any] | dict[str, Any]


@dataclass(frozen=True)
class Origin:
    """Where a value came from: a layer (``defaults``, ``extends stage``, ``environments.prod``,
    ``LANEWISE__RETRIES``, ``built in``) and, for a file, the place in it (from 1)."""

    layer: str
    file: str = ""
    line: int = 0
    column: int = 0


@dataclass(frozen=True)
class SecretRef:
    """A secret as it stands in config: ``env:NAME``, ``file:PATH``, ``keyring:SERVICE/NAME``,
    ``vault:MOUNT/PATH#FIELD``; ``text`` is the whole reference. Never a value.

    ``previous``: the older version that may still be in use while a rotation is proven.
    ``max_age``: how old the value may grow before ``lane doctor`` warns.
    """

    text: str
    previous: str | None = None
    max_age: timedelta | None = None

    @property
    def scheme(self) -> str:
        """The store's name: the part before the first colon."""
        return self.text.partition(":")[0]

    def wanted(self, *, previous: bool = False) -> str:
        """The reference to resolve: the current one, or the previous one. ``SecretUnavailable`` without one."""
        if not previous:
            return self.text
        if self.previous is None:
            raise SecretUnavailable(f"{self.text}: no previous version is declared", hint="add `previous:` beside it")
        return self.previous


class Role(StrEnum):
    """What somebody who logs in to a server may be there, each with the least rights that work."""

    RUNNER = "runner"  # a run: reads the declared inputs, writes tables of its own
    PUBLISHER = "publisher"  # Lanewise: owns views, versions and maps
    READER = "reader"  # dashboards: reads the published views
    ADMIN = "admin"  # the operator, for `lane provision` alone


@dataclass(frozen=True)
class Connection:
    """A named connection: its type, its plain fields and its secrets (field name -> reference).

    Where a server knows several identities, the field ``ROLE`` is a role's user there (``runner: run_prod``) and
    ``ROLE_password`` the reference to its password; ``user`` and ``password`` stand in for a role that has none.
    """

    name: str
    type: str
    fields: Mapping[str, Value] = field(default_factory=dict)
    secrets: Mapping[str, SecretRef] = field(default_factory=dict)

    def acting_as(self, role: Role) -> Connection:
        """The connection as one role has it: its login as ``user`` and ``password``, and nobody else's with it."""
        fields, secrets = dict(self.fields), dict(self.secrets)
        for other in Role:
            user, password = fields.pop(other.value, None), secrets.pop(f"{other}_password", None)
            if other is role and user is not None:
                fields["user"] = user
                secrets.pop("password", None)
                if password is not None:
                    secrets["password"] = password
        return replace(self, fields=fields, secrets=secrets)

    @property
    def roles(self) -> tuple[Role, ...]:
        """The roles that have a login of their own here."""
        return tuple(role for role in Role if role.value in self.fields)


@dataclass(frozen=True)
class GateSpec:
    """One gate asked for by config: its name and its arguments."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ApprovalRule:
    """How many people must approve, and from which groups (empty: anyone but the requester and the authors)."""

    count: int = 0
    groups: tuple[str, ...] = ()
    expires: timedelta = timedelta(days=7)


@dataclass(frozen=True)
class FreezeWindow:
    """A window in which nothing moves forward: an RRULE of days (or starts) in a time zone, or start and end."""

    rrule: str | None = None
    timezone: str = "UTC"
    duration: timedelta = timedelta(days=1)
    start: str | None = None  # ISO 8601, in ``timezone`` when it has no offset
    end: str | None = None
    reason: str = ""


@dataclass(frozen=True)
class Rollout:
    """How a plan is carried out. ``steps`` are shares of the partitions, ending at 1; (1,) is all at once."""

    strategy: str = "all-at-once"  # all-at-once | blue-green | canary
    steps: tuple[Decimal, ...] = (Decimal(1),)
    bake: timedelta = timedelta(0)  # how long an exposed step is watched before the next one
    max_bad: Decimal = Decimal(0)  # share of partitions that may differ undeclared


@dataclass(frozen=True)
class Rules:
    """The rules of the road into one environment."""

    gates: tuple[GateSpec, ...] = ()
    approvals: ApprovalRule = ApprovalRule()
    rollout: Rollout = Rollout()
    freeze: tuple[FreezeWindow, ...] = ()
    evidence_expires: timedelta = timedelta(hours=24)
    rollback_window: timedelta = timedelta(days=14)
    opens_next: bool = True  # success here opens the promotion into the next environment


@dataclass(frozen=True)
class DataPolicy:
    """Which data the environment holds: the partitions that a first release computes, and how ``lane refresh``
    fills it (checked now, carried out later). ``last`` may be ``today`` or ``yesterday``."""

    refresh_from: str | None = None
    masked: bool = False
    sample: Decimal | None = None
    first: str | None = None  # first partition (``from`` in the file)
    last: str | None = None  # last partition (``to`` in the file)
    values: tuple[str, ...] = ()  # the partitions of a table cut by value


@dataclass(frozen=True)
class Environment:
    """One lane, fully resolved. ``origins`` maps a dotted path (``settings.bucket``) to where it came from."""

    name: str
    position: int  # 0 is the first of the promotion order
    settings: Mapping[str, Value]
    connections: Mapping[str, Connection]  # by name, those of this environment only
    rules: Rules = Rules()
    data: DataPolicy = DataPolicy()
    origins: Mapping[str, Origin] = field(default_factory=dict, compare=False)

    def connection(self, role: str) -> Connection:
        """The connection that ``<role>_conn`` names, e.g. ``dst`` for ``dst_conn``; or one of that very name."""
        name = self.settings.get(f"{role}_conn", role)
        if isinstance(name, str) and name in self.connections:
            return self.connections[name]
        raise NotFound("connection", str(name), known=self.connections)

    def for_runs(self) -> Environment:
        """What a run of this environment is told: every connection with the runner's login, and nobody else's."""
        connections = {name: found.acting_as(Role.RUNNER) for name, found in self.connections.items()}
        return replace(self, connections=connections)

    @property
    def digest(self) -> str:
        """Names what is in force here: settings, connections (references, not values), rules, data policy."""
        return digest([self.name, self.settings, self.connections, _plain_rules(self.rules), _plain_data(self.data)])


def _plain_rules(rules: Rules) -> dict[str, Any]:
    return {
        "gates": [[g.name, dict(g.arguments)] for g in rules.gates],
        "approvals": [rules.approvals.count, list(rules.approvals.groups), str(rules.approvals.expires)],
        "rollout": [
            rules.rollout.strategy,
            [str(s) for s in rules.rollout.steps],
            str(rules.rollout.bake),
            str(rules.rollout.max_bad),
        ],
        "freeze": [[f.rrule, f.timezone, str(f.duration), f.start, f.end, f.reason] for f in rules.freeze],
        "windows": [str(rules.evidence_expires), str(rules.rollback_window), rules.opens_next],
    }


def _plain_data(data: DataPolicy) -> list[Any]:
    sample = None if data.sample is None else str(data.sample)
    return [data.refresh_from, data.masked, sample, data.first, data.last, list(data.values)]


@dataclass(frozen=True)
class Person:
    """Somebody who may approve: ``name`` is what the identity provider says (the OS user on a laptop)."""

    name: str
    emails: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


@dataclass(frozen=True)
class Destination:
    """Where telemetry goes: ``kind`` is a name of the entry points ``lanewise.telemetry`` (``otlp``, ``openlineage``),
    ``url`` the receiver's, and ``headers`` what a request carries for it to know who sends, as references."""

    kind: str
    url: str
    headers: Mapping[str, SecretRef] = field(default_factory=dict)


@dataclass(frozen=True)
class Config:
    """The whole environments file, resolved for one project. ``document`` is what is pinned: the file's
    own content (references only), as plain JSON data; ``digest`` names it."""

    environments: Mapping[str, Environment]  # in promotion order
    document: Mapping[str, Any]
    people: Mapping[str, Person] = field(default_factory=dict)
    identity: str = "os-user"  # os-user | declared (LANEWISE_ACTOR, said to be unproved)
    ledger: str = "sqlite:///.lanewise/ledger.db"
    builds: str = ".lanewise/builds"
    checkpoints: str = ".lanewise/checkpoints"
    log_format: str = "text"  # text | json
    telemetry: tuple[Destination, ...] = ()

    @property
    def digest(self) -> str:
        """Names the reviewed file by its content."""
        return digest(self.document)

    def environment(self, name: str) -> Environment:
        """The environment of that name, or an error that lists the nearest."""
        if name not in self.environments:
            raise NotFound("environment", name, known=self.environments)
        return self.environments[name]

    def before(self, name: str) -> Environment | None:
        """The environment that a build must have passed to enter ``name``; None for the first."""
        order = list(self.environments)
        at = order.index(self.environment(name).name)
        return self.environments[order[at - 1]] if at else None

    def after(self, name: str) -> Environment | None:
        """The next environment in the promotion order; None for the last."""
        order = list(self.environments)
        at = order.index(self.environment(name).name)
        return self.environments[order[at + 1]] if at + 1 < len(order) else None
