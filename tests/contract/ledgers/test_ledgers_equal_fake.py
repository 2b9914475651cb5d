"""Whatever is asked of both, each database answers like the ledger in memory."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from lanewise.adapters.ledgers.sql import open_ledger
from lanewise.domain.event import Draft, Event, Lease
from lanewise.domain.ports import Ledger
from lanewise.errors import LaneError
from lanewise.ledger.chain import verify_chain
from lanewise.testing.fake_ledger import FakeLedger
from lanewise.testing.postgres import Server

from .places import ledger_url

STREAMS = st.sampled_from(["a", "a/1", "a/2", "a%", "a_", "b", "é", "\U0010ffff"])
TYPES = st.sampled_from(["asked", "moved", "finished"])
SCOPES = st.sampled_from(["shop/dev", "shop/prod"])
PEOPLE = st.sampled_from(["ana", "bob"])
TTL = st.sampled_from([timedelta(hours=1), timedelta(0)])  # held, or run out at once
Answer = tuple[str, Any]


def told(ask: Callable[[], Any]) -> Answer:
    """What came of it, without what differs by clock: times and hashes."""
    try:
        return "answer", timeless(ask())
    except LaneError as error:
        return type(error).__name__, error.message.partition(" until ")[0]


def timeless(value: Any) -> Any:
    if isinstance(value, Event):
        return value.seq, value.stream, value.version, value.type, value.actor, value.data
    if isinstance(value, Lease):
        return value.scope, value.holder, value.fence
    return [timeless(each) for each in value] if isinstance(value, tuple | list) else value


class Twins(RuleBasedStateMachine):
    leases = Bundle("leases")

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="lanewise-twins-"))
        self.url = self.place()
        self.real: Ledger = open_ledger(self.url, base=self.folder)
        self.fake: Ledger = FakeLedger()
        self.fences: dict[str, int] = {}

    def place(self) -> str:
        return "sqlite:///ledger.db"

    def same(self, ask: Callable[[Ledger], Any]) -> None:
        assert told(lambda: ask(self.real)) == told(lambda: ask(self.fake))

    @rule(stream=STREAMS, types=st.lists(TYPES, max_size=3), off=st.sampled_from([None, 0, -1, 1]), by=PEOPLE)
    def append(self, stream: str, types: list[str], off: int | None, by: str) -> None:
        expect = None if off is None else len(self.fake.read(stream)) + off
        drafts = [Draft(kind, {"n": n}) for n, kind in enumerate(types)]
        self.same(lambda ledger: ledger.append(stream, drafts, actor=by, expect=expect))

    @rule(stream=STREAMS, after=st.integers(0, 5), types=st.lists(TYPES, max_size=2))
    def read(self, stream: str, after: int, types: list[str]) -> None:
        self.same(lambda ledger: ledger.read(stream, after=after))
        self.same(lambda ledger: ledger.read(stream, after=after, types=types))
        self.same(lambda ledger: ledger.last(stream, *types))

    @rule(prefix=STREAMS | st.just(""), without=st.lists(TYPES, max_size=2))
    def streams(self, prefix: str, without: list[str]) -> None:
        self.same(lambda ledger: ledger.streams(prefix, without=without))

    @rule(after=st.integers(0, 20), limit=st.none() | st.integers(0, 9), back=st.booleans())
    def events(self, after: int, limit: int | None, back: bool) -> None:
        self.same(lambda ledger: list(ledger.events(after=after, limit=limit, newest_first=back)))

    @rule(target=leases, scope=SCOPES, by=PEOPLE, ttl=TTL, take_over=st.booleans())
    def acquire(self, scope: str, by: str, ttl: timedelta, take_over: bool) -> Any:
        held = self.fake.holder(scope)
        try:
            mine = self.real.acquire(scope, by, ttl, take_over=take_over)
        except LaneError:
            assert held is not None
            assert held.holder != by
            assert not take_over
            self.same(lambda ledger: ledger.acquire(scope, by, ttl))
            return multiple()
        theirs = self.fake.acquire(scope, by, ttl, take_over=take_over)
        assert timeless(mine) == timeless(theirs)
        assert mine.fence > self.fences.get(scope, 0)
        self.fences[scope] = mine.fence
        return mine

    @rule(lease=leases, ttl=TTL)
    def renew(self, lease: Lease, ttl: timedelta) -> None:
        self.same(lambda ledger: ledger.renew(lease, ttl))

    @rule(lease=leases)
    def release(self, lease: Lease) -> None:
        self.same(lambda ledger: ledger.release(lease))

    @rule()
    def reopen(self) -> None:
        self.real = open_ledger(self.url, base=self.folder)

    @invariant()
    def agree(self) -> None:
        assert self.real.head()[0] == self.fake.head()[0]
        for scope in ("shop/dev", "shop/prod"):
            self.same(lambda ledger, scope=scope: ledger.holder(scope))

    def teardown(self) -> None:
        try:
            assert verify_chain(self.real.events()) is None
        finally:
            shutil.rmtree(self.folder)


Twins.TestCase.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)


@pytest.mark.timeout(120)
class TestTwins(Twins.TestCase):
    pass


@pytest.mark.timeout(240)
def test_postgresql_equals_the_fake(server: Server):
    class PostgresTwins(Twins):
        def place(self) -> str:
            return ledger_url(server)

    run_state_machine_as_test(PostgresTwins, settings=settings(max_examples=10, stateful_step_count=30, deadline=None))
