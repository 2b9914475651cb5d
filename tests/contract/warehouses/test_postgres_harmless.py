"""A run that plants code in its room, for the publisher to run: PostgreSQL runs it as whoever reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.contract.warehouses.provisioned import Lane, provisioned

from lanewise.adapters.warehouses.postgres import harmless, reading
from lanewise.adapters.warehouses.postgres.place import Place
from lanewise.adapters.warehouses.postgres.running import Running
from lanewise.adapters.warehouses.postgres.server import Server as Login
from lanewise.domain.environment import Role
from lanewise.domain.run import RunRequest
from lanewise.errors import RunFailed
from lanewise.testing.postgres import Server
from lanewise.testing.warehouse import D1, ORDERS, request

COLUMNS = "day date, id bigint, amount numeric(18,2)"
ROW = f"values ('{D1}', 1, 1)"
EVIL = """\
create function {rooms}.evil() returns boolean language plpgsql as
$$ begin if current_user = '{publisher}' then update {store}.format set version = 666; end if; return true; end $$;
create function {rooms}.quietly(int) returns int immutable language plpgsql as
$$ begin perform {rooms}.evil(); return 1; end $$;
grant execute on all functions in schema {rooms} to public;
"""
PLANTS = {
    "a row policy": (
        f"create table {{out}} ({COLUMNS}); insert into {{out}} {ROW};"
        "alter table {out} enable row level security; create policy p on {out} using ({rooms}.evil())"
    ),
    "a cast of its own type": (
        "create type {rooms}.t as enum ('1'); create function {rooms}.c({rooms}.t) returns bigint language sql as "
        "'select {rooms}.evil()::int::bigint'; create cast ({rooms}.t as bigint) with function {rooms}.c({rooms}.t) "
        "as assignment; grant execute on function {rooms}.c({rooms}.t) to public; "
        "create table {out} (day date, id {rooms}.t, amount numeric(18,2)); "
        f"insert into {{out}} values ('{D1}', '1', 1)"
    ),
    "an index that planning looks at": (
        f"create table {{out}} ({COLUMNS}); insert into {{out}} {ROW}; "
        "create index on {out} ((id + {rooms}.quietly(1)))"
    ),
    "an index of a child table": (
        f"create table {{out}} ({COLUMNS}); create table {{rooms}}.child () inherits ({{out}}); "
        f"insert into {{rooms}}.child {ROW}; create index on {{rooms}}.child ((id + {{rooms}}.quietly(1)))"
    ),
}  # fmt: skip
HARMLESS = (
    "create table {out} (day date not null, id bigint generated always as identity primary key, "
    "amount numeric(18,2) default 1 check (amount > 0)); "
    f"insert into {{out}} (day) values ('{D1}'); create index on {{out}} (id) where amount > 0"
)


def left(server: Server, folder: Path, plant: str) -> tuple[Lane, Running, RunRequest]:
    """A run whose login has planted this in its room."""
    lane = provisioned(server)
    place = Place.of(lane.environment, "shop")
    running = Running(Login(lane.environment.connection("dst"), lane.secrets), place, folder / ".lanewise", None, print)
    wanted = request([ORDERS], [D1])
    out = running.open_run(wanted, [ORDERS], (), {}).engine["outputs"]["orders"]
    with lane.connect(Role.RUNNER) as connection:
        words = {"rooms": place.rooms, "store": place.store, "publisher": lane.login(Role.PUBLISHER)}
        connection.execute((EVIL + plant).format(out=out["relation"], **words))
        connection.execute(f"comment on table {out['relation']} is '{out['comment']}'")
    return lane, running, wanted


def is_moved(lane: Lane) -> bool:
    with lane.connect() as connection:
        return connection.execute("select version from lanewise_prod.format").fetchone() == (666,)


@pytest.mark.parametrize("plant", PLANTS)
def test_nothing_that_a_run_plants_is_run_by_the_publisher(server: Server, tmp_path: Path, plant: str) -> None:
    lane, running, wanted = left(server, tmp_path, PLANTS[plant])
    with pytest.raises(RunFailed, match="can't be trusted"):
        running.written(wanted.id, [ORDERS], {})
    with pytest.raises(RunFailed, match="can't be trusted"):
        running.stage(wanted, [ORDERS], {})
    assert not is_moved(lane)


LATE = (
    "create index on {out} ((id + {rooms}.quietly(1)))",
    "create statistics {rooms}.late on (id + {rooms}.quietly(1)), day from {out}",
    "create table {rooms}.child () inherits ({out})",
    "alter table {out} enable row level security",
)


@pytest.mark.parametrize("late", LATE)
def test_nothing_can_be_planted_once_it_was_looked_at(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, late: str
) -> None:
    """The run's login is there still, and may go on while the publisher reads."""
    lane, running, wanted = left(server, tmp_path, f"create table {{out}} ({COLUMNS}); insert into {{out}} {ROW}")
    look, refused = harmless.demand_harmless, []

    def looked(connection: psycopg.Connection[Any], schema: str, relation: str, table: str) -> None:
        look(connection, schema, relation, table)
        with lane.connect(Role.RUNNER) as runner:
            runner.execute("set lock_timeout = '20ms'")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                runner.execute(late.format(out=f'"{schema}"."{relation}"', rooms=f'"{schema}"').encode())
            refused.append(relation)

    monkeypatch.setattr(reading, "demand_harmless", looked)
    running.stage(wanted, [ORDERS], {})
    assert refused
    assert not is_moved(lane)


def test_a_run_that_still_writes_is_told_so(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harmless, "_PATIENCE", "20ms")
    lane, running, wanted = left(server, tmp_path, f"create table {{out}} ({COLUMNS}); insert into {{out}} {ROW}")
    with lane.connect(Role.RUNNER) as writer, writer.transaction():
        relation = running.place.output(wanted.id, "orders")
        writer.execute(f"insert into lanewise_prod_runs.{relation} {ROW}".encode())
        with pytest.raises(RunFailed, match="still being written"):
            running.stage(wanted, [ORDERS], {})
    ((found,),) = running.stage(wanted, [ORDERS], {}).values()
    assert found.rows == 2


def test_what_is_planted_would_be_run_if_nobody_looked(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: without the look these plants do move what only the publisher may."""
    monkeypatch.setattr(reading, "demand_harmless", lambda *_: None)
    lane, running, wanted = left(server, tmp_path, PLANTS["a row policy"])
    running.written(wanted.id, [ORDERS], {})
    assert is_moved(lane)


def test_an_ordinary_table_with_keys_defaults_and_indexes_is_staged(server: Server, tmp_path: Path) -> None:
    lane, running, wanted = left(server, tmp_path, HARMLESS)
    ((found,),) = running.stage(wanted, [ORDERS], {}).values()
    assert found.rows == 1
    assert not is_moved(lane)
