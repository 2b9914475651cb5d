"""A project whose warehouse and ledger are in one PostgreSQL database, put back to where it was before each disaster;
what is done to it, where a disaster may come, and how everything has to be afterwards."""

from __future__ import annotations

import importlib
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from psycopg import sql

from lanewise.adapters.warehouses.postgres import carrying
from lanewise.adapters.warehouses.postgres.place import Place
from lanewise.bootstrap import open_context
from lanewise.publication.retention import disposable
from lanewise.service.gc import collect
from lanewise.service.lease import is_dead
from lanewise.service.promote import finish_interrupted, promote
from lanewise.service.rollback import roll_back
from lanewise.service.verify import verify
from lanewise.testing.postgres import Server

from .disasters import STEPS, Disaster, Point, Wire, killed, tapped, trips
from .road import (
    DAYS,
    ENVIRONMENTS,
    Typed,
    build,
    in_child,
    into_prod,
    lane,
    ledger_on_postgres,
    on_postgres,
    put_back,
    releases,
    seen,
    set_aside,
    states,
    write_project,
)


@dataclass
class Lanes:
    """A project with its warehouse and ledger in one database, as it was after each of two promotions."""

    root: Path
    server: Server
    database: str
    v1: str = ""
    v2: str = ""

    def keep(self, name: str) -> None:
        """Remember how everything is now."""
        set_aside(self.server, self.database, name)
        shutil.copytree(self.root, self.root.with_name(name), symlinks=True)

    def put_back(self, name: str) -> None:
        """As it was then."""
        put_back(self.server, self.database, name)
        with self.server.connect() as connection:  # numbers that a copied sequence hands out are logged from here on
            connection.execute("checkpoint")
        shutil.rmtree(self.root, ignore_errors=True)
        shutil.copytree(self.root.with_name(name), self.root, symlinks=True)

    def left(self, statement: str) -> list[Any]:
        """The first column of a query; ``{store}`` and ``{rooms}`` are prod's schemas."""
        place = Place.of(open_context(self.root).config.environment("prod"), "orders")
        with self.server.connect(self.database) as connection:
            names = {"store": sql.Identifier(place.store), "rooms": sql.Identifier(place.rooms)}
            return [row[0] for row in connection.execute(sql.SQL(statement).format(**names))]


def made_on(server: Server, home: Path, environments: str = ENVIRONMENTS) -> Lanes:
    """v1 is live in prod and v2 is built (``v1``); later v2 is live (``v2``)."""
    database = server.database()
    root = write_project(
        home / "project", on_postgres(server, database, environments) + ledger_on_postgres(server, database)
    )
    lanes, told = Lanes(root, server, database), home / "told"

    def release() -> None:
        v1 = build(root, "v1")
        into_prod(root, v1)
        modules = [name for name in sys.modules if name.startswith(("lanewise.", "adbc", "pyarrow", "duckdb"))]
        told.write_text("\n".join([v1, build(root, "v2"), *modules]))

    assert in_child(release) == 0
    lanes.v1, lanes.v2, *modules = told.read_text().splitlines()
    for name in modules:  # once, and not in each of the processes that are forked and killed
        importlib.import_module(name)
    lanes.keep("v1")
    assert in_child(lambda: into_prod(root, lanes.v2)) == 0
    lanes.keep("v2")
    return lanes


def far() -> datetime:
    """When nothing that was left behind is young any more."""
    return datetime.now(UTC) + timedelta(days=400)


def promoting(lanes: Lanes) -> None:
    promote(open_context(lanes.root), lanes.v2, "prod")


def rolling_back(lanes: Lanes) -> None:
    roll_back(open_context(lanes.root), "prod")


def collecting(lanes: Lanes) -> None:
    ctx = open_context(lanes.root)
    type(ctx.ledger).now = lambda self: far()  # type: ignore[method-assign] # in a child
    collect(ctx, "prod", apply=True)


Work = Callable[[Lanes], None]
_RECORDED: dict[tuple[str, str], list[Point]] = {}


def recorded(lanes: Lanes, name: str, work: Work) -> list[Point]:
    """The trips that the work makes when nothing disturbs it, in order."""
    key = (lanes.database, work.__name__)
    if key not in _RECORDED:
        log = lanes.root.with_name(f"trips-{work.__name__}")
        lanes.put_back(name)
        with tapped(Wire(log=log)):
            assert in_child(lambda: work(lanes)) == 0
        _RECORDED[key] = trips(log)
    return _RECORDED[key]


def steps(found: list[Point]) -> list[Point]:
    """Before each change that follows upon another one as no earlier change does."""
    first = [point for point in found if point.trip == 0]
    pairs: dict[tuple[str, str], Point] = {}
    for before, after in pairwise([Point(""), *first]):
        pairs.setdefault((before.change, after.change), after)
    return list(pairs.values())


