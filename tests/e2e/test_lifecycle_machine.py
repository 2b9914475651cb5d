"""The whole lifecycle in any order: builds, promotions into three lanes, people, freezes, runs, rollbacks, crashes,
collections of garbage and changes of config. Whatever was just done or refused, what must hold holds."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from lanewise.bootstrap import Workshop, open_context
from lanewise.errors import Refused, WrongInput
from lanewise.service import approve as people
from lanewise.service.configure import AwaitingApproval, approve_config, propose
from lanewise.service.gc import collect
from lanewise.service.hold import lane, pause, resume
from lanewise.service.live import run_live
from lanewise.service.promote import drive, finish_interrupted, promote
from lanewise.service.promotions import open_promotions, under_way
from lanewise.service.rollback import roll_back
from lanewise.service.verify import verify
from lanewise.service.why import why

from .road import SCRIPT, Counter, build, in_child, killable, releases, seen, write_project

LANES = ("dev", "stage", "prod")
NOW = datetime.now(UTC)
FREEZE = (NOW + timedelta(hours=1), NOW + timedelta(hours=2))
ENVIRONMENTS = f"""\
identity: declared
people: {{ana: {{groups: [devs]}}, ben: {{groups: [leads]}}, cleo: {{groups: [devs]}}}}
defaults: {{retries: 0, level: 0, data: {{from: 2013-01-01, to: 2013-01-04}}}}
environments: {{dev: {{}}, stage: {{}}, prod: {{}}}}
promotion:
  stage: {{gates: [quality], rollout: blue-green}}
  prod:
    gates: [quality, schema, retained]
    approvals: {{count: 1, from: [leads]}}
    rollout: {{canary: [25%, 50%, 100%]}}
    freeze: [{{start: "{FREEZE[0].isoformat()}", end: "{FREEZE[1].isoformat()}"}}]
    rollback_window: 30d
