"""What is particular to the env, file and keyring stores; the conformance suite has the rest."""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from pathlib import Path

import keyring
import keyring.backend
import keyring.errors
import pytest

from lanewise.adapters.secrets.env import EnvStore
from lanewise.adapters.secrets.file import FileStore
from lanewise.adapters.secrets.keyring import KeyringStore
from lanewise.domain.environment import SecretRef
from lanewise.errors import SecretUnavailable

CANARY = "Tr0ub4dor&3-canary"


def refusal(store: EnvStore | FileStore | KeyringStore, text: str) -> SecretUnavailable:
    with pytest.raises(SecretUnavailable) as caught:
        store.resolve(SecretRef(text))
    assert caught.value.__cause__ is None
    assert CANARY not in caught.value.message + caught.value.hint
    return caught.value


def test_a_misspelled_variable_is_told_the_nearest_name(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("POSTGRES_PASSWORD", CANARY)
    assert "did you mean POSTGRES_PASSWORD?" in refusal(EnvStore(Path()), "env:POSTGRES_PASWORD").hint


def test_a_variable_of_raw_bytes_is_no_text(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(os.environb, b"RAW_BYTES", b"\xff\xfe")
    assert "UTF-8" in refusal(EnvStore(Path()), "env:RAW_BYTES").message


@pytest.mark.parametrize(
    ("content", "value"),
    [(b"v\n", "v"), (b"v\r\n", "v"), (b"v\n\n", "v\n"), (b"v\r", "v\r"), (b"v ", "v "), (b"\nv", "\nv")],
)
def test_one_trailing_newline_is_not_part_of_the_value(tmp_path: Path, content: bytes, value: str):
    (tmp_path / "pw").write_bytes(content)
    assert FileStore(tmp_path).resolve(SecretRef("file:pw")) == value


@pytest.mark.parametrize("content", [b"\n", b"\r\n"])
def test_a_file_of_a_newline_alone_is_empty(tmp_path: Path, content: bytes):
    (tmp_path / "pw").write_bytes(content)
    assert "empty" in refusal(FileStore(tmp_path), "file:pw").message


def test_a_tilde_is_the_home_of_who_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "pw").write_text("at home")
    assert FileStore(tmp_path).resolve(SecretRef("file:~/pw")) == "at home"


def test_an_absolute_path_and_a_symbolic_link_are_followed(tmp_path: Path):
    (tmp_path / "..data").mkdir()
    (tmp_path / "..data" / "pw").write_text("mounted")
    (tmp_path / "pw").symlink_to("..data/pw")
    assert FileStore(tmp_path / "elsewhere").resolve(SecretRef(f"file:{tmp_path}/pw")) == "mounted"


def test_a_file_of_64_kb_is_read_and_one_byte_more_is_not(tmp_path: Path):
    (tmp_path / "pw").write_text("x" * 65_536)
    assert len(FileStore(tmp_path).resolve(SecretRef("file:pw"))) == 65_536
    (tmp_path / "pw").write_text(CANARY + "x" * 65_536)
    assert "64 KB" in refusal(FileStore(tmp_path), "file:pw").message


def test_a_pipe_a_folder_and_a_device_are_no_secrets_and_never_block(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    assert "no regular file" in refusal(FileStore(tmp_path), "file:pipe").message
    assert refusal(FileStore(tmp_path), f"file:{tmp_path}").hint
    assert "no regular file" in refusal(FileStore(tmp_path), "file:/dev/zero").message


def test_bytes_that_are_no_text_are_not_shown(tmp_path: Path):
    (tmp_path / "pw").write_bytes(CANARY.encode() + b"\xff")
    assert "UTF-8" in refusal(FileStore(tmp_path), "file:pw").message


@pytest.mark.parametrize(("mode", "word"), [(0o600, None), (0o640, None), (0o644, "read"), (0o666, "write")])
def test_a_file_that_every_account_may_read_is_a_concern(tmp_path: Path, mode: int, word: str | None):
    (tmp_path / "pw").write_text(CANARY)
    (tmp_path / "pw").chmod(mode)
    concerns = FileStore(tmp_path).concerns(SecretRef("file:pw"))
    assert len(concerns) == (0 if word is None else 1)
    assert all(f"may {word}" in concern and "chmod" in concern for concern in concerns)


def test_a_files_age_is_that_of_its_content(tmp_path: Path):
    (tmp_path / "pw").write_text("x")
    written = (tmp_path / "pw").stat().st_mtime - 90 * 86_400
    os.utime(tmp_path / "pw", (written, written))
    age = FileStore(tmp_path).age(SecretRef("file:pw"))
    assert age is not None
    assert timedelta(days=90) <= age < timedelta(days=91)


def test_a_file_from_the_future_has_no_negative_age(tmp_path: Path):
    (tmp_path / "pw").write_text("x")
    ahead = (tmp_path / "pw").stat().st_mtime + 3_600
    os.utime(tmp_path / "pw", (ahead, ahead))
    assert FileStore(tmp_path).age(SecretRef("file:pw")) == timedelta(0)


class Troubled(keyring.backend.KeyringBackend):
    priority = 1  # type: ignore[assignment]  # keyring's own type is a class property

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error

    def get_password(self, service: str, username: str) -> str | None:
        raise self._error

    def set_password(self, service: str, username: str, password: str) -> None:
        raise self._error


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (keyring.errors.NoKeyringError(CANARY), "no keyring"),
        (keyring.errors.KeyringLocked(CANARY), "locked"),
        (keyring.errors.KeyringError(CANARY), "failed"),
        (OSError(CANARY), "failed"),
    ],
)
def test_a_keyring_in_trouble_says_which_and_quotes_nothing(error: Exception, word: str):
    before = keyring.get_keyring()
    keyring.set_keyring(Troubled(error))
    try:
        assert word in refusal(KeyringStore(Path()), "keyring:db/svc").message
    finally:
        keyring.set_keyring(before)


def test_without_the_extra_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "keyring", None)
    assert "pip install 'lanewise[keyring]'" in refusal(KeyringStore(Path()), "keyring:db/svc").hint
