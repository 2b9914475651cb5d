"""What may befall a command whose warehouse and ledger are on PostgreSQL, at any of its trips to the server, and a
reader who looks on all the while."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import psycopg
from psycopg import sql
from psycopg.waiting import Wait

from lanewise.adapters.warehouses.postgres.place import Place
from lanewise.bootstrap import open_context
from lanewise.testing.postgres import SUPERUSER, Server

from .road import DAYS, Killed, start

CHANGES = Killed.CHANGES | {"written", "compact", "drop"}
STEPS = frozenset({0, 2, 4, 8})
"""How many of the eight days readers may see from the newer build: none, a step of the canary, or all."""

Disaster = Callable[[Any], None]
"""Called with the psycopg connection whose trip it is."""


@dataclass(frozen=True)
class Point:
    """The ``trip``-th trip to the server of the ``time``-th change of that name, both from 0. An append is named after
    what it writes."""

    change: str
    time: int = 0
    trip: int = 0

    def __str__(self) -> str:
        return f"{self.change}, time {self.time}, trip {self.trip}"


@dataclass
class Wire:
    """Every exchange with a server that a change makes, in the order of the process's main thread.

    ``disaster`` happens once, at ``at``: before the statement is sent, or ``under_way``, when it was sent and its
    answer is not read. ``log`` takes a line a trip.
    """

    at: Point | None = None
    disaster: Disaster | None = None
    under_way: bool = False
    log: Path | None = None
    _times: dict[str, int] = field(default_factory=dict)
    _now: tuple[object, Point] | None = None
    _busy: bool = False

    def wait(self, original: Callable[..., Any], connection: Any, gen: Any, *more: Any, **named: Any) -> Any:
        """Stands for ``psycopg.Connection.wait``."""
        if self._busy or threading.current_thread() is not threading.main_thread():
            return original(connection, gen, *more, **named)
        point = self._point()
        if point is not None and self.log is not None:
            with self.log.open("a") as log:
                log.write(json.dumps([point.change, point.time, point.trip]) + "\n")
        if point is None or point != self.at:
            return original(connection, gen, *more, **named)
        if not self.under_way:
            self._strike(connection)
            return original(connection, gen, *more, **named)
        return original(connection, self._struck(connection, gen), *more, **named)

    def _point(self) -> Point | None:
        """Where the main thread is: its outermost change is the one that counts."""
        frame: FrameType | None = sys._getframe()
        found: FrameType | None = None
        while frame is not None:
            if frame.f_code.co_name in CHANGES and "/adapters/" in frame.f_code.co_filename:
                found = frame
            frame = frame.f_back
        if found is None:
            return None
        if self._now is None or self._now[0] is not found:
            name = _named(found)
            self._times[name] = self._times.get(name, -1) + 1
            point = Point(name, self._times[name], 0)
        else:
            point = Point(self._now[1].change, self._now[1].time, self._now[1].trip + 1)
        self._now = (found, point)
        return point

    def _strike(self, connection: psycopg.Connection[Any]) -> None:
        assert self.disaster is not None
        self._busy = True
        try:
            self.disaster(connection)
        finally:
            self._busy = False

    def _struck(self, connection: psycopg.Connection[Any], gen: Any) -> Generator[Any, Any, Any]:
        """Drive the driver's exchange; the disaster comes when it first waits for an answer."""
        states, struck = 0, False
        try:
            state = next(gen)
            while True:
                states += 1
                if not struck and (state == Wait.R or states > 1):
                    struck = True
                    self._strike(connection)
                state = gen.send((yield state))
        except StopIteration as end:
            if not struck:
                self._strike(connection)
            return end.value


def _named(frame: FrameType) -> str:
    drafts = frame.f_locals.get("drafts", ())
    written = [f"{draft.type} {draft.data.get('state', '')}".strip() for draft in drafts]
    return " ".join([frame.f_code.co_name, *written])


def trips(log: Path) -> list[Point]:
    """What a wire has written down."""
    return [Point(*json.loads(line)) for line in log.read_text().splitlines()]


