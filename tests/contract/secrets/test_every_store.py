"""The four built-in stores against the conformance suite."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import keyring
import keyring.backend
import keyring.errors
import pytest

from lanewise.adapters.secrets.env import EnvStore
from lanewise.adapters.secrets.file import FileStore
from lanewise.adapters.secrets.keyring import KeyringStore
from lanewise.adapters.secrets.vault import VaultStore
from lanewise.domain.environment import SecretRef
from lanewise.testing.openbao import OpenBao
from lanewise.testing.secret_store import CANARY, SecretStoreContract


class EnvShelf:
    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.store = EnvStore(root)
        self.missing = SecretRef("env:LANEWISE_TEST_NOT_SET")
        self.malformed = ("env:", f"env:{CANARY}", f"env:1{CANARY}", f"env:NAME={CANARY}", f"env:A {CANARY}")
        self._monkeypatch = monkeypatch

    def put(self, name: str, value: str) -> str:
        self._monkeypatch.setenv(f"LANEWISE_TEST_{name}", value)
        return f"env:LANEWISE_TEST_{name}"


class FileShelf:
    def __init__(self, root: Path) -> None:
        self.store = FileStore(root)
        self.missing = SecretRef("file:secrets/nothing")
        self.malformed = ("file:", "file:  ", f"file:a\0{CANARY}", f"file:~nobody-{CANARY}/x")
        self._folder = root / "secrets"
        self._folder.mkdir()

    def put(self, name: str, value: str) -> str:
        (self._folder / name).write_bytes(value.encode())
        return f"file:secrets/{name}"


class DictKeyring(keyring.backend.KeyringBackend):
    priority = 1  # type: ignore[assignment]  # keyring's own type is a class property

    def __init__(self) -> None:
        super().__init__()
        self.entries: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.entries.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.entries[service, username] = password


class KeyringShelf:
    def __init__(self, root: Path) -> None:
        self.store = KeyringStore(root)
        self.missing = SecretRef("keyring:https://db.example/prod/nobody")
        self.malformed = ("keyring:", f"keyring:{CANARY}", f"keyring:/{CANARY}", f"keyring:{CANARY}/")

    def put(self, name: str, value: str) -> str:
        keyring.set_password("https://db.example/prod", name, value)
        return f"keyring:https://db.example/prod/{name}"


class VaultShelf:
    def __init__(self, root: Path, bao: OpenBao) -> None:
        self.store = VaultStore(root)
        self.malformed = (
            "vault:", f"vault:{CANARY}", f"vault:{CANARY}#password", f"vault:secret/prod#{CANARY}#",
            f"vault:secret/../sys/{CANARY}#x", f"vault:secret//{CANARY}#x", f"vault:secret/{CANARY}?version=0#x",
            f"vault:secret/a?version={CANARY}#x",
        )  # fmt: skip
        self._bao, self._folder = bao, uuid.uuid4().hex
        self.missing = SecretRef(f"vault:secret/data/{self._folder}/nothing#password")

    def put(self, name: str, value: str) -> str:
        self._bao.write(f"{self._folder}/{name}", password=value)
        return f"vault:secret/data/{self._folder}/{name}#password"


class UnversionedVaultShelf(VaultShelf):
    def __init__(self, root: Path, bao: OpenBao) -> None:
        super().__init__(root, bao)
        bao.call("POST", f"sys/mounts/team/{self._folder}", {"type": "kv", "options": {"version": "1"}})
        self.missing = SecretRef(f"vault:team/{self._folder}/nothing#password")

    def put(self, name: str, value: str) -> str:
        self._bao.call("POST", f"team/{self._folder}/prod/{name}", {"password": value})
        return f"vault:team/{self._folder}/prod/{name}#password"


class TestEnvStore(SecretStoreContract):
    @pytest.fixture
    def shelf(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EnvShelf:
        return EnvShelf(tmp_path, monkeypatch)


class TestFileStore(SecretStoreContract):
    @pytest.fixture
    def shelf(self, tmp_path: Path) -> FileShelf:
        return FileShelf(tmp_path)


class TestKeyringStore(SecretStoreContract):
    @pytest.fixture
    def shelf(self, tmp_path: Path) -> Iterator[KeyringShelf]:
        before = keyring.get_keyring()
        keyring.set_keyring(DictKeyring())
        yield KeyringShelf(tmp_path)
        keyring.set_keyring(before)


class TestVaultStoreWithVersions(SecretStoreContract):
    @pytest.fixture
    def shelf(self, tmp_path: Path, as_root: OpenBao) -> VaultShelf:
        return VaultShelf(tmp_path, as_root)


class TestVaultStoreWithoutVersions(SecretStoreContract):
    @pytest.fixture
    def shelf(self, tmp_path: Path, as_root: OpenBao) -> UnversionedVaultShelf:
        return UnversionedVaultShelf(tmp_path, as_root)
