"""The wire to a Vault or OpenBao server: address, TLS, login, retries. What it answers is never quoted."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from lanewise.errors import SecretUnavailable

_TIMEOUT = 5.0  # seconds, to connect and again to read


@dataclass(frozen=True)
class Answer:
    """An HTTP status of 200, 403 or 404, and the JSON object that came with it (empty where none did)."""

    status: int
    body: Mapping[str, Any]

    @property
    def data(self) -> Mapping[str, Any]:
        """The ``data`` object of the body; empty where there is none."""
        return as_object(self.body.get("data"))


def as_object(value: object) -> Mapping[str, Any]:
    """``value`` when it is a JSON object, else an empty one: what answers may not be Vault."""
    return value if isinstance(value, Mapping) else {}


class VaultClient:
    """One server, as the usual variables name it; each may start with ``BAO_`` or ``VAULT_``.

    ``_ADDR``; ``_TOKEN``, else ``_ROLE_ID`` with ``_SECRET_ID`` (AppRole), else the file ``~/.vault-token``;
    ``_NAMESPACE``; ``_CACERT``, ``_CAPATH``, ``_CLIENT_CERT``, ``_CLIENT_KEY``, ``_SKIP_VERIFY``.
    Logs in when it is first used, and again when a role's token is about to run out. Answers of 500 and more are
    asked for again twice, within a second.
    """

    def __init__(self) -> None:
        self._connected: Any = None
        self._login_ends = float("inf")  # on the monotonic clock
        self._mounts: dict[str, tuple[str, int] | None] = {}

    def get(self, reference: str, path: str) -> Answer:
        """GET ``/v1/PATH``. Raises ``SecretUnavailable`` for every answer but 200, 403 and 404."""
        client = self._connect(reference)
        return _answer(reference, lambda: client.adapter.get(f"/v1/{path}", raise_exception=False))

    def mount(self, reference: str, path: str) -> tuple[str, int] | None:
        """The mount that holds ``path``, and its engine's version (1 or 2). None where policy hides it."""
        if path not in self._mounts:
            answer = self.get(reference, f"sys/internal/ui/mounts/{path}")
            mount = str(answer.data.get("path", "")).strip("/")
            versioned = as_object(answer.data.get("options")).get("version") == "2"
            self._mounts[path] = (mount, 2 if versioned else 1) if mount else None
        return self._mounts[path]

    def concerns(self) -> tuple[str, ...]:
        """Settings that let somebody in between read or change the values."""
        address = urlsplit(_variable("ADDR"))
        if _verify() is False:
            return ("the server's certificate is not checked: unset VAULT_SKIP_VERIFY and set VAULT_CACERT",)
        if address.scheme == "http" and address.hostname not in {"localhost", "127.0.0.1", "::1"}:
            return ("values cross the network in the clear: give VAULT_ADDR as https://…",)
        return ()

    def _connect(self, reference: str) -> Any:
        if self._connected is None or time.monotonic() >= self._login_ends:
            client = _client(reference)
            if not client.token:
                self._login_ends = _log_in(reference, client)
            self._connected = client
        return self._connected


def _client(reference: str) -> Any:
    try:
        import hvac  # noqa: PLC0415 - an extra, and slow to load
        from hvac.adapters import RawAdapter  # noqa: PLC0415 - as above
        from requests import Session  # noqa: PLC0415 - comes with hvac
        from requests.adapters import HTTPAdapter  # noqa: PLC0415 - as above
        from urllib3.util import Retry  # noqa: PLC0415 - as above
    except ImportError:
        raise SecretUnavailable(
            f"{reference}: the vault extra is not installed", hint="pip install 'lanewise[vault]'"
        ) from None
    address = _variable("ADDR")
    if not address:
        raise SecretUnavailable(f"{reference}: no server is named", hint="export VAULT_ADDR=https://HOST:8200")
    session = Session()
    # Told twice: hvac prefers the session's when that is true, and turns its own None into True.
    session.verify = verify = _verify()
    certificate = _variable("CLIENT_CERT")
    session.cert = (certificate, _variable("CLIENT_KEY")) if certificate else None
    retry = Retry(
        total=2, connect=0, read=False, other=0, status=2, status_forcelist=range(500, 600), allowed_methods=None,
        backoff_factor=0.2, raise_on_status=False, respect_retry_after_header=False,
    )  # fmt: skip
    for prefix in ("https://", "http://"):
        session.mount(prefix, HTTPAdapter(max_retries=retry))
    return hvac.Client(
        url=address,
        token=_token(),  # never None: hvac would look for one of its own
        namespace=_variable("NAMESPACE") or None,
        timeout=_TIMEOUT,
        verify=verify,
        session=session,
        adapter=RawAdapter,
    )