@contextmanager
def tapped(wire: Wire) -> Iterator[Wire]:
    """Commands that are forked within the block go over this wire."""
    original = psycopg.Connection.wait

    def wait(connection: Any, gen: Any, *more: Any, **named: Any) -> Any:
        return wire.wait(original, connection, gen, *more, **named)

    psycopg.Connection.wait = wait  # type: ignore[method-assign,assignment]
    try:
        yield wire
    finally:
        psycopg.Connection.wait = original  # type: ignore[method-assign]


def killed(_: object) -> None:
    """``kill -9`` of the command itself."""
    os.kill(os.getpid(), signal.SIGKILL)


def terminated(server: Server, database: str) -> Disaster:
    """An administrator ends every session that Lanewise has."""

    def strike(_: object) -> None:
        with server.connect(database) as admin:
            admin.execute("select pg_terminate_backend(pid, 5000) from pg_stat_activity "
                          "where application_name like 'lanewise %' and datname = current_database()")  # fmt: skip

    return strike


def answer_lost(connection: psycopg.Connection[Any]) -> None:
    """The server has done it, and its answer gets lost with the connection."""
    with socket.socket(fileno=os.dup(connection.pgconn.socket)) as line:
        select.select([line], [], [], 5)
        with suppress(BlockingIOError):
            while line.recv(1 << 16, socket.MSG_DONTWAIT):
                pass
        line.shutdown(socket.SHUT_RDWR)


def crashed(server: Server) -> Disaster:
    """The server stops as in a crash, and comes back."""

    def strike(_: object) -> None:
        server.stop("immediate")
        server.start()

    return strike


def gone(server: Server) -> Disaster:
    """The server stops as in a crash, and stays away."""

    def strike(_: object) -> None:
        server.stop("immediate")

    return strike


@dataclass
class Reader:
    """What a reader saw who looked on all the while."""

    reads: int = 0
    wrong: list[str] = field(default_factory=list)


_LOOK = """select (select array_agg(day::text || ' ' || build || ' ' || n) from (
    select day, build, count(*) n from {} group by 1, 2) o),
    (select array_agg(day::text || ' ' || build || ' ' || orders) from {})"""


@contextmanager
def looking_on(root: Path, server: Server, database: str) -> Iterator[Reader]:
    """Somebody reads both tables again and again, in another process; what they saw is known when the block ends. A
    server that is away, or a database that is put back, are no fault of publication's."""
    stop, seen = root.with_name(f"stop-{time.time_ns()}"), Reader()
    place = Place.of(open_context(root).config.environment("prod"), "orders")
    views = [sql.Identifier(place.public, place.view(table)) for table in ("orders_daily", "totals_daily")]
    look = sql.SQL(_LOOK).format(*views)
    child = start(lambda: _look_on(server, database, look, stop))
    try:
        yield seen
    finally:
        stop.touch()
        ended = child.ended()
    assert not ended.error, ended.error
    seen.reads, seen.wrong = ended.result


def _look_on(server: Server, database: str, look: sql.Composed, stop: Path) -> tuple[int, list[str]]:
    reads, wrong = 0, []
    connection: psycopg.Connection[Any] | None = None
    while not stop.exists():
        try:
            if connection is None:
                connection = psycopg.connect(host="127.0.0.1", port=server.port, dbname=database, user=SUPERUSER,
                                             autocommit=True)  # fmt: skip
            row = connection.execute(look).fetchone()
            reads += 1
            fault = _fault(row)
            if fault:
                wrong.append(fault)
        except psycopg.OperationalError as error:
            if connection is not None and not connection.broken:
                wrong.append(f"{error.sqlstate}: {str(error).splitlines()[0]}")
            connection = None
            time.sleep(0.05)
        except psycopg.Error as error:
            wrong.append(f"{error.sqlstate}: {str(error).splitlines()[0]}")
        time.sleep(0.01)
    return reads, wrong


def _fault(row: Any) -> str:
    orders, totals = (sorted(lines or []) for lines in row or ([], []))
    days = [line.split()[0] for line in orders]
    newer = sum(" v2 " in line for line in orders)
    if orders != totals or sorted(days) != sorted(DAYS) or newer not in STEPS or not all(
        line.endswith(" 3") for line in orders
    ):  # fmt: skip
        return f"{orders} {totals}"
    return ""
