"""Operators who may do less than everything: what they can is done, and the rest is said to be an administrator's."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from tests.contract.provisioners.test_postgres_rights import published, with_inputs
from tests.contract.warehouses.provisioned import Lane, Passwords, lane_on

from lanewise.adapters.provisioners.postgres import provisioner
from lanewise.domain.environment import Role, SecretRef
from lanewise.errors import LoginRefused, Refused
from lanewise.testing.postgres import Server


def operated(server: Server, *rights: str, owns: bool = False) -> Lane:
    """A lane whose operator has these rights and no others; ``owns``: the database."""
    database = with_inputs(server)
    operator = f"ops_{database}"
    with server.connect(database) as connection:
        connection.execute(f"create role {operator} login password '{operator}-secret' {' '.join(rights)}")
        if owns:
            connection.execute(f"alter database {database} owner to {operator}")
    lane = lane_on(server, database=database)
    target = lane.connection("dst")
    target = replace(target, fields={**target.fields, "admin": operator},
                     secrets={**target.secrets, "admin_password": SecretRef(f"env:{operator}")})  # fmt: skip
    return Lane(server, replace(lane, connections={target.name: target}), Passwords(), (), ("raw.orders",))


def left(found: Any) -> list[str]:
    return [change.statement for change in found.changes if change.administrator]


def test_an_owner_of_the_database_who_makes_roles_does_all_but_the_inputs(server: Server) -> None:
    lane = operated(server, "createrole", owns=True)
    done = lane.apply()
    assert left(done) != []
    assert all('"raw"' in statement for statement in left(done))
    published(lane)
    assert [change.statement for change in lane.look().changes] == left(done)
    with lane.connect() as connection:
        for statement in left(done):
            connection.execute(statement)
    assert lane.look().changes == ()


def test_an_operator_who_inherits_nothing_borrows_where_the_server_can(server: Server) -> None:
    """Up to PostgreSQL 15 a membership is of no use to them by itself."""
    lane = operated(server, "createrole", "noinherit", owns=True)
    done = lane.apply()
    assert lane.look() == replace(lane.look(), changes=tuple(change for change in done.changes if change.administrator))
    others = [statement for statement in left(done) if '"raw"' not in statement]
    assert bool(others) is (server.version < 16)


def test_the_operator_does_not_stay_a_member_of_what_they_handed_over(server: Server) -> None:
    lane = operated(server, "createrole", owns=True)
    lane.apply()
    operator = lane.login(Role.ADMIN)
    with lane.connect() as connection:
        can = connection.execute(
            "select pg_has_role(%s, %s, 'USAGE')", [operator, lane.login(Role.PUBLISHER)]
        ).fetchone()
    assert can == (False,)


def test_drift_is_put_right_by_an_operator_who_is_no_superuser(server: Server) -> None:
    lane = operated(server, "createrole", owns=True)
    lane.apply()
    published(lane)
    with lane.connect() as connection:
        connection.execute("grant insert on lanewise_prod.maps to public")
        runner = lane.login(Role.RUNNER)
        connection.execute(f"alter default privileges for role {runner} grant select on tables to public")
        connection.execute(f"revoke select on analytics_prod.orders from {lane.login(Role.READER)}")
    lane.apply()
    assert all('"raw"' in change.statement for change in lane.look().changes)


def test_an_operator_who_may_make_neither_schemas_nor_roles_uses_those_that_are_there(server: Server) -> None:
    lane = operated(server)
    found = lane.look()
    assert len(left(found)) == len(found.changes) > 10
    assert lane.apply() == found
    assert lane.look() == found
    with lane.connect() as connection:  # an administrator makes them, and hands them to nobody yet
        for role in (Role.RUNNER, Role.PUBLISHER, Role.READER):
            login = lane.login(role)
            connection.execute(f"create role {login} login noinherit password '{login}-secret'")
        for schema in ("analytics_prod", "lanewise_prod", "lanewise_prod_runs"):
            connection.execute(f"create schema {schema}")
            connection.execute(f"alter schema {schema} owner to {lane.login(Role.ADMIN)}")
    done = lane.apply()
    assert 0 < len(left(done)) < len(done.changes)
    assert not any("create schema" in change.statement or "create role" in change.statement for change in done.changes)
    assert {change.statement for change in lane.look().changes} == set(left(done))


def test_the_script_does_it_all_for_an_administrator(server: Server) -> None:
    lane = operated(server)
    script = lane.look().script
    assert "secret" not in script.replace("raw.secrets", "")
    assert script.count("\\password") == 3
    ready = "\n".join(line for line in script.splitlines() if not line.startswith("\\password"))
    done = subprocess.run(
        [server.binaries / "psql", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", str(server.port), "-U", "postgres",
         "-d", lane.database], input=ready, text=True, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    remaining = lane.look().changes
    assert all("password '***'" in change.statement for change in remaining), remaining
    assert len(remaining) == 3


def test_a_grant_that_the_server_ignores_is_not_taken_for_made(server: Server, monkeypatch: Any) -> None:
    """PostgreSQL answers it with a warning, not with an error."""
    lane = operated(server)
    lane_of_superuser = replace(lane, environment=lane_on(server, database=lane.database))
    lane_of_superuser.apply()
    operator = lane.login(Role.ADMIN)
    with lane.connect() as connection:
        connection.execute(f"grant connect on database {lane.database} to {operator}")
        connection.execute(f"grant usage on schema raw to {operator}")
        connection.execute(f"revoke usage on schema raw from {lane.login(Role.RUNNER)}")
    real = provisioner.difference
    monkeypatch.setattr(provisioner, "difference", lambda *given: tuple(
        replace(step, administrator=False) for step in real(*given)))  # fmt: skip
    with pytest.raises(Refused, match="this was not done: grant usage on schema"):
        lane.apply()


def test_one_refused_statement_leaves_nothing_behind(server: Server, monkeypatch: Any) -> None:
    lane = operated(server, "createrole")
    real = provisioner.difference
    monkeypatch.setattr(provisioner, "difference", lambda *given: tuple(
        replace(step, administrator=False) for step in real(*given)))  # fmt: skip
    with pytest.raises(Refused, match="permission denied for database"):
        lane.apply()
    with lane.connect() as connection:
        found = connection.execute("select 1 from pg_roles where rolname = %s", [lane.login(Role.RUNNER)]).fetchall()
    assert found == []


def test_an_operator_with_a_wrong_password_is_told_so(server: Server) -> None:
    lane = operated(server)
    lane.secrets.values[lane.login(Role.ADMIN)] = "wrong"
    with pytest.raises(LoginRefused, match="password authentication failed") as refused:
        lane.look()
    assert "wrong" not in str(refused.value)


def test_somebody_at_work_on_the_same_things_is_waited_for_and_told_of(server: Server, monkeypatch: Any) -> None:
    lane = Lane(server, lane_on(server), Passwords())
    lane.apply()
    published(lane)
    with lane.connect() as connection:
        connection.execute("alter view analytics_prod.orders owner to postgres")
    monkeypatch.setattr(provisioner, "_WAIT", "100ms")
    with psycopg.connect(host="127.0.0.1", port=server.port, dbname=lane.database, user="postgres") as reader:
        reader.execute("select * from analytics_prod.orders")
        with pytest.raises(Refused, match="somebody is changing the same things"):
            lane.apply()
    lane.apply()
    assert lane.look().changes == ()
