"""Two promoters and a rollback at once, as processes of their own, on one environment: 96 rounds in all.

Whoever loses says so and leaves at once. At any moment one promotion has the lane; readers see one build a day across
all tables; and when everybody has left, the history tells what the warehouse shows.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from lanewise.bootstrap import Workshop, open_context
from lanewise.domain.ports import Warehouse
from lanewise.domain.promotion import Promotion, State
from lanewise.domain.publication import Pointer
from lanewise.promotion.fold import fold
from lanewise.promotion.states import holds_lock
from lanewise.service.hold import lane, resume
from lanewise.service.lease import TTL
from lanewise.service.promote import Asked, finish_interrupted, promote
from lanewise.service.promotions import under_way
from lanewise.service.rollback import roll_back
from lanewise.service.verify import verify

from .road import (
    DAYS,
    ENVIRONMENTS,
    Counter,
    Ended,
    build,
    in_child,
    into_prod,
    killable,
    releases,
    seen,
    start,
    states,
    write_project,
)

SHARDS = 8
ROUNDS = 12
BUILDS = ("v1", "v2", "v3")
QUICK = ENVIRONMENTS.replace("canary: [25%, 50%, 100%]", "{rollout}").replace(
    "gates: [quality, schema, retained]", "gates: [quality]"
)
ROLLOUTS = ("strategy: all-at-once", "strategy: blue-green", "canary: [25%, 100%]")


@dataclass
class Road:
    """One project, its builds by name, and the highest fence that was ever seen in its warehouse."""

    root: Path
    digests: dict[str, str]
    fence: int = 0

    def look(self) -> None:
        """As a reader, and at the fence."""
        found = seen(self.root)
        assert set(found) == set(DAYS)
        fence = self.pointer().fence
        assert fence >= self.fence, f"the fence fell from {self.fence} to {fence}"
        self.fence = fence

    def context(self) -> Workshop:
        return open_context(self.root)

    def pointer(self) -> Pointer:
        return self.warehouse.pointer()

    @cached_property
    def warehouse(self) -> Warehouse:
        ctx = self.context()
        return ctx.warehouse(ctx.config.environment("prod"))


def at_once(road: Road, works: list[Callable[[], object]]) -> list[Ended]:
    """Run each in a process of its own, and look on meanwhile as a reader does."""
    children = [start(work) for work in works]
    deadline = time.monotonic() + TTL.total_seconds()
    turn = 0
    while any(child.running() for child in children):
        if turn % 4 == 0:
            road.look()
        turn += 1
        if time.monotonic() > deadline:
            for child in children:
                child.kill()
            pytest.fail("somebody hung for longer than a lease lasts")
        time.sleep(0.05)
    return [child.ended() for child in children]


def works_of(road: Road, dice: random.Random) -> list[Callable[[], object]]:
    """Two promoters, of different builds or of the same, and a rollback; who begins when is a matter of chance."""
    live = releases(road.root)[-1]["build"]
    others = [digest for digest in road.digests.values() if digest != live]
    first, second = dice.choice([(others[0], others[1]), (others[1], others[0]), (others[0], others[0])])

    def promoter(digest: str, pause: float, wait: float) -> Callable[[], object]:
        def work() -> Promotion:
            time.sleep(pause)
            return promote(open_context(road.root), digest, "prod", Asked(wait=timedelta(seconds=wait)))

        return work

    def back(pause: float) -> Callable[[], object]:
        def work() -> object:
            time.sleep(pause)
            return roll_back(open_context(road.root), "prod")

        return work

    waits = dice.choice([(0, 0), (0, 5), (5, 5)])
    works = [promoter(first, dice.uniform(0, 0.2), waits[0]), promoter(second, dice.uniform(0, 0.2), waits[1]),
             back(dice.uniform(0, 0.7))]  # fmt: skip
    dice.shuffle(works)
    return works


def told(ctx: Workshop) -> Iterator[tuple[int, dict[str, Promotion]]]:
    """After every event of a promotion: where each of them stood."""
    events: dict[str, list[Any]] = {}
    standing: dict[str, Promotion] = {}
    for event in ctx.ledger.events():
        if event.stream.startswith("promotion/orders/prod/"):
            events.setdefault(event.stream, []).append(event)
            if event.type in {"promotion.requested", "promotion.moved"}:
                standing[event.stream] = fold(events[event.stream])
                yield event.seq, standing


def one_at_a_time(ctx: Workshop) -> None:
    """ACQUIRING is the wish for the lane; from PREPARING on a promotion has it."""
    for seq, standing in told(ctx):
        having = [p.id for p in standing.values() if holds_lock(p) and p.state is not State.ACQUIRING]
        assert len(having) < 2, f"{having} had the lane at once at event {seq}"


def everything_is_told(road: Road, ended: list[Ended]) -> None:
    """The pointer agrees with the last release, and what each process says that it did is in the history."""
    history = releases(road.root)
    pointer, last = road.pointer(), history[-1]
    assert (pointer.build, pointer.config) == (last["build"], last["config"]), f"{pointer} but {last}"
    for one in ended:
        assert one.refused or not one.error, one.error
    for one in ended:
        if isinstance(one.result, Promotion) and one.result.state is State.SUCCEEDED:
            assert one.result.id in {r["promotion"] for r in history}, f"the release of {one.result.id} is lost"
    names = {digest: name for name, digest in road.digests.items()}
    assert set(seen(road.root).values()) == {names[pointer.build]}, "readers see other builds than the live one"


def calm(road: Road) -> None:
    """A person looks after the lane between two rounds, so that both promoters are admitted."""
    ctx = road.context()
    finish_interrupted(ctx, "prod")
    assert under_way(ctx, "prod") is None
    for digest in lane(ctx, "prod").quarantined:
        resume(ctx, "prod", build=digest)
    if lane(ctx, "prod").paused is not None:
        resume(ctx, "prod")


@pytest.mark.crash
@pytest.mark.parametrize("shard", range(SHARDS))
def test_of_two_promoters_and_a_rollback_at_once_one_at_a_time_has_the_lane(tmp_path: Path, shard: int) -> None:
    dice = random.Random(shard)
    environments = QUICK.replace("{rollout}", ROLLOUTS[shard % len(ROLLOUTS)])
    root = write_project(tmp_path / "orders", environments)
    road = Road(root, {name: build(root, name) for name in BUILDS})
    into_prod(root, road.digests["v1"])
    into_prod(root, road.digests["v2"])
    winners = 0
    for turn in range(ROUNDS):
        ended = at_once(road, works_of(road, dice))
        try:
            everything_is_told(road, ended)
            calm(road)
            everything_is_told(road, [])
        except AssertionError as error:
            raise AssertionError(f"round {turn}: {error}\n" + "\n".join(map(str, ended))) from error
        winners += sum(one.error == "" for one in ended)
    one_at_a_time(road.context())
    verify(road.context())
    assert winners >= ROUNDS, "every round somebody should have won"


class AfterFirst(Counter):
    """Kills just after the first change of this name."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name, self._now = name, ""

    def before(self, name: str) -> None:
        self._now = name

    def after(self) -> None:
        if self._now == self._name:
            os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture(scope="module")
