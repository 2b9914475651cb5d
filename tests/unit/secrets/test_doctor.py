from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from lanewise.adapters.secrets.env import EnvStore
from lanewise.adapters.secrets.file import FileStore
from lanewise.adapters.secrets.resolver import SecretResolver
from lanewise.domain.environment import Config, Connection, Environment, SecretRef
from lanewise.domain.project import Project, Source
from lanewise.domain.publication import Pointer
from lanewise.errors import LedgerUnavailable, LoginRefused, NotFound, StoreUnavailable, WarehouseUnavailable
from lanewise.service.doctor import Diagnosis, Finding, State, examine
from lanewise.testing.fake_ledger import FakeLedger

CANARY = "Tr0ub4dor&3-canary"


class Shelves:
    """A build store without builds."""

    def __init__(self, error: Exception | None = None) -> None:
        self._error = error

    def resolve(self, name: str) -> str:
        raise self._error or NotFound("build", name)


class Depot:
    """A warehouse as far as the doctor looks."""

    def __init__(self, number: int = 0, error: Exception | None = None) -> None:
        self._number, self._error = number, error

    def pointer(self) -> Pointer:
        if self._error:
            raise self._error
        return Pointer(self._number, 0, "", "")


class LostLedger:
    """A ledger that is away."""

    def head(self) -> tuple[int, str]:
        raise LedgerUnavailable("away")


@dataclass
class Bench:
    """A context made of plain parts."""

    root: Path
    connections: Mapping[str, Connection]
    inputs: tuple[str, ...] = ()
    ledger: Any = field(default_factory=FakeLedger)
    builds: Any = field(default_factory=Shelves)
    depot: Depot = field(default_factory=Depot)

    def __post_init__(self) -> None:
        self.home = self.root / ".lanewise"
        self.project = Project("orders", Source(("**",)), "python -m orders", inputs=self.inputs)
        settings = {"dst_conn": "warehouse_prod", "src_conn": "lake"}
        every = {"warehouse_prod": Connection("warehouse_prod", "duckdb"), **self.connections}
        self.config = Config({"prod": Environment("prod", 0, settings, every)}, {})
        self.secrets = SecretResolver({"env": lambda: EnvStore(self.root), "file": lambda: FileStore(self.root)})

    def warehouse(self, environment: Environment) -> Depot:
        return self.depot


def bench(root: Path, *secrets: SecretRef, **parts: Any) -> Bench:
    found = {f"s{number}": secret for number, secret in enumerate(secrets)}
    connections = {"pg": Connection("pg", "postgres", {}, found)} if found else {}
    return Bench(root, {**connections, **parts.pop("connections", {})}, **parts)


def no_login(connection_type: str) -> None:
    return None


def about(diagnosis: Diagnosis, subject: str) -> Finding:
    return next(finding for finding in diagnosis.findings if finding.subject == subject)


class Server:
    """A server with one password, which counts who knocks."""

    def __init__(self, password: str, trouble: Exception | None = None) -> None:
        self.password, self.trouble = password, trouble
        self.tried: list[str] = []

    def __call__(self, connection: Connection, values: Mapping[str, str]) -> None:
        self.tried.append(values["s0"])
        if self.trouble:
            raise self.trouble
        if values["s0"] != self.password:
            raise LoginRefused(f"{connection.name} refused {values['s0']}")  # an adapter that forgets itself

    def find(self, connection_type: str) -> Server | None:
        return self if connection_type == "postgres" else None


