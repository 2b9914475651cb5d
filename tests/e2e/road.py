"""A tiny project whose every row says which build wrote it, so that a mix of builds shows. Its pipeline is a shell
script: a promotion takes a fraction of a second, and can be killed at every step."""

from __future__ import annotations

import atexit
import gc
import json
import os
import pickle
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import psycopg
from psycopg import sql

from lanewise.adapters.ledgers.reader import Reader
from lanewise.adapters.warehouses.postgres.place import Place
from lanewise.bootstrap import Workshop, open_context
from lanewise.cli.app import main
from lanewise.domain.environment import Environment
from lanewise.domain.promotion import Promotion
from lanewise.errors import LaneError
from lanewise.service.build import make_build
from lanewise.service.promote import promote
from lanewise.testing.postgres import SUPERUSER, Server

DAYS = tuple(f"2013-01-{day:02}" for day in range(1, 9))

PROJECT = """\
project: orders
source: {include: ["pipelines/**"]}
run: sh pipelines/orders.sh
tables:
  orders_daily:
    kind: partition
    partition: {column: day, grain: day}
    key: [day, id]
    columns: {day: DATE not null, id: INTEGER not null, build: VARCHAR}
    checks: [{not_null: [id]}, {unique: [day, id]}]
    changes: [{what: values, columns: [build], reason: each build signs its rows}]
  totals_daily:
    kind: partition
    partition: {column: day, grain: day}
    key: [day]
    columns: {day: DATE not null, orders: BIGINT, build: VARCHAR}
    checks: [{unique: [day]}]
    changes: [{what: values, columns: [build], reason: each build signs its rows}]
"""
ENVIRONMENTS = """\
identity: declared
people: {ben: {groups: [leads]}}
environments:
  prod: {data: {from: 2013-01-01, to: 2013-01-08}}
promotion:
  prod:
    gates: [quality, schema, retained]
    rollout: {canary: [25%, 50%, 100%]}
"""
SCRIPT = """\
set -e
orders="$LANEWISE_OUTPUTS/orders_daily.csv"
totals="$LANEWISE_OUTPUTS/totals_daily.csv"
echo day,id,build > "$orders"
echo day,orders,build > "$totals"
for day in 01 02 03 04 05 06 07 08 09 10; do
  case "$LANEWISE_PARTITIONS" in
    *"\\"2013-01-$day\\""*)
      for id in 1 2 3; do echo "2013-01-$day,$id,@BUILD@" >> "$orders"; done
      echo "2013-01-$day,3,@BUILD@" >> "$totals" ;;
  esac
done
"""


def write_project(root: Path, environments: str = ENVIRONMENTS, project: str = PROJECT) -> Path:
    """The two files, and no pipeline yet."""
    (root / "pipelines").mkdir(parents=True)
    (root / "lanewise.yaml").write_text(project)
    (root / "environments.yaml").write_text(environments)
    return root


def on_postgres(server: Server, database: str = "", environments: str = ENVIRONMENTS) -> str:
    """These environments with their warehouses in a database of the server: an empty one where none is named."""
    place = f"host: 127.0.0.1, port: {server.port}, database: {database or server.database()}, user: {SUPERUSER}"
    return f"{environments}connections:\n  'warehouse_{{env}}': {{type: postgres, {place}}}\n"


def ledger_on_postgres(server: Server, database: str) -> str:
    """A line of environments.yaml that keeps the record there."""
    return f"ledger: postgresql://{SUPERUSER}@127.0.0.1:{server.port}/{database}\n"


def set_aside(server: Server, database: str, name: str = "aside") -> None:
    """Keep the database as it is now, for ``put_back``. Nobody may be connected."""
    _copy(server, database, f"{database}_{name}")


def put_back(server: Server, database: str, name: str = "aside") -> None:
    """Make the database what it was when it was set aside. It keeps its name, since moving a warehouse is no
    promotion; so a folder that is copied and the database in which its prod lies go back together."""
    _copy(server, f"{database}_{name}", database)


def _copy(server: Server, source: str, target: str) -> None:
    with server.connect() as connection:
        connection.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(target)))
        statement = sql.SQL("create database {} template {}").format(sql.Identifier(target), sql.Identifier(source))
        connection.execute(statement)


