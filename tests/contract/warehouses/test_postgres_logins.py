"""Runs as the logins that provisioning gives, and inputs that another pipeline publishes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.contract.warehouses.postgres_harness import PostgresHarness

from lanewise.adapters.warehouses.postgres.place import Place
from lanewise.adapters.warehouses.postgres.running import Running
from lanewise.adapters.warehouses.postgres.server import Server as Login
from lanewise.domain.environment import Role
from lanewise.errors import GroundMoved, LoginRefused, SecretUnavailable, WarehouseUnavailable
from lanewise.runtime import connection as runtime_connection
from lanewise.runtime.run import Run
from lanewise.testing.postgres import Server
from lanewise.testing.warehouse import D1, ORDERS, TOTALS, order, published, request

from .postgres_runs import run_of
from .provisioned import Lane, provisioned


@pytest.fixture
def lane(server: Server) -> Lane:
    return provisioned(server)


def running(lane: Lane, home: Path) -> Running:
    place = Place.of(lane.environment, "shop")
    target = lane.environment.connection("dst")
    return Running(Login(target, lane.secrets), place, home / ".lanewise", target, print)


def test_the_runner_writes_and_the_publisher_stages_by_what_provisioning_gives(
    lane: Lane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, wanted = running(lane, tmp_path), request([ORDERS, TOTALS], [D1])
    login = lane.login(Role.RUNNER)
    monkeypatch.setenv(login, f"{login}-secret")
    space = mine.open_run(wanted, [ORDERS, TOTALS], (), {})
    assert "-secret" not in json.dumps(space.engine)
    assert space.engine["password"] == {"text": f"env:{login}", "previous": None}
    with run_of(wanted, space, ORDERS, TOTALS) as run:
        assert run.sql("select current_user").fetchone() == (login,)
        run.sql(f"insert into {run.output('orders')} values ('{D1}', 1, 1)")
        with pytest.raises(Exception, match="permission denied"), run.connection.transaction():
            run.sql(f"select * from {mine.place.store}.pointers")
    (Path(space.engine["directory"]) / "outputs" / "totals.csv").write_text("name,n\nall,1\n")
    assert [w.table for w in mine.written(wanted.id, [ORDERS, TOTALS], {})] == ["orders", "totals"]
    slices = mine.stage(wanted, [ORDERS, TOTALS], {})
    assert [s.rows for found in slices.values() for s in found] == [1, 1]
    mine.discard(wanted.id)
    with lane.connect() as connection:
        assert connection.execute(
            "select count(*) from pg_tables where schemaname = %s", [mine.place.rooms]
        ).fetchone() == (0,)


def test_a_room_is_shared_with_the_publisher_where_no_default_privilege_does_it(
    lane: Lane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, wanted = running(lane, tmp_path), request([ORDERS], [D1])
    login = lane.login(Role.RUNNER)
    monkeypatch.setenv(login, f"{login}-secret")
    with lane.connect() as connection:
        connection.execute(f'alter default privileges for role "{login}" in schema "{mine.place.rooms}" '
                           f'revoke select on tables from "{lane.login(Role.PUBLISHER)}"')  # fmt: skip
    with run_of(wanted, mine.open_run(wanted, [ORDERS], (), {}), ORDERS) as run:
        run.sql(f"insert into {run.output('orders')} values ('{D1}', 1, 1)")
    assert mine.stage(wanted, [ORDERS], {})["orders"][0].rows == 1


def engine_of(lane: Lane, space_engine: dict, password: dict) -> Run:
    run = {"id": "r", "purpose": "scheduled", "partitions": [D1], "tables": ["orders"],
           "declared": {"orders": [["day", "DATE", True]]}}  # fmt: skip
    return Run({"environment": "prod", "run": run, "engine": {**space_engine, "password": password}, "root": "",
                "path": ""})  # fmt: skip


def test_a_run_logs_in_with_the_older_password_while_a_rotation_is_under_way(
    lane: Lane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    login = lane.login(Role.RUNNER)
    engine = dict(running(lane, tmp_path).open_run(request([ORDERS], [D1]), [ORDERS], (), {}).engine)
    monkeypatch.setenv("NEWER", "not-yet-in-force")
    monkeypatch.setenv("OLDER", f"{login}-secret")
    with engine_of(lane, engine, {"text": "env:NEWER", "previous": "env:OLDER"}) as run:
        assert run.sql("select 1").fetchone() == (1,)
    assert {"not-yet-in-force", f"{login}-secret"} <= runtime_connection.resolved  # so the log strikes both out
    for password in ({"text": "env:NEWER", "previous": None}, {"text": "env:NEWER", "previous": "env:UNSET"}):
        with pytest.raises(LoginRefused) as caught, engine_of(lane, engine, password) as run:
            run.sql("select 1")
        assert "not-yet-in-force" not in f"{caught.value} {caught.value.hint}"
    with pytest.raises(SecretUnavailable, match="env:UNSET"), engine_of(lane, engine, {"text": "env:UNSET"}) as run:
        run.sql("select 1")
    engine["connection"] = {**engine["connection"], "port": 1}
    with pytest.raises(WarehouseUnavailable), engine_of(lane, engine, {"text": "env:NEWER"}) as run:
        run.sql("select 1")


def test_a_published_view_is_pinned_by_its_tables_state_in_the_live_map(server: Server, tmp_path: Path) -> None:
    up = PostgresHarness(tmp_path / "up", server)
    published(up, request([ORDERS, TOTALS], [D1]), [(ORDERS, [order(D1, 1)]), (TOTALS, [])])
    down = PostgresHarness(tmp_path / "down", server, server.connection(up.database))
    down.database = up.database
    mine, name = down.open(project="reports"), "analytics_prod.orders"
    [first] = mine.pin([name])
    assert first.release == "shop@1"
    published(up, request([TOTALS], ["all"]), [(TOTALS, [{"name": "x", "n": 1}])], fence=2)
    [second] = mine.pin([name])
    assert (second.digest, second.release) == (first.digest, "shop@2")
    table = ORDERS
    wanted = request([table], [D1])
    with run_of(wanted, mine.open_run(wanted, [table], [first]), table) as run:
        run.sql(f"insert into {run.output('orders')} select * from {run.input(name)}")
    assert mine.stage(wanted, [table])["orders"][0].rows == 1
    published(up, request([ORDERS], [D1], build="b"), [(ORDERS, [order(D1, 9)])], fence=3)
    with pytest.raises(GroundMoved, match=r"analytics_prod\.orders has changed"):
        mine.stage(wanted, [table])
    up.open().compact()
    assert mine.pin([name])[0].release == "shop@3"
