"""Ports that do what those behind them do, and mention it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from lanewise.adapters.telemetry import tracing
from lanewise.adapters.telemetry.watching import Watch, WatchedLedger, WatchedRunner
from lanewise.domain.event import Draft, Event
from lanewise.domain.run import Launch, Purpose, RunOutcome, RunRequest
from lanewise.domain.telemetry import Attempted, Fact, Recorded
from lanewise.errors import LedgerUnavailable, RunFailed
from lanewise.testing.fake_ledger import FakeLedger

RUN = "run/orders/prod/canary-1"
PROMOTION = "promotion/orders/prod/1"
REQUEST = RunRequest("canary-1", "orders", "prod", "sha256:b", "c", Purpose.CANARY, ("2013-01-05",), ("daily",), (),
                     promotion="prod-1")  # fmt: skip
INTENDED = Draft("run.intended", {
    "environment": "prod", "build": "sha256:b", "config": "c", "purpose": "canary", "partitions": ["2013-01-05"],
    "promotion": "prod-1", "rooms": ["canary-1-0", "canary-1-1"],
})  # fmt: skip


@dataclass
class Notebook:
    """Implements ``Observer``: keeps what it is told."""

    facts: list[Fact] = field(default_factory=list)

    def notice(self, fact: Fact) -> None:
        self.facts.append(fact)

    def close(self) -> None:
        pass

    @property
    def streams(self) -> list[tuple[str, ...]]:
        return [tuple(e.type for e in fact.stream) for fact in self.facts if isinstance(fact, Recorded)]

    @property
    def attempts(self) -> list[Attempted]:
        return [fact for fact in self.facts if isinstance(fact, Attempted)]


@dataclass
class Runner:
    """Keeps its launches; fails where it is told to."""

    error: Exception | None = None
    launches: list[Launch] = field(default_factory=list)
    compiled: list[dict[str, Any]] = field(default_factory=list)
    own_copy: bool = False

    def run(self, launch: Launch) -> RunOutcome:
        self.launches.append(launch)
        if launch.compiled.exists():
            self.compiled.append(json.loads(launch.compiled.read_text()))
        if self.error:
            raise self.error
        return RunOutcome(0, 1.0)


@pytest.fixture
def book() -> Notebook:
    return Notebook()


@pytest.fixture
def watch(book: Notebook, monkeypatch: pytest.MonkeyPatch) -> Watch:
    monkeypatch.delenv("TRACEPARENT", raising=False)
    return Watch(lambda: book)


def append(ledger: Any, stream: str, *drafts: Draft) -> None:
    ledger.append(stream, drafts, actor="ana")


def launch(folder: Path, name: str) -> Launch:
    compiled = folder / f"{name}.json"
    compiled.write_text('{"format": 1}')
    return Launch(replace(REQUEST, id=name), folder, compiled, {"A": "1"}, folder / "log")


def test_an_event_comes_with_its_stream_also_where_another_process_began_it(watch: Watch, book: Notebook):
    behind = FakeLedger()
    append(behind, RUN, INTENDED)
    ledger = WatchedLedger(behind, watch)
    append(ledger, RUN, Draft("run.ended"))
    append(behind, RUN, Draft("run.audited"))  # by yet another one
    append(ledger, RUN, Draft("run.published"))
    assert book.streams == [
        ("run.intended", "run.ended"), ("run.intended", "run.ended", "run.audited", "run.published"),
    ]  # fmt: skip
    assert [e.type for e in ledger.read(RUN)] == list(book.streams[-1])


def test_of_several_events_at_once_each_is_mentioned(watch: Watch, book: Notebook):
    append(WatchedLedger(FakeLedger(), watch), RUN, INTENDED, Draft("run.ended"))
    assert book.streams == [("run.intended",), ("run.intended", "run.ended")]


def test_of_an_environments_long_past_the_releases_are_enough(watch: Watch, book: Notebook):
    behind, stream = FakeLedger(), "environment/orders/prod"
    append(behind, stream, Draft("release.changed"), Draft("gc.applied"), Draft("environment.paused"))
    ledger = WatchedLedger(behind, watch)
    append(ledger, stream, Draft("rollback.intended"))
    append(ledger, stream, Draft("release.changed"))
    assert book.streams[-1] == ("release.changed", "rollback.intended", "release.changed")


def test_what_concerns_no_environment_is_not_mentioned_and_nobody_is_looked_for():
    def nobody() -> None:
        raise AssertionError("who is told is in the very config that is being applied")

    append(WatchedLedger(FakeLedger(), Watch(nobody)), "config/orders", Draft("config.applied"))


def test_a_ledger_that_went_away_just_after_it_was_written_to_hurts_nobody(watch: Watch, book: Notebook):
    behind = FakeLedger()

    class Gone:
        append = behind.append

        def read(self, stream: str, *, types: Sequence[str] = ()) -> tuple[Event, ...]:
            raise LedgerUnavailable("it is away")

    gone: Any = Gone()
    append(behind, RUN, INTENDED)
    append(WatchedLedger(gone, watch), RUN, Draft("run.ended"))
    assert book.streams == [("run.ended",)]


def test_each_command_of_a_run_in_batches_hangs_below_that_run_and_its_promotion(
    watch: Watch, book: Notebook, tmp_path: Path
):
    ledger, runner = WatchedLedger(FakeLedger(), watch), Runner()
    append(ledger, PROMOTION, Draft("promotion.requested"), Draft("promotion.moved", {"state": "CANARY"}))
    append(ledger, RUN, INTENDED)
    for name in ("canary-1-0", "canary-1-1"):
        WatchedRunner(runner, watch).run(launch(tmp_path, name))
    run = next(f for f in book.facts if isinstance(f, Recorded) and f.event.type == "run.intended")
    above = tracing.of_run(run.stream, run.promotion, None)
    assert above.trace == tracing.of_promotion(run.promotion).trace
    assert {(one.place[0], one.place[2]) for one in book.attempts} == {(above.trace, above.span)}
    assert len({one.place[1] for one in book.attempts}) == 2


def test_a_command_is_told_its_place_by_a_variable_and_by_its_compiled_file(
    watch: Watch, book: Notebook, tmp_path: Path
):
    runner = Runner()
    append(WatchedLedger(FakeLedger(), watch), RUN, INTENDED)
    WatchedRunner(runner, watch).run(launch(tmp_path, "canary-1-0"))
    (fact,) = book.attempts
    told = f"00-{fact.place[0]}-{fact.place[1]}-01"
    assert runner.launches[0].environment == {"A": "1", "TRACEPARENT": told}
    assert runner.compiled == [{"format": 1, "traceparent": told}]
    assert (tmp_path / "canary-1-0.json").stat().st_mode & 0o077 == 0
    assert WatchedRunner(runner, watch).own_copy is False


def test_a_command_that_could_not_be_started_is_an_attempt_too(watch: Watch, book: Notebook, tmp_path: Path):
    runner = Runner(RunFailed("'ls -' can't be started"))
    with pytest.raises(RunFailed):
        WatchedRunner(runner, watch).run(replace(launch(tmp_path, "gate-1"), compiled=tmp_path / "nowhere.json"))
    (fact,) = book.attempts
    assert (fact.outcome, fact.error) == (None, "'ls -' can't be started")


def test_where_nobody_is_told_a_launch_goes_through_as_it_is(tmp_path: Path):
    runner, asked = Runner(), launch(tmp_path, "canary-1-0")
    WatchedRunner(runner, Watch(lambda: None)).run(asked)
    assert runner.launches == [asked]
    assert runner.compiled == [{"format": 1}]
