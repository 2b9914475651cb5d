"""``vault:MOUNT/PATH#FIELD``: a key-value secret of HashiCorp Vault or OpenBao, through the ``vault`` extra."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from lanewise.adapters.secrets.vault_client import VaultClient, as_object
from lanewise.domain.environment import SecretRef
from lanewise.errors import BadReference, SecretUnavailable

_FORM = "write vault:MOUNT/PATH#FIELD, e.g. vault:secret/data/prod/postgres#password"


@dataclass(frozen=True)
class _Address:
    """A parsed reference. ``version``: 0 the newest, -1 the one before it, N that very one."""

    text: str
    path: str
    field: str
    version: int = 0


@dataclass(frozen=True)
class _Secret:
    """What a read gave; ``created`` only from a versioned engine."""

    fields: Mapping[str, Any]
    created: datetime | None = None


class VaultStore:
    """Reads both versions of the key-value engine, and asks the mount which one it is.

    ``vault:secret/data/prod/postgres#password`` (the path as the HTTP API has it) and
    ``vault:secret/prod/postgres#password`` (as the command line has it) name the same secret of a versioned engine.
    ``?version=3`` before the ``#`` asks for one version, ``?version=-1`` for the one before the newest: a
    ``previous:`` that needs no edit at the next rotation. Server and login: see ``VaultClient``.
    """

    def __init__(self, root: Path) -> None:
        del root  # every store is opened with it; this one has no use for it
        self._client = VaultClient()

    def resolve(self, reference: SecretRef, *, previous: bool = False) -> str:
        """The field's value; numbers and objects as JSON. ``SecretUnavailable`` names what is missing or refused."""
        address = _parse(reference.wanted(previous=previous))
        fields = self._read(address).fields
        if address.field not in fields:
            there = ", ".join(sorted(fields)) or "none"
            raise SecretUnavailable(f"{address.text}: no field {address.field!r}", hint=f"its fields are: {there}")
        value = fields[address.field]
        text = value if isinstance(value, str) else json.dumps(value)
        if not text or value is None:
            raise SecretUnavailable(
                f"{address.text}: the field is empty", hint="write the value, or name another field"
            )
        return text

    def age(self, reference: SecretRef) -> timedelta | None:
        """Time since the version that is read was written; None from an engine without versions."""
        created = self._read(_parse(reference.text)).created
        return None if created is None else max(timedelta(0), datetime.now(UTC) - created)

    def concerns(self, reference: SecretRef) -> tuple[str, ...]:
        """A server that is spoken to without proof of who it is."""
        _parse(reference.text)
        return self._client.concerns()

    def _read(self, address: _Address) -> _Secret:
        if address.version != -1:
            return self._read_version(address, address.version)
        newest = self._newest(address)
        if newest < 2:
            raise SecretUnavailable(f"{address.text}: there is no earlier version", hint="name another previous value")
        return self._read_version(address, newest - 1)

    def _newest(self, address: _Address) -> int:
        for path, versioned in self._candidates(address):
            if versioned:
                newest = as_object(self._client.get(address.text, path).data.get("metadata")).get("version")
                if isinstance(newest, int):  # told also when the newest is deleted
                    return newest
        self._read_version(address, 0)  # raises what stands in the way, if anything does
        raise SecretUnavailable(f"{address.text}: this engine keeps no versions", hint="leave ?version= out")

    def _read_version(self, address: _Address, version: int) -> _Secret:
        """The first candidate that answers. A path that policy hides may be the wrong guess, so the others are
        tried, and the refusal counts only when none of them has the secret."""
        refused = gone = False
        for path, versioned in self._candidates(address):
            if version and not versioned:
                continue
            answer = self._client.get(address.text, f"{path}?version={version}" if version else path)
            metadata, fields = as_object(answer.data.get("metadata")), answer.data.get("data")
            if answer.status == 200 and versioned and isinstance(fields, Mapping):
                return _Secret(fields, _moment(metadata.get("created_time")))
            if answer.status == 200 and not versioned and answer.data:
                return _Secret(answer.data)
            refused = refused or answer.status == 403
            gone = gone or (versioned and bool(metadata))
        if gone:
            raise SecretUnavailable(
                f"{address.text}: that version was deleted", hint="undelete it, or write a new version"
            )
        if refused:
            raise SecretUnavailable(
                f"{address.text}: permission denied",
                hint="the token is wrong or has expired, or its policy lacks `read` on this path",
            )
        raise SecretUnavailable(f"{address.text}: nothing is stored there", hint="check mount and path; " + _FORM)

    def _candidates(self, address: _Address) -> list[tuple[str, bool]]:
        """The API paths that the reference may mean, each with whether a versioned engine answers there."""
        mounted = self._client.mount(address.text, quote(address.path))
        mount, _, rest = address.path.partition("/")
        if mounted is not None:
            mount, version = mounted
            rest = address.path.removeprefix(mount).strip("/")
            if not rest:
                raise BadReference(f"a vault: reference names a secret below its mount {mount}", hint=_FORM)
            return [_versioned(mount, rest) if version == 2 else (quote(f"{mount}/{rest}"), False)]
        return [_versioned(mount, rest), (quote(address.path), False)]


def _versioned(mount: str, rest: str) -> tuple[str, bool]:
    return quote(f"{mount}/data/{rest.removeprefix('data/')}"), True


def _parse(text: str) -> _Address:
    body, _, field = text.removeprefix("vault:").rpartition("#")
    path, asked, version = body.partition("?version=")
    parts = path.split("/")
    if not (text.startswith("vault:") and field and len(parts) > 1) or any(part in {"", ".", ".."} for part in parts):
        raise BadReference("a vault: reference names a mount, a path and a field", hint=_FORM)
    if not asked:
        return _Address(text, path, field)
    if version != "-1" and not (version.isascii() and version.isdigit() and int(version) > 0):
        raise BadReference("?version= takes a number from 1, or -1 for the one before the newest", hint=_FORM)
    return _Address(text, path, field, int(version))


def _moment(text: object) -> datetime | None:
    """A time as the server writes it, with nine digits after the second; None for anything else."""
    try:
        return datetime.fromisoformat(str(text))
    except ValueError:
        return None
