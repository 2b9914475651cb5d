"""A promotion that died on one machine is finished from another: they share the ledger, the builds and the warehouse,
and nothing else. Each machine is a folder of its own with a host name of its own."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import lanewise.service.lease as leases
from lanewise.bootstrap import Workshop, open_context
from lanewise.domain.promotion import State
from lanewise.errors import LeaseHeld
from lanewise.service.claims import recover_runs
from lanewise.service.promote import promote
from lanewise.service.rollback import roll_back
from lanewise.service.verify import verify
from lanewise.testing.postgres import Server

from .road import (
    DAYS,
    Counter,
    Killed,
    build,
    in_child,
    ledger_on_postgres,
    on_postgres,
    put_back,
    releases,
    seen,
    set_aside,
    start,
    states,
    write_project,
)

TTL = timedelta(seconds=2)
"""A lease here is short, so that one who died is outlived sooner. Nothing else is different."""


@dataclass
class Machines:
    """Two checkouts of one project on two hosts."""

    a: Path
    b: Path
    server: Server
    database: str
    v1: str = ""
    v2: str = ""

    def keep(self) -> None:
        """Remember how everything is now."""
        set_aside(self.server, self.database)
        shutil.copytree(self.a, self.a.with_name("a-aside"), symlinks=True)

    def put_back(self) -> None:
        """As it was; b has never been used."""
        put_back(self.server, self.database)
        for machine in (self.a, self.b):
            shutil.rmtree(machine)
        shutil.copytree(self.a.with_name("a-aside"), self.a, symlinks=True)
        write_checkout(self.a, self.b)


def write_checkout(original: Path, into: Path) -> None:
    """What a clone has: no ``.lanewise``."""
    shutil.copytree(original, into, ignore=shutil.ignore_patterns(".lanewise"))


def on(host: str, work: Callable[[], Any]) -> Callable[[], None]:
    """Do it as a process of that host."""

    def there() -> None:
        leases._host.cache_clear()
        leases._host = lambda: host  # type: ignore[assignment]
        leases.TTL, leases._BEAT = TTL, TTL / 4
        work()

    return there


class Lines:
    """What somebody was told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)

    def advance(self, what: str, done: int, total: int) -> None: ...

    def moved(self, *_: object) -> None: ...

    def judged(self, *_: object) -> None: ...


@pytest.fixture(scope="module")
def released(postgres15: Server, tmp_path_factory: pytest.TempPathFactory) -> Machines:
    """v1 is live, v2 is built, both by machine a."""
    home = tmp_path_factory.mktemp("machines")
    database = postgres15.database()
    environments = f"builds: file://{home / 'shared'}\n" + ledger_on_postgres(postgres15, database)
    root = write_project(home / "a", on_postgres(postgres15, database) + environments)
    machines = Machines(root, home / "b", postgres15, database)
    made: list[Path] = [home / "v1", home / "v2"]

    def release() -> None:
        made[0].write_text(build(root, "v1"))
        promote(open_context(root), made[0].read_text(), "prod")
        made[1].write_text(build(root, "v2"))

    assert in_child(on("machine-a", release)) == 0
    machines.v1, machines.v2 = (file.read_text() for file in made)
    write_checkout(root, machines.b)
    machines.keep()
    return machines


@pytest.fixture
def machines(released: Machines) -> Machines:
    released.put_back()
    return released


def killed_on_a(machines: Machines, kill_at: int, log: Path | None = None) -> int:
    """Machine a promotes v2, and dies at that change."""

    def work() -> None:
        ctx = open_context(machines.a)
        counter = Counter(kill_at, log)
        opened = ctx._open_warehouse
        ctx.__dict__["ledger"] = Killed(ctx.ledger, counter)
        ctx._open_warehouse = lambda environment: Killed(opened(environment), counter)  # type: ignore[method-assign]
        promote(ctx, machines.v2, "prod")

    return in_child(on("machine-a", work))


def finish_on_b(machines: Machines) -> None:
    promote(open_context(machines.b), machines.v2, "prod")


