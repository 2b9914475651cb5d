"""What is sent to an orchestrator's server, and to nobody else."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from lanewise.adapters.orchestrators.prefect.orchestrator import _asked
from lanewise.adapters.orchestrators.rest import Rest
from lanewise.testing.runner import make_launch


@contextmanager
def server(leads_to: str = "") -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """One that leads on from ``/`` and else says ``{}``; what it was asked, with the login that came along."""
    asked: list[tuple[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            asked.append((self.path, self.headers.get("Authorization", "")))
            leads = leads_to if self.path == "/" else ""
            self.send_response(302 if leads else 200)
            if leads:
                self.send_header("Location", leads)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        do_GET = do_POST = do  # noqa: N815 - http.server's names

        def log_message(self, *_: object) -> None:
            pass

    found = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=found.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{found.server_address[1]}", asked
    finally:
        found.shutdown()
        found.server_close()


def rest(url: str) -> Rest:
    return Rest("it", url, print, lambda: {"Authorization": "Bearer hunter2"}, 0.1)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_login_is_not_sent_on_to_another_server(method: str) -> None:
    with server() as (other, strangers), server(f"{other}/login") as (url, _):
        assert rest(url).send(method, "/", {} if method == "POST" else None).status == 302
    assert strangers == []


def test_a_server_may_lead_to_another_place_of_its_own() -> None:
    with server("/there") as (url, asked):
        assert rest(url).get("/").ok
    assert asked == [("/", "Bearer hunter2"), ("/there", "Bearer hunter2")]


def test_what_is_posted_and_led_elsewhere_was_not_done() -> None:
    with server("/there") as (url, asked):
        assert not rest(url).post("/", {}).ok
    assert [path for path, _ in asked] == ["/"]


def test_no_secret_goes_to_prefect_whatever_its_variable_is_called(tmp_path: Path) -> None:
    launch = make_launch(tmp_path, "x", LANEWISE_PG_PASSWORD="hunter2", LANEWISE_PARTITIONS="[]")
    launch.compiled.write_text("{}")
    sent = _asked(launch)
    assert "hunter2" not in str(sent)
    assert sent["job_variables"]["env"]["LANEWISE_PARTITIONS"] == "[]"
    assert sent["job_variables"]["env"]["LANEWISE_RUN_ID"] == "live-1"
