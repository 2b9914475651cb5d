"""Measuring changes nothing, fires nothing, and makes nobody wait; and where nothing was sent, nothing was proved."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from tests.contract.probes.walls import Town, by_database, by_schema, told

from lanewise.adapters.probes.postgres.probe import PostgresProbe
from lanewise.adapters.probes.postgres.session import Session
from lanewise.domain.environment import SecretRef
from lanewise.domain.isolation import Outcome
from lanewise.testing.postgres import Server

SEEN = """
select n.nspname || '.' || c.relname, c.relkind::text, c.relacl::text, c.relfilenode::bigint, s.n_tup_ins, s.n_tup_upd,
    s.n_tup_del from pg_class c join pg_namespace n on n.oid = c.relnamespace
    left join pg_stat_user_tables s on s.relid = c.oid
where n.nspname !~ '^pg_' and n.nspname <> 'information_schema' order by 1, 2
"""
CATALOGS = """
select (select array_agg(nspname::text || coalesce(nspacl::text, '') order by oid) from pg_namespace
        where nspname !~ '^pg_'),
    (select array_agg(rolname::text || rolsuper::text || rolinherit::text order by oid) from pg_roles),
    (select array_agg(roleid::text || member::text order by oid) from (select roleid, member, 0 as oid
        from pg_auth_members order by 1, 2) m),
    (select array_agg(defaclacl::text order by oid) from pg_default_acl),
    (select array_agg(proname::text order by oid) from pg_proc where oid > 16384)
"""
LOCKS = """
select distinct l.mode from pg_locks l join pg_stat_activity a using (pid)
where a.application_name ~ '^lanewise' and l.relation = any(%s)
"""


def open_town(server: Server) -> Town:
    """With dev's runner let in nearly everywhere, so that tries reach the tables; and a trigger on each statement."""
    town = by_schema(server, "dev", "prod")
    store, dev = town.place("prod").store, town.user("dev")
    with town.lanes["prod"].connect() as root:
        root.execute(f"grant usage on schema {store} to {dev}")
        root.execute(f"grant all on all tables in schema {store} to {dev}")
        root.execute(f"create sequence {store}.fired")
        root.execute(f"create function {store}.fire() returns trigger language plpgsql security definer as "
                     f"$$ begin perform nextval('{store}.fired'); return null; end $$")  # fmt: skip
        root.execute(
            f"create trigger fire before insert or update or delete on {store}.v1 execute function {store}.fire()"
        )
    return town


def looks(town: Town) -> list[Any]:
    store = town.place("prod").store
    with town.lanes["prod"].connect() as root:
        root.execute("select pg_stat_force_next_flush()")
        return [
            root.execute(SEEN).fetchall(), root.execute(CATALOGS).fetchall(),
            root.execute(f"select count(*), sum(hash_record_extended(t, 0)) from {store}.v1 t").fetchall(),
            root.execute(f"select is_called, last_value from {store}.fired").fetchall(),
            root.execute("select last_value, is_called from "
                         f"{store}.slice_numbers").fetchall(),
        ]  # fmt: skip


def test_a_whole_measurement_changes_nothing_and_fires_nothing(server: Server):
    town = open_town(server)
    before = looks(town)
    found = town.measure()
    assert {"select", "insert", "update", "delete"} <= {a.action for a in found.of(Outcome.ALLOWED)}
    assert looks(town) == before
    with town.lanes["prod"].connect() as root:
        left = root.execute("select count(*) from pg_stat_activity where application_name ~ '^lanewise'").fetchone()
        assert left == (0,)


