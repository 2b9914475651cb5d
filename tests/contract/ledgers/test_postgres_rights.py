"""Append-only by grant and by trigger: a writer can't change the history, and the owner is stopped as well."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from lanewise.adapters.ledgers import provision
from lanewise.adapters.ledgers.sql import SqlLedger, open_ledger
from lanewise.adapters.secrets.env import EnvStore
from lanewise.adapters.secrets.resolver import SecretResolver
from lanewise.domain.event import Draft
from lanewise.errors import LedgerUnavailable
from lanewise.ledger.chain import verify_chain
from lanewise.testing.postgres import Server

HERE = Path("/")
ROLES = ("ledger_owner", "ledger_writer", "ledger_reader", "ledger_stranger")
PASSWORD = "of-the-ledger-tests"
SCHEMA = "history"


@pytest.fixture
def shared(server: Server) -> Iterator[str]:
    """A database whose schema belongs to the owner, with the ledger made by the rendered statements."""
    name = server.database()
    with server.connect() as admin:
        for role in ROLES:
            if not admin.execute("select 1 from pg_roles where rolname = %s", [role]).fetchone():
                admin.execute(f"create role {role} login password '{PASSWORD}'")
    with server.connect(name) as admin:
        admin.execute(f"create schema {SCHEMA} authorization ledger_owner")
    with owning(server, name) as owner:
        apply(owner, *provision.make(SCHEMA))
        apply(owner, *provision.grants(SCHEMA, writers=["ledger_writer"], readers=["ledger_reader"]))
    return name


def apply(connection: psycopg.Connection, *statements: str) -> None:
    with connection.transaction():
        for statement in statements:
            connection.execute(statement)


def owning(server: Server, name: str) -> psycopg.Connection:
    return server.connect(name, "ledger_owner", PASSWORD)


@pytest.fixture(autouse=True)
def password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEDGER_PASSWORD", PASSWORD)


def as_role(server: Server, database: str, role: str) -> SqlLedger:
    url = f"postgresql://{role}@127.0.0.1:{server.port}/{database}?schema={SCHEMA}&password=env:LEDGER_PASSWORD"
    return open_ledger(url, base=HERE, secrets=SecretResolver({"env": lambda: EnvStore(HERE)}), patience=5)


def test_a_writer_does_all_that_a_ledger_promises_on_what_the_statements_made(server: Server, shared: str):
    ledger = as_role(server, shared, "ledger_writer")
    ledger.append("a", [Draft("t")] * 3, actor="x")
    lease = ledger.renew(ledger.acquire("s", "ana", timedelta(hours=1)), timedelta(hours=2))
    ledger.release(lease)
    assert ledger.acquire("s", "ben", timedelta(hours=1)).fence == lease.fence + 1
    reader = as_role(server, shared, "ledger_reader")
    assert reader.head()[0] == 3
    assert verify_chain(reader.events()) is None
    with pytest.raises(LedgerUnavailable, match="may not do that: permission denied"):
        reader.append("a", [Draft("t")], actor="x")
    with pytest.raises(LedgerUnavailable, match="permission denied for schema"):
        as_role(server, shared, "ledger_stranger").head()


TRIES = {
    "update events set actor = 'eve'": "changed",
    "update events set actor = 'eve' where false": "changed",
    "delete from events": "changed",
    "truncate events": "changed",
    "insert into events values (1, 'b', 1, 't', '', '', '', '', '') on conflict (seq) do update set actor = 'eve'": "",
    "insert into events values (3, 'a', 3, 't', '', 'eve', '{}', '', 'h')": "follows",
    "insert into events values (2, 'a', 2, 't', '', 'eve', '{}', 'forged', 'h')": "follows",
    "update leases set fence = 0": "never falls",
    "update leases set scope = 'elsewhere'": "never falls",
    "delete from leases": "remembers",
    "truncate leases": "remembers",
}
FORBIDDEN = (
    "alter table events disable trigger all",
    "alter table events disable trigger user",
    "drop trigger events_never_change on events",
    "drop table events",
    "alter table events owner to ledger_writer",
    "alter table events rename to gone",
    "create trigger mine before insert on events for each row execute function events_follow()",
    "create or replace function events_never_change() returns trigger language plpgsql as $$ begin return null; end $$",
    "update alembic_version set version_num = '9999'",
    "create table history.mine (x int)",
    "drop schema history cascade",
    "set session_replication_role = replica",
    "set role ledger_owner",
)


@pytest.mark.parametrize("replica", [False, True], ids=["", "as a replica"])
def test_the_history_can_not_be_changed_by_writer_owner_or_replication(server: Server, shared: str, replica: bool):
    as_role(server, shared, "ledger_writer").append("a", [Draft("t")], actor="x")
    as_role(server, shared, "ledger_writer").acquire("s", "ana", timedelta(hours=1))
    if replica:  # a superuser alone may switch ordinary triggers off so; these are always on
        with server.connect(shared) as admin:
            admin.execute(f"set search_path = {SCHEMA}")
            admin.execute("set session_replication_role = replica")
            refuses(admin, triggers=True)
        return
    with owning(server, shared) as owner:
        owner.execute(f"set search_path = {SCHEMA}")
        refuses(owner, triggers=True)
    with server.connect(shared, "ledger_writer", PASSWORD) as writer:
        writer.execute(f"set search_path = {SCHEMA}")
        refuses(writer, triggers=False)
        for statement in FORBIDDEN:
            with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedObject)):
                writer.execute(statement)  # type: ignore[call-overload]
        writer.execute("grant update on events to ledger_writer")  # the server only warns
        refuses(writer, triggers=False)
    assert as_role(server, shared, "ledger_reader").head()[0] == 1


def refuses(connection: psycopg.Connection, *, triggers: bool) -> None:
    for statement, reason in TRIES.items():
        with pytest.raises(psycopg.Error) as caught:
            connection.execute(statement)  # type: ignore[call-overload]
        forbidden = isinstance(caught.value, psycopg.errors.InsufficientPrivilege)
        if triggers:
            assert not forbidden
            assert re.search(reason, str(caught.value)), statement
        else:
            assert forbidden or statement.startswith(("insert", "update leases set fence")), statement


def test_a_writers_own_operators_do_not_blind_the_triggers(server: Server, shared: str):
    """A role that may make a schema of its own can't have ``<>`` mean something else there."""
    as_role(server, shared, "ledger_writer").append("a", [Draft("t")], actor="x")
    with server.connect(shared) as admin:
        admin.execute("create schema eve authorization ledger_writer")
    with server.connect(shared, "ledger_writer", PASSWORD) as writer:
        writer.execute("create function eve.no(bigint, bigint) returns bool language sql as 'select false'")
        writer.execute("create function eve.no(text, text) returns bool language sql as 'select false'")
        writer.execute("create operator eve.<> (leftarg = bigint, rightarg = bigint, function = eve.no)")
        writer.execute("create operator eve.<> (leftarg = text, rightarg = text, function = eve.no)")
        writer.execute(f"set search_path = eve, {SCHEMA}, pg_catalog")
        with pytest.raises(psycopg.Error, match="follows"):
            writer.execute("insert into events values (9, 'a', 9, 't', '', 'eve', '{}', 'forged', 'h')")


