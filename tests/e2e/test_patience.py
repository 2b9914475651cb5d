"""While what a promotion needs is away, it waits, says why, and goes on."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.e2e import road

WAITING = 2.5  # seconds that something is away


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    root = road.write_project(tmp_path / "shop")
    road.into_prod(root, road.build(root, "a"))
    return root


def promote(root: Path, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "lanewise.cli", "promote", "--to", "prod", *words]
    return subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@pytest.mark.parametrize("what", ["ledger.db", "builds"])
def test_it_waits_for_the_ledger_and_for_the_store(shop, what):
    (shop / "pipelines" / "orders.sh").write_text(road.SCRIPT.replace("@BUILD@", "b"))
    there, aside = shop / ".lanewise" / what, shop / "aside"
    there.rename(aside)
    there.mkdir() if what == "ledger.db" else there.write_text("")
    waiting = promote(shop, "--patience", "60")
    time.sleep(WAITING)
    assert waiting.poll() is None
    there.rmdir() if what == "ledger.db" else there.unlink()
    aside.rename(there)
    said = waiting.communicate(timeout=60)[0]
    assert waiting.returncode == 0, said
    assert "waiting: " in said
    assert "it is back" in said
    assert set(road.seen(shop).values()) == {"b"}


def test_without_patience_it_ends_at_once_and_another_command_goes_on(shop):
    (shop / "pipelines" / "orders.sh").write_text(road.SCRIPT.replace("@BUILD@", "b"))
    ledger = shop / ".lanewise" / "ledger.db"
    ledger.rename(shop / "aside")
    ledger.mkdir()
    ended = promote(shop)
    assert (ended.communicate(timeout=60)[0], ended.returncode)[1] == 3
    ledger.rmdir()
    (shop / "aside").rename(ledger)
    assert promote(shop).wait(60) == 0


def test_a_ledger_server_that_goes_away_in_the_middle_is_waited_for(tmp_path, postgres15):
    server = postgres15
    database = server.database()
    own = road.ledger_on_postgres(server, database) + road.ENVIRONMENTS
    root = road.write_project(tmp_path / "shop", own)
    road.into_prod(root, road.build(root, "a"))
    slow = road.SCRIPT.replace("set -e\n", "set -e\nsleep 1\n").replace("@BUILD@", "b")
    (root / "pipelines" / "orders.sh").write_text(slow)
    waiting = promote(root, "--patience", "60")
    deadline = time.monotonic() + 60
    while not (root / ".lanewise" / "runs").is_dir() or not any((root / ".lanewise" / "runs").iterdir()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    with server.connect() as connection:  # the computation is under way
        connection.execute(f"alter database {database} allow_connections false")
        connection.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", [database])
    time.sleep(WAITING)
    assert waiting.poll() is None
    with server.connect() as connection:
        connection.execute(f"alter database {database} allow_connections true")
    said = waiting.communicate(timeout=200)[0]
    assert waiting.returncode == 0, said
    assert "waiting: " in said
    assert set(road.seen(root).values()) == {"b"}