@pytest.fixture
def rotating(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("PG_NEW", CANARY + "new")
    monkeypatch.setenv("PG_OLD", CANARY + "old")
    return bench(tmp_path, SecretRef("env:PG_NEW", previous="env:PG_OLD"))


def test_an_environment_in_which_all_is_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PG_PASSWORD", CANARY)
    diagnosis = examine(bench(tmp_path, SecretRef("env:PG_PASSWORD"), depot=Depot(7)), "prod", no_login)
    assert diagnosis.well
    assert {f.subject for f in diagnosis.findings} == {"pg.s0", "warehouse", "build store", "ledger"}
    assert about(diagnosis, "pg.s0").reference == "env:PG_PASSWORD"
    assert about(diagnosis, "warehouse").said == "map 7 is live"
    assert CANARY not in repr(diagnosis)


def test_each_reference_that_fails_is_named_with_its_cure_and_the_others_are_still_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PG_PASSWORD", CANARY)
    secrets = SecretRef("env:NOT_SET_AT_ALL"), SecretRef("env:PG_PASSWORD"), SecretRef("file:nothing")
    diagnosis = examine(bench(tmp_path, *secrets), "prod", no_login)
    assert not diagnosis.well
    assert about(diagnosis, "pg.s0").hint == "export NOT_SET_AT_ALL=…"
    assert about(diagnosis, "pg.s1").state is State.OK
    assert "No such file" in about(diagnosis, "pg.s2").said


def test_a_value_where_a_reference_belongs_is_not_printed(tmp_path: Path):
    diagnosis = examine(bench(tmp_path, SecretRef(CANARY), SecretRef(f"env:{CANARY}")), "prod", no_login)
    assert [f.state for f in diagnosis.findings[:2]] == [State.FAILED, State.FAILED]
    assert CANARY not in repr(diagnosis)


def test_an_unknown_environment_names_the_nearest(tmp_path: Path):
    with pytest.raises(NotFound, match="prd"):
        examine(bench(tmp_path), "prd", no_login)


@pytest.mark.parametrize(("days", "state"), [(89, State.OK), (91, State.WARNING)])
def test_a_secret_past_its_max_age_is_a_warning_and_no_failure(tmp_path: Path, days: int, state: State):
    (tmp_path / "pw").write_text(CANARY)
    (tmp_path / "pw").chmod(0o600)
    written = (tmp_path / "pw").stat().st_mtime - days * 86_400
    os.utime(tmp_path / "pw", (written, written))
    diagnosis = examine(bench(tmp_path, SecretRef("file:pw", max_age=timedelta(days=90))), "prod", no_login)
    assert about(diagnosis, "pg.s0").state is state
    assert about(diagnosis, "pg.s0").age_seconds == days * 86_400
    assert f"{days} days ago" in about(diagnosis, "pg.s0").said
    assert diagnosis.well


def test_a_max_age_that_nobody_can_watch_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PG_PASSWORD", CANARY)
    reference = SecretRef("env:PG_PASSWORD", max_age=timedelta(days=90))
    assert about(examine(bench(tmp_path, reference), "prod", no_login), "pg.s0").state is State.WARNING


def test_a_file_that_everybody_may_read_is_a_warning(tmp_path: Path):
    (tmp_path / "pw").write_text(CANARY)
    (tmp_path / "pw").chmod(0o644)
    diagnosis = examine(bench(tmp_path, SecretRef("file:pw")), "prod", no_login)
    assert any(f.state is State.WARNING and "chmod" in f.said for f in diagnosis.findings)
    assert diagnosis.well


def test_when_the_new_version_logs_in_the_previous_may_go_and_is_not_tried(rotating: Bench):
    server = Server(CANARY + "new")
    finding = about(examine(rotating, "prod", server.find), "pg")
    assert (finding.state, finding.said, finding.hint) == (
        State.OK, "the new version is proven", "`previous` may go",
    )  # fmt: skip
    assert server.tried == [CANARY + "new"]


def test_when_only_the_previous_version_logs_in_the_overlap_must_stay(rotating: Bench):
    server = Server(CANARY + "old")
    diagnosis = examine(rotating, "prod", server.find)
    finding = about(diagnosis, "pg")
    assert (finding.state, finding.said) == (State.WARNING, "only the previous version of s0 logs in")
    assert "keep `previous`" in finding.hint
    assert diagnosis.well
    assert server.tried == [CANARY + "new", CANARY + "old"]


def test_when_neither_version_logs_in_it_is_a_failure_and_a_careless_adapter_is_redacted(rotating: Bench):
    diagnosis = examine(rotating, "prod", Server("other").find)
    finding = about(diagnosis, "pg")
    assert finding.state is State.FAILED
    assert "neither the new nor the previous" in finding.said
    assert CANARY not in repr(diagnosis)
    assert "***" in finding.said


def test_a_server_that_is_away_proves_nothing(rotating: Bench):
    server = Server("other", WarehouseUnavailable("pg is away", hint="start it"))
    finding = about(examine(rotating, "prod", server.find), "pg")
    assert (finding.state, finding.said, finding.hint) == (State.FAILED, "pg is away", "start it")
    assert len(server.tried) == 1


def test_a_type_that_can_not_be_tried_is_said_to_be_so(rotating: Bench):
    finding = about(examine(rotating, "prod", no_login), "pg")
    assert finding.state is State.OK
    assert "can't be tried" in finding.said


def test_a_previous_version_that_is_gone_is_a_warning(rotating: Bench, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("PG_OLD")
    diagnosis = examine(rotating, "prod", no_login)
    finding = about(diagnosis, "pg.s0 (previous)")
    assert (finding.state, finding.reference) == (State.WARNING, "env:PG_OLD")
    assert "drop `previous`" in finding.hint
    assert diagnosis.well


def test_without_a_new_version_no_login_is_tried(rotating: Bench, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("PG_NEW")
    server = Server(CANARY + "old")
    diagnosis = examine(rotating, "prod", server.find)
    assert about(diagnosis, "pg.s0").state is State.FAILED
    assert server.tried == []


@pytest.mark.parametrize(
    ("subject", "parts"),
    [
        ("warehouse", {"depot": Depot(error=WarehouseUnavailable("away"))}),
        ("build store", {"builds": Shelves(StoreUnavailable("away"))}),
        ("build store", {"builds": Shelves(OSError(28, "No space left on device", "/srv/x"))}),
        ("ledger", {"ledger": LostLedger()}),
    ],
)
def test_a_part_that_is_away_fails_alone(tmp_path: Path, subject: str, parts: dict[str, Any]):
    diagnosis = examine(bench(tmp_path, **parts), "prod", no_login)
    assert [f.subject for f in diagnosis.findings if f.state is State.FAILED] == [subject]


def test_a_warehouse_folder_that_can_not_be_written_fails(tmp_path: Path):
    (tmp_path / ".lanewise").write_text("a file where a folder belongs")
    finding = about(examine(bench(tmp_path), "prod", no_login), "warehouse")
    assert finding.state is State.FAILED
    assert ".lanewise" in finding.said


def test_nothing_is_left_behind_by_trying(tmp_path: Path):
    examine(bench(tmp_path), "prod", no_login)
    assert list(tmp_path.rglob("*")) == []


@pytest.mark.parametrize(("kind", "there"), [("files", True), ("files", False), ("duckdb", True), ("duckdb", False)])
def test_inputs_on_a_disk_are_looked_for(tmp_path: Path, kind: str, there: bool):
    if there:
        (tmp_path / "lake").mkdir() if kind == "files" else (tmp_path / "lake").write_text("")
    lake = {"lake": Connection("lake", kind, {"path": "lake"})}
    finding = about(examine(bench(tmp_path, connections=lake, inputs=("raw.x",)), "prod", no_login), "inputs")
    assert finding.state is (State.OK if there else State.FAILED)
    assert str(tmp_path / "lake") in finding.said


def test_inputs_without_a_connection_fail(tmp_path: Path):
    assert about(examine(bench(tmp_path, inputs=("raw.x",)), "prod", no_login), "inputs").state is State.FAILED


class Cluster:
    """A server with several logins. Some passwords there are still the old ones."""

    def __init__(self, **passwords: str) -> None:
        self.passwords = passwords
        self.tried: list[tuple[str, str]] = []

    def __call__(self, connection: Connection, values: Mapping[str, str]) -> str:
        user = str(connection.fields["user"])
        self.tried.append((user, values["password"]))
        if self.passwords[user] != values["password"]:
            raise LoginRefused(f"{user} was refused")
        return f"as {user}"

    def find(self, connection_type: str) -> Cluster | None:
        return self if connection_type == "postgres" else None


ROLES = Connection(
    "pg", "postgres", {"user": "svc", "runner": "run", "publisher": "pub", "admin": "boss"},
    {"password": SecretRef("env:SVC"), "runner_password": SecretRef("env:RUN", previous="env:RUN_OLD"),
     "publisher_password": SecretRef("env:PUB"), "admin_password": SecretRef("env:BOSS")},
)  # fmt: skip


@pytest.fixture
def roles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    for name in ("SVC", "RUN", "RUN_OLD", "PUB"):
        monkeypatch.setenv(name, name.lower())
    return Bench(tmp_path, {"pg": ROLES})


def test_each_role_is_tried_with_its_own_login_and_the_operator_is_not(roles: Bench):
    cluster = Cluster(svc="svc", run="run", pub="pub")
    diagnosis = examine(roles, "prod", cluster.find)
    assert diagnosis.well
    assert sorted(cluster.tried) == [("pub", "pub"), ("run", "run"), ("svc", "svc")]
    assert about(diagnosis, "pg").said == "logs in as svc"  # the reader has no login of its own
    assert about(diagnosis, "pg (runner)").said == "the new version is proven: as run"
    assert about(diagnosis, "pg (publisher)").said == "logs in as pub"


def test_an_operators_secret_that_is_not_at_hand_is_no_failure(roles: Bench):
    found = about(examine(roles, "prod", Cluster(svc="svc", run="run", pub="pub").find), "pg.admin_password")
    assert found.state is State.WARNING
    assert "lane provision" in found.said


def test_roles_are_rotated_one_by_one(roles: Bench):
    diagnosis = examine(roles, "prod", Cluster(svc="svc", run="run_old", pub="other").find)
    assert about(diagnosis, "pg (runner)").said == "only the previous version of runner_password logs in"
    assert about(diagnosis, "pg (publisher)").state is State.FAILED
    assert about(diagnosis, "pg").state is State.OK


def test_a_role_whose_secret_does_not_resolve_keeps_no_other_from_being_tried(
    roles: Bench, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("RUN")
    cluster = Cluster(svc="svc", run="run", pub="pub")
    diagnosis = examine(roles, "prod", cluster.find)
    assert [user for user, _ in cluster.tried] == ["svc", "pub"]
    assert about(diagnosis, "pg.runner_password").state is State.FAILED


def test_a_connection_that_only_pipeline_code_can_use_is_no_failure(tmp_path: Path):
    from lanewise.adapters.logins.postgres import login

    diagnosis = examine(Bench(tmp_path, {"pg": Connection("pg", "postgres", {"user": "svc"})}), "prod", lambda _: login)
    assert diagnosis.well
    assert "names no database" in about(diagnosis, "pg").said


@pytest.mark.parametrize(
    ("ledger", "builds", "warned"),
    [("postgresql://pg/l", ".lanewise/builds", True), ("postgresql://pg/l", "s3://builds", False),
     ("postgresql://pg/l", "/mnt/builds", False), ("sqlite:///.lanewise/ledger.db", ".lanewise/builds", False)],
)  # fmt: skip
def test_a_shared_record_of_builds_that_nobody_else_has_is_a_warning(
    tmp_path: Path, ledger: str, builds: str, warned: bool
):
    found = bench(tmp_path)
    found.config = replace(found.config, ledger=ledger, builds=builds)
    warnings = [f for f in examine(found, "prod", no_login).findings if f.state is State.WARNING]
    assert [f.subject for f in warnings] == (["build store"] if warned else [])