@pytest.fixture(scope="module")
def made(released: Machines, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The names of the changes that an undisturbed promotion makes."""
    log = tmp_path_factory.mktemp("changes") / "log"
    released.put_back()
    assert killed_on_a(released, -1, log) == 0
    return log.read_text().split()


SHARDS = 4
STEPS = 3
"""So many kills are tried beside one after each kind of change: spread over the whole promotion."""


def points(made: list[str]) -> list[int]:
    """When to kill."""
    last = len(made) - 1 - made[::-1].index("publish")
    kinds = [made.index(kind) for kind in ("acquire", "stage", "prepare", "publish")]
    return sorted({*(2 * at + 1 for at in (*kinds, last)), *range(1, 2 * len(made), 2 * len(made) // STEPS)})


@pytest.mark.crash
@pytest.mark.slow
@pytest.mark.parametrize("shard", range(SHARDS))
def test_what_died_on_one_machine_is_finished_on_another(machines: Machines, made: list[str], shard: int) -> None:
    for kill_at in points(made)[shard::SHARDS]:
        what = f"killed at {kill_at} of {2 * len(made)}, after {made[kill_at // 2]}"
        assert killed_on_a(machines, kill_at) == 9, what
        assert set(seen(machines.b)) == set(DAYS), what
        assert list(seen(machines.b).values()).count("v2") in {0, 2, 4, 8}, what
        assert in_child(on("machine-b", lambda: finish_on_b(machines))) == 0, what
        assert set(seen(machines.a).values()) == {"v2"}, what
        assert [r["build"] for r in releases(machines.b)].count(machines.v2) == 1, what
        assert all(s in {"SUCCEEDED", "SUPERSEDED"} for s in states(machines.b)), what
        for machine in (machines.a, machines.b):
            verify(open_context(machine))
        machines.put_back()


@pytest.mark.crash
def test_the_second_machine_says_whom_it_waits_for(machines: Machines, made: list[str], tmp_path: Path) -> None:
    assert killed_on_a(machines, 2 * made.index("stage") + 1) == 9
    told = tmp_path / "told"

    def finish() -> None:
        lines, started = Lines(), time.monotonic()
        ctx = open_context(machines.b, progress=lines)
        assert promote(ctx, machines.v2, "prod").state is State.SUCCEEDED
        told.write_text("\n".join([*lines.lines, f"{time.monotonic() - started}"]))

    assert in_child(on("machine-b", finish)) == 0
    lines = told.read_text().splitlines()
    assert any("machine-a was at work on it" in line and "its lease runs out at" in line for line in lines), lines


@pytest.mark.crash
def test_a_run_that_died_on_another_machine_is_not_taken_for_one_at_work(machines: Machines, made: list[str]) -> None:
    assert killed_on_a(machines, 2 * made.index("stage") + 1) == 9
    time.sleep(TTL.total_seconds())

    def look() -> None:
        ctx = open_context(machines.b)
        with leases.held(ctx, "orders/prod"):  # as whoever prepares the next promotion holds it
            found = recover_runs(ctx, "prod", ctx.warehouse(ctx.config.environment("prod")))
        assert [run.published for run in found] == [None]

    assert in_child(on("machine-b", look)) == 0


@pytest.mark.crash
def test_a_rollback_from_the_second_machine_waits_for_nobody(machines: Machines, made: list[str]) -> None:
    last = len(made) - 1 - made[::-1].index("publish")
    for kill_at in (2 * made.index("publish") + 1, 2 * last + 1):
        assert killed_on_a(machines, kill_at) == 9
        assert "v2" in seen(machines.b).values()

        def back() -> None:
            started = time.monotonic()
            roll_back(open_context(machines.b), "prod")
            assert time.monotonic() - started < 30

        assert in_child(on("machine-b", back)) == 0
        assert set(seen(machines.a).values()) == {"v1"}
        assert set(states(machines.b)) <= {"SUCCEEDED", "REVERTED", "ABORTED"}
        for machine in (machines.a, machines.b):
            verify(open_context(machine))
        machines.put_back()


def test_a_release_is_rolled_back_by_a_machine_that_had_no_part_in_it(machines: Machines) -> None:
    assert in_child(on("machine-a", lambda: promote(open_context(machines.a), machines.v2, "prod"))) == 0
    assert in_child(on("machine-b", lambda: roll_back(open_context(machines.b), "prod"))) == 0
    assert set(seen(machines.a).values()) == {"v1"}
    assert [r["kind"] for r in releases(machines.a)] == ["promotion", "promotion", "rollback"]


def test_a_machine_that_is_at_work_is_not_relieved(machines: Machines, tmp_path: Path) -> None:
    """Its lease is renewed, which shows that it lives."""
    ready, done = tmp_path / "ready", tmp_path / "done"

    def hold(ctx: Workshop) -> None:
        with leases.held(ctx, "orders/prod"):
            ready.touch()
            while not done.exists():
                time.sleep(0.05)

    holder = start(on("machine-a", lambda: hold(open_context(machines.a))))
    while not ready.exists():
        time.sleep(0.05)

    def refused() -> None:
        with pytest.raises(LeaseHeld, match="machine-a"):
            finish_on_b(machines)

    assert in_child(on("machine-b", refused)) == 0
    done.touch()
    assert not holder.ended().error
    assert in_child(on("machine-b", lambda: finish_on_b(machines))) == 0
    assert set(seen(machines.a).values()) == {"v2"}
