"""`lane provision` as it is typed, on real servers, and what its logins then can't do."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from tests.e2e.road import PROJECT, SCRIPT, write_project

from lanewise.cli.app import main
from lanewise.testing.postgres import SUPERUSER, Server

INPUTS = "inputs: [raw.orders]\ntables:"
ENVIRONMENTS = """\
identity: declared
defaults:
  src_conn: "warehouse_{{env}}"
  schema: analytics
  table_suffix: ""
  bucket: "raw-{{env}}"
  service_account: "sa-{{env}}"
environments: {{stage: {{}}, prod: {{}}}}
connections:
  "warehouse_{{env}}":
    type: postgres
    host: 127.0.0.1
    port: {port}
    database: "{database}_{{env}}"
    runner: "run_{{env}}_{database}"
    runner_password: "env:RUN_{{env}}"
    publisher: "pub_{{env}}_{database}"
    publisher_password: "env:PUB_{{env}}"
    reader: "read_{{env}}_{database}"
    reader_password: "env:READ_{{env}}"
    admin: postgres
"""


@dataclass
class Typist:
    """Types commands in one project with a stage and a prod on one server, each in a database of its own."""

    server: Server
    root: Path
    name: str
    capsys: pytest.CaptureFixture[str]

    def lane(self, *words: str, code: int = 0) -> tuple[str, str]:
        """What it printed, and what it said beside."""
        self.capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(["-C", str(self.root), "provision", *words])
        out, err = self.capsys.readouterr()
        assert (ended.value.code or 0) == code, out + err
        assert "-secret" not in out + err
        return out, err

    def connect(self, who: str, environment: str = "prod", *, to: str = "") -> psycopg.Connection:
        """As that login of an environment; in its own database, or another one's."""
        database = f"{self.name}_{to or environment}"
        if who == SUPERUSER:
            return self.server.connect(database)
        return self.server.connect(database, f"{who}_{environment}_{self.name}", f"{who}-{environment}-secret")


