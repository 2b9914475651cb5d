"""The ledger on real servers: what it promises everywhere, and what only a server can do wrong."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from lanewise.adapters.ledgers.postgres import PostgresDatabase
from lanewise.adapters.ledgers.sql import SqlLedger, open_ledger
from lanewise.domain.event import Draft
from lanewise.domain.ports import Ledger
from lanewise.errors import GroundMoved, LedgerUnavailable
from lanewise.ledger.chain import verify_chain
from lanewise.testing.ledger import LedgerContract
from lanewise.testing.postgres import Server, kill_backend, postgres

from .places import ledger_url, schema_of, worker
from .proxy import Cut, Proxy

HERE = Path("/")
HOUR = timedelta(hours=1)


class TestPostgresLedger(LedgerContract):
    @pytest.fixture
    def open_again(self, server: Server) -> Callable[[], Ledger]:
        url = ledger_url(server)
        return lambda: open_ledger(url, base=HERE)


@pytest.fixture
def url(server: Server) -> str:
    return ledger_url(server)


@pytest.fixture
def ledger(url: str) -> SqlLedger:
    return open_ledger(url, base=HERE, patience=0.3)


def database(ledger: SqlLedger) -> PostgresDatabase:
    assert isinstance(ledger.database, PostgresDatabase)
    return ledger.database


def connection(ledger: SqlLedger) -> psycopg.Connection[Any]:
    """The connection of this thread."""
    return database(ledger).sessions.session()


def refused(ledger: SqlLedger) -> LedgerUnavailable:
    with pytest.raises(LedgerUnavailable) as caught:
        ledger.append("a", [Draft("t", {"text": "y" * 50_000})], actor="x")
    assert "\n" not in caught.value.message
    assert "yyy" not in "".join(traceback.format_exception(caught.value)), "nor when debugging"
    assert caught.value.hint
    return caught.value


# Where it is


def test_reading_a_ledger_that_is_not_there_makes_nothing(ledger: SqlLedger, url: str, server: Server):
    ledger.read("a"), ledger.last("a"), ledger.streams(""), list(ledger.events()), ledger.holder("s"), ledger.now()
    with server.connect() as look:
        assert look.execute("select 1 from pg_namespace where nspname = %s", [schema_of(url)]).fetchone() is None


def test_reading_begins_as_soon_as_somebody_has_written(ledger: SqlLedger, url: str):
    assert ledger.head() == (0, "")
    open_ledger(url, base=HERE).append("a", [Draft("t")], actor="x")
    assert ledger.head()[0] == 1


def test_two_ledgers_in_one_database_are_two(server: Server):
    one, two = (open_ledger(ledger_url(server), base=HERE, patience=0.3) for _ in range(2))
    one.append("a", [Draft("t")], actor="x")
    two.append("a", [Draft("t")], actor="x")
    assert one.head()[0] == two.head()[0] == 1


def test_only_making_a_ledger_needs_sqlalchemy_and_alembic(ledger: SqlLedger, url: str):
    ledger.append("a", [Draft("t")], actor="x")
    code = (
        "import sys\nfrom pathlib import Path\nfrom lanewise.adapters.ledgers.sql import open_ledger\n"
        "from lanewise.domain.event import Draft\nledger = open_ledger(sys.argv[1], base=Path())\n"
        "ledger.append('a', [Draft('t')], actor='x')\n"
        "print(sorted({'sqlalchemy', 'alembic'} & set(sys.modules)), ledger.head()[0])"
    )
    done = subprocess.run([sys.executable, "-c", code, url], check=True, capture_output=True, text=True)
    assert done.stdout == "[] 2\n"


def test_lookups_use_their_index(ledger: SqlLedger):
    from lanewise.adapters.ledgers import statements as sql
    from lanewise.adapters.ledgers.postgres import _translated

    ledger.append("a", [Draft("t")], actor="x")
    own = connection(ledger)
    own.execute("set enable_seqscan = off")
    for statement, parameters, index in (
        (sql.LAST_OF_TYPE, {"stream": "", "type": ""}, "events_by_type"),
        (*sql.streams("a", ["t"]), "events_first"),
        (sql.HEAD, {}, "events_pkey"),
    ):
        plan = own.execute(f"explain {_translated(statement)}", parameters).fetchall()
        assert index in str(plan)


# Durable, and for itself


def test_a_commit_waits_for_the_disk_even_where_the_server_would_not(server: Server):
    name = server.database()
    with server.connect() as admin:
        admin.execute(f"alter database {name} set synchronous_commit = off")
        admin.execute(f"alter database {name} set default_transaction_isolation = 'serializable'")
    ledger = open_ledger(ledger_url(server, name), base=HERE)
    ledger.append("a", [Draft("t")], actor="x")
    assert connection(ledger).execute("show synchronous_commit").fetchone() == ("on",)


def test_readers_wait_for_no_writer(ledger: SqlLedger, url: str):
    ledger.append("a", [Draft("t")], actor="x")
    inside, go = threading.Event(), threading.Event()

    def slow(writing: Any) -> None:
        writing.ask("select 1", {})
        inside.set()
        go.wait(10)

    other = open_ledger(url, base=HERE)
    thread = threading.Thread(target=other.database.write, args=[slow])
    thread.start()
    assert inside.wait(10)
    started = time.monotonic()
    assert (ledger.head()[0], len(ledger.read("a")), ledger.holder("s")) == (1, 1, None)
    assert time.monotonic() - started < 5, "the writer holds its lock for ten"
    assert "another process keeps it locked" in refused(ledger).message
    go.set()
    thread.join()
    assert ledger.append("a", [Draft("t")], actor="x")[0].seq == 2


def test_a_writer_that_vanished_is_ended_by_the_server(ledger: SqlLedger, url: str, monkeypatch: pytest.MonkeyPatch):
    from lanewise.adapters.ledgers import postgres_session as module

    ledger.append("a", [Draft("t")], actor="x")
    monkeypatch.setattr(module, "_VANISHED", 0.2)
    sleepy, asleep = open_ledger(url, base=HERE), [True]

    def drowsy(writing: Any) -> None:
        writing.ask("select 1", {})
        if asleep.pop() if asleep else False:
            time.sleep(1)

    thread = threading.Thread(target=sleepy.database.write, args=[drowsy])
    thread.start()
    time.sleep(0.1)
    assert open_ledger(url, base=HERE, patience=5).append("a", [Draft("t")], actor="x")[0].seq == 2
    thread.join()


# What can go wrong


def test_a_server_that_is_away_is_said_to_be_away(server: Server):
    ledger = open_ledger("postgresql://ana@127.0.0.1:1/d", base=HERE, patience=30)
    started = time.monotonic()
    assert "can't be reached" in refused(ledger).message
    with pytest.raises(LedgerUnavailable, match=r"ana@127\.0\.0\.1:1/d"):
        ledger.head()
    assert time.monotonic() - started < 5, "nothing was sent, so nothing is waited for"


def test_a_refused_login_is_said_to_be_refused(server: Server, monkeypatch: pytest.MonkeyPatch):
    from lanewise.adapters.secrets.env import EnvStore
    from lanewise.adapters.secrets.resolver import SecretResolver

    secrets = SecretResolver({"env": lambda: EnvStore(HERE)})
    with server.connect() as admin:
        admin.execute("drop role if exists refused_user")
        admin.execute("create role refused_user login password 'the-right-one'")
    monkeypatch.setenv("LEDGER_PASSWORD", "hunter2-hunter2")
    url = ledger_url(server, user="refused_user", password="env:LEDGER_PASSWORD")
    caught = refused(open_ledger(url, base=HERE, secrets=secrets))
    assert "refused this login" in caught.message
    assert "hunter2" not in caught.message + caught.hint + "".join(traceback.format_exception(caught))
    monkeypatch.setenv("LEDGER_PASSWORD", "the-right-one")
    with pytest.raises(LedgerUnavailable, match="is not there yet; this login may not") as forbidden:
        open_ledger(url, base=HERE, secrets=secrets).append("a", [Draft("t")], actor="x")
    assert "lanewise.adapters.ledgers.provision" in forbidden.value.hint


def test_a_read_only_database_is_read_and_not_written(server: Server):
    name = server.database()
    url = ledger_url(server, name)
    open_ledger(url, base=HERE).append("a", [Draft("t")], actor="x")
    with server.connect() as admin:
        admin.execute(f"alter database {name} set default_transaction_read_only = on")
    ledger = open_ledger(url, base=HERE)
    assert ledger.head()[0] == 1
    assert "read-only" in refused(ledger).message


def test_a_full_disk_writes_nothing_and_heals(ledger: SqlLedger):
    ledger.append("a", [Draft("t")], actor="x")

    def full(writing: Any) -> None:
        writing.tell("do $$ begin raise exception 'no space left on device' using errcode = 'disk_full'; end $$", [{}])

    with pytest.raises(LedgerUnavailable, match="disk is full"):
        ledger.database.write(full)
    assert ledger.append("a", [Draft("t")], actor="x")[0].seq == 2


def test_a_database_that_can_not_hold_any_text_is_refused(server: Server):
    name = f"latin_{server.database()}"
    with server.connect() as admin:
        admin.execute(f"create database {name} template template0 encoding 'LATIN1' locale 'C'")
    assert "encoded in LATIN1" in refused(open_ledger(ledger_url(server, name), base=HERE)).message


def test_a_session_speaks_utf8_whatever_its_surroundings_say(ledger: SqlLedger, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    assert ledger.append("a", [Draft("t", {"price": "5 €"})], actor="zoë")[0].data == {"price": "5 €"}
    assert ledger.read("a")[0].data == {"price": "5 €"}


def test_a_ledger_of_a_newer_lanewise_is_left_alone(ledger: SqlLedger, url: str, server: Server):
    ledger.append("a", [Draft("t")], actor="x")
    with server.connect() as admin:
        admin.execute(f"update {schema_of(url)}.alembic_version set version_num = '9999'")
    newer = open_ledger(url, base=HERE)
    for attempt in (newer.head, lambda: newer.append("a", [Draft("t")], actor="x")):
        with pytest.raises(LedgerUnavailable, match="newer Lanewise"):
            attempt()


def test_a_ledger_of_the_first_schema_is_read_as_it_is_and_brought_up_by_the_first_write(url: str):
    from lanewise.adapters.ledgers.migrations import upgrade

    newest, old = upgrade.command.upgrade, open_ledger(url, base=HERE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(upgrade.command, "upgrade", lambda config, to: newest(config, "0001"))
        old.append("a", [Draft("t")], actor="x")
    assert old.database.schema() == "0001"
    now = open_ledger(url, base=HERE)
    assert now.head()[0] == 1
    assert now.append("a", [Draft("t")], actor="x")[0].seq == 2
    assert now.database.schema() == "0002"


# Connections that are lost


def test_a_connection_lost_between_two_commands_is_made_anew(ledger: SqlLedger, server: Server):
    ledger.append("a", [Draft("t")], actor="x")
    for command in (ledger.head, lambda: ledger.append("a", [Draft("t")], actor="x"), ledger.now):
        with server.connect() as admin:
            kill_backend(admin, connection(ledger).info.backend_pid)
        command()
    assert ledger.head()[0] == 2


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_server_restarted_between_two_commands_is_logged_in_to_again(ledger: SqlLedger, server: Server, mode: str):
    ledger.append("a", [Draft("t")], actor="x")
    server.stop(mode)
    server.start()
    assert ledger.append("a", [Draft("t")], actor="x")[0].seq == 2


@pytest.fixture
def wire(server: Server) -> Iterator[Proxy]:
    proxy = Proxy(server.port)
    yield proxy
    proxy.close()


@pytest.mark.parametrize("cut", Cut)
def test_an_append_whose_answer_was_lost_is_found_out(url: str, server: Server, wire: Proxy, cut: Cut):
    ledger = open_ledger(url.replace(str(server.port), str(wire.port)), base=HERE, patience=20)
    ledger.append("a", [Draft("first")], actor="x")
    wire.cut = cut
    written = ledger.append("a", [Draft("second"), Draft("third")], actor="x", expect=1)
    assert wire.cuts == 1
    assert ledger.read("a", after=1) == written
    assert [event.type for event in ledger.read("a")] == ["first", "second", "third"]
    assert verify_chain(ledger.events()) is None


@pytest.mark.parametrize("cut", Cut)
def test_a_lease_whose_answer_was_lost_is_held_once(url: str, server: Server, wire: Proxy, cut: Cut):
    ledger = open_ledger(url.replace(str(server.port), str(wire.port)), base=HERE, patience=20)
    before = ledger.acquire("s", "ben", HOUR)
    ledger.release(before)
    wire.cut = cut
    lease = ledger.acquire("s", "ana", HOUR)
    assert wire.cuts == 1
    assert ledger.holder("s") == lease
    assert lease.fence > before.fence
    wire.cut = cut
    renewed = ledger.renew(lease, 2 * HOUR)
    assert wire.cuts == 2
    assert ledger.holder("s") == renewed
    wire.cut = cut
    ledger.release(renewed)
    assert wire.cuts == 3
    assert ledger.holder("s") is None


def test_nobody_overtakes_a_commit_that_is_still_on_its_way(url: str, server: Server, wire: Proxy):
    """Its session holds the lock to its end, so looking for what it wrote waits for it."""
    ledger = open_ledger(url.replace(str(server.port), str(wire.port)), base=HERE, patience=20)
    ledger.append("a", [Draft("first")], actor="x")
    wire.cut = Cut.LATE
    started = time.monotonic()
    ledger.append("a", [Draft("second")], actor="x")
    assert time.monotonic() - started > 0.5
    assert [event.type for event in open_ledger(url, base=HERE).read("a")] == ["first", "second"]


def test_a_doubt_that_can_not_be_cleared_up_is_said_to_be_one(server: Server, url: str):
    ledger = open_ledger(url, base=HERE, patience=0.3)
    ledger.append("a", [Draft("first")], actor="x")
    try:
        with watching(ledger, after_telling=lambda writing: server.stop()), pytest.raises(LedgerUnavailable) as caught:
            ledger.append("a", [Draft("second")], actor="x")
        assert "whether it has written is not known" in caught.value.message
    finally:
        server.start()
    assert ledger.head()[0] == 1


class watching:  # noqa: N801 - reads as the verb that it is
    """Calls back once the last words of a transaction are queued, before the commit."""

    def __init__(self, ledger: SqlLedger, after_telling: Callable[[Any], None]) -> None:
        self._database, self._call = database(ledger), after_telling

    def __enter__(self) -> None:
        self._real = write = self._database.write

        def watched(work: Callable[[Any], Any]) -> Any:
            def then(writing: Any) -> Any:
                result = work(writing)
                self._call(writing)
                return result

            return write(then)

        self._database.write = watched  # type: ignore[method-assign]

    def __exit__(self, *_: object) -> None:
        self._database.write = self._real  # type: ignore[method-assign]


def test_a_forked_child_gets_a_connection_of_its_own(ledger: SqlLedger):
    import os

    ledger.append("a", [Draft("t")], actor="x")
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            ledger.append("a", [Draft("child")], actor="x")
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0
    assert ledger.append("a", [Draft("t")], actor="x")[0].seq == 3


# Many at once


def finish(workers: list[subprocess.Popen[str]]) -> tuple[list[tuple[str, int]], list[int]]:
    """Which rounds the workers said to have written, and the fences they were granted."""
    wrote, fences = [], []
    for who, process in enumerate(workers):
        out, err = process.communicate(timeout=120)
        assert process.returncode in {0, -9}, err
        for word, number in (line.split() for line in out.splitlines()):
            wrote.append((str(who), int(number))) if word == "wrote" else fences.append(int(number))
    return wrote, fences


def check(ledger: SqlLedger, wrote: list[tuple[str, int]], fences: list[int], *, killed: int = 0) -> None:
    events = list(ledger.events())
    assert verify_chain(events) is None
    batches = [(event.data["by"], event.data["n"]) for event in events[::3]]
    assert [event.data["part"] for event in events] == [0, 1, 2] * len(batches), "batches are whole and stay together"
    assert len(set(batches)) == len(batches), "nothing is doubled"
    assert set(wrote) <= set(batches), "nothing that was acknowledged is lost"
    assert len(batches) - len(wrote) <= killed, "and nothing is there that nobody asked for"
    assert len(set(fences)) == len(fences) > 0, "no fence is granted twice"


@pytest.mark.timeout(240)
def test_eight_processes_lose_and_double_nothing(ledger: SqlLedger, url: str, tmp_path: Path):
    wrote, fences = finish([worker(url, tmp_path, who, 30) for who in range(8)])
    check(ledger, wrote, fences)
    assert len(wrote) == 240


@pytest.mark.crash
@pytest.mark.timeout(240)
def test_eight_processes_survive_kills_ended_sessions_and_a_stopped_server(postgres15: Server, tmp_path: Path):
    """One server is enough: what it answers to a lost session is the same in both generations."""
    import random

    server = postgres15
    url = ledger_url(server)
    ledger, chance = open_ledger(url, base=HERE, patience=30), random.Random(20261122)
    workers = [worker(url, tmp_path, who, 120) for who in range(8)]
    while ledger.head()[0] < 30:
        time.sleep(0.05)
    for number in range(12):
        time.sleep(chance.uniform(0.02, 0.25))
        if number % 4 == 1 and number < 8:
            workers[number % 8].kill()
        elif number in {6, 10}:
            server.stop("immediate")
            server.start()
        else:
            with server.connect() as admin:
                admin.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity "
                    "where application_name = 'lanewise ledger' and random() < 0.5"
                )
    wrote, fences = finish(workers)
    check(ledger, wrote, fences, killed=2)


def test_many_may_make_the_ledger_at_once(url: str):
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda n: open_ledger(url, base=HERE).append(f"s{n}", [Draft("t")], actor="x"), range(6)))
    assert open_ledger(url, base=HERE).head()[0] == 6


def test_one_of_many_decides_on_the_same_ground(ledger: SqlLedger, url: str):
    ledger.append("a", [Draft("t")], actor="x")
    start = threading.Barrier(6)

    def decide(n: int) -> list[int]:
        mine = open_ledger(url, base=HERE)
        mine.head()
        start.wait()
        try:
            mine.append("a", [Draft("decided", {"by": n})], actor="x", expect=1)
        except GroundMoved:
            return []
        return [n]

    with ThreadPoolExecutor(6) as pool:
        won = [n for each in pool.map(decide, range(6)) for n in each]
    assert len(won) == 1
    assert [event.data["by"] for event in ledger.read("a", after=1)] == won


def test_eight_threads_share_one_ledger(url: str):
    ledger = open_ledger(url, base=HERE)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: ledger.append(f"s{n % 3}", [Draft("t")], actor="x"), range(80)))
        counts = list(pool.map(lambda n: len(ledger.read(f"s{n % 3}")), range(80)))
    assert sum(counts[:3]) == 80
    assert verify_chain(ledger.events()) is None


def test_a_server_of_its_own_waits_for_the_disk(tmp_path: Path):
    with postgres(15, durable=True) as server:
        ledger = open_ledger(ledger_url(server), base=tmp_path)
        ledger.append("a", [Draft("t")], actor="x")
        server.stop("immediate")
        server.start()
        assert ledger.head()[0] == 1
