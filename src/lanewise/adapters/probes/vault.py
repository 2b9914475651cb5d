"""The probe of types ``vault`` and ``openbao``: each environment's login to the secret store, on the secret paths of
the others.

A connection of such a type says how an environment's workers log in: ``address`` (else ``VAULT_ADDR``), ``namespace``,
and ``role_id`` with a reference ``secret_id`` (AppRole), or a reference ``token``. The paths are those that the other
environment's ``vault:`` references name. Of what a server answers, its status is kept and nothing else.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from lanewise.adapters.probes.wire import Unanswered, Wire
from lanewise.domain.environment import Connection, Environment
from lanewise.domain.isolation import Attempt, Holder, Identity, Outcome, Target
from lanewise.domain.ports import Secrets
from lanewise.domain.project import Project

_TYPES = {"vault", "openbao"}
_NO_VERSION = 2_147_483_647
"""No secret has so many versions: a write on this condition can't succeed."""


def open_probe(*, secrets: Secrets, project: Project, lanes: Mapping[str, Environment], root: Path) -> VaultProbe:
    """See ``ProbeOpener``."""
    del project, lanes, root  # a path says all
    return VaultProbe(secrets, Wire(_variable("CACERT") or _variable("CAPATH")))


@dataclass(frozen=True)
class VaultProbe:
    """Satisfies ``domain.isolation.Probe``."""

    secrets: Secrets
    wire: Wire

    def holders(self, lane: Environment, connection: Connection) -> tuple[Holder, ...]:
        """The one login of the connection."""
        name = _shown(connection, "role_id") or _shown(connection, "token")
        return (Holder(Identity(lane.name, connection.name, "login", name), lane, connection),)

    def prove(self, holder: Holder) -> str:
        """Logs in, and reads one of its own secrets where it has any: a token without policies is refused
        everywhere."""
        try:
            with self._logged_in(holder.connection) as token:
                asked = [self._read(holder.connection, token, path) for path in sorted(_paths(holder.lane))]
        except Unanswered as error:
            return str(error)
        return "" if not asked or 200 in asked else f"it reads none of its own secrets (status {asked[0]})"

    def attempts(self, holder: Holder, other: Environment) -> Iterator[Attempt]:
        """Read each path, and write to it on a condition that can't hold. A path that both environments name is no
        secret between them."""
        paths = sorted(_paths(other) - _paths(holder.lane))
        places = [c for c in other.connections.values() if c.type in _TYPES]
        for place in places:
            try:
                with self._logged_in(_at(place, holder.connection)) as token:
                    for path in paths:
                        yield from self._on_path(holder, (other, place), token, path)
            except Unanswered as error:
                outcome = Outcome.DENIED if error.args[1:] == ("refused",) else Outcome.UNREACHABLE
                target = Target(other.name, "connection", place.name)
                yield Attempt(holder.identity, target, "log in", "POST auth/approle/login", outcome, str(error))

    def overreach(self, holder: Holder) -> tuple[Attempt, ...]:
        """Nothing is forbidden at home."""
        del holder
        return ()

    def _on_path(
        self, holder: Holder, owner: tuple[Environment, Connection], token: str, path: str
    ) -> Iterator[Attempt]:
        other, place = owner
        for candidate in _candidates(path):
            target = Target(other.name, "secret", candidate)
            status = self._send("GET", _at(place, holder.connection), token, candidate)
            yield _told(holder, target, "read", f"GET {candidate}", status)
        if not self._versioned(place, path):
            return  # without versions there is no condition, and a write would be one
        candidate = _candidates(path)[0]
        body = {"options": {"cas": _NO_VERSION}, "data": {}}
        status = self._send("POST", _at(place, holder.connection), token, candidate, body)
        statement = f"POST {candidate} on condition of version {_NO_VERSION}"
        # 400: the condition was looked at, and so the right is there.
        yield _told(holder, Target(other.name, "secret", candidate), "write", statement, status, proof={400})

    def _versioned(self, place: Connection, path: str) -> bool:
        """Asked with the owner's own login: whether the path lies in an engine that keeps versions."""
        with suppress(Unanswered), self._logged_in(place) as token:
            url, headers = _address(place), _headers(place, token)
            _, found = self.wire.answer("GET", f"{url}/v1/sys/internal/ui/mounts/{quote(path)}", headers)
            data = found.get("data") if isinstance(found, dict) else None
            options = data.get("options") if isinstance(data, dict) else None
            return isinstance(options, dict) and options.get("version") == "2"
        return False

    def _read(self, place: Connection, token: str, path: str) -> int:
        statuses = [self._send("GET", place, token, candidate) for candidate in _candidates(path)]
        return 200 if 200 in statuses else statuses[0]

    def _send(self, method: str, place: Connection, token: str, path: str, body: Any = None) -> int:
        return self.wire.status(method, f"{_address(place)}/v1/{quote(path)}", _headers(place, token), body)

    @contextmanager
    def _logged_in(self, connection: Connection) -> Iterator[str]:
        """A token, given back at the end where it was made for this."""
        given = connection.secrets.get("token")
        if given is not None:
            yield self.secrets.resolve(given)
            return
        token = self._log_in(connection)
        try:
            yield token
        finally:
            with suppress(Unanswered):
                self._send("POST", connection, token, "auth/token/revoke-self")

    def _log_in(self, connection: Connection) -> str:
        values = {name: self._value(connection, name) for name in ("role_id", "secret_id")}
        if not all(values.values()):
            raise Unanswered("the connection names neither a token nor role_id and secret_id")
        url, headers = _address(connection), _headers(connection, "")
        status, found = self.wire.answer("POST", f"{url}/v1/auth/approle/login", headers, values)
        granted = found.get("auth") if status == 200 and isinstance(found, dict) else None
        token = granted.get("client_token") if isinstance(granted, dict) else None
        if not token:
            refused = status in {400, 403}
            raise Unanswered(f"the login by role answered {status}", *(["refused"] if refused else []))
        return str(token)

    def _value(self, connection: Connection, name: str) -> str:
        reference = connection.secrets.get(name)
        return self.secrets.resolve(reference) if reference else str(connection.fields.get(name) or "")