@pytest.fixture
def typist(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Typist:
    name = server.database()
    for environment in ("stage", "prod"):
        with server.connect() as connection:
            connection.execute(f"create database {name}_{environment}")
        with server.connect(f"{name}_{environment}") as connection:
            connection.execute("create schema raw; create table raw.orders (id int); create table raw.secrets (id int)")
        for who in ("run", "pub", "read"):
            monkeypatch.setenv(f"{who.upper()}_{environment}", f"{who}-{environment}-secret")
    monkeypatch.setenv("LANEWISE_ACTOR", "ana")
    monkeypatch.setenv("NO_COLOR", "1")
    environments = ENVIRONMENTS.format(port=server.port, database=name)
    root = write_project(tmp_path / "orders", environments, PROJECT.replace("tables:", INPUTS, 1))
    return Typist(server, root, name, capsys)


def test_it_is_shown_then_made_then_there_is_nothing_to_do(typist: Typist, tmp_path: Path) -> None:
    out, err = typist.lane("prod")
    assert f'create role "run_prod_{typist.name}" login' in out
    assert "password '***'" in out
    assert "of drift" not in out
    assert "nothing was touched" in err
    typist.lane("prod", "--check", code=1)
    out, _ = typist.lane("prod", "--apply")
    assert " made" in out
    out, _ = typist.lane("prod")
    assert out.splitlines()[-1] == "nothing to do"
    typist.lane("prod", "--check")
    out, _ = typist.lane("prod", "--apply")
    assert out.splitlines()[-1] == "nothing to do"
    out, _ = typist.lane("prod", "--out", str(tmp_path / "rights"))
    assert str(tmp_path / "rights" / "buckets" / "raw-prod.json") in out
    assert json.loads((tmp_path / "rights" / "buckets" / "raw-prod.json").read_text())["Statement"]


def test_programs_get_every_change_and_who_had_what(typist: Typist) -> None:
    typist.lane("prod", "--apply")
    typist.lane("stage", "--apply")
    with typist.connect(SUPERUSER) as connection:
        connection.execute(f"grant usage on schema lanewise_prod to run_stage_{typist.name}")
    out, _ = typist.lane("prod", "--check", "--format", "json", code=1)
    found = json.loads(out)
    (change,) = found["changes"]
    assert change["drift"] is True
    assert change["kind"] == "revoke"
    assert change["why"] == f"run_stage_{typist.name} had USAGE on lanewise_prod, which nothing declares"
    assert (found["settled"], found["applied"], found["problems"]) == (False, False, [])
    found = json.loads(typist.lane("prod", "--apply", "--format", "json")[0])
    assert (found["settled"], found["left"]) == (True, [])


def test_a_script_is_printed_alone(typist: Typist) -> None:
    out, _ = typist.lane("prod", "--sql")
    assert out.startswith("-- rights of prod in ")
    assert out.rstrip().endswith("commit;")
    typist.lane("prod", "--apply")
    assert typist.lane("prod", "--sql")[0] == ""


def test_exit_codes_say_whose_move_it_is(typist: Typist, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "did you mean prod" in typist.lane("prd", code=2)[1]
    typist.lane("prod", "--apply", "--sql", code=2)
    text = (typist.root / "environments.yaml").read_text()
    shared = text.replace('"run_{env}_', '"run_both_')
    (typist.root / "environments.yaml").write_text(shared)
    assert "can't be walled off" in typist.lane("prod", code=1)[1]
    assert "can't be walled off" in typist.lane("prod", "--apply", code=1)[1]
    (typist.root / "environments.yaml").write_text(text.replace(str(typist.server.port), "1"))
    typist.lane("prod", code=3)
    monkeypatch.delenv("RUN_prod")
    (typist.root / "environments.yaml").write_text(text)
    assert "RUN_prod" in typist.lane("prod", "--apply", code=3)[1]


def refusals(connection: psycopg.Connection, statements: list[str]) -> list[str]:
    """What the server says to each; a statement that passes is named."""
    said = []
    for statement in statements:
        try:
            connection.execute(statement)
            said.append(f"PASSED: {statement}")
        except psycopg.Error as error:
            said.append(type(error).__name__)
    return said


@pytest.fixture
def walled(typist: Typist) -> Typist:
    """Both environments provisioned, the store made, and a view published in each as the publisher makes them."""
    from lanewise.adapters.warehouses.postgres import store
    from lanewise.adapters.warehouses.postgres.place import Place

    for environment in ("stage", "prod"):
        typist.lane(environment, "--apply")
        place = Place(environment, "shop", "analytics", "", f"lanewise_{environment}", f"lanewise_{environment}_runs")
        with typist.connect("pub", environment) as connection:
            store.ensure(connection, place)
            connection.execute(f"create table {place.store}.v1 (id int)")
            connection.execute(f"create view analytics.orders as select id from {place.store}.v1")
    return typist


WRITES = [
    "insert into analytics.orders values (1)",
    "update analytics.orders set id = 2",
    "delete from analytics.orders",
    "truncate lanewise_prod.v1",
    "create or replace view analytics.orders as select 2 as id",
    "alter view analytics.orders rename to other",
    "alter view analytics.orders owner to current_user",
    "drop view analytics.orders",
    "create view analytics.more as select 1",
    "create table analytics.more (id int)",
    "drop schema analytics cascade",
    "create schema mine",
    "insert into lanewise_prod.v1 values (1)",
    "update lanewise_prod.pointers set number = 2",
    "insert into lanewise_prod.maps select",
    "delete from lanewise_prod.branches",
    "drop table lanewise_prod.pointers",
    "create table lanewise_prod.v2 (id int)",
    "select * from lanewise_prod.v1",
    "select * from raw.secrets",
    "insert into raw.orders values (1)",
    "create function analytics.f() returns int language sql as 'select 1'",
    "set role postgres",
    "copy (select 1) to program 'true'",
    "alter role current_user superuser",
]


def test_who_runs_or_reads_writes_nothing_that_readers_see(walled: Typist) -> None:
    for who in ("run", "read"):
        with walled.connect(who) as connection:
            said = dict(zip(WRITES, refusals(connection, WRITES), strict=True))
            assert set(said.values()) <= {"InsufficientPrivilege", "ObjectNotInPrerequisiteState"}, (who, said)
            connection.execute("grant select on analytics.orders to public")  # answered with a warning, and ignored
            assert connection.execute("select count(*) from analytics.orders").fetchone() == (0,)
    walled.lane("prod", "--check")


def test_the_runner_reads_its_inputs_and_writes_its_rooms_and_the_reader_does_neither(walled: Typist) -> None:
    own = ["select * from raw.orders", "create table lanewise_prod_runs.t as select 1 as id",
           "create temporary table scratch as select 1", "drop table lanewise_prod_runs.t"]  # fmt: skip
    with walled.connect("run") as connection:
        assert refusals(connection, own) == [f"PASSED: {statement}" for statement in own]
    with walled.connect("read") as connection:
        assert set(refusals(connection, own[:3])) == {"InsufficientPrivilege"}


def test_nobody_gets_into_another_environment(walled: Typist) -> None:
    """A stray ``--target prod`` of somebody else's identity ends at the server's own words."""
    for mine, theirs in (("stage", "prod"), ("prod", "stage")):
        for who in ("run", "pub", "read"):
            walled.connect(who, mine).close()
            with pytest.raises(psycopg.OperationalError, match="User does not have CONNECT privilege"):
                walled.connect(who, mine, to=theirs)


def test_the_publisher_publishes(walled: Typist) -> None:
    own = ["insert into lanewise_prod.v1 values (1)", "create table lanewise_prod.v2 (id int)",
           "create or replace view analytics.orders as select id from lanewise_prod.v2",
           "create view analytics.more as select id from lanewise_prod.v2"]  # fmt: skip
    with walled.connect("pub") as connection:
        assert refusals(connection, own) == [f"PASSED: {statement}" for statement in own]
        assert set(refusals(connection, ["insert into raw.orders values (1)", "create schema mine"])) == {
            "InsufficientPrivilege"
        }
    with walled.connect("read") as connection:
        assert connection.execute("select * from analytics.more").fetchall() == []
    walled.lane("prod", "--check")


def test_a_run_can_touch_the_rooms_of_its_own_environment_alone(walled: Typist) -> None:
    """Runs of one environment share a login, so its rooms are walled off from everybody but each other; what is staged
    is a copy in the store, which none of them can reach."""
    with walled.connect("run") as one, walled.connect("run") as other:
        one.execute("create table lanewise_prod_runs.run_1_orders as select 1 as id")
        other.execute("update lanewise_prod_runs.run_1_orders set id = 2")  # this is what does not hold
        with walled.connect("pub") as publisher:
            publisher.execute("insert into lanewise_prod.v1 select id from lanewise_prod_runs.run_1_orders")
        other.execute("update lanewise_prod_runs.run_1_orders set id = 3")
        with walled.connect("read") as reader:
            assert reader.execute("select id from analytics.orders").fetchall() == [(2,)]
        one.execute("drop table lanewise_prod_runs.run_1_orders")


def test_a_build_goes_through_both_lanes_with_their_own_logins(typist: Typist) -> None:
    """Runs write as the runner, Lanewise publishes as the publisher, and nothing is left different by it."""
    (typist.root / "pipelines" / "orders.sh").write_text(SCRIPT.replace("@BUILD@", "v1"))
    text = (typist.root / "environments.yaml").read_text()
    limited = text.replace("defaults:\n", "defaults:\n  data: {from: 2013-01-01, to: 2013-01-02}\n")
    (typist.root / "environments.yaml").write_text(limited)
    for environment in ("stage", "prod"):
        typist.lane(environment, "--apply")
    for environment in ("stage", "prod"):
        with pytest.raises(SystemExit) as ended:
            main(["-C", str(typist.root), "promote", "--to", environment])
        assert not ended.value.code, typist.capsys.readouterr()
        with typist.connect("read", environment) as connection:
            assert connection.execute("select count(*) from analytics.orders_daily").fetchone() == (6,)
            said = refusals(connection, ["delete from analytics.orders_daily", f"table lanewise_{environment}.maps"])
            assert said[1] == "InsufficientPrivilege"
            assert "PASSED" not in said[0]
        typist.lane(environment, "--check")
