"""``kill -9`` anywhere in a write: every acknowledged batch is there, each whole, in one valid chain."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from lanewise.adapters.ledgers.sql import SqlLedger, open_ledger
from lanewise.domain.event import Draft
from lanewise.ledger.chain import verify_chain

pytestmark = pytest.mark.crash

BATCH = 5

# Appends batches for ever and says so after each; with a place's name, dies by SIGKILL when it gets there.
WRITER = """
    import os, signal, sqlite3, sys
    from pathlib import Path
    from lanewise.adapters.ledgers import sqlite
    from lanewise.adapters.ledgers.sql import open_ledger
    from lanewise.domain.event import Draft

    base, place, number = sys.argv[1], sys.argv[2], int(sys.argv[3])
    seen = 0

    def here(name):
        global seen
        if name == place:
            seen += 1
            if seen == number:
                os.kill(os.getpid(), signal.SIGKILL)

    def watched(execute, statement, arguments):
        word = statement.split()[0].lower()
        here("before the commit" if word == "commit" else "before a statement")
        result = execute(statement, *arguments)
        here({"begin": "begun", "commit": "after the commit"}.get(word, "after a statement"))
        return result

    class Cursor(sqlite3.Cursor):
        def execute(self, statement, *arguments):
            return watched(super().execute, statement, arguments)

    class Connection(sqlite3.Connection):
        def execute(self, statement, *arguments):
            return watched(super().execute, statement, arguments)
        def cursor(self, factory=Cursor):
            return super().cursor(factory)
        def commit(self):
            here("before the commit")
            super().commit()
            here("after the commit")

    connect = sqlite3.connect
    sqlite3.connect = lambda *names, **options: connect(*names, factory=Connection, **options)

    ledger = open_ledger("sqlite:///ledger.db", base=Path(base))
    while True:
        data = {"batch": ledger.head()[0] // %d, "text": "y" * 5000}
        ledger.append("s", [Draft("t", data) for part in range(%d)], actor="x")
        print(ledger.head()[0], flush=True)
""" % (BATCH, BATCH)  # noqa: UP031 - the program has braces of its own


def writer(base: Path, place: str = "", number: int = 0) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", textwrap.dedent(WRITER), str(base), place, str(number)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def check(ledger: SqlLedger, acknowledged: int) -> None:
    events = list(ledger.events())
    assert verify_chain(events) is None
    assert len(events) >= acknowledged, "an acknowledged event is there for ever"
    assert len(events) <= acknowledged + BATCH, "and nothing that was never asked for"
    assert [event.data["batch"] for event in events] == [n // BATCH for n in range(len(events))], "batches are whole"


def last_said(process: subprocess.Popen[str], before: int) -> int:
    assert process.stdout
    lines = process.stdout.read().split()
    assert process.wait() == -signal.SIGKILL
    return int(lines[-1]) if lines else before


@pytest.mark.parametrize(
    "place", ["begun", "before a statement", "after a statement", "before the commit", "after the commit"]
)
@pytest.mark.parametrize("number", [1, 3, 6, 15])
@pytest.mark.parametrize("fresh", [True, False], ids=["at its making", "later"])
def test_a_writer_killed_at_a_place_leaves_a_valid_chain(tmp_path: Path, place: str, number: int, fresh: bool):
    ledger = open_ledger("sqlite:///ledger.db", base=tmp_path)
    before = 0
    if not fresh:
        ledger.append("s", [Draft("t", {"batch": 0})] * BATCH, actor="x")
        before = BATCH
    check(ledger, last_said(writer(tmp_path, place, number), before))
    had = ledger.head()[0]
    ledger.append("s", [Draft("t", {"batch": had // BATCH})] * BATCH, actor="x")
    check(ledger, had + BATCH)


def test_a_writer_killed_at_random_again_and_again_leaves_a_valid_chain(tmp_path: Path):
    ledger = open_ledger("sqlite:///ledger.db", base=tmp_path)
    chance, said = random.Random(20260501), 0
    for _ in range(12):
        process = writer(tmp_path)
        assert process.stdout
        said = int(process.stdout.readline())
        time.sleep(chance.uniform(0, 0.05))
        process.kill()
        said = last_said(process, said)
        check(ledger, said)
    assert said >= 12 * BATCH
