"""Log records: the lines of Lanewise and of the commands that it runs, and each event of the ledger as one."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from lanewise.adapters.telemetry import labels, spans, tracing
from lanewise.adapters.telemetry.labels import Labels
from lanewise.adapters.telemetry.tracing import Place
from lanewise.domain.event import Event
from lanewise.domain.telemetry import Attempted, Fact, Recorded, Said

_MOST_BYTES = 256 * 1024
"""Of one command's output, its end: the log file has it all."""

_BAD = re.compile(r"run\.failed|environment\.locked|build\.quarantined|release\.withdrawn")
_LINE = re.compile(
    r"(?P<at>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4}) (?P<level>[A-Z]+) (?P<text>.*?)(?: \[\w+=[^\[\]]*\])?"
)
_LABELLED = re.compile(r"(?:\w+=\S* )+\| ")


@dataclass(frozen=True)
class Record:
    """One log record. ``at`` is nanoseconds since 1970, 0 where nobody knows; ``seen`` when it was noticed; ``event``
    names its kind where it is an event of the ledger; ``level`` is as ``logging`` names it."""

    at: int
    seen: int
    level: str
    text: str
    labels: Labels
    place: Place | None = None
    event: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict)


class Recorder:
    """Knows which runs were seen, since a log line names its run and no more."""

    def __init__(self, outer: Place | None) -> None:
        self._outer = outer
        self._runs: dict[str, tuple[Labels, Place]] = {}
        self._latest: Labels | None = None

    def of(self, fact: Fact) -> Iterator[Record]:
        """The records that a fact is told by."""
        if isinstance(fact, Recorded):
            yield from self._event(fact)
        elif isinstance(fact, Attempted):
            yield from _output(fact)
        elif isinstance(fact, Said):
            yield from self._line(fact)

    def _event(self, fact: Recorded) -> Iterator[Record]:
        found, event = labels.of_stream(fact.stream), fact.event
        if found is None:
            return
        place, self._latest = self._place(fact), found
        if found.run and place is not None:
            for name in (found.run, *fact.stream[0].data.get("rooms", ())):
                self._runs[name] = (found, place)
        at = spans.at(event)
        yield Record(at, at, "ERROR" if _BAD.fullmatch(event.type) else "INFO", _sentence(event), found, place,
                     f"lanewise.{event.type}", {"lanewise.ledger.seq": event.seq})  # fmt: skip

    def _place(self, fact: Recorded) -> Place | None:
        first = fact.stream[0].type
        if first == "promotion.requested":
            return tracing.of_state(fact.stream)
        if first == "run.intended":
            return tracing.of_run(fact.stream, fact.promotion, self._outer)
        return self._outer

    def _line(self, fact: Said) -> Iterator[Record]:
        found, place = self._runs.get(fact.labels.get("run", ""), (self._latest, None))
        if found is not None:
            at = round(fact.at * 1e9)
            yield Record(at, at, fact.level, fact.text, found, place)


def _sentence(event: Event) -> str:
    data = event.data
    verdict = data.get("verdict")
    said = [
        str(data[name]) for name in ("state", "kind", "reason") if isinstance(data.get(name), str) and data.get(name)
    ]
    if isinstance(verdict, Mapping):
        said = [f"{verdict.get('gate')}: {verdict.get('result')}: {verdict.get('reason')}"]
    return ": ".join([event.type, *said])


def _output(fact: Attempted) -> Iterator[Record]:
    """What a command printed. Where its log is no file of this machine, the end that the orchestrator gave."""
    found, place, seen = labels.of_request(fact.request), Place(*fact.place), round(fact.ended * 1e9)
    for line in _lines(fact):
        level, at, text = _read(line)
        if text.strip():
            yield Record(at, seen, level, text, found, place, attributes={"log.iostream": "stdout"})


def _lines(fact: Attempted) -> list[str]:
    found = b""
    if fact.log is not None:
        with contextlib.suppress(OSError), fact.log.open("rb") as file:
            file.seek(max(fact.offset, file.seek(0, 2) - _MOST_BYTES))
            found = file.read()
    tail = fact.outcome.tail if fact.outcome else ""
    return (found.decode(errors="replace") or tail).splitlines()


def _read(line: str) -> tuple[str, int, str]:
    """Level, time and text of a line: as JSON, as ``lane.log`` writes it, or any other."""
    if line.startswith("{"):
        try:
            found = json.loads(line)
            text, when = str(found.get("event", line)), str(found.get("timestamp", ""))
            return str(found.get("level", "info")).upper(), spans.moment(when) if when else 0, text
        except (ValueError, AttributeError):
            return "INFO", 0, line
    line = _LABELLED.sub("", line, count=1)
    told = _LINE.fullmatch(line)
    if told is None:
        return "INFO", 0, line
    return told["level"], spans.moment(told["at"]), told["text"]
