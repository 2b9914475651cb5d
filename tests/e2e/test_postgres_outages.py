"""A promotion or a rollback loses PostgreSQL while it is at work: its sessions are ended, an answer gets lost, the
server stops as in a crash and comes back, or stays away.

Readers never see a mix; the command goes on, or says in one line what broke; the next one finishes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from lanewise.adapters.ledgers.sql import open_ledger
from lanewise.adapters.warehouses.postgres import publishing
from lanewise.bootstrap import open_context
from lanewise.testing.postgres import postgres

from .disasters import Disaster, Point, answer_lost, crashed, gone, looking_on, terminated
from .road import ENVIRONMENTS, in_child, lane, seen
from .stricken import (
    ROOMS,
    Lanes,
    check_promoted,
    check_rolled_back,
    collecting,
    inside,
    is_a_step,
    made_on,
    promoting,
    recorded,
    roll_back_at_last,
    rolling_back,
    steps,
    struck,
)

pytestmark = pytest.mark.crash


@pytest.fixture(scope="module")
def fragile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lanes]:
    """On a server of its own, which is stopped again and again. The canary has two steps."""
    with postgres(15) as server:
        two = ENVIRONMENTS.replace("[25%, 50%, 100%]", "[50%, 100%]")
        yield made_on(server, tmp_path_factory.mktemp("fragile"), two)


def check_survived(
    lanes: Lanes, at: Point, disaster: Disaster, *, under_way: bool, back: Callable[[], None] = lambda: None
) -> int:
    """A promotion meets with it, and the next one ends what was begun; the exit code of the first."""
    what = f"{at}{', under way' if under_way else ''}"
    lanes.put_back("v1")
    said = struck(lanes, ["promote", lanes.v2, "--to", "prod"], at, disaster, under_way=under_way)
    back()
    assert is_a_step(seen(lanes.root)), what
    if said.code:
        again = lane(lanes.root, "promote", lanes.v2, "--to", "prod")
        assert again.code == 0, f"{what}: {again.err}"
    if lanes.left(ROOMS):  # whoever loses the server while it cleans up leaves that to `lane gc`
        assert said.code == 3, what
        assert in_child(lambda: collecting(lanes)) == 0, what
    check_promoted(lanes, what)
    return said.code


ENDED = (
    (Point("append promotion.requested", 0, 5), False),
    (Point("acquire"), False),
    (Point("open_run", 0, 4), True),
    (Point("stage", 0, 29), True),
    (Point("append step.intended", 1, 0), False),
    (Point("prepare", 0, 15), True),
    (Point("publish"), True),
    (Point("append step.done", 1, 7), True),
    (Point("append release.changed"), False),
)


@pytest.mark.slow
@pytest.mark.parametrize(("at", "under_way"), ENDED, ids=lambda value: str(value).replace(" ", "-"))
def test_sessions_that_an_administrator_ends_are_told_in_one_line_and_the_next_command_goes_on(
    fragile: Lanes, at: Point, under_way: bool
) -> None:
    with looking_on(fragile.root, fragile.server, fragile.database) as reader:
        check_survived(fragile, at, terminated(fragile.server, fragile.database), under_way=under_way)
    assert not reader.wrong


@pytest.mark.parametrize("change", ["publish", "append step.done"])
def test_a_lost_answer_is_found_out_and_the_command_goes_on(fragile: Lanes, change: str) -> None:
    made = recorded(fragile, "v1", promoting)
    last = max(p.trip for p in made if (p.change, p.time) == (change, 1))
    with looking_on(fragile.root, fragile.server, fragile.database) as reader:
        at = Point(change, 1, 1 if change == "publish" else last)
        assert check_survived(fragile, at, answer_lost, under_way=True) == 0
    assert not reader.wrong


def test_a_lost_answer_to_a_rollback_is_found_out_and_the_pointer_moves_once(fragile: Lanes) -> None:
    fragile.put_back("v2")
    before = live_map(fragile)
    with looking_on(fragile.root, fragile.server, fragile.database) as reader:
        said = struck(fragile, ["rollback", "prod"], Point("revert", 0, 1), answer_lost, under_way=True)
    assert said.code == 0, said.err
    assert live_map(fragile) == before + 1
    check_rolled_back(fragile, "the answer was lost")
    assert not reader.wrong


def live_map(lanes: Lanes) -> int:
    ctx = open_context(lanes.root)
    return ctx.warehouse(ctx.config.environment("prod")).pointer().number


CRASHED = (
    (Point("append promotion.moved GATING", 0, 7), True),
    (Point("raise_fence", 0, 2), True),
    (Point("stage", 0, 29), True),
    (Point("discard", 0, 1), True),
    (Point("prepare", 0, 15), True),
    (Point("publish", 1), False),
    (Point("publish", 1, 1), True),
    (Point("append release.changed", 0, 7), True),
)


@pytest.mark.slow
@pytest.mark.parametrize(("at", "under_way"), CRASHED, ids=lambda value: str(value).replace(" ", "-"))
def test_a_server_that_crashes_and_comes_back_is_told_in_one_line_and_the_next_command_goes_on(
    fragile: Lanes, at: Point, under_way: bool
) -> None:
    with looking_on(fragile.root, fragile.server, fragile.database) as reader:
        check_survived(fragile, at, crashed(fragile.server), under_way=under_way)
    assert not reader.wrong


@pytest.mark.parametrize(
    "at", [Point("append step.done", 0, 7), Point("prepare", 1, 15), Point("publish", 1, 1)], ids=str
)
def test_a_server_that_stays_away_is_told_in_one_line_and_the_next_command_goes_on(
    fragile: Lanes, monkeypatch: pytest.MonkeyPatch, at: Point
) -> None:
    impatient(monkeypatch)
    with looking_on(fragile.root, fragile.server, fragile.database) as reader:
        code = check_survived(fragile, at, gone(fragile.server), under_way=True, back=fragile.server.start)
    assert code == 3
    assert not reader.wrong


def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is lost while something is on its way is asked for a moment only what became of it."""
    monkeypatch.setattr(publishing, "_AGAIN", 0.5)
    monkeypatch.setitem(open_ledger.__kwdefaults__ or {}, "patience", 0.5)


@pytest.mark.parametrize("disaster", ["ended", "crashed"])
def test_a_rollback_that_loses_the_server_leaves_one_map_and_is_finished(fragile: Lanes, disaster: str) -> None:
    server, database = fragile.server, fragile.database
    strike = crashed(server) if disaster == "crashed" else terminated(server, database)
    made = recorded(fragile, "v2", rolling_back)
    with looking_on(fragile.root, server, database) as reader:
        for at in [*steps(made)[::2], *inside(made)[1::3]]:
            what = f"{disaster} at {at}"
            fragile.put_back("v2")
            said = struck(fragile, ["rollback", "prod"], at, strike, under_way=at.trip > 0)
            if said.code:
                roll_back_at_last(fragile, what)
            check_rolled_back(fragile, what)
    assert not reader.wrong