def build(root: Path, name: str, script: str = SCRIPT) -> str:
    """Make the build whose rows say ``name``; its digest."""
    (root / "pipelines" / "orders.sh").write_text(script.replace("@BUILD@", name))
    return make_build(open_context(root)).digest


def into_prod(root: Path, digest: str) -> Promotion:
    """Promote it as a user would."""
    return promote(open_context(root), digest, "prod")


def seen(root: Path, environment: str = "prod") -> dict[str, str]:
    """What a reader sees: day -> the build whose rows are there. Fails on a mix within a day or across tables."""
    if "type: postgres" in (root / "environments.yaml").read_text():
        return _seen_on_postgres(open_context(root).config.environment(environment))
    catalog = root / ".lanewise" / "warehouse" / f"{environment}.duckdb"
    if not catalog.exists():
        return {}
    with duckdb.connect(str(catalog), read_only=True) as db:
        orders = db.execute(
            "select strftime(day, '%Y-%m-%d'), build, count(*) from orders_daily group by all"
        ).fetchall()
        totals = db.execute("select strftime(day, '%Y-%m-%d'), build, orders from totals_daily").fetchall()
    return _unmixed(orders, totals)


def _seen_on_postgres(lane: Environment) -> dict[str, str]:
    place, fields = Place.of(lane, "orders"), lane.connection("dst").fields
    found: list[list[tuple[Any, ...]]] = []
    with psycopg.connect(host=str(fields["host"]), port=str(fields["port"]), dbname=str(fields["database"]),
                         user=SUPERUSER) as connection:  # fmt: skip
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        for table, count in (("orders_daily", "count(*)"), ("totals_daily", "max(orders)")):
            view = sql.Identifier(place.public, place.view(table))
            if connection.execute("select to_regclass(%s)", [view.as_string(connection)]).fetchone() == (None,):
                return {}
            statement = sql.SQL("select to_char(day, 'YYYY-MM-DD'), build, {} from {} group by 1, 2")
            found.append(connection.execute(statement.format(sql.SQL(count), view)).fetchall())
    return _unmixed(*found)


def _unmixed(orders: list[tuple[Any, ...]], totals: list[tuple[Any, ...]]) -> dict[str, str]:
    assert sorted(orders) == sorted(totals), "the tables of the pipeline tell of different builds"
    assert len({day for day, _, _ in orders}) == len(orders), "a day is served by two builds"
    return {day: name for day, name, _ in orders}


@cache
def _spare_what_is_loaded() -> None:
    """Modules are not looked through at each fork, which takes 60 ms; at the end they are, as ever."""
    gc.freeze()
    atexit.register(gc.unfreeze)


def _fork() -> int:
    """Fork with no database open: SQLite takes a connection that a child inherits for one of its own, and then lets
    go of locks that it never had."""
    gc.collect()
    _spare_what_is_loaded()
    sys.stdout.flush()
    sys.stderr.flush()
    return os.fork()


def in_child(work: Callable[[], Any]) -> int:
    """Run it in a forked process, so that it can be killed. The wait status: 0, an exit code << 8, or a signal."""
    pid = _fork()
    if pid == 0:
        try:
            work()
        except BaseException:  # noqa: BLE001 - a child must never return into pytest
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitpid(pid, 0)[1]


@dataclass(frozen=True)
class Ended:
    """How a child's work ended: what it returned, or the error; ``refused`` when that was one that it raises on
    purpose."""

    result: Any
    error: str = ""
    refused: bool = False


@dataclass
class Child:
    """A forked process at work, and the file in which it leaves how that ended."""

    pid: int
    left: Path
    _status: int | None = None

    def running(self) -> bool:
        """Whether it is still at work."""
        if self._status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self._status = status if pid else None
        return self._status is None

    def kill(self) -> None:
        """As ``kill -9`` does, if it is still there."""
        if self.running():
            os.kill(self.pid, signal.SIGKILL)
            self._status = os.waitpid(self.pid, 0)[1]

    def ended(self) -> Ended:
        """Wait for it; what it left."""
        if self._status is None:
            self._status = os.waitpid(self.pid, 0)[1]
        try:
            found: Ended = pickle.loads(self.left.read_bytes())
        except FileNotFoundError:
            found = Ended(None, f"it died with status {self._status}")
        self.left.unlink(missing_ok=True)
        return found


