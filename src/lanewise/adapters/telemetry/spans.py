"""Spans: what took how long, as the ledger's events say.

::

    promotion                              from its request to its end, across all commands that carried it on
    └── promotion CANARY                   a state, from the move into it to the move out of it
        ├── gate quality                   from the event before its verdict to the verdict
        ├── step compute | step publish    from its intent to its end
        └── run canary                     from its intent to its end; a scheduled run's is a trace of its own
            ├── attempt                    a command, on this machine or an orchestrator's; its own spans hang below
            ├── audit
            └── publish
    rollback                               from its intent to the release that is back
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from lanewise.adapters.telemetry import labels, tracing
from lanewise.adapters.telemetry.labels import Labels
from lanewise.adapters.telemetry.tracing import Place
from lanewise.domain.event import Event
from lanewise.domain.telemetry import Attempted, Fact, Recorded

BACK = frozenset({"release.changed", "release.withdrawn", "environment.paused"})
"""What is written as a rollback's pointer has moved."""

_GONE_WRONG = frozenset({"REVERTED", "REVERT_FAILED", "REJECTED"})
_LIVE = frozenset({"scheduled", "rerun"})
_MOST_FINDINGS = 100


@dataclass(frozen=True)
class Mark:
    """Something that happened at one moment within a span. ``at`` is nanoseconds since 1970."""

    name: str
    at: int
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Span:
    """One span. Times are nanoseconds since 1970; ``error`` is empty where all went well."""

    name: str
    place: Place
    begins: int
    ends: int
    labels: Labels
    attributes: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""
    marks: tuple[Mark, ...] = ()
    link: Place | None = None

    @property
    def seconds(self) -> float:
        """How long it took."""
        return max(0, self.ends - self.begins) / 1e9


def of(fact: Fact, outer: Place | None) -> Iterator[Span]:
    """The spans that a fact ends. ``outer`` is the span that this command was started below."""
    if isinstance(fact, Attempted):
        yield _attempt(fact)
    if not isinstance(fact, Recorded):
        return
    found = labels.of_stream(fact.stream)
    kind = fact.event.stream.partition("/")[0]
    if found is None:
        return
    if kind == "promotion" and fact.stream[0].type == "promotion.requested":
        yield from _of_promotion(fact.stream, found, outer)
    elif kind == "run" and fact.stream[0].type == "run.intended":
        yield from _of_run(fact, found, outer)
    elif kind == "environment":
        yield from rollback(fact.stream, found, outer)


def at(event: Event) -> int:
    """When an event was written, in nanoseconds since 1970."""
    return moment(event.at)


def moment(text: str) -> int:
    """An ISO 8601 time in nanoseconds since 1970, to the microsecond."""
    found = datetime.fromisoformat(text)
    return int(found.timestamp()) * 1_000_000_000 + found.microsecond * 1000


def _of_promotion(stream: Sequence[Event], found: Labels, outer: Place | None) -> Iterator[Span]:
    *earlier, event = stream
    inside = tracing.of_state(earlier) if earlier else tracing.of_promotion(stream)
    data = event.data
    if event.type == "promotion.moved":
        entered = next((e for e in reversed(earlier) if e.type == "promotion.moved"), earlier[0])
        state, step = str(entered.data.get("state", "REQUESTED")), entered.data.get("step")
        said = {"lanewise.promotion.state": state, "lanewise.promotion.next": data["state"],
                "lanewise.reason": data.get("reason", ""), "lanewise.step": step}  # fmt: skip
        yield Span(f"promotion {state}", inside, at(entered), at(event), found, said)
    elif event.type == "gate.judged":
        verdict = data["verdict"]
        said = {"lanewise.gate": verdict["gate"], "lanewise.gate.moment": verdict["moment"],
                "lanewise.verdict": verdict["result"], "lanewise.reason": verdict["reason"]}  # fmt: skip
        error = "" if verdict["result"] == "pass" else f"{verdict['result']}: {verdict['reason']}"
        place = inside.below("gate", event.hash)
        yield Span(f"gate {verdict['gate']}", place, at(earlier[-1]), at(event), found, said, error)
    elif event.type in {"step.done", "step.observed"}:
        yield from _step(earlier, event, inside, found)
    elif event.type == "promotion.finished":
        yield _promotion(stream, found, outer)