@contextmanager
def load(town: Town, waits: list[float]):
    """Two readers and a writer, at it until the block ends; ``waits`` are the seconds that each statement took."""
    store = town.place("prod").store
    stop = threading.Event()

    def work(statement: str) -> None:
        with town.lanes["prod"].connect() as connection:
            while not stop.is_set():
                begun = time.monotonic()
                connection.execute(statement)
                waits.append(time.monotonic() - begun)

    statements = (f"select sum(amount) from {store}.v1", f"select count(*) from {town.place('prod').public}.orders",
                  f"update {store}.v1 set amount = amount where id = 7")  # fmt: skip
    threads = [threading.Thread(target=work, args=(s,)) for s in statements]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_nobody_waits_and_no_strong_lock_is_ever_taken(server: Server):
    town = open_town(server)
    modes: set[str] = set()
    done = threading.Event()

    def watch() -> None:
        with town.lanes["prod"].connect() as root:
            row = root.execute("select array_agg(oid) from pg_class where oid > 16384").fetchone()
            while not done.is_set():
                modes.update(mode for (mode,) in root.execute(LOCKS, [row[0]]).fetchall())  # type: ignore[index]

    watcher = threading.Thread(target=watch)
    watcher.start()
    waits: list[float] = []
    with load(town, waits):
        for _ in range(3):
            found = town.measure()
    done.set()
    watcher.join()
    assert not found.of(Outcome.UNREACHABLE), told(found.of(Outcome.UNREACHABLE))
    assert modes <= {"AccessShareLock", "RowExclusiveLock"}
    assert len(waits) > 50
    assert sorted(waits)[int(len(waits) * 0.95)] < 0.25


def test_a_table_that_somebody_locks_is_doubt_and_is_not_waited_for(server: Server):
    town = open_town(server)
    store = town.place("prod").store
    with town.lanes["prod"].connect() as root:
        root.autocommit = False
        root.execute(f"lock table {store}.v1 in access exclusive mode")
        begun = time.monotonic()
        found = town.measure()
        assert time.monotonic() - begun < 20
    silent = [a for a in found.of(Outcome.UNREACHABLE) if a.target.name == f"{store}.v1"]
    assert silent
    assert all(a.answer.startswith("55P03") for a in silent)


@pytest.fixture
def town(postgres15: Server) -> Town:
    return by_database(postgres15, "dev", "prod")


def test_where_no_statement_is_sent_nothing_is_proved(town: Town, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Session, "_send", lambda self, statement: ("no answer", "nothing was sent"))
    assert town.measure().of(Outcome.UNREACHABLE)


def test_where_every_statement_is_taken_as_done_nothing_is_proved(town: Town, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Session, "_send", lambda self, statement: ("", ""))
    assert town.measure().of(Outcome.ALLOWED)


def test_a_probe_that_tries_nothing_proves_nothing(town: Town, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(PostgresProbe, "attempts", lambda self, holder, other: ())
    found = town.measure()
    assert not found.whole
    assert {a.answer for a in found.of(Outcome.UNREACHABLE)} == {"nothing was tried"}


def test_a_wrong_password_is_refused_everywhere_and_proves_nothing(town: Town):
    shop = town.shop()
    dev = shop.environments["dev"]
    ours = dev.connection("dst")
    wrong = replace(ours, secrets={**ours.secrets, "runner_password": SecretRef("env:a-wrong-password")})
    shop.environments = {**shop.environments, "dev": replace(dev, connections={wrong.name: wrong})}
    found = shop.measure()
    silent = [a for a in found.of(Outcome.UNREACHABLE) if a.identity.environment == "dev"]
    assert [(a.identity.role, a.target.environment) for a in silent] == [("runner", "prod")]
    assert "does not work at home" in silent[0].answer
    assert "a-wrong-password" not in silent[0].answer


def test_a_server_that_is_away_is_doubt(town: Town):
    shop = town.shop()
    prod = shop.environments["prod"]
    theirs = prod.connection("dst")
    away = replace(theirs, fields={**theirs.fields, "port": 1})
    shop.environments = {**shop.environments, "prod": replace(prod, connections={away.name: away})}
    found = shop.measure()
    assert found.attempts
    assert {a.outcome for a in found.attempts if a.target.environment == "prod"} == {Outcome.UNREACHABLE}
    assert not found.whole
