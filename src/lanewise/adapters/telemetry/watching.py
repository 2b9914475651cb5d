"""Look on while a story is told: ports that do what those behind them do, and mention it to an observer.

The stories know nothing of it. Where nobody wants to be told, a port costs one comparison more.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lanewise.adapters.telemetry import tracing
from lanewise.domain.environment import Environment
from lanewise.domain.event import Draft, Event
from lanewise.domain.ports import Ledger, Runner, Warehouse
from lanewise.domain.project import Column, Table
from lanewise.domain.publication import InputPin, Slice
from lanewise.domain.run import Launch, RunOutcome, RunRequest, Space, Written
from lanewise.domain.telemetry import Attempted, Observer, Opened, Recorded, Staged
from lanewise.errors import LaneError

_STREAMS = ("promotion/", "run/", "environment/")
_OF_ENVIRONMENT = ("release.changed", "release.withdrawn", "rollback.intended")
"""What has to be known of an environment's past, which may be long."""


class Watch:
    """What one command has seen of the ledger. ``observer`` gives who is told, or None, when something is to tell."""

    def __init__(self, observer: Callable[[], Observer | None]) -> None:
        self._observer = observer
        self._streams: dict[str, tuple[Event, ...]] = {}
        self._rooms: dict[str, str] = {}
        self._lanes: dict[str, Environment] = {}
        self.outer = tracing.read(os.environ.get("TRACEPARENT", ""))

    @property
    def observer(self) -> Observer | None:
        """Who is told; None for nobody."""
        return self._observer()

    def entered(self, lane: Environment) -> None:
        """A lane's warehouse was opened."""
        self._lanes[lane.name] = lane

    def recorded(self, ledger: Ledger, events: Sequence[Event]) -> None:
        """Events of one stream were written."""
        if not events or not events[0].stream.startswith(_STREAMS):
            return
        observer = self.observer
        if observer is None:
            return
        lane = self._lanes.get(events[0].stream.split("/")[2])
        for event in events:
            stream = self._told(ledger, event)
            for room in event.data.get("rooms", ()) if event.type == "run.intended" else ():
                self._rooms[room] = event.stream
            observer.notice(Recorded(event, stream, self._promotion_of(stream), lane))

    def attempt(self, request: RunRequest, began: float) -> tracing.Place:
        """Where the span of a command hangs that is about to be started."""
        stream = self._streams.get(self._rooms.get(request.id, ""), ())
        if not stream:  # a gate's command, of no run
            promotion = self._streams.get(_promotion_stream(request.project, request.promotion), ())
            root = tracing.of_state(promotion) if promotion else self.outer
            root = root or tracing.Place(tracing.identifier(32, request.id, began), "")
            return root.below("command", request.id, began)
        return tracing.of_run(stream, self._promotion_of(stream), self.outer).below("attempt", request.id, began)

    def _told(self, ledger: Ledger, event: Event) -> tuple[Event, ...]:
        known = self._streams.get(event.stream, ())
        partly = event.stream.startswith("environment/")
        whole = event.version == (known[-1].version + 1 if known else 1)
        if not whole and not (partly and known):
            with contextlib.suppress(LaneError):
                types = _OF_ENVIRONMENT if partly else ()
                known = tuple(e for e in ledger.read(event.stream, types=types) if e.version < event.version)
        self._streams[event.stream] = stream = (*known, event)
        return stream

    def _promotion_of(self, stream: Sequence[Event]) -> tuple[Event, ...]:
        """The promotion that a run belongs to: this process carries it on, so it has seen it."""
        kind, project, *_ = stream[0].stream.split("/")
        named = str(stream[0].data.get("promotion") or "") if kind == "run" else ""
        return self._streams.get(_promotion_stream(project, named), ())


def _promotion_stream(project: str, promotion: str) -> str:
    environment, _, number = promotion.rpartition("-")
    return f"promotion/{project}/{environment}/{number}"


class WatchedLedger:
    """A ledger whose every new event is mentioned."""

    def __init__(self, ledger: Ledger, watch: Watch) -> None:
        self._ledger, self._watch = ledger, watch

    def append(
        self, stream: str, drafts: Sequence[Draft], *, actor: str, expect: int | None = None
    ) -> tuple[Event, ...]:
        """See ``Ledger.append``."""
        written = self._ledger.append(stream, drafts, actor=actor, expect=expect)
        self._watch.recorded(self._ledger, written)
        return written

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)


class WatchedWarehouse:
    """A warehouse whose runs' inputs and slices are mentioned."""

    def __init__(self, warehouse: Warehouse, watch: Watch, lane: Environment) -> None:
        self._warehouse, self._watch, self._lane = warehouse, watch, lane
        self._columns: dict[str, dict[str, tuple[Column, ...]]] = {}
        watch.entered(lane)

    def open_run(self, request: RunRequest, tables: Sequence[Table], inputs: Sequence[InputPin]) -> Space:
        """See ``Warehouse.open_run``."""
        space = self._warehouse.open_run(request, tables, inputs)
        if (observer := self._watch.observer) is not None:
            observer.notice(Opened(request, tuple(tables), tuple(inputs), self._lane))
        return space

    def written(self, run: str, tables: Sequence[Table]) -> tuple[Written, ...]:
        """See ``Warehouse.written``."""
        found = self._warehouse.written(run, tables)
        self._columns[run] = {one.table: one.columns for one in found}
        return found

    def stage(self, request: RunRequest, tables: Sequence[Table]) -> Mapping[str, tuple[Slice, ...]]:
        """See ``Warehouse.stage``."""
        slices = self._warehouse.stage(request, tables)
        columns = self._columns.pop(request.id, {})
        if (observer := self._watch.observer) is not None:
            observer.notice(Staged(request, tuple(tables), slices, columns, self._lane, time.time()))
        return slices

    def __getattr__(self, name: str) -> Any:
        return getattr(self._warehouse, name)


class WatchedRunner:
    """A runner or an orchestrator whose runs are mentioned, and are told below which span theirs belong."""

    def __init__(self, runner: Runner, watch: Watch) -> None:
        self._runner, self._watch = runner, watch

    def run(self, launch: Launch) -> RunOutcome:
        """See ``Orchestrator.run``."""
        observer = self._watch.observer
        if observer is None:
            return self._runner.run(launch)
        began, offset = time.time(), _length(launch.log)
        place = self._watch.attempt(launch.request, began)
        _carry(launch.compiled, place.traceparent)
        launch = replace(launch, environment={**launch.environment, "TRACEPARENT": place.traceparent})
        stands = (place.trace, place.span, place.parent)
        facts = Attempted(launch.request, stands, began, began, log=launch.log, offset=offset)
        try:
            outcome = self._runner.run(launch)
        except BaseException as error:
            said = error.message if isinstance(error, LaneError) else type(error).__name__
            observer.notice(replace(facts, ended=time.time(), error=said))
            raise
        observer.notice(replace(facts, ended=time.time(), outcome=outcome))
        return outcome

    def __getattr__(self, name: str) -> Any:
        return getattr(self._runner, name)


def _length(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0


def _carry(compiled: Path, traceparent: str) -> None:
    """Write the place into the run's compiled file too, which reaches a worker on another machine. Failing that, its
    spans hang nowhere, and that is all."""
    with contextlib.suppress(OSError, ValueError):
        document = json.loads(compiled.read_bytes())
        aside = compiled.with_name(f".{compiled.name}.traced")
        aside.touch(mode=0o600)
        aside.write_text(json.dumps({**document, "traceparent": traceparent}, indent=1, ensure_ascii=False), "utf-8")
        aside.replace(compiled)
