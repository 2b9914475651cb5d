"""Measurements: what is counted and timed, as the ledger's events say.

============================== ========= ============================================================================
name                           unit      what
============================== ========= ============================================================================
``lanewise.runs``              {run}     runs that ended, by ``lanewise.outcome``
``lanewise.run.duration``      s         how long they took
``lanewise.run.rows``          {row}     rows that they left, by ``lanewise.table``
``lanewise.run.bytes``         By        bytes that were staged, by ``lanewise.table``
``lanewise.publications``      {map}     maps that readers were moved to
``lanewise.publication.duration`` s      from the intent to the moved pointer
``lanewise.gate.verdicts``     {verdict} by ``lanewise.gate`` and ``lanewise.verdict``
``lanewise.promotions``        {promotion} that came to an end, by ``lanewise.promotion.state``
``lanewise.promotion.duration`` s        from the request to the end, with all that was waited for
``lanewise.rollbacks``         {rollback} rollbacks
``lanewise.rollback.duration`` s         from the intent to the release that is back
============================== ========= ============================================================================

Each command tells what it added itself (delta temporality): it ends before anybody could read a running total.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from lanewise.adapters.telemetry import labels, spans
from lanewise.adapters.telemetry.labels import Labels
from lanewise.adapters.telemetry.spans import Span
from lanewise.domain.telemetry import Fact, Recorded, Staged

BOUNDS = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 86400.0)
"""The limits of the durations' buckets, in seconds."""


@dataclass(frozen=True)
class Measurement:
    """One number. A ``timed`` one is a duration in seconds, any other adds to a count. Times are nanoseconds since
    1970: what it covers."""

    name: str
    unit: str
    value: float
    labels: Labels
    begins: int
    ends: int
    timed: bool = False
    attributes: Mapping[str, str] = field(default_factory=dict)


def of(fact: Fact) -> Iterator[Measurement]:
    """What a fact adds."""
    if isinstance(fact, Staged):
        yield from _staged(fact)
    if not isinstance(fact, Recorded):
        return
    for span in spans.of(fact, None):
        if span.name == "promotion":
            said = {"lanewise.promotion.state": str(span.attributes["lanewise.promotion.state"])}
            yield from _counted("lanewise.promotions", "lanewise.promotion.duration", "{promotion}", span, said)
        elif span.name == "rollback":
            yield from _counted("lanewise.rollbacks", "lanewise.rollback.duration", "{rollback}", span, {})
        elif span.name in {"publish", "step publish"}:
            yield from _counted("lanewise.publications", "lanewise.publication.duration", "{map}", span, {})
        elif span.name.startswith("run "):
            yield from _run(fact, span)
        elif span.name.startswith("gate "):
            said = {name: str(span.attributes[name]) for name in ("lanewise.gate", "lanewise.verdict")}
            yield _count("lanewise.gate.verdicts", "{verdict}", 1, span, said)


def _run(fact: Recorded, span: Span) -> Iterator[Measurement]:
    outcome = {"lanewise.outcome": "failed" if span.error else "ok"}
    yield from _counted("lanewise.runs", "lanewise.run.duration", "{run}", span, outcome)
    for ended in (e for e in fact.stream if e.type == "run.ended"):
        for table, rows in ended.data["rows"].items():
            yield _count("lanewise.run.rows", "{row}", rows, span, {"lanewise.table": table})


def _staged(fact: Staged) -> Iterator[Measurement]:
    found, at = labels.of_request(fact.request), round(fact.at * 1e9)
    for table, slices in fact.slices.items():
        size = sum(one.bytes for one in slices)
        yield Measurement("lanewise.run.bytes", "By", size, found, at, at, attributes={"lanewise.table": table})


def _count(name: str, unit: str, value: float, span: Span, said: Mapping[str, str]) -> Measurement:
    return Measurement(name, unit, value, span.labels, span.begins, span.ends, attributes=said)


def _counted(count: str, duration: str, unit: str, span: Span, said: Mapping[str, str]) -> Iterator[Measurement]:
    yield _count(count, unit, 1, span, said)
    yield Measurement(duration, "s", span.seconds, span.labels, span.begins, span.ends, timed=True, attributes=said)
