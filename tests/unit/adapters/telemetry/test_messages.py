"""OTLP messages: nothing leaves with a secret in it, and a request has one point for each series."""

from __future__ import annotations

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from lanewise.adapters.telemetry.otlp import Otlp
from lanewise.domain.event import Event
from lanewise.domain.run import Finding, Purpose, RunOutcome, RunRequest
from lanewise.domain.telemetry import Attempted, Fact, Recorded, Said

SECRET = "hunter2hunter2"
REQUEST = RunRequest("live-1", "orders", "prod", "sha256:b", "c", Purpose.SCHEDULED, ("2013-01-05",), ("daily",), ())


def event(version: int, kind: str, stream: str = "run/orders/prod/live-1", **data: object) -> Event:
    at = f"2026-11-22T10:00:0{version}+00:00"
    return Event(version, stream, version, kind, at, "ana", data, "", f"{stream}{version}")


def recorded(*events: Event) -> Recorded:
    return Recorded(events[-1], events)


INTENDED = event(1, "run.intended", environment="prod", build="sha256:b", config="c", purpose="scheduled",
                 partitions=["2013-01-05"], promotion="", rooms=["live-1"])  # fmt: skip


def test_a_secret_is_struck_out_of_every_text_that_leaves():
    tail = RunOutcome(1, 1.0, f"login with {SECRET}", findings=(Finding(SECRET, "task", False, message=SECRET),))
    asked = event(1, "promotion.requested", "promotion/orders/prod/1", id="prod-1", project="orders",
                  environment="prod", build="sha256:b", config="c")  # fmt: skip
    judged = event(2, "gate.judged", asked.stream, verdict={
        "gate": "quality", "moment": "before", "result": "fail", "reason": f"no login with {SECRET}"})  # fmt: skip
    ended = event(3, "promotion.finished", asked.stream, state="REJECTED", reason=f"quality: {SECRET}")
    facts: list[Fact] = [
        recorded(INTENDED), recorded(INTENDED, event(2, "run.failed", reason=f"no login with {SECRET}")),
        Said(1.0, "ERROR", f"failed: {SECRET}", {"run": "live-1"}),
        Attempted(REQUEST, ("a" * 32, "b" * 16, ""), 1.0, 2.0, tail),
        recorded(asked, judged), recorded(asked, judged, ended),
    ]  # fmt: skip
    sink = Otlp("http://x", {}, lambda text: text.replace(SECRET, "***"))
    bodies = b"".join(parcel.body for parcel in sink.pack(facts))
    assert bodies.count(b"***") >= 10
    assert SECRET.encode() not in bodies
    plain = b"".join(parcel.body for parcel in Otlp("http://x", {}, str).pack(facts))
    assert plain.count(SECRET.encode()) == bodies.count(b"***")


def test_what_was_measured_twice_is_one_point_of_its_series():
    facts = [recorded(INTENDED, event(at, "run.failed", reason="no")) for at in (2, 4)]
    (metrics,) = [parcel for parcel in Otlp("http://x", {}, str).pack(facts) if parcel.path == "/v1/metrics"]
    (group,) = ExportMetricsServiceRequest.FromString(metrics.body).resource_metrics
    runs, durations = sorted(group.scope_metrics[0].metrics, key=lambda metric: len(metric.name))
    (count,) = runs.sum.data_points
    assert (runs.name, count.as_int) == ("lanewise.runs", 2)
    (histogram,) = durations.histogram.data_points
    assert (durations.name, histogram.count, histogram.sum) == ("lanewise.run.duration", 2, 4.0)
    assert (histogram.min, histogram.max, sum(histogram.bucket_counts)) == (1.0, 3.0, 2)
    assert count.time_unix_nano - count.start_time_unix_nano == 3_000_000_000