def _told(
    holder: Holder, target: Target, action: str, statement: str, status: int, *, proof: set[int] | None = None
) -> Attempt:  # fmt: skip
    """404: it may look, and nothing is there."""
    outcome = Outcome.UNREACHABLE
    if status == 403:
        outcome = Outcome.DENIED
    elif status in {200, 204, 404, *(proof or ())}:
        outcome = Outcome.ALLOWED
    return Attempt(holder.identity, target, action, statement, outcome, f"status {status}")


def _paths(lane: Environment) -> set[str]:
    """Paths of the secrets that an environment's connections refer to, as ``MOUNT/PATH``."""
    references = [ref for connection in lane.connections.values() for ref in connection.secrets.values()]
    texts = [text for ref in references for text in (ref.text, ref.previous) if text and text.startswith("vault:")]
    found = {text.removeprefix("vault:").rpartition("#")[0].partition("?")[0] for text in texts}
    return {path for path in found if "/" in path}


def _candidates(path: str) -> tuple[str, str]:
    """The API paths that a reference may mean: of an engine with versions, and of one without."""
    mount, _, rest = path.partition("/")
    return f"{mount}/data/{rest.removeprefix('data/')}", f"{mount}/{rest.removeprefix('data/')}"


def _at(place: Connection, login: Connection) -> Connection:
    """The other environment's server, with this login."""
    fields = {**login.fields, **{k: place.fields[k] for k in ("address", "namespace") if k in place.fields}}
    return Connection(place.name, place.type, fields, login.secrets)


def _address(connection: Connection) -> str:
    return str(connection.fields.get("address") or _variable("ADDR")).rstrip("/")


def _headers(connection: Connection, token: str) -> dict[str, str]:
    namespace = str(connection.fields.get("namespace") or _variable("NAMESPACE"))
    found = {"X-Vault-Request": "true", "X-Vault-Token": token, "X-Vault-Namespace": namespace}
    return {name: value for name, value in found.items() if value}


def _shown(connection: Connection, name: str) -> str:
    reference = connection.secrets.get(name)
    return reference.text if reference else str(connection.fields.get(name) or "")


def _variable(name: str) -> str:
    return os.environ.get(f"BAO_{name}") or os.environ.get(f"VAULT_{name}") or ""
