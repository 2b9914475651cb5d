"""A crowd of readers and writers at a PostgreSQL warehouse, each a process of its own, that says what it met: errors,
mixes of versions, and its longest wait in every tenth of a second."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

READERS = ("direct", "direct", "dependent", "prepared", "prepared", "repeatable", "repeatable", "stranger")
WRITERS = ("writer",) * 3

MEMBER = r"""
import json, os, sys, time
import psycopg
kind, stop, seed, parameters = sys.argv[1], sys.argv[2], int(sys.argv[3]), json.loads(sys.argv[4])
both = '''select (select array_agg(distinct v) from analytics_prod.orders),
                 (select array_agg(distinct v) from analytics_prod.totals),
                 (select count(*) from analytics_prod.orders), (select max(days) from analytics_prod.totals)'''
if kind == "dependent":
    both = "select * from reporting.both_tables"
elif kind == "prepared":
    both = both.replace("orders)", "orders where id >= %s)", 1)
errors, mixes, waits, reads = [], [], {}, 0
connection = None

def ask(text, *arguments):
    began = time.time()
    found = connection.execute(text, arguments or None, prepare=kind == "prepared").fetchone()
    tenth = str(int(time.time() * 10))
    waits[tenth] = max(waits.get(tenth, 0.0), time.time() - began)
    return found

def look(found):
    orders, totals, rows, days = found
    if len(orders or []) != 1 or orders != totals or rows != days * 10:
        mixes.append(repr(found)[:200])
    elif orders[0] < 0:
        mixes.append("unaudited")

while not os.path.exists(stop):
    try:
        if connection is None or connection.closed:
            connection = psycopg.connect(**parameters, autocommit=True)
            if kind == "repeatable":
                connection.autocommit = False
                connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        if kind == "writer":
            ask("insert into raw.events (n, note) select i, 'x' from generate_series(1, 50) i returning n")
            time.sleep(0.03)
        elif kind == "repeatable":
            connection.execute("select 1")  # the snapshot is taken here, before the views are looked up
            time.sleep(0.01 * (seed % 5))
            first = ask(both)
            look(first)
            time.sleep(0.02)
            if ask("select array_agg(distinct v) from analytics_prod.totals")[0] != first[1] or ask(both) != first:
                mixes.append("moved within a transaction")
            connection.commit()
        else:
            look(ask(both, *([0] if kind == "prepared" else [])))
        reads += 1
        if reads == 3:
            open(f"{stop}-{seed}", "w").close()  # this one is in its stride
        time.sleep(0.015)
    except psycopg.Error as error:
        errors.append(f"{error.sqlstate}: {str(error)[:200]}")
        try:
            connection and connection.rollback()
        except psycopg.Error:
            connection = None
        time.sleep(0.05)
print(json.dumps({"kind": kind, "reads": reads, "errors": errors, "mixes": mixes, "waits": waits}))
"""


@dataclass
class Crowd:
    """What its members met. ``waits`` maps a tenth of a second of the epoch to the longest wait that ended in it."""

    reads: dict[str, int] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    mixes: list[str] = field(default_factory=list)
    waits: dict[int, float] = field(default_factory=dict)

    def worst(self, window: tuple[float, float]) -> float:
        """The longest wait of a reader that ended in this time; seconds."""
        low, high = (int(10 * moment) for moment in window)
        return max((wait for tenth, wait in self.waits.items() if low <= tenth <= high), default=0.0)


@contextmanager
def crowd(folder: Path, logins: Mapping[str, Mapping[str, Any]], kinds: Sequence[str]) -> Iterator[Crowd]:
    """They come, and go when the block ends; what they met is known then. ``logins``: by kind, or for ``""``."""
    stop, met = folder / f"stop-{time.time_ns()}", Crowd()
    members = []
    for number, kind in enumerate(kinds):
        parameters = json.dumps(logins.get(kind, logins[""]))
        command = [sys.executable, "-c", MEMBER, kind, str(stop), str(number), parameters]
        members.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
    try:
        while not all(Path(f"{stop}-{number}").exists() or m.poll() is not None for number, m in enumerate(members)):
            time.sleep(0.05)
        yield met
    finally:
        stop.touch()
        answers = [member.communicate(timeout=120) for member in members]
    for out, error in answers:
        assert out, error
        found = json.loads(out)
        met.reads[found["kind"]] = met.reads.get(found["kind"], 0) + found["reads"]
        met.errors += [f"{found['kind']}: {e}" for e in found["errors"]]
        met.mixes += [f"{found['kind']}: {m}" for m in found["mixes"]]
        if found["kind"] != "writer":
            for tenth, wait in found["waits"].items():
                met.waits[int(tenth)] = max(met.waits.get(int(tenth), 0.0), wait)
