"""What a promotion and a rollback tell the environment's orchestrator, and what becomes of them while it is away."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from tests.unit.service.lanes import CANARY, ONE, Lanes

from lanewise.adapters.orchestrators.local import LocalRunner
from lanewise.domain.promotion import State
from lanewise.domain.run import Launch, Purpose, RunOutcome
from lanewise.errors import ConfigError, OrchestratorUnavailable
from lanewise.runtime.sign import Sign, read_sign
from lanewise.service import promotions, signs
from lanewise.service.candidate import open_candidate
from lanewise.service.rollback import roll_back
from lanewise.service.serving import ADOPTED, clear_unneeded, follow
from lanewise.testing.fake_orchestrator import FakeOrchestrator

LIVE_PURPOSES = {Purpose.SCHEDULED, Purpose.RERUN}


class Watched(FakeOrchestrator):
    """The fake, which runs commands for real, and only builds that it serves. ``away_at`` names calls that nobody
    answers; ``calls`` are all that came."""

    def __init__(self) -> None:
        super().__init__(pipeline=lambda launch, document: 0)
        self.away_at: set[str] = set()
        self.refuses_to_adopt: set[str] = set()
        self.calls: list[tuple[str, str]] = []

    def serve(self, served):
        self._call("serve", served.build)
        super().serve(served)

    def withdraw(self, build):
        self._call("withdraw", build)
        super().withdraw(build)

    def adopt(self, served):
        self._call("adopt", served.build)
        self.broken |= dict.fromkeys(self.refuses_to_adopt & {served.build}, "it does not load")
        super().adopt(served)

    def run(self, launch: Launch) -> RunOutcome:
        self._call("run", launch.request.build)
        if launch.request.purpose not in LIVE_PURPOSES:
            assert launch.request.build in self.served, "what is not served can't be run"
        return LocalRunner(lambda text: text).run(launch)

    def _call(self, what: str, build: str) -> None:
        self.calls.append((what, build))
        if what in self.away_at:
            raise OrchestratorUnavailable("nobody answers")


class Town(Lanes):
    """Lanes whose environments share one watched orchestrator."""

    def __init__(self, root: Path, environments: str = ONE) -> None:
        super().__init__(root, environments)
        self.there = Watched()

    def ctx(self, actor: str = "ana"):
        found = super().ctx(actor)
        found._open_orchestrator = lambda lane: self.there
        return found

    def sign(self) -> Sign:
        return read_sign(str(self.root), "prod")

    def back(self):
        return roll_back(self.ctx(), "prod")

    def adoptions(self) -> list[str]:
        return [e.data["build"] for e in self.ledger.events() if e.type == ADOPTED]


@pytest.fixture
def town(tmp_path: Path) -> Town:
    return Town(tmp_path, CANARY)


def test_a_candidate_is_tried_out_then_served_while_it_is_computed_and_goes_when_it_is_live(town):
    a = town.build("a")
    town.through(a)
    town.there.calls.clear()
    b = town.build("b")
    town.through(b)
    calls = list(dict.fromkeys(town.there.calls))
    assert calls[:2] == [("serve", b), ("withdraw", b)]
    assert calls.index(("run", b)) < calls.index(("adopt", b))
    assert ("serve", a) in calls  # the baseline
    assert town.there.served == {}
    assert town.there.live.build == town.sign().live["build"] == b
    assert town.sign().candidates == []
    assert town.adoptions() == [a, b]


def test_a_build_that_does_not_load_there_is_rejected_before_anything_moves(town):
    a, b = town.build("a"), town.build("b")
    town.through(a)
    before = town.live()
    town.there.broken[b] = "pipelines/orders.sh:1: it does not load"
    done = town.promote(b)
    assert (done.state, done.reason) == (State.REJECTED, "pipelines/orders.sh:1: it does not load")
    assert town.live() == before
    assert (town.there.live.build, town.there.served, town.sign().candidates) == (a, {}, [])


@pytest.mark.parametrize(
    ("call", "state"), [("serve", State.REQUESTED), ("run", State.CANARY), ("adopt", State.VERIFYING)]
)
def test_while_it_is_away_the_promotion_waits_where_it_is_and_finishes_when_it_is_back(town, call, state):
    a = town.build("a")
    town.through(a)
    b = town.build("b")
    town.there.away_at = {call}
    with pytest.raises(OrchestratorUnavailable):
        town.promote(b)
    assert town.get("prod-2").state is state
    town.there.away_at = set()
    assert town.promote(b).state is State.SUCCEEDED
    assert town.there.live.build == town.live().build == b
    assert town.there.served == {}
    assert town.adoptions() == [a, b]


def test_readers_and_the_sign_are_on_the_new_build_before_the_orchestrator_is_asked(town):
    town.through(town.build("a"))
    b = town.build("b")
    town.there.away_at = {"adopt"}
    with pytest.raises(OrchestratorUnavailable):
        town.promote(b)
    assert town.live().build == town.sign().live["build"] == b


def test_a_build_that_the_orchestrator_will_not_adopt_is_taken_back(town):
    a, b = town.build("a"), town.build("b")
    town.through(a)
    town.there.refuses_to_adopt = {b}
    done = town.promote(b)
    assert (done.state, done.reason) == (State.REVERTED, "it does not load")
    assert town.live().build == town.there.live.build == town.sign().live["build"] == a


def test_a_first_release_that_is_taken_back_leaves_nothing_on_the_sign(town):
    a = town.build("a")
    town.there.refuses_to_adopt = {a}
    assert town.promote(a).state is State.REVERTED
    assert town.sign().live is None


def test_a_candidate_that_can_not_be_withdrawn_spoils_no_success_and_goes_with_the_next(town):
    a, b = town.build("a"), town.build("b")
    town.through(a)
    tried = []

    def away_after_the_first(build):
        tried.append(build)
        if len(tried) > 1:
            raise OrchestratorUnavailable("nobody answers")

    town.there.withdraw = away_after_the_first
    assert town.promote(b).state is State.SUCCEEDED
    assert any("left in prod" in line for line in town.told.lines)
    del town.there.withdraw
    town.through(town.build("c"))
    assert town.sign().candidates == []


def test_a_rollback_moves_readers_and_the_sign_whatever_the_orchestrator_does(town):
    a, b = town.build("a"), town.build("b")
    town.through(a)
    town.through(b)
    town.there.away_at = {"adopt"}
    done = town.back()
    assert done.unsettled == "nobody answers"
    assert town.live().build == town.sign().live["build"] == a
    assert town.there.live.build == b
    assert follow(town.ctx(), "prod").unsettled == "nobody answers"
    town.there.away_at = set()
    assert follow(town.ctx(), "prod").unsettled == ""
    assert town.there.live.build == a


def test_a_rollback_ends_what_a_promotion_under_way_had_served(town):
    a, b = town.build("a"), town.build("b")
    town.through(a)
    town.there.away_at = {"run"}
    with pytest.raises(OrchestratorUnavailable):
        town.promote(b)
    town.there.away_at = set()
    assert b in town.there.served
    town.back()
    assert town.there.served == {}
    assert town.there.live.build == a


def test_a_sign_that_was_lost_or_spoiled_is_put_up_again_by_whoever_follows(town):
    a = town.build("a")
    town.through(a)
    file = town.root / ".lanewise" / "signs" / "prod.json"
    for spoil in (file.unlink, lambda: file.write_text("{")):
        spoil()
        assert follow(town.ctx(), "prod").changed
        assert town.sign().live["build"] == a
    assert not follow(town.ctx(), "prod").changed


def test_another_machine_follows_what_is_live_and_what_is_tried(town):
    a, b = town.build("a"), town.build("b")
    town.through(a)
    town.there.away_at = {"run"}
    with pytest.raises(OrchestratorUnavailable):
        town.promote(b)
    (town.root / ".lanewise" / "signs" / "prod.json").unlink()
    found = follow(town.ctx(), "prod")
    assert (found.live, set(found.candidates)) == (a, {a, b})


def test_two_who_change_the_sign_at_once_lose_nothing(town):
    builds = [town.build(name) for name in "abcdef"]
    lane = town.ctx().config.environment("prod")
    threads = [
        threading.Thread(target=lambda b=b: signs.show_candidate(town.ctx(), lane, open_candidate(town.ctx(), b)))
        for b in builds
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(one["build"] for one in town.sign().candidates) == sorted(builds)


def test_who_was_slow_to_tell_of_a_release_looks_again_and_does_not_take_the_next_one_back(town):
    a, b = town.build("a"), town.build("b")
    town.there.away_at = {"adopt"}
    with pytest.raises(OrchestratorUnavailable):
        town.promote(a)
    town.there.away_at = set()
    quick = town.there.adopt

    def slow(served):
        town.there.adopt = quick
        town.through(b)  # by somebody else, meanwhile
        quick(served)

    town.there.adopt = slow
    follow(town.ctx(), "prod")
    assert town.there.live.build == town.sign().live["build"] == b
    assert town.adoptions()[-1] == b


def test_who_was_slow_to_read_a_build_does_not_put_it_up_where_another_is_live(town, monkeypatch):
    a, b = town.build("a"), town.build("b")
    town.through(a)

    def slow(ctx, build):
        monkeypatch.setattr(signs, "open_candidate", open_candidate)
        found = open_candidate(ctx, build)
        town.through(b)  # by somebody else, meanwhile
        return found

    monkeypatch.setattr(signs, "open_candidate", slow)
    signs.show_live(town.ctx(), "prod")
    assert town.sign().live["build"] == b


def test_who_clears_up_leaves_a_candidate_that_has_come_meanwhile(town, monkeypatch):
    a, b = town.build("a"), town.build("b")
    town.through(a)
    lane = town.ctx().config.environment("prod")
    open_ones = promotions.open_promotions

    def and_then_another(ctx, environment):
        found = open_ones(ctx, environment)
        signs.show_candidate(ctx, lane, open_candidate(ctx, b))
        return found

    monkeypatch.setattr(promotions, "open_promotions", and_then_another)
    clear_unneeded(town.ctx(), lane)
    assert [one["build"] for one in town.sign().candidates] == [b]


def test_another_machine_takes_a_first_release_that_was_taken_back_off_its_sign(town):
    a = town.build("a")
    file = town.root / ".lanewise" / "signs" / "prod.json"
    there = []
    adopt = town.there.adopt

    def refused(served):
        there.append(file.read_text())
        adopt(served)

    town.there.adopt, town.there.refuses_to_adopt = refused, {a}
    assert town.promote(a).state is State.REVERTED
    file.write_text(there[0])
    assert town.sign().live["build"] == a
    assert follow(town.ctx(), "prod").changed
    assert town.sign().live is None


def elsewhere(town: Town) -> Path:
    """The sign's file, gone as on a machine that was never told."""
    file = town.root / ".lanewise" / "signs" / "prod.json"
    file.unlink(missing_ok=True)
    return file