def half_exposed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """v1 and then v2 went live; v3's promotion died as readers saw the first step of its canary."""
    root = write_project(tmp_path_factory.mktemp("half") / "orders")
    v1, v2, v3 = (build(root, name) for name in BUILDS)

    def dies() -> None:
        into_prod(root, v1)
        into_prod(root, v2)
        with killable(root, AfterFirst("publish")) as ctx:
            promote(ctx, v3, "prod")

    assert in_child(dies) == signal.SIGKILL
    assert sorted(set(seen(root).values())) == ["v2", "v3"]
    return root


@pytest.mark.crash
@pytest.mark.parametrize("named", [False, True])
def test_a_rollback_killed_while_it_takes_a_promotion_over_is_finished_as_one(
    half_exposed: Path, tmp_path: Path, named: bool
) -> None:
    """Back to v2, or by name to v1; at no change may the next command carry v3 on."""
    v1 = releases(half_exposed)[0]["build"] if named else None
    kill_at, status = 0, signal.SIGKILL
    while status == signal.SIGKILL:
        root = tmp_path / f"killed-{kill_at}"
        shutil.copytree(half_exposed, root, symlinks=True)

        def killed(root: Path = root, kill_at: int = kill_at) -> None:
            with killable(root, Counter(kill_at)) as ctx:
                roll_back(ctx, "prod", build=v1)

        status = in_child(killed)
        found = set(seen(root).values())
        assert found in ({"v2", "v3"}, {"v2"}, {"v1"}), f"killed at {kill_at}: {found}"

        ctx = open_context(root)
        begun = under_way(ctx, "prod")
        if begun is not None and begun.state is not State.REVERTING:
            assert found == {"v2", "v3"}, f"killed at {kill_at}: it flipped before it said so"
        else:
            finish_interrupted(ctx, "prod")
            assert set(seen(root).values()) in ({"v2"}, {"v1"}), f"killed at {kill_at}"
            pointer = ctx.warehouse(ctx.config.environment("prod")).pointer()
            assert pointer.build == releases(root)[-1]["build"], f"killed at {kill_at}"
            assert states(root)[-1] == "REVERTED", f"killed at {kill_at}"
        verify(ctx)
        kill_at += 1
    assert status == 0
    assert set(seen(root).values()) == ({"v1"} if named else {"v2"})
    assert kill_at > 12
