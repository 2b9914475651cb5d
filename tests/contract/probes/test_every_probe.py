"""The conformance suite, on every probe and a real server of its kind."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from tests.contract.probes.walls import by_database
from tests.contract.warehouses.provisioned import Passwords

from lanewise.adapters.probes import files, http, postgres, vault
from lanewise.domain.environment import Connection, Environment, Role, SecretRef
from lanewise.domain.isolation import ProbeOpener
from lanewise.testing.openbao import OpenBao, openbao
from lanewise.testing.postgres import Server
from lanewise.testing.probe import ProbeContract, Walls
from lanewise.testing.seaweedfs import SeaweedFS, seaweedfs


def changed(walls: Walls, lane: str, connection: str, **fields: Any) -> Walls:
    """The walls with other fields in one connection; ``secrets`` replaces its references."""
    one = walls.lanes[lane]
    found = one.connections[connection]
    secrets: Mapping[str, SecretRef] = fields.pop("secrets", found.secrets)
    made = replace(found, fields={**found.fields, **fields}, secrets=secrets)
    return replace(walls, lanes={**walls.lanes, lane: replace(one, connections={**one.connections, connection: made})})


class Answering(BaseHTTPRequestHandler):
    """``/WHO/`` is for the login ``WHO`` with the password ``WHO-secret``, and for ``wide``."""

    def do_GET(self) -> None:
        sent = base64.b64decode(self.headers.get("Authorization", "").removeprefix("Basic ")).decode()
        who = self.path.split("/")[1]
        self.send_response(200 if sent in {f"{who}:{who}-secret", "wide:wide-secret"} else 401)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    own = {name: [f"{may}:raw-{name}" for may in ("Read", "Write", "List")] for name in ("dev", "prod")}
    with seaweedfs(tmp_path_factory.mktemp("seaweedfs"), {**own, "wide": ["Read", "Write", "List"]}) as server:
        for name in own:
            server.system().call_s3("create_bucket", Bucket=f"raw-{name}")
        yield server


@pytest.fixture(scope="module")
def bao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenBao]:
    with openbao(tmp_path_factory.mktemp("openbao")) as server:
        for name in ("dev", "prod"):
            server.write(f"{name}/postgres", password=f"{name}-hunter2")
        yield server


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


class TestPostgres(ProbeContract):
    type = "postgres"

    def opener(self) -> ProbeOpener:
        return postgres.open_probe

    @pytest.fixture
    def walled(self, server: Server) -> Walls:
        town = by_database(server, "dev", "prod")
        lanes = {name: lane.environment for name, lane in town.lanes.items()}
        values = tuple(
            town.secrets.resolve(ref) for one in lanes.values() for ref in one.connection("dst").secrets.values()
        )
        return Walls(lanes, town.secrets, values)

    @pytest.fixture
    def holed(self, server: Server, walled: Walls) -> Walls:
        prod, dev = (walled.lanes[name].connection("dst") for name in ("prod", "dev"))
        with server.connect() as root:
            root.execute(f"grant connect on database {prod.fields['database']} to {dev.fields[Role.RUNNER.value]}")
        return walled

    @pytest.fixture
    def broken(self, walled: Walls) -> Walls:
        secrets = {**walled.lanes["dev"].connection("dst").secrets, "runner_password": SecretRef("env:wrong")}
        return changed(walled, "dev", "warehouse_dev", secrets=secrets)

    @pytest.fixture
    def away(self, walled: Walls) -> Walls:
        return changed(walled, "prod", "warehouse_prod", port=1)


class TestBuckets(ProbeContract):
    type = "s3"

    def opener(self) -> ProbeOpener:
        return files.open_probe

    @pytest.fixture
    def walled(self, store: SeaweedFS) -> Walls:
        lanes = {}
        for name in ("dev", "prod"):
            fields = {"endpoint": store.endpoint, "region": "us-east-1", "key": name}
            lake = Connection(f"lake_{name}", "s3", fields, {"secret": SecretRef(f"env:{name}")})
            lanes[name] = Environment(name, 0, {"bucket": f"raw-{name}", "dst_conn": lake.name}, {lake.name: lake})
        return Walls(lanes, Passwords(), ("dev-secret", "prod-secret", "wide-secret"))

    @pytest.fixture
    def holed(self, walled: Walls) -> Walls:
        return changed(walled, "dev", "lake_dev", key="wide", secrets={"secret": SecretRef("env:wide")})

    @pytest.fixture
    def broken(self, walled: Walls) -> Walls:
        return changed(walled, "dev", "lake_dev", secrets={"secret": SecretRef("env:wrong")})

    @pytest.fixture
    def away(self, walled: Walls) -> Walls:
        return changed(walled, "prod", "lake_prod", endpoint="http://127.0.0.1:1")


class TestSecretPaths(ProbeContract):
    type = "openbao"

    def opener(self) -> ProbeOpener:
        return vault.open_probe

    @pytest.fixture
    def walled(self, bao: OpenBao) -> Walls:
        return self._walls(bao, "secret/data/dev/*")

    @pytest.fixture
    def holed(self, bao: OpenBao) -> Walls:
        return self._walls(bao, "secret/data/*")

    @pytest.fixture
    def broken(self, walled: Walls) -> Walls:
        return changed(walled, "dev", "bao_dev", secrets={"secret_id": SecretRef("env:wrong")})

    @pytest.fixture
    def away(self, walled: Walls) -> Walls:
        return changed(walled, "prod", "bao_prod", address="http://127.0.0.1:1")

    def _walls(self, bao: OpenBao, path: str) -> Walls:
        secrets, lanes = Passwords(), {}
        for name, mine in (("dev", path), ("prod", "secret/data/prod/*")):
            role, secret = bao.role(name, f'path "{mine}" {{ capabilities = ["read"] }}')
            secrets.values[f"id-{name}"] = secret
            login = {"secret_id": SecretRef(f"env:id-{name}")}
            store = Connection(f"bao_{name}", "openbao", {"address": bao.address, "role_id": role}, login)
            other = Connection("pg", "other", {}, {"password": SecretRef(f"vault:secret/{name}/postgres#password")})
            lanes[name] = Environment(name, 0, {"dst_conn": store.name}, {store.name: store, other.name: other})
        return Walls(lanes, secrets, ("dev-hunter2", "prod-hunter2", *secrets.values.values()))


class TestOrchestrators(ProbeContract):
    type = "airflow"

    def opener(self) -> ProbeOpener:
        return http.open_probe

    @pytest.fixture
    def walled(self, address: str) -> Walls:
        lanes = {}
        for name in ("dev", "prod"):
            found = Connection("af", "airflow", {"url": f"{address}/{name}/", "user": name},
                               {"password": SecretRef(f"env:{name}")})  # fmt: skip
            lanes[name] = Environment(name, 0, {"dst_conn": "af"}, {"af": found})
        return Walls(lanes, Passwords(), ("dev-secret", "prod-secret", "wide-secret"))

    @pytest.fixture
    def holed(self, walled: Walls) -> Walls:
        return changed(walled, "dev", "af", user="wide", secrets={"password": SecretRef("env:wide")})

    @pytest.fixture
    def broken(self, walled: Walls) -> Walls:
        return changed(walled, "dev", "af", secrets={"password": SecretRef("env:wrong")})

    @pytest.fixture
    def away(self, walled: Walls) -> Walls:
        return changed(walled, "prod", "af", url="http://127.0.0.1:1/")