"""
lanes = st.sampled_from(LANES)
forward = st.sampled_from(("dev", "stage", "prod", "prod"))
days = st.integers(1, 6).map(lambda day: f"2013-01-{day:02}")


class Clocked:
    """A ledger whose clock the test turns."""

    def __init__(self, ledger: Any, clock: Callable[[], datetime]) -> None:
        self._ledger, self.now = ledger, clock

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)


class Lifecycle(RuleBasedStateMachine):
    """One project; people who take turns."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="lifecycle-"))
        self.root = write_project(self.folder / "orders", ENVIRONMENTS)
        self.builds: list[str] = []
        self.names: dict[str, str] = {}
        self.frozen = False
        self.level = 0
        self.named: set[tuple[str, str]] = set()

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    def clock(self) -> datetime:
        return FREEZE[0] + timedelta(minutes=30) if self.frozen else datetime.now(UTC)

    def context(self, actor: str = "ana", clock: Callable[[], datetime] | None = None) -> Workshop:
        os.environ["LANEWISE_ACTOR"] = actor
        ctx = open_context(self.root)
        ctx.__dict__["ledger"] = Clocked(ctx.ledger, clock or self.clock)
        return ctx

    @contextmanager
    def maybe(self) -> Iterator[None]:
        """Nobody is promised that it works, only that it says why not."""
        try:
            yield
        except (Refused, WrongInput) as refusal:
            assert refusal.message, repr(refusal)  # noqa: PT017 - any of them may come, or none

    @initialize()
    def v1_is_live_everywhere(self) -> None:
        self.edit_and_build(faulty=False)
        for name in LANES:
            with self.maybe():
                promote(self.context(), self.builds[0], name)
        self.approve("ben")
        assert promote(self.context(), self.builds[0], "prod").state.value == "SUCCEEDED"

    @rule(faulty=st.sampled_from((False, False, True)))
    def edit_and_build(self, faulty: bool) -> None:
        name = f"v{len(self.builds) + 1}"
        script = SCRIPT.replace("for id in 1 2 3", "for id in 1 2") if faulty else SCRIPT
        digest = build(self.root, name, script.replace(",3,@", ",2,@") if faulty else script)
        self.builds.append(digest)
        self.names[name] = digest

    @rule(environment=forward, data=st.data())
    def promote(self, environment: str, data: st.DataObject) -> None:
        with self.maybe():
            promote(self.context(), self.pick(data), environment)

    @rule(environment=forward, faulty=st.sampled_from((False, False, True)))
    def ask_for_a_new_build(self, environment: str, faulty: bool) -> None:
        self.edit_and_build(faulty)
        for name in LANES[: LANES.index(environment) + 1]:
            with self.maybe():
                promote(self.context(), self.builds[-1], name)

    @rule(environment=forward)
    def release_a_new_build(self, environment: str) -> None:
        """People who wish it well make way for it: two of three rules that go forward should get there."""
        self.frozen = False
        for name in LANES:
            with self.maybe():
                resume(self.context(), name)
        self.ask_for_a_new_build(environment, faulty=False)
        self.approve("ben")
        self.approved_ones_go_on()

    @rule(environment=forward)
    def release_another(self, environment: str) -> None:
        self.release_a_new_build(environment)

    @rule(who=st.sampled_from(("ben", "ben", "cleo", "ana")))
    def approve(self, who: str) -> None:
        for one in open_promotions(self.context(), "prod"):
            with self.maybe():
                people.approve(self.context(who), one.id)
                assert who == "ben", f"{who} may not approve {one.id}"

    @rule()
    def approved_ones_go_on(self) -> None:
        for one in open_promotions(self.context(), "prod"):
            with self.maybe():
                promote(self.context(), one.build, "prod")

    @rule()
    def reject(self) -> None:
        for one in open_promotions(self.context(), "prod"):
            with self.maybe():
                people.reject(self.context("ben"), one.id, "not today")

    @rule(decision=st.sampled_from(("retry", "accept", "abort")))
    def decide(self, decision: str) -> None:
        for one in open_promotions(self.context(), "prod"):
            with self.maybe():
                if decision == "retry":
                    people.retry(self.context("ben"), one.id)
                elif decision == "accept":
                    people.accept(self.context("ben"), one.id, "seen")
                else:
                    people.abort(self.context("ben"), one.id, "enough")
                drive(self.context("ben"), one.id)

    @rule(environment=lanes)
    def pause(self, environment: str) -> None:
        pause(self.context(), environment, "holiday")

    @rule(environment=lanes, lift=st.booleans())
    def resume(self, environment: str, lift: bool) -> None:
        ctx = self.context()
        held = lane(ctx, environment).quarantined
        with self.maybe():
            resume(ctx, environment, build=held[0] if held and lift else None)

    @rule(frozen=st.booleans())
    def freeze(self, frozen: bool) -> None:
        self.frozen = frozen

    @rule()
    def promote_until_a_freeze_opens(self) -> None:
        """It opens when the first step of the canary is exposed."""
        link = self.root / ".lanewise" / "warehouse" / "prod.duckdb"
        before = link.readlink()

        def clock() -> datetime:
            self.frozen = self.frozen or link.readlink() != before
            return self.clock()

        for one in open_promotions(self.context(), "prod"):
            with self.maybe():
                promote(self.context(clock=clock), one.build, "prod")

    @rule(environment=lanes, day=days)
    def run_a_day(self, environment: str, day: str) -> None:
        with self.maybe():
            run_live(self.context(), environment, [day], wait=timedelta(0))

    @rule(environment=lanes, named=st.booleans(), data=st.data())
    def roll_back(self, environment: str, named: bool, data: st.DataObject) -> None:
        build = self.pick(data) if named else None
        with self.maybe():
            roll_back(self.context(), environment, build=build)
            if build:
                self.named.add((environment, build))

    @rule(environment=forward, work=st.sampled_from(("promote", "promote", "rollback", "run")), at=st.integers(0, 90))
    def crash_and_finish(self, environment: str, work: str, at: int) -> None:
        newest = self.builds[-1]
        works: dict[str, Callable[[Workshop], object]] = {
            "promote": lambda ctx: promote(ctx, newest, environment),
            "rollback": lambda ctx: roll_back(ctx, environment),
            "run": lambda ctx: run_live(ctx, environment, ["2013-01-05"], wait=timedelta(0)),
        }

        def killed() -> None:
            with killable(self.root, Counter(at)) as ctx, self.maybe():
                ctx.__dict__["ledger"] = Clocked(ctx.ledger, self.clock)
                works[work](ctx)

        os.environ["LANEWISE_ACTOR"] = "ana"
        assert in_child(killed) in {0, 9}
        self.readers_see_a_whole_map()
        with self.maybe():
            finish_interrupted(self.context(), environment)

    @rule(far=st.booleans())
    def collect_garbage(self, far: bool) -> None:
        later = datetime.now(UTC) + timedelta(days=40 if far else 0)
        with self.maybe():
            collect(self.context(clock=lambda: later), apply=True)

    @rule(environment=lanes, agreed=st.booleans())
    def change_config(self, environment: str, agreed: bool) -> None:
        self.level += 1
        file = self.root / "environments.yaml"
        lanes = ", ".join(f"{n}: {{level: {self.level}}}" if n == environment else f"{n}: {{}}" for n in LANES)
        file.write_text(re.sub("(?m)^environments: .*$", f"environments: {{{lanes}}}", file.read_text()))
        with self.maybe():
            done = propose(self.context())
            if agreed and isinstance(done, AwaitingApproval):
                approve_config(self.context("ben"), done.digest)

    def pick(self, data: st.DataObject) -> str:
        return data.draw(st.sampled_from(self.builds[-3:]))

    @precondition(lambda self: self.builds)
    @invariant()
    def readers_see_a_whole_map(self) -> None:
        ctx = self.context()
        for name in LANES:
            found = seen(self.root, name)
            live = ctx.warehouse(ctx.config.environment(name)).live()
            assert set(found) == set(live.partitions("orders_daily")), f"{name} is not whole"
            assert set(found.values()) <= set(self.names)

    @precondition(lambda self: self.builds)
    @invariant()
    def the_pointer_agrees_with_the_last_release(self) -> None:
        ctx = self.context()
        for name in LANES:
            told, pointer = releases(self.root, name), ctx.warehouse(ctx.config.environment(name)).pointer()
            last = (told[-1]["build"], told[-1]["config"]) if told else ("", "")
            assert (pointer.build, pointer.config) == last, name

    @precondition(lambda self: self.builds)
    @invariant()
    def the_history_verifies_and_every_open_promotion_says_what_it_waits_for(self) -> None:
        ctx = self.context()
        verify(ctx)
        for name in LANES:
            held = under_way(ctx, name)
            for one in open_promotions(ctx, name):
                answer = why(ctx, one.id)
                assert one.id in answer.sentence
                assert answer.command, answer
            assert held is None or held.state.value in {"HELD", "FROZEN"}, f"nobody is at work on {held}"

    @precondition(lambda self: self.builds)
    @invariant()
    def a_build_in_quarantine_is_live_only_where_a_person_went_back_to_it_by_name(self) -> None:
        ctx = self.context()
        for name in LANES:
            live = ctx.warehouse(ctx.config.environment(name)).pointer().build
            asked = (name, live) in self.named
            assert asked or live not in lane(ctx, name).quarantined, f"{name} is on a build in quarantine"

    @precondition(lambda self: self.builds)
    @invariant()
    def nothing_that_a_kept_map_needs_is_missing(self) -> None:
        ctx, folder = self.context(), self.root / ".lanewise" / "warehouse"
        for name in LANES:
            warehouse = ctx.warehouse(ctx.config.environment(name))
            for number in warehouse.maps():
                kept = warehouse.map_at(number)
                ctx.builds.get(kept.build)
                for table in kept.tables.values():
                    for line in (f for found in table.slices.values() for s in found for f in s.location.split("\n")):
                        assert (folder / line).exists(), f"{name} map {number} lacks {line}"


TestLifecycle = Lifecycle.TestCase
TestLifecycle.settings = settings(
    max_examples=8, stateful_step_count=20, deadline=None, database=None, derandomize=True, print_blob=False,
    phases=(Phase.generate,), suppress_health_check=list(HealthCheck),
)  # fmt: skip
