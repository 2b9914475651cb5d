"""Spans and labels from the ledger's events alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from lanewise.adapters.telemetry import labels, spans, tracing
from lanewise.adapters.telemetry.labels import Labels
from lanewise.domain.event import Event

OUTER = f"00-{'a' * 32}-{'b' * 16}-01"


def stream(name: str, *told: tuple[str, Mapping[str, Any]]) -> tuple[Event, ...]:
    return tuple(
        Event(at, name, at, kind, f"2026-11-22T10:00:{at:02}+00:00", "ana", data, "", f"{name}{at}")
        for at, (kind, data) in enumerate(told, start=1)
    )


LANE = (
    ("release.changed", {"build": "sha256:old", "config": "c", "kind": "promotion"}),
    ("release.changed", {"build": "sha256:new", "config": "c", "kind": "promotion"}),
    ("rollback.intended", {"build": "sha256:old", "config": "c", "left": "sha256:new", "map": 1}),
)


def rollbacks(*told: tuple[str, Mapping[str, Any]]) -> list[spans.Span]:
    found = stream("environment/orders/prod", *LANE, *told)
    about = labels.of_stream(found)
    assert about is not None
    return list(spans.rollback(found, about))


def test_a_rollback_ends_with_the_first_thing_that_is_written_after_it():
    back = ("release.changed", {"build": "sha256:old", "config": "c", "kind": "rollback"})
    pause = ("environment.paused", {"reason": "rollback: bad"})
    (span,) = rollbacks(back)
    assert (span.seconds, span.labels.build, span.attributes["lanewise.rollback.left"]) == (
        1.0, "sha256:old", "sha256:new",
    )  # fmt: skip
    assert rollbacks(back, pause) == []
    assert len(rollbacks(pause)) == 1


def test_a_pause_by_a_person_is_the_end_of_no_rollback():
    assert rollbacks(("environment.paused", {"reason": "maintenance"})) == []


def test_what_concerns_an_environment_carries_the_build_that_was_live():
    found = labels.of_stream(stream("environment/orders/prod", *LANE[:2], ("environment.paused", {"reason": "x"})))
    assert found == Labels("orders", "prod", "sha256:new", "operation", ("all",), config="c")


def test_what_concerns_no_environment_has_no_labels():
    assert labels.of_stream(stream("config/orders", ("config.applied", {"digest": "d"}))) is None
    assert labels.of_stream(stream("build/orders", ("build.recorded", {"digest": "d"}))) is None


def test_partitions_in_a_word():
    def of(*names: str) -> str:
        return Labels("p", "e", "b", "canary", names).partition

    assert (of(), of("2013-01-05"), of("a", "b", "c")) == ("none", "2013-01-05", "a..c (3)")
    many = Labels("p", "e", "b", "canary", tuple(map(str, range(365))))
    assert len(many.attributes["lanewise.partitions"]) == 100


def test_a_run_hangs_below_its_promotion_or_below_whoever_started_it_or_is_a_trace_of_its_own():
    run = stream("run/orders/prod/live-1", ("run.intended", {}))
    promotion = stream("promotion/orders/prod/1", ("promotion.requested", {}), ("promotion.moved", {"state": "CANARY"}))
    outer = tracing.read(OUTER)
    assert outer is not None
    below = tracing.of_run(run, promotion, outer)
    state = tracing.of_state(promotion)
    assert (below.trace, below.parent) == (state.trace, state.span)
    assert state.parent == tracing.of_promotion(promotion).span
    assert (tracing.of_run(run, (), outer).trace, tracing.of_run(run, (), outer).parent) == ("a" * 32, "b" * 16)
    alone = tracing.of_run(run, (), None)
    assert alone.parent == ""
    assert alone == tracing.of_run(run, (), None)
    assert re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-01", alone.traceparent)


def test_a_traceparent_that_names_nothing_is_none():
    assert tracing.read(OUTER) == tracing.Place("a" * 32, "b" * 16)
    for text in ("", "nonsense", f"00-{'0' * 32}-{'b' * 16}-01", f"00-{'a' * 32}-{'0' * 16}-01"):
        assert tracing.read(text) is None
