"""The ledger's key and its checkpoints, as files outside the ledger. A checkpoint is written whole and never again."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from lanewise.errors import LedgerTampered, LedgerUnavailable
from lanewise.ledger.checkpoints import Checkpoint, from_text, key_id, to_text
from lanewise.service.context import Context

_RESTORE = "restore it from a backup; if this ledger was begun anew, move the old checkpoints away first"


class CheckpointFolder:
    """The folder that the config names (``checkpoints``), and the key in ``.lanewise/keys``."""

    def __init__(self, ctx: Context) -> None:
        self.path = ctx.root / ctx.config.checkpoints
        self._key_path = ctx.home / "keys" / "ledger.ed25519"

    def file(self, seq: int) -> Path:
        """Where the checkpoint of event ``seq`` lies."""
        return self.path / f"{seq:012d}.json"

    def all(self) -> tuple[Checkpoint, ...]:
        """Every checkpoint, oldest first. ``LedgerTampered`` for a file that is none."""
        with _disk(self.path):
            return tuple(_parse(file, file.read_bytes()) for file in sorted(self.path.glob("*.json")))

    def add(self, checkpoint: Checkpoint) -> bool:
        """Write it; False when another process has just written the same. ``LedgerTampered`` when a different
        one is there for that event."""
        file = self.file(checkpoint.statement.seq)
        with _disk(file):
            if _write_once(file, to_text(checkpoint).encode(), mode=0o644):
                return True
            there = _parse(file, file.read_bytes())
        if there.statement.hash != checkpoint.statement.hash:
            raise LedgerTampered(f"{file} signs another event {checkpoint.statement.seq} than the ledger holds")
        return False

    def signing_key(self, *, make: bool) -> Ed25519PrivateKey:
        """The private key, made on first use where ``make`` allows it, readable by its owner alone.

        Its public half is laid beside the checkpoints, so that they can be checked without it.
        """
        with _disk(self._key_path):
            if make and not self._key_path.exists():
                pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
                _write_once(self._key_path, pem, mode=0o600)
            key = self._private()
            if key is None:
                raise LedgerTampered(
                    f"the key {self._key_path} that signed the checkpoints is gone",
                    hint=f"on another machine than signed before, copy it there; else {_RESTORE}",
                )
            pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
            _write_once(self.path / f"{key_id(key.public_key())}.pub", pem, mode=0o644)
        return key

    def public_key(self, named: str) -> Ed25519PublicKey:
        """The key to check checkpoints with: the public half of ours, or where that is not at hand the one called
        ``named`` beside the checkpoints."""
        with _disk(self._key_path):
            ours = self._private()
            if ours:
                return ours.public_key()
            file = self.path / f"{Path(named).name}.pub"
            if not file.exists():
                raise LedgerTampered(f"neither {self._key_path} nor {file} is there to check with", hint=_RESTORE)
            try:
                key = load_pem_public_key(file.read_bytes())
            except (ValueError, UnsupportedAlgorithm):
                key = None
        if not isinstance(key, Ed25519PublicKey):
            raise LedgerTampered(f"{file} is not an Ed25519 key", hint=_RESTORE)
        return key

    def keys(self) -> frozenset[str]:
        """The ids of the keys that have signed here: our own, and those beside the checkpoints."""
        with _disk(self.path):
            ours = self._private()
            return frozenset(
                [file.stem for file in self.path.glob("*.pub")] + ([key_id(ours.public_key())] if ours else [])
            )

    def _private(self) -> Ed25519PrivateKey | None:
        if not self._key_path.exists():
            return None
        try:
            key = load_pem_private_key(self._key_path.read_bytes(), password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            key = None
        if not isinstance(key, Ed25519PrivateKey):
            raise LedgerTampered(f"{self._key_path} is not an Ed25519 key", hint=_RESTORE)
        return key


def _parse(file: Path, content: bytes) -> Checkpoint:
    try:
        checkpoint = from_text(content.decode())
    except ValueError as error:
        raise LedgerTampered(f"{file} is not a checkpoint", hint=_RESTORE) from error
    if file.stem != f"{checkpoint.statement.seq:012d}":
        raise LedgerTampered(f"{file} is the checkpoint of event {checkpoint.statement.seq}", hint="it was renamed")
    return checkpoint


def _write_once(file: Path, content: bytes, *, mode: int) -> bool:
    """Write a new file whole and durably; False, and nothing written, when it is there already."""
    if file.exists():
        return False
    file.parent.mkdir(parents=True, exist_ok=True)
    aside = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    try:
        with open(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as stream:  # noqa: PTH123 - Path.open can't set the mode from the first moment on
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.link(aside, file)  # unlike a rename, never replaces
    except FileExistsError:
        return False
    finally:
        aside.unlink(missing_ok=True)
    _sync(file.parent)
    return True


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _disk(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        where = error.filename or path
        raise LedgerUnavailable(
            f"the ledger's checkpoints: {where}: {error.strerror}", hint="look at the disk's space and permissions"
        ) from error
