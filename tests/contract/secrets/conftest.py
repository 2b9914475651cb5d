from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

import pytest

from lanewise.testing.openbao import OpenBao, openbao

Rule = Callable[[str, str], tuple[int, bytes] | None]
"""(method, path) -> the proxy's own answer, or None to pass the request on."""


@contextmanager
def reverse_proxy(upstream: str, rule: Rule, certificate: Path | None = None) -> Iterator[str]:
    """A proxy before the real server, as organisations have them: it can hide paths and fail on demand.
    With ``certificate`` (its key in the same file) it speaks TLS."""
    opener = build_opener(ProxyHandler({}))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            own = rule(self.command, self.path)
            self.answer(*(own or self.passed_on()))

        do_POST = do_PUT = do_GET  # noqa: N815 - http.server's names

        def passed_on(self) -> tuple[int, bytes]:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)) or None
            headers = {name: value for name, value in self.headers.items() if name.startswith("X-Vault")}
            try:
                with opener.open(Request(upstream + self.path, body, headers, method=self.command)) as response:
                    return response.status, response.read()
            except HTTPError as error:
                return error.code, error.read()

        def answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if certificate is not None:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate)
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http{'s' if certificate else ''}://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


Front = Callable[..., AbstractContextManager[str]]


@pytest.fixture
def front() -> Front:
    return reverse_proxy


@pytest.fixture(scope="session")
def bao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenBao]:
    with openbao(tmp_path_factory.mktemp("openbao")) as server:
        yield server


@pytest.fixture
def vault_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A HOME of its own, and none of the variables that the machine may have."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for prefix in ("VAULT", "BAO"):
        for name in ("ADDR", "TOKEN", "ROLE_ID", "SECRET_ID", "NAMESPACE", "CACERT", "CAPATH", "SKIP_VERIFY"):
            monkeypatch.delenv(f"{prefix}_{name}", raising=False)
    return home


@pytest.fixture
def as_root(bao: OpenBao, vault_home: Path, monkeypatch: pytest.MonkeyPatch) -> OpenBao:
    monkeypatch.setenv("VAULT_ADDR", bao.address)
    monkeypatch.setenv("VAULT_TOKEN", bao.token)
    return bao
