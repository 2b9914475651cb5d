"""A password's rotation from beginning to end, on a server that really refuses a wrong one."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from pathlib import Path
from urllib.error import HTTPError

import pytest

from lanewise.adapters.secrets.resolver import SecretResolver
from lanewise.adapters.secrets.vault import VaultStore
from lanewise.domain.environment import Connection, SecretRef
from lanewise.domain.rotation import with_rotation
from lanewise.errors import LoginRefused
from lanewise.testing.openbao import OpenBao


class Database:
    """Stands for any server with accounts: the user and password logins of the real OpenBao."""

    def __init__(self, bao: OpenBao, user: str) -> None:
        self._bao, self._user = bao, user

    def set_password(self, password: str) -> None:
        self._bao.call("POST", f"auth/userpass/users/{self._user}", {"password": password})

    def __call__(self, connection: Connection, values: Mapping[str, str]) -> None:
        self.log_in(values["password"])

    def log_in(self, password: str) -> str:
        try:
            answer = self._bao.call("POST", f"auth/userpass/login/{self._user}", {"password": password}, token="")
        except HTTPError:
            raise LoginRefused(f"{self._user} was refused", hint="set the password on the server") from None
        return str(answer["auth"]["metadata"]["username"])


@pytest.fixture
def database(as_root: OpenBao) -> Database:
    if "userpass/" not in as_root.call("GET", "sys/auth")["data"]:
        as_root.call("POST", "sys/auth/userpass", {"type": "userpass"})
    return Database(as_root, f"svc-{uuid.uuid4().hex[:8]}")


def test_runs_log_in_at_every_moment_of_a_rotation(database: Database, as_root: OpenBao, tmp_path: Path):
    folder = uuid.uuid4().hex
    reference = SecretRef(
        f"vault:secret/data/{folder}/pg#password", previous=f"vault:secret/data/{folder}/pg?version=-1#password"
    )
    secrets = SecretResolver({"vault": lambda: VaultStore(tmp_path)})

    as_root.write(f"{folder}/pg", password="first")
    database.set_password("first")
    assert with_rotation(secrets, reference, database.log_in).startswith("svc-")

    as_root.write(f"{folder}/pg", password="second")  # stored, not yet set on the server: only the previous works
    with pytest.raises(LoginRefused):
        database.log_in("second")
    assert with_rotation(secrets, reference, database.log_in).startswith("svc-")

    database.set_password("second")  # the new one is proven
    with pytest.raises(LoginRefused):
        database.log_in("first")
    assert with_rotation(secrets, reference, database.log_in).startswith("svc-")

    database.set_password("third")  # set by hand, stored nowhere
    with pytest.raises(LoginRefused):
        with_rotation(secrets, reference, database.log_in)


def test_a_password_rotated_between_resolving_and_logging_in_is_picked_up(
    database: Database, as_root: OpenBao, tmp_path: Path
):
    folder = uuid.uuid4().hex
    as_root.write(f"{folder}/pg", password="first")
    database.set_password("first")
    rotations: list[str] = []

    def slow_to_log_in(password: str) -> str:
        if not rotations:
            rotations.append("second")
            as_root.write(f"{folder}/pg", password="second")
            database.set_password("second")
        return database.log_in(password)

    secrets = SecretResolver({"vault": lambda: VaultStore(tmp_path)})
    reference = SecretRef(f"vault:secret/{folder}/pg#password")
    assert with_rotation(secrets, reference, slow_to_log_in).startswith("svc-")