def inside(found: list[Point], *, last: tuple[str, ...] = ("stage", "prepare", "publish", "revert")) -> list[Point]:
    """In the middle of the first change of each name, and at the end of those in ``last``; of appends, of one."""
    length = {(p.change, p.time): p.trip for p in found}
    names = list(dict.fromkeys(p.change for p in found))
    append = next(name for name in names if name.startswith("append"))
    chosen = [name for name in names if not name.startswith("append") or name == append]
    ends = {append, *last}
    return [
        Point(name, 0, trip)
        for name in chosen
        for trip in sorted({length[name, 0] // 2, *([length[name, 0]] if name in ends else [])})
    ]


def spread(points: list[Point], count: int) -> list[Point]:
    """So many of them, from the first to the last."""
    return [points[at * (len(points) - 1) // (count - 1)] for at in range(count)]


def kill(lanes: Lanes, work: Work, at: Point, *, under_way: bool = False) -> None:
    with tapped(Wire(at, killed, under_way)):
        status = in_child(lambda: work(lanes))
    assert status == 9, f"{at}: the process was to be killed, and ended with {status}"


def struck(
    lanes: Lanes, arguments: list[str], at: Point, disaster: Disaster, *, under_way: bool, **typed: Any
) -> Typed:
    """The command, and what it said: that all is well, or in one line what broke."""
    happened = lanes.root.with_name("happened")
    happened.unlink(missing_ok=True)

    def strike(connection: Any) -> None:
        happened.touch()
        disaster(connection)

    with tapped(Wire(at, strike, under_way)):
        said = lane(lanes.root, *arguments, **typed)
    assert happened.exists(), f"{at} was never reached"
    assert said.code in {0, 3}, said.err
    told = [line for line in said.err.splitlines() if line.startswith("error: ")]
    assert len(told) == (1 if said.code else 0), said.err
    return said


def halfway(monkeypatch: pytest.MonkeyPatch, module: Any, done: int, disaster: Disaster) -> None:
    """When ``done`` of several views or tables are changed, the disaster comes; then the rest is asked for."""
    original = carrying.carry_out

    def carry_out(connection: Any, changes: Any) -> list[str]:
        some = dict(list(changes.items())[:done])
        if done < len(changes):
            original(connection, some)
            disaster(connection)
        return original(connection, changes)

    monkeypatch.setattr(module, "carry_out", carry_out)


def is_a_step(found: dict[str, str]) -> bool:
    return set(found) == set(DAYS) and list(found.values()).count("v2") in STEPS


def check_promoted(lanes: Lanes, what: str) -> None:
    """v2 is live, told once, and nothing is left of what was cut off."""
    assert set(seen(lanes.root).values()) == {"v2"}, what
    told = releases(lanes.root)
    assert [r["build"] for r in told].count(lanes.v2) == 1, f"{what}: {told}"
    assert states(lanes.root)[-1] == "SUCCEEDED", what
    assert all(s in {"SUCCEEDED", "SUPERSEDED"} for s in states(lanes.root)), f"{what}: {states(lanes.root)}"
    check_clean(lanes, what)


def check_rolled_back(lanes: Lanes, what: str) -> None:
    """v1 is live again, told once."""
    assert set(seen(lanes.root).values()) == {"v1"}, what
    assert releases(lanes.root)[-1]["build"] == lanes.v1, what
    assert [r["kind"] for r in releases(lanes.root)] == ["promotion", "promotion", "rollback"], what
    check_clean(lanes, what)


_LOCKS = """select pid from pg_locks where locktype = 'advisory'
    and database = (select oid from pg_database where datname = current_database())"""
ROOMS = """select relname from pg_class where relkind = 'r' and relnamespace = '{rooms}'::regnamespace"""


def check_clean(lanes: Lanes, what: str) -> None:
    """The history verifies; there is no lock, no lease of a living process, no room, and no slice or map that would
    stay for ever."""
    ctx = open_context(lanes.root)
    verify(ctx)
    lease = ctx.ledger.holder("orders/prod")
    assert lease is None or is_dead(lease.holder), what  # a dead one stands in nobody's way
    assert lanes.left(_LOCKS) == [], what
    assert lanes.left(ROOMS) == [], what
    warehouse = ctx.warehouse(ctx.config.environment("prod"))
    live = warehouse.live()
    there = warehouse.holdings()
    needed = {s.location for table in live.tables.values() for found in table.slices.values() for s in found}
    going = {(h.kind, h.name) for h in disposable(there, live.number, (), far())}
    stay = {(h.kind, h.name) for h in there} - going
    assert stay == {("map", str(live.number)), *(("slice", name) for name in needed)}, what


def roll_back_at_last(lanes: Lanes, what: str) -> None:
    """Type it once more where it has not taken place; where it has, the next promotion writes it down."""
    found = set(seen(lanes.root).values())
    assert found in ({"v1"}, {"v2"}), f"{what}: {found}"
    if found == {"v2"}:
        said = lane(lanes.root, "rollback", "prod")
        assert said.code == 0, f"{what}: {said.err}"
    else:
        assert in_child(lambda: finish_interrupted(open_context(lanes.root), "prod")) == 0, what
    check_rolled_back(lanes, what)


_ORPHANS = """select relname from pg_class where relnamespace = '{store}'::regnamespace and relkind = 'r'
    and relname like '%daily%' and relname not in (select relation from {store}.versions)"""


def collect_at_last(lanes: Lanes, what: str) -> None:
    """Once more: nothing is left that nothing needs, the views read plainly, and readers see what they saw."""
    assert in_child(lambda: collecting(lanes)) == 0, what
    assert set(seen(lanes.root).values()) == {"v2"}, what
    ctx = open_context(lanes.root)
    warehouse = ctx.warehouse(ctx.config.environment("prod"))
    assert warehouse.missing(warehouse.pointer().number) == (), what
    assert {h.kind for h in warehouse.holdings()} == {"map", "slice"}, what
    assert len(warehouse.maps()) == 1, what
    assert lanes.left("select count(*) from {store}.versions") == [2], what
    assert lanes.left("select view from {store}.views where upto is null") == [], what
    assert lanes.left(_ORPHANS) == [], what
    check_clean(lanes, what)