def test_another_machine_is_told_of_a_build_that_is_only_tried_out(town):
    a = town.build("a")
    serve = town.there.serve
    seen = []

    def there(served):
        serve(served)
        file = town.root / ".lanewise" / "signs" / "prod.json"
        here = file.read_text()
        elsewhere(town)
        seen.append(follow(town.ctx(), "prod").candidates)
        file.write_text(here)

    town.there.serve = there
    town.through(a)
    assert seen[0] == (a,)


def test_another_machine_sees_the_config_that_was_asked_for_and_not_its_own_working_copy(town):
    a, b = town.build("a"), town.build("b")
    town.through(a)
    town.there.away_at = {"run"}
    with pytest.raises(OrchestratorUnavailable):
        town.promote(b)
    shown = {one["build"]: one["config"] for one in town.sign().candidates}
    elsewhere(town)
    town.environments(CANARY.replace("threshold: 1", "threshold: 9"))
    follow(town.ctx(), "prod")
    assert shown[b]
    assert {one["build"]: one["config"] for one in town.sign().candidates} == {a: shown[b], b: shown[b]}


def test_another_machine_takes_down_what_is_needed_no_more(town):
    a, b = town.build("a"), town.build("b")
    town.through(a)
    town.there.away_at = {"run"}
    with pytest.raises(OrchestratorUnavailable):
        town.promote(b)
    file = elsewhere(town)
    follow(town.ctx(), "prod")
    there = file.read_text()
    town.there.away_at = set()
    town.through(b)
    file.write_text(there)
    assert follow(town.ctx(), "prod").candidates == ()


