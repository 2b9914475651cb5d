"""Logins at real servers: what they met is told, and what was refused says who and never with what."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace

import pytest

from lanewise.adapters.logins.postgres import login
from lanewise.adapters.warehouses.postgres.server import Server as Door
from lanewise.bootstrap import find_login
from lanewise.domain.environment import Connection, Role, SecretRef
from lanewise.errors import LoginRefused, SecretUnavailable, WarehouseUnavailable
from lanewise.testing.postgres import Server

PASSWORD = "right-and-proper"


@pytest.fixture
def user(server: Server) -> Iterator[str]:
    name = f"svc_{uuid.uuid4().hex[:8]}"
    with server.connect() as connection:
        connection.execute(f"create role {name} login password '{PASSWORD}'")
        yield name
        connection.execute(f"drop role {name}")


@pytest.fixture
def connection(server: Server, user: str) -> Connection:
    return server.connection(user=user)


class Vault:
    """Each reference has one value, which may change between two looks."""

    def __init__(self, **values: list[str]) -> None:
        self.values = values

    def resolve(self, reference: SecretRef, *, previous: bool = False) -> str:
        found = self.values.get(reference.wanted(previous=previous))
        if not found:
            raise SecretUnavailable(reference.text)
        return found.pop(0) if len(found) > 1 else found[0]


def test_it_says_whom_and_what_it_met(server: Server, connection: Connection, user: str) -> None:
    said = login(connection, {"password": PASSWORD})
    assert said.startswith(f"as {user} at PostgreSQL {server.version}.")
    assert said.endswith(", no TLS")


def test_a_wrong_password_is_refused_and_not_repeated(connection: Connection, user: str) -> None:
    with pytest.raises(LoginRefused, match=user) as caught:
        login(connection, {"password": "wrong-and-odd"})
    assert "wrong-and-odd" not in str(caught.value) + caught.value.hint
    assert "set this password" in caught.value.hint
    with pytest.raises(LoginRefused):
        login(connection, {})


def test_a_server_that_is_away_is_not_a_refusal(connection: Connection) -> None:
    with pytest.raises(WarehouseUnavailable):
        login(replace(connection, fields={**connection.fields, "port": 1}), {"password": PASSWORD})


def test_an_unknown_database_is_not_a_refusal_either(connection: Connection) -> None:
    with pytest.raises(WarehouseUnavailable, match="nowhere"):
        login(replace(connection, fields={**connection.fields, "database": "nowhere"}), {"password": PASSWORD})


def test_it_is_found_by_the_connections_type() -> None:
    assert find_login("postgres") is login


ROTATIONS = {
    "the new one": ({"new": [PASSWORD]}, True),
    "only the previous one": ({"new": ["x"], "old": [PASSWORD]}, True),
    "rotated between resolving and logging in": ({"new": ["x", PASSWORD]}, True),
    "neither": ({"new": ["x"], "old": ["y"]}, False),
}


@pytest.mark.parametrize("name", ROTATIONS)
def test_every_step_logs_in_throughout_a_rotation(connection: Connection, name: str) -> None:
    values, works = ROTATIONS[name]
    reference = SecretRef("new", previous="old" if "old" in values else None)
    door = Door(replace(connection, secrets={"password": reference}), Vault(**values))  # type: ignore[arg-type]
    if works:
        with door.session(Role.READER) as session:
            assert session.execute("select 1").fetchone() == (1,)
    else:
        with pytest.raises(LoginRefused), door.session(Role.READER):
            pass