def _log_in(reference: str, client: Any) -> float:
    """Log in as the role that the variables name; when to do so again, on the monotonic clock."""
    role, secret = _variable("ROLE_ID"), _variable("SECRET_ID")
    if not (role and secret):
        raise SecretUnavailable(
            f"{reference}: no login for the server", hint="export VAULT_TOKEN=…, or VAULT_ROLE_ID and VAULT_SECRET_ID"
        )
    login = {"role_id": role, "secret_id": secret}
    started = time.monotonic()
    answer = _answer(
        reference,
        lambda: client.adapter.post("/v1/auth/approle/login", json=login, raise_exception=False),
        on_400="the server does not know this role or secret id",
    )
    granted = as_object(answer.body.get("auth"))
    if answer.status != 200 or not granted.get("client_token"):
        raise SecretUnavailable(
            f"{reference}: the login by role was refused", hint="check VAULT_ROLE_ID and VAULT_SECRET_ID"
        )
    client.token = granted["client_token"]
    return started + 0.9 * (granted.get("lease_duration") or float("inf"))


def _answer(reference: str, send: Callable[[], Any], *, on_400: str = "the server did not understand") -> Answer:
    """Send, and sort the answer. Texts of the server and of its client are dropped: they may quote what was sent."""
    try:
        response = send()
        status = int(response.status_code)
    except Exception as error:  # noqa: BLE001 - requests, urllib3, ssl and codecs have no common ancestor below this
        raise _unreachable(reference, error) from None
    try:
        body = response.json()
    except ValueError:
        body = None
    if status == 403 or (status in {200, 404} and isinstance(body, Mapping)):
        return Answer(status, as_object(body))
    reasons = {
        400: (on_400, "check the login and the path"),
        429: ("the server asks to slow down", "try again later"),
        503: ("the server is sealed or starting", "unseal it"),
    }
    otherwise = "answered, but not as Vault does" if status in {200, 404} else f"answered {status}"
    reason, hint = reasons.get(status, (f"{_server()} {otherwise}", "check VAULT_ADDR and the server's own log"))
    raise SecretUnavailable(f"{reference}: {reason}", hint=hint)


def _unreachable(reference: str, error: Exception) -> SecretUnavailable:
    kind = type(error).__name__
    if "Timeout" in kind:
        return SecretUnavailable(f"{reference}: no answer from {_server()} in {_TIMEOUT:g} s", hint="is it up?")
    if kind == "SSLError" or (isinstance(error, OSError) and "TLS" in str(error)):
        return SecretUnavailable(
            f"{reference}: no trusted TLS connection to {_server()}", hint="set VAULT_CACERT to the server's authority"
        )
    return SecretUnavailable(f"{reference}: {_server()} can't be reached ({kind})", hint="check VAULT_ADDR; is it up?")


def _server() -> str:
    """Scheme, host and port of the address: it may carry a password."""
    try:
        address = urlsplit(_variable("ADDR"))
        port = f":{address.port}" if address.port else ""
    except ValueError:
        return "the server in VAULT_ADDR"
    return f"{address.scheme}://{address.hostname}{port}"


def _variable(name: str) -> str:
    return os.environ.get(f"BAO_{name}") or os.environ.get(f"VAULT_{name}") or ""


def _token() -> str:
    given = _variable("TOKEN")
    if given or (_variable("ROLE_ID") and _variable("SECRET_ID")):
        return given
    try:
        return (Path.home() / ".vault-token").read_text(encoding="utf-8").strip()
    except (OSError, RuntimeError, UnicodeDecodeError):
        return ""


def _verify() -> bool | str:
    if _variable("SKIP_VERIFY").lower() in {"1", "t", "true"}:
        return False
    return _variable("CACERT") or _variable("CAPATH") or True
