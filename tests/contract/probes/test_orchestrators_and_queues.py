"""One environment's login at another's orchestrator and queue, over HTTP."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from tests.contract.probes.walls import Shop, holes
from tests.contract.warehouses.provisioned import Passwords

from lanewise.domain.environment import Connection, Environment, SecretRef
from lanewise.domain.isolation import Outcome


class Answering(BaseHTTPRequestHandler):
    """``/WHO/…`` is for the login ``WHO`` with the password ``WHO-secret``, and for ``wide``; ``/away`` redirects."""

    def do_GET(self) -> None:
        who = self.path.split("/")[1]
        if who == "away":
            self.send_response(302)
            self.send_header("Location", "/dev/")
            self.end_headers()
            return
        allowed = [f"{one}:{one}-secret" for one in (who, "wide")]
        sent = self.headers.get("Authorization", "").removeprefix("Basic ")
        self.send_response(200 if base64.b64decode(sent).decode() in allowed else 401)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def lane(name: str, url: str, user: str = "", type_: str = "prefect", **fields: str) -> Environment:
    user = user or name
    found = Connection(f"orchestrator_{name}", type_, {"url": url, "user": user, **fields},
                       {"password": SecretRef(f"env:{user}")})  # fmt: skip
    return Environment(name, 0, {"dst_conn": found.name}, {found.name: found})


def shop(*lanes: Environment) -> Shop:
    return Shop({one.name: one for one in lanes}, Passwords())


def test_a_login_is_refused_at_anothers_orchestrator(address: str):
    found = shop(lane("dev", f"{address}/dev/"), lane("prod", f"{address}/prod/")).measure()
    assert found.whole
    assert {(a.target.kind, a.answer) for a in found.attempts} == {("orchestrator", "status 401")}


def test_a_login_that_anothers_orchestrator_takes_is_a_hole(address: str):
    found = shop(lane("dev", f"{address}/dev/", "wide"), lane("prod", f"{address}/prod/")).measure()
    assert holes(found) == {("dev login", "look", "orchestrator", "orchestrator_prod")}


def test_a_queue_is_looked_at_and_nothing_is_taken_from_it(address: str):
    lanes = [lane(name, f"{address}/{name}", "wide" if name == "dev" else "", "rabbitmq", queue=f"orders_{name}")
             for name in ("dev", "prod")]  # fmt: skip
    found = shop(*lanes).measure()
    assert holes(found) == {("dev login", "look", "queue", "orders_prod")}
    assert found.of(Outcome.ALLOWED)[0].statement == f"GET {address}/prod/api/queues/%2F/orders_prod"


def test_a_redirect_is_no_answer_and_is_not_followed(address: str):
    found = shop(lane("dev", f"{address}/dev/"), lane("prod", f"{address}/away/")).measure()
    assert {(a.identity.environment, a.outcome) for a in found.attempts} == {
        ("dev", Outcome.UNREACHABLE), ("prod", Outcome.UNREACHABLE),
    }  # fmt: skip
    assert {a.answer for a in found.attempts if a.identity.environment == "dev"} == {"status 302"}


def test_a_server_that_is_away_is_doubt(address: str):
    found = shop(lane("dev", f"{address}/dev/"), lane("prod", "http://127.0.0.1:1/")).measure()
    assert {a.outcome for a in found.attempts} == {Outcome.UNREACHABLE}
