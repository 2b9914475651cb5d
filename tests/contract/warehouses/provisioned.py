"""An environment on a real server with three logins of their own, provisioned as `lane provision --apply` does it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import psycopg

from lanewise.adapters.provisioners.postgres.provisioner import PostgresProvisioner, open_provisioner
from lanewise.domain.environment import Connection, Environment, Role, SecretRef
from lanewise.domain.provision import Difference
from lanewise.testing.postgres import Server

LOGINS = {Role.RUNNER: "run", Role.PUBLISHER: "pub", Role.READER: "read"}


class Passwords:
    """Secrets of tests: ``env:NAME`` is ``NAME-secret``, unless ``values`` says otherwise."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}

    def resolve(self, reference: SecretRef, *, previous: bool = False) -> str:
        name = reference.wanted(previous=previous).partition(":")[2]
        return self.values.get(name, f"{name}-secret")

    def age(self, reference: SecretRef) -> timedelta | None:
        return None

    def concerns(self, reference: SecretRef) -> tuple[str, ...]:
        return ()

    def redact(self, text: str) -> str:
        return text


@dataclass(frozen=True)
class Lane:
    """``environment`` as config gives it; ``others`` are walled off from it."""

    server: Server
    environment: Environment
    secrets: Passwords
    others: tuple[Environment, ...] = ()
    inputs: tuple[str, ...] = ()

    @property
    def database(self) -> str:
        return str(self.environment.connection("dst").fields["database"])

    def login(self, role: Role) -> str:
        return str(self.environment.connection("dst").acting_as(role).fields["user"])

    def connect(self, role: Role | None = None, database: str = "") -> psycopg.Connection:
        """In autocommit, as that role; as the superuser without one."""
        if role is None:
            return self.server.connect(database or self.database)
        reference = self.environment.connection("dst").acting_as(role).secrets["password"]
        return self.server.connect(database or self.database, self.login(role), self.secrets.resolve(reference))

    @property
    def provisioner(self) -> PostgresProvisioner:
        return open_provisioner(lane=self.environment, others=self.others, inputs=self.inputs, secrets=self.secrets)

    def look(self) -> Difference:
        return self.provisioner.look()

    def apply(self) -> Difference:
        return self.provisioner.apply()


def lane_on(
    server: Server,
    name: str = "prod",
    *,
    database: str = "",
    mark: str = "",
    settings: dict[str, Any] | None = None,
    **fields: Any,
) -> Environment:
    """An environment whose ``dst`` and ``src`` are one database (a new one unless named), with logins of its own:
    ``run_NAME_…``. ``mark`` tells logins apart where two tests share a database; ``settings`` and ``fields`` are added
    to the environment and to its connection."""  # fmt: skip
    database = database or server.database()
    ending = mark or database.removeprefix("test_")
    roles = {role.value: f"{word}_{name}_{ending}" for role, word in LOGINS.items()}
    secrets = {f"{role}_password": SecretRef(f"env:{login}") for role, login in roles.items()}
    target = server.connection(database, **{**roles, **fields})
    target = Connection(f"warehouse_{name}", target.type, target.fields, secrets)
    named = {"src_conn": target.name, "dst_conn": target.name, "schema": f"analytics_{name}", **(settings or {})}
    return Environment(name, 0, named, {target.name: target})


def provisioned(
    server: Server, name: str = "prod", *, others: Sequence[Environment] = (), inputs: Sequence[str] = (),
    environment: Environment | None = None, **options: Any,
) -> Lane:  # fmt: skip
    """``lane_on`` with its rights written; ``options`` are its. The store's tables are left to the publisher."""
    found = environment or lane_on(server, name, **options)
    lane = Lane(server, found, Passwords(), tuple(others), tuple(inputs))
    lane.apply()
    return lane