def _step(earlier: Sequence[Event], event: Event, inside: Place, found: Labels) -> Iterator[Span]:
    kind, step = event.data.get("kind", ""), event.data.get("step")
    for intended in reversed(earlier):
        if intended.type == "step.intended" and intended.data.get("kind") == kind and intended.data["step"] == step:
            said = {"lanewise.step": step, "lanewise.map": event.data.get("map")}
            yield Span(f"step {kind}", inside.below("step", event.hash), at(intended), at(event), found, said)
            return


def _promotion(stream: Sequence[Event], found: Labels, outer: Place | None) -> Span:
    state, reason = str(stream[-1].data["state"]), str(stream[-1].data.get("reason", ""))
    marks = tuple(
        Mark(e.type, at(e), {"lanewise.reason": e.data.get("reason", "")})
        for e in stream if e.type in {"approval.given", "glass.broken"}
    )  # fmt: skip
    said = {"lanewise.promotion.state": state, "lanewise.reason": reason,
            "deployment.status": "succeeded" if state == "SUCCEEDED" else "failed"}  # fmt: skip
    error = reason if state in _GONE_WRONG else ""
    return Span("promotion", tracing.of_promotion(stream), at(stream[0]), at(stream[-1]), found, said, error, marks,
                outer)  # fmt: skip


def _of_run(fact: Recorded, found: Labels, outer: Place | None) -> Iterator[Span]:
    stream, event = fact.stream, fact.event
    place = tracing.of_run(stream, fact.promotion, outer)
    ended = next((e for e in stream if e.type == "run.ended"), None)
    audited = next((e for e in stream if e.type == "run.audited"), None)
    if event.type == "run.audited" and ended is not None:
        bad = [c["reason"] for c in event.data["checks"] if c["result"] != "pass"]
        yield Span("audit", place.below("audit"), at(ended), at(event), found, error="; ".join(bad))
    if event.type == "run.published" and audited is not None:
        said = {"lanewise.map": event.data.get("map")}
        yield Span("publish", place.below("publish"), at(audited), at(event), found, said)
    if is_over(stream):
        rows = ended.data.get("rows", {}) if ended else {}
        said = {"lanewise.rows": sum(rows.values()), "lanewise.late": bool(ended and ended.data.get("late"))}
        error = str(event.data["reason"]) if event.type == "run.failed" else ""
        yield Span(f"run {found.purpose}", place, at(stream[0]), at(event), found, said, error)


def is_over(stream: Sequence[Event]) -> bool:
    """Whether the last event ends its run: a live one is over when readers see it, any other when it is staged."""
    last, live = stream[-1].type, stream[0].data["purpose"] in _LIVE
    return last in {"run.failed", "run.published"} or (last == "run.ended" and not live)


def rollback(stream: Sequence[Event], found: Labels, outer: Place | None = None) -> Iterator[Span]:
    """The rollback that the last event of an environment's stream completes, if it does."""
    *earlier, event = stream
    told = [e for e in earlier if e.type in {"rollback.intended", *BACK}]
    if event.type not in BACK or not told or told[-1].type != "rollback.intended":
        return
    if event.type == "environment.paused" and not str(event.data.get("reason", "")).startswith("rollback"):
        return  # a person has paused the lane after a rollback that never got anywhere
    intended = told[-1]
    back = Labels(found.project, found.environment, intended.data["build"], "rollback", ("all",),
                  promotion=intended.data.get("promotion") or "", config=intended.data.get("config") or "")  # fmt: skip
    said = {"lanewise.rollback.left": intended.data["left"], "lanewise.map": intended.data.get("map")}
    yield Span("rollback", tracing.of_rollback(intended, outer), at(intended), at(event), back, said)


def _attempt(fact: Attempted) -> Span:
    outcome, error, marks = fact.outcome, fact.error, []
    said: dict[str, Any] = {}
    if outcome is not None:
        said = {
            "process.exit.code": outcome.exit_code,
            "url.full": outcome.url,
            "lanewise.timed_out": outcome.timed_out,
        }
        lines = [line for line in outcome.tail.splitlines() if line.strip()]
        if outcome.exit_code:
            error = lines[-1] if lines else f"exit code {outcome.exit_code}"
        marks = [
            Mark(f"{one.kind} {one.name}", round(fact.ended * 1e9),
                 {"lanewise.passed": str(one.passed), "lanewise.reason": one.message})
            for one in outcome.findings[:_MOST_FINDINGS]
        ]  # fmt: skip
    return Span("attempt", Place(*fact.place), round(fact.began * 1e9), round(fact.ended * 1e9),
                labels.of_request(fact.request), said, error, tuple(marks))  # fmt: skip