def test_granting_again_changes_nothing_and_takes_back_what_is_too_much(server: Server, shared: str):
    def rights() -> list[tuple[object, ...]]:
        with server.connect(shared) as admin:
            return admin.execute(
                "select relname, relacl::text from pg_class c join pg_namespace n on n.oid = relnamespace "
                "where nspname = %s order by 1", [SCHEMA],
            ).fetchall()  # fmt: skip

    before = rights()
    with owning(server, shared) as owner:
        owner.execute(f"grant all on {SCHEMA}.events to ledger_writer, public")
        assert rights() != before
        apply(owner, *provision.grants(SCHEMA, writers=["ledger_writer"], readers=["ledger_reader"]))
    assert sorted(map(sorted, map(str, rights()))) == sorted(map(sorted, map(str, before)))


def test_a_writer_before_an_old_schema_is_told_what_helps(server: Server, shared: str):
    with server.connect(shared) as admin:
        admin.execute(f"update {SCHEMA}.alembic_version set version_num = '0001'")
        for table, trigger in (("events", "events_never_change"), ("events", "events_follow"),
                               ("leases", "leases_never_go"), ("leases", "fences_never_fall")):  # fmt: skip
            admin.execute(f"drop trigger {trigger} on {SCHEMA}.{table}")
            admin.execute(f"drop function {SCHEMA}.{trigger}()")
    ledger = as_role(server, shared, "ledger_writer")
    with pytest.raises(LedgerUnavailable, match="has schema 0001, and this Lanewise writes 0002") as caught:
        ledger.append("a", [Draft("t")], actor="x")
    assert f"provision --schema {SCHEMA} --from 0001" in caught.value.hint
    with owning(server, shared) as owner:
        apply(owner, *provision.make(SCHEMA, found="0001"))
    assert as_role(server, shared, "ledger_writer").append("a", [Draft("t")], actor="x")[0].seq == 1


def test_the_owner_makes_the_ledger_by_its_first_write_too(server: Server, shared: str):
    with server.connect(shared) as admin:
        admin.execute(f"drop schema {SCHEMA} cascade")
        admin.execute(f"create schema {SCHEMA} authorization ledger_owner")
    assert as_role(server, shared, "ledger_owner").append("a", [Draft("t")], actor="x")[0].seq == 1


def test_the_command_prints_what_psql_runs(server: Server):
    name = server.database()
    command = [sys.executable, "-m", "lanewise.adapters.ledgers.provision", "--schema", "printed"]
    script = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    psql = [server.binaries / "psql", "-X", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", str(server.port),
            "-U", "postgres", name]  # fmt: skip
    subprocess.run(psql, input=script, check=True, capture_output=True, text=True)
    url = f"postgresql://postgres@127.0.0.1:{server.port}/{name}?schema=printed"
    assert open_ledger(url, base=HERE).append("a", [Draft("t")], actor="x")[0].seq == 1
