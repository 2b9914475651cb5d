"""A connection whose secrets are resolved when they are asked for, and never shown."""

from __future__ import annotations

import os

from lanewise.errors import BadReference, NotFound, SecretUnavailable

TYPE_CHECKING = False  # as type checkers know it; importing `typing` would cost 6 ms
if TYPE_CHECKING:
    from typing import Any

_LIMIT = 64 * 1024

resolved: set[str] = set()
"""The values this process has resolved, for ``lane.log`` to strike out."""


class Connection:
    """``connection.type``, its plain fields and its secrets, each by attribute or item. A secret is resolved on
    each access and kept nowhere; printing the connection shows references only."""

    __slots__ = ("_compiled", "_document", "name")

    def __init__(self, name: str, compiled: dict[str, Any]) -> None:
        self.name = name
        self._document = compiled["connections"][name]
        self._compiled = compiled

    @property
    def type(self) -> str:
        """The kind of thing that is connected to: ``postgres``, ``duckdb`` …"""
        return str(self._document["type"])

    @property
    def fields(self) -> dict[str, Any]:
        """The plain fields (a copy), without the secrets."""
        return dict(self._document["fields"])

    def __getitem__(self, name: str) -> Any:
        fields, secrets = self._document["fields"], self._document["secrets"]
        if name in secrets:
            return resolve(secrets[name]["text"], self._compiled)
        if name not in fields:
            raise NotFound(f"field of connection {self.name}", name, known=[*fields, *secrets])
        return fields[name]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # copy, pickle and the like ask for these and expect an AttributeError
            raise AttributeError(name)
        return self[name]

    def previous(self, name: str) -> str:
        """The older version of a secret, which may still be the valid one while a rotation is under way."""
        secrets = self._document["secrets"]
        if name not in secrets:
            raise NotFound(f"secret of connection {self.name}", name, known=secrets)
        older = secrets[name].get("previous")
        if not older:
            raise NotFound("previous version", name, hint=f"connection {self.name} declares none for this secret")
        return resolve(older, self._compiled, previous_of=secrets[name]["text"])

    def __repr__(self) -> str:
        shown = {**self._document["fields"], **{k: v["text"] for k, v in self._document["secrets"].items()}}
        return f"<Connection {self.name} ({self.type}) {shown}>"


def resolve(reference: str, compiled: dict[str, Any], *, previous_of: str = "") -> str:
    """The value of a reference, now. ``env:`` and ``file:`` here, every other scheme by a helper process, so that
    no client library is imported into the pipeline. ``SecretUnavailable`` names the reference, never the value.

    ``compiled`` is the compiled file that names the reference; ``previous_of`` the one whose older version this is.
    """
    scheme, colon, rest = reference.partition(":")
    if not (scheme and colon and rest):
        # The text is not shown: it may well be a value that somebody wrote where a reference belongs.
        raise BadReference("a secret reference is written STORE:NAME", hint="see the connection in environments.yaml")
    if scheme == "env":
        value = os.environ.get(rest, "")
        if not value:
            raise SecretUnavailable(f"{reference} is not set", hint=f"set {rest} for this process")
    elif scheme == "file":
        value = _from_file(reference, os.path.join(compiled.get("root") or "", os.path.expanduser(rest)))  # noqa: PTH111, PTH118
    else:
        value = _from_helper(previous_of or reference, compiled["path"], previous=bool(previous_of))
    resolved.add(value)
    return value


def _from_file(reference: str, path: str) -> str:
    try:
        if not os.path.isfile(path):  # noqa: PTH113 - a named pipe would block for ever
            raise SecretUnavailable(f"{reference} is no file", hint=f"create {path}")
        with open(path, "rb") as file:  # noqa: PTH123 - pathlib costs 4 ms
            value = file.read(_LIMIT + 1).decode()
    except OSError as error:
        raise SecretUnavailable(f"{reference} can't be read: {error.strerror}", hint=f"look at {path}") from None
    except UnicodeDecodeError:  # its message shows a byte of the value
        raise SecretUnavailable(f"{reference} is no UTF-8 text", hint="encode it, e.g. as base64") from None
    value = value.removesuffix("\n").removesuffix("\r") if value.endswith("\n") else value
    if not value or len(value) > _LIMIT:
        raise SecretUnavailable(f"{reference} is {'too large' if value else 'empty'}", hint=f"look at {path}")
    return value


def _from_helper(reference: str, path: str, *, previous: bool) -> str:
    import json  # noqa: PLC0415 - a helper process costs far more
    import subprocess  # noqa: PLC0415 - as above
    import sys  # noqa: PLC0415 - as above

    asked = json.dumps({"reference": reference, "previous": previous, "compiled": path})
    done = subprocess.run(  # our own module; the reference travels on its standard input
        [sys.executable, "-m", "lanewise.cli.credential"],
        input=asked.encode(), capture_output=True, check=False,
    )  # fmt: skip
    if done.returncode != 0 or not done.stdout:
        why = done.stderr.decode(errors="replace").strip().splitlines()
        raise SecretUnavailable(f"{reference} did not resolve" + (f": {why[0]}" if why else ""),
                                hint="`lane doctor ENV` tries every reference")  # fmt: skip
    return done.stdout.decode()  # as bytes until here: a value may hold \r\n, which text mode would change