def start(work: Callable[[], Any]) -> Child:
    """Begin it in a forked process and don't wait."""
    left = Path(tempfile.mkdtemp()) / "ended"
    pid = _fork()
    if pid:
        return Child(pid, left)
    try:
        try:
            ended = Ended(work())
        except LaneError as error:
            ended = Ended(None, f"{type(error).__name__}: {error.message}", refused=True)
        except BaseException:  # noqa: BLE001 - a child must never return into pytest
            ended = Ended(None, traceback.format_exc())
        aside = left.with_suffix(".part")
        aside.write_bytes(pickle.dumps(ended))
        aside.rename(left)
    finally:
        os._exit(0)


@dataclass(frozen=True)
class Typed:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """Its one JSON document."""
        return json.loads(self.out)


def lane(root: Path, *arguments: str, actor: str = "ana", clock: Callable[[], datetime] | None = None) -> Typed:
    """Type a command in a forked process, without paying half a second of imports. ``clock`` is then the ledger's."""
    scratch = Path(tempfile.mkdtemp())

    def typed() -> None:
        os.chdir(root)
        os.environ["LANEWISE_ACTOR"] = actor
        os.environ["COLUMNS"] = "200"
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for number, name in ((1, "out"), (2, "err")):
            os.dup2(os.open(scratch / name, os.O_WRONLY | os.O_CREAT), number)
        sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115 - for good
        if clock is not None:
            Reader.now = lambda self: clock()  # type: ignore[method-assign]
        code: Any = 0
        try:
            main(list(arguments))
        except SystemExit as leaving:
            code = leaving.code or 0
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)

    status = in_child(typed)
    assert os.WIFEXITED(status), f"lane {' '.join(arguments)} was killed by signal {status}"
    said = Typed(os.WEXITSTATUS(status), *((scratch / name).read_text() for name in ("out", "err")))
    shutil.rmtree(scratch)
    assert "Traceback" not in said.err, said.err
    assert "error: unexpected" not in said.err, said.err
    return said


class Killed:
    """Wraps a port and kills this process just before or just after the n-th call that changes something."""

    CHANGES = frozenset({
        "append", "acquire", "release", "raise_fence", "open_run", "stage", "discard", "prepare", "publish", "revert",
    })  # fmt: skip

    def __init__(self, port: Any, count: Counter) -> None:
        self._port, self._count = port, count

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._port, name)
        if name not in self.CHANGES:
            return attribute

        def watched(*arguments: Any, **named: Any) -> Any:
            self._count.before(name)
            result = attribute(*arguments, **named)
            self._count.after()
            return result

        return watched


class Counter:
    """Counts the changes; at ``2n`` it kills before the n-th, at ``2n + 1`` after it."""

    def __init__(self, kill_at: int = -1, log: Path | None = None) -> None:
        self.at, self._kill_at, self._log = 0, kill_at, log

    def before(self, name: str) -> None:
        if self._log:
            with self._log.open("a") as log:
                log.write(name + "\n")
        self._step()

    def after(self) -> None:
        self._step()

    def _step(self) -> None:
        if self.at == self._kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        self.at += 1


@contextmanager
def killable(root: Path, counter: Counter) -> Iterator[Workshop]:
    """A workshop whose ledger and warehouses count, and kill."""
    ctx = open_context(root)
    open_warehouse = ctx._open_warehouse
    ctx.__dict__["ledger"] = Killed(ctx.ledger, counter)
    ctx._open_warehouse = lambda environment: Killed(open_warehouse(environment), counter)  # type: ignore[method-assign]
    yield ctx


def states(root: Path, environment: str = "prod") -> list[str]:
    """The state of every promotion, in order."""
    ctx = open_context(root)
    from lanewise.promotion.fold import fold

    return [fold(ctx.ledger.read(s)).state.value for s in ctx.ledger.streams(f"promotion/orders/{environment}/")]


def releases(root: Path, environment: str = "prod") -> list[dict[str, Any]]:
    """What the ledger says was released, in order."""
    events = open_context(root).ledger.read(f"environment/orders/{environment}")
    return [json.loads(json.dumps(e.data)) for e in events if e.type == "release.changed"]
