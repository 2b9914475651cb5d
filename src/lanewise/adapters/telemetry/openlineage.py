"""Tell a receiver of OpenLineage: which run read what, and wrote which partitions of which tables.

A run is START and then COMPLETE, FAIL or ABORT (it was interrupted, or its process died). What a promotion computes is
not shown to readers yet, so its runs write ``TABLE@VERSION``; the promotion is a run of its own, which turns those into
``TABLE``. Events are documents of OpenLineage 2-0-2, sent as they happen.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from lanewise import __version__
from lanewise.adapters.telemetry import facets, labels, spans
from lanewise.adapters.telemetry.courier import Parcel
from lanewise.adapters.telemetry.labels import Labels
from lanewise.adapters.telemetry.naming import Dataset, Names
from lanewise.adapters.telemetry.post import post
from lanewise.domain.event import Event
from lanewise.domain.project import Column, Table
from lanewise.domain.publication import Slice
from lanewise.domain.telemetry import Fact, Opened, Recorded, Staged

SCHEMA = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"

_SHOWN = frozenset({"scheduled", "rerun"})
_COMPUTED = frozenset({"new", "rebuild", "inherit"})
_PATH = "/api/v1/lineage"
_INTERRUPTED = ("interrupted", "its process died")


@dataclass
class _Run:
    """What is known of a run while it lasts."""

    inputs: list[dict[str, Any]] = field(default_factory=list)
    slices: dict[str, tuple[Slice, ...]] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    columns: dict[str, tuple[Column, ...]] = field(default_factory=dict)
    tables: dict[str, Table] = field(default_factory=dict)
    started: Recorded | None = None
    told: bool = False


class OpenLineage:
    """Implements ``Sink``. ``redact`` strikes secrets out of every text before it is packed."""

    def __init__(self, url: str, headers: Mapping[str, str], redact: Callable[[str], str], home: Path) -> None:
        self._url = url.rstrip("/") + (_PATH if urlsplit(url).path in {"", "/"} else "")
        self._headers = {**headers, "Content-Type": "application/json", "User-Agent": f"lanewise/{__version__}"}
        self._redact, self._home = redact, home
        self._runs: dict[str, _Run] = {}
        self._rooms: dict[str, str] = {}

    def pack(self, facts: Iterable[Fact]) -> Iterator[Parcel]:
        """See ``Sink.pack``."""
        for fact in facts:
            for event in self.events(fact):
                yield Parcel("", json.dumps(self._struck(event), ensure_ascii=False).encode(), 1)

    def send(self, parcel: Parcel) -> None:
        """See ``Sink.send``."""
        post(self._url, parcel.body, self._headers)

    def events(self, fact: Fact) -> Iterator[dict[str, Any]]:
        """The events that a fact is told by."""
        if isinstance(fact, Opened | Staged):
            yield from self._inside(fact)
        elif isinstance(fact, Recorded) and fact.lane is not None:
            found = labels.of_stream(fact.stream)
            if found is not None and fact.stream[0].type == "run.intended":
                yield from self._of_run(fact, found, Names(fact.lane, self._home))
            elif found is not None and fact.stream[0].type == "promotion.requested":
                yield from self._of_promotion(fact, found, Names(fact.lane, self._home))

    def _inside(self, fact: Opened | Staged) -> Iterator[dict[str, Any]]:
        """What happens between a run's events: its inputs are known, so it starts; its slices are."""
        name = self._rooms.get(fact.request.id, fact.request.id)
        run = self._runs.setdefault(name, _Run())
        run.tables |= {table.name: table for table in fact.tables}
        run.versions |= fact.request.fingerprints
        if isinstance(fact, Staged):
            run.columns |= fact.columns
            for table, slices in fact.slices.items():
                run.slices[table] = (*run.slices.get(table, ()), *slices)
            return
        names = Names(fact.lane, self._home)
        run.inputs = [facets.input(names.input(pin), pin) for pin in fact.inputs]
        if run.started is not None and not run.told:
            yield self._start(run, names)

    def _start(self, run: _Run, names: Names) -> dict[str, Any]:
        assert run.started is not None  # noqa: S101 - whoever calls has looked
        run.told, fact = True, run.started
        found = labels.of_stream(fact.stream)
        assert found is not None  # noqa: S101 - it is a run's stream
        outputs = [
            facets.output(self._dataset(names, found, run, name), {"schema": facets.schema(table, ())}, {})
            for name, table in run.tables.items()
        ]
        return self._event("START", fact, found, names, {"inputs": run.inputs, "outputs": outputs})

    def _of_run(self, fact: Recorded, found: Labels, names: Names) -> Iterator[dict[str, Any]]:
        if fact.event.type == "run.intended":
            self._runs[found.run] = _Run(started=fact)
            self._rooms |= dict.fromkeys(fact.event.data.get("rooms", ()), found.run)
            return
        if not spans.is_over(fact.stream):
            return
        run = self._runs.pop(found.run, _Run())
        if run.started is not None and not run.told:  # it came to nothing before it had a room
            yield self._start(run, names)
        error = str(fact.event.data.get("reason", "")) if fact.event.type == "run.failed" else ""
        kind = "COMPLETE" if not error else "ABORT" if error.startswith(_INTERRUPTED) else "FAIL"
        outputs = [] if error else self._outputs(fact.stream, found, run, names)
        yield self._event(kind, fact, found, names, {"inputs": run.inputs, "outputs": outputs}, error)

    def _outputs(self, stream: Sequence[Event], found: Labels, run: _Run, names: Names) -> list[dict[str, Any]]:
        checks = [check for event in stream if event.type == "run.audited" for check in event.data["checks"]]
        shown = found.purpose in _SHOWN
        return [
            facets.output(
                self._dataset(names, found, run, name),
                {
                    "schema": facets.schema(run.tables.get(name), run.columns.get(name, ())),
                    "version": facets.version(slices),
                    "lanewise": facets.partitions(slices, shown=shown),
                    "dataQualityAssertions": facets.assertions([c for c in checks if c["table"] == name]),
                },
                {"outputStatistics": facets.statistics(slices)},
            )
            for name, slices in run.slices.items()
        ]

    @staticmethod
    def _dataset(names: Names, found: Labels, run: _Run, table: str) -> Dataset:
        return names.table(table, "" if found.purpose in _SHOWN else run.versions.get(table, found.build))

    def _of_promotion(self, fact: Recorded, found: Labels, names: Names) -> Iterator[dict[str, Any]]:
        """From the moment that it has the lane to itself: what ends before that has touched no table."""
        types = {event.type for event in fact.stream}
        if fact.event.type not in {"promotion.acquired", "promotion.finished"} or "promotion.acquired" not in types:
            return
        planned: Any = next(e.data["document"] for e in reversed(fact.stream) if e.type == "promotion.planned")
        moved = [one for one in planned["tables"] if one["move"] in _COMPUTED]
        inputs = [facets.input(names.table(one["table"], one["version"])) for one in moved]
        outputs = [facets.output(names.table(one["table"]), {}, {}) for one in moved]
        if fact.event.type == "promotion.acquired":
            yield self._event("START", fact, found, names, {"inputs": inputs, "outputs": outputs})
            return
        state, reason = fact.event.data["state"], str(fact.event.data.get("reason", ""))
        kind = {"SUCCEEDED": "COMPLETE", "ABORTED": "ABORT"}.get(state, "FAIL")
        done = {"inputs": inputs, "outputs": outputs if kind == "COMPLETE" else []}
        yield self._event(kind, fact, found, names, done, "" if kind == "COMPLETE" else f"{state}: {reason}")

    def _event(
        self, kind: str, fact: Recorded, found: Labels, names: Names, ends: Mapping[str, Any], error: str = ""
    ) -> dict[str, Any]:
        job = f"{names.job(found.project)}.promotion" if not found.run else names.job(found.project)
        run = {"lanewise": facets.lanewise(found), "tags": facets.tags(found)}
        if error:
            run["errorMessage"] = facets.error(error)
        if fact.promotion:
            above = {"namespace": names.namespace, "name": f"{names.job(found.project)}.promotion"}
            run["parent"] = facets.parent(_uuid(fact.promotion), above)
        return {
            "eventType": kind,
            "eventTime": fact.event.at.replace("+00:00", "Z"),
            "producer": facets.PRODUCER,
            "schemaURL": SCHEMA,
            "run": {"runId": _uuid(fact.stream), "facets": run},
            "job": {"namespace": names.namespace, "name": job, "facets": {"jobType": facets.job_type(found)}},
            **ends,
        }

    def _struck(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._redact(value)
        if isinstance(value, dict):
            return {name: self._struck(one) for name, one in value.items()}
        return [self._struck(one) for one in value] if isinstance(value, list) else value


def open_sink(*, url: str, headers: Mapping[str, str], redact: Callable[[str], str], home: str) -> OpenLineage:
    """See ``SinkOpener``."""
    return OpenLineage(url, headers, redact, Path(home))


def _uuid(stream: Sequence[Event]) -> str:
    """A run's or promotion's identity: the same for every process that tells of it."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, stream[0].hash))