def test_the_live_build_is_told_of_another_config_only_once_that_is_released(town):
    a = town.build("a")
    town.through(a)
    found = []

    def told() -> int:
        return json.loads(Path(town.sign().compiled(a)).read_text())["settings"]["threshold"]

    serve = town.there.serve

    def look(served):
        found.append((told(), json.loads(served.compiled.read_text())["settings"]["threshold"]))
        serve(served)

    town.there.serve = look
    town.environments(CANARY.replace("threshold: 1", "threshold: 2"))
    town.through(a)
    assert found[0] == (1, 2)
    assert told() == 2


@pytest.mark.parametrize(
    ("written", "means"),
    [("", "as written"), ("schedule: paused, ", "paused"), ("schedule: '0 6 * * *', ", "0 6 * * *"),
     ("schedule: '@daily', ", "@daily")],
)  # fmt: skip
def test_the_sign_says_what_the_clock_may_start(tmp_path, written, means):
    town = Town(tmp_path, ONE.replace("{prod: {}}", f"{{prod: {{{written.strip(', ')}}}}}"))
    town.through(town.build("a"))
    assert town.sign().live["schedule"] == means


def test_unsaid_the_clock_starts_nothing_but_in_the_last_environment(tmp_path):
    town = Town(tmp_path, ONE.replace("{prod: {}}", "{stage: {}, prod: {}}"))
    config = town.ctx().config
    assert [signs.schedule_of(config.environment(name), config) for name in ("stage", "prod")] == [
        "paused", "as written",
    ]  # fmt: skip


@pytest.mark.parametrize("value", ["never", "5", "* * *", ""])
def test_a_schedule_that_is_none_is_refused_before_anything_moves_where_there_is_a_clock(tmp_path, value):
    own = f"{{prod: {{schedule: '{value}', orchestrator_conn: clock}}}}\nconnections: {{clock: {{type: airflow}}}}"
    town = Town(tmp_path, ONE.replace("{prod: {}}", own))
    with pytest.raises(ConfigError, match="schedule of prod"):
        town.through(town.build("a"))
    assert town.there.calls == []


def test_without_a_clock_the_key_schedule_is_the_projects_own(tmp_path):
    town = Town(tmp_path, ONE.replace("{prod: {}}", "{prod: {schedule: 'on tuesdays'}}"))
    town.through(town.build("a"))
    assert town.sign().live["schedule"] == "paused"
