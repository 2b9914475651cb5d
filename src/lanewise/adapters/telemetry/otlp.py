"""Tell an OpenTelemetry collector: spans, measurements and log records by OTLP over HTTP.

What is told comes from the ledger, across the commands and machines that carry one promotion on, so the messages are
filled in here and not by a tracer, which knows its own process alone. They are OpenTelemetry's own (protobuf).
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, InstrumentationScope, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs, SeverityNumber
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AggregationTemporality,
    Histogram,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Status
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage

from lanewise import __version__
from lanewise.adapters.telemetry import metrics, spans, tracing
from lanewise.adapters.telemetry.courier import Parcel
from lanewise.adapters.telemetry.labels import Labels
from lanewise.adapters.telemetry.metrics import BOUNDS, Measurement
from lanewise.adapters.telemetry.post import post
from lanewise.adapters.telemetry.records import Record, Recorder
from lanewise.adapters.telemetry.spans import Span
from lanewise.domain.telemetry import Fact

_MOST = 500  # records in one request
_SCOPE = InstrumentationScope(name="lanewise", version=__version__)
_SDK = {"telemetry.sdk.name": "lanewise", "telemetry.sdk.language": "python", "telemetry.sdk.version": __version__}
_SEVERITIES = {
    "DEBUG": SeverityNumber.SEVERITY_NUMBER_DEBUG, "INFO": SeverityNumber.SEVERITY_NUMBER_INFO,
    "WARNING": SeverityNumber.SEVERITY_NUMBER_WARN, "ERROR": SeverityNumber.SEVERITY_NUMBER_ERROR,
    "CRITICAL": SeverityNumber.SEVERITY_NUMBER_FATAL,
}  # fmt: skip

Told = Span | Measurement | Record


class Otlp:
    """Implements ``Sink``. ``redact`` strikes secrets out of every text before it is packed."""

    def __init__(self, url: str, headers: Mapping[str, str], redact: Callable[[str], str]) -> None:
        self._url, self._redact = url.rstrip("/"), redact
        self._headers = {**headers, "Content-Type": "application/x-protobuf", "User-Agent": f"lanewise/{__version__}"}
        self._outer = tracing.read(os.environ.get("TRACEPARENT", ""))
        self._recorder = Recorder(self._outer)
        self._covered: dict[tuple[Any, ...], int] = {}

    def pack(self, facts: Iterable[Fact]) -> Iterator[Parcel]:
        """See ``Sink.pack``."""
        told: dict[str, list[Told]] = {"traces": [], "metrics": [], "logs": []}
        for fact in facts:
            told["traces"] += spans.of(fact, self._outer)
            told["metrics"] += metrics.of(fact)
            told["logs"] += self._recorder.of(fact)
        for signal, found in told.items():
            for start in range(0, len(found), _MOST):
                some = found[start : start + _MOST]
                yield Parcel(f"/v1/{signal}", self._request(signal, some).SerializeToString(), len(some))

    def send(self, parcel: Parcel) -> None:
        """See ``Sink.send``."""
        post(self._url + parcel.path, parcel.body, self._headers)

    def _request(self, signal: str, told: Sequence[Any]) -> Message:
        grouped = [(self._resource(found), list(some)) for found, some in groupby(
            sorted(told, key=_owner), key=lambda one: one.labels.resource
        )]  # fmt: skip
        if signal == "traces":
            return ExportTraceServiceRequest(resource_spans=[
                ResourceSpans(resource=found, scope_spans=[ScopeSpans(scope=_SCOPE, spans=map(self._span, some))])
                for found, some in grouped
            ])  # fmt: skip
        if signal == "metrics":
            return ExportMetricsServiceRequest(resource_metrics=[
                ResourceMetrics(resource=found, scope_metrics=[ScopeMetrics(scope=_SCOPE, metrics=self._metrics(some))])
                for found, some in grouped
            ])  # fmt: skip
        return ExportLogsServiceRequest(resource_logs=[
            ResourceLogs(resource=found, scope_logs=[ScopeLogs(scope=_SCOPE, log_records=map(self._record, some))])
            for found, some in grouped
        ])  # fmt: skip

    def _resource(self, found: Mapping[str, Any]) -> Resource:
        sdk = {
            "telemetry.sdk.name": "lanewise",
            "telemetry.sdk.language": "python",
            "telemetry.sdk.version": __version__,
        }
        return Resource(attributes=self._attributes({**found, **sdk}))

    def _span(self, span: Span) -> SpanMessage:
        failed = {"error.type": "_OTHER"} if span.error else {}
        events = [
            SpanMessage.Event(name=self._redact(m.name), time_unix_nano=m.at, attributes=self._attributes(m.attributes))
            for m in span.marks
        ]
        links = [SpanMessage.Link(trace_id=_id(one.trace), span_id=_id(one.span)) for one in (span.link,) if one]
        status = Status(code=Status.STATUS_CODE_ERROR, message=self._redact(span.error)) if span.error else Status()
        return SpanMessage(
            trace_id=_id(span.place.trace), span_id=_id(span.place.span), parent_span_id=_id(span.place.parent),
            name=self._redact(span.name), kind=SpanMessage.SPAN_KIND_INTERNAL, events=events, links=links,
            start_time_unix_nano=span.begins, end_time_unix_nano=max(span.begins, span.ends), status=status,
            attributes=self._attributes({**span.labels.attributes, **span.attributes, **failed}),
        )  # fmt: skip

    def _metrics(self, some: Sequence[Measurement]) -> Iterator[Metric]:
        """One point for each series, however often it was measured: receivers keep one of several."""
        delta = AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA
        by_name = groupby(sorted(some, key=_series), key=lambda one: (one.name, one.unit, one.timed))
        for (name, unit, timed), found in by_name:
            series = [list(each) for _, each in groupby(found, key=_series)]
            if timed:
                points = [self._histogram(each) for each in series]
                yield Metric(
                    name=name, unit=unit, histogram=Histogram(data_points=points, aggregation_temporality=delta)
                )
            else:
                counted = [self._number(each) for each in series]
                yield Metric(
                    name=name, unit=unit, sum=Sum(data_points=counted, is_monotonic=True, aggregation_temporality=delta)
                )

    def _number(self, each: Sequence[Measurement]) -> NumberDataPoint:
        begins, ends = self._time(each)
        return NumberDataPoint(
            start_time_unix_nano=begins, time_unix_nano=ends, as_int=sum(int(one.value) for one in each),
            attributes=self._attributes(_dimensions(each[0])),
        )  # fmt: skip

    def _histogram(self, each: Sequence[Measurement]) -> HistogramDataPoint:
        values, counts = [one.value for one in each], [0] * (len(BOUNDS) + 1)
        for value in values:
            counts[bisect_left(BOUNDS, value)] += 1
        begins, ends = self._time(each)
        return HistogramDataPoint(
            start_time_unix_nano=begins, time_unix_nano=ends, count=len(values), sum=sum(values), min=min(values),
            max=max(values), bucket_counts=counts, explicit_bounds=BOUNDS,
            attributes=self._attributes(_dimensions(each[0])),
        )  # fmt: skip

    def _time(self, each: Sequence[Measurement]) -> tuple[int, int]:
        """What the points of a series cover never overlaps."""
        series = _series(each[0])
        begins = max(self._covered.get(series, 0), min(one.begins for one in each))
        self._covered[series] = ends = max(begins, *(one.ends for one in each))
        return begins, ends

    def _record(self, one: Record) -> LogRecord:
        return LogRecord(
            time_unix_nano=one.at, observed_time_unix_nano=one.seen, severity_text=one.level, event_name=one.event,
            severity_number=_SEVERITIES.get(one.level, SeverityNumber.SEVERITY_NUMBER_INFO),
            body=AnyValue(string_value=self._redact(one.text)),
            attributes=self._attributes({**one.labels.attributes, **one.attributes}),
            trace_id=_id(one.place.trace) if one.place else b"", span_id=_id(one.place.span) if one.place else b"",
            flags=1 if one.place else 0,
        )  # fmt: skip

    def _attributes(self, found: Mapping[str, Any]) -> list[KeyValue]:
        """Without those that say nothing."""
        return [KeyValue(key=name, value=self._value(v)) for name, v in found.items() if v is not None and v != ""]

    def _value(self, value: Any) -> AnyValue:
        if isinstance(value, bool):
            return AnyValue(bool_value=value)
        if isinstance(value, int):
            return AnyValue(int_value=value)
        if isinstance(value, list | tuple):
            return AnyValue(array_value=ArrayValue(values=[self._value(one) for one in value]))
        return AnyValue(string_value=self._redact(str(value)))


def open_sink(*, url: str, headers: Mapping[str, str], redact: Callable[[str], str], home: str) -> Otlp:
    """See ``SinkOpener``."""
    del home
    return Otlp(url, headers, redact)


def _owner(one: Told) -> tuple[str, str, str]:
    found: Labels = one.labels
    return (found.project, found.environment, found.build)


def _dimensions(one: Measurement) -> dict[str, Any]:
    """Many stores of metrics drop the resource: what tells series apart is on the point as well."""
    found = one.labels
    keep = {"lanewise.purpose": found.purpose, "lanewise.partition": found.partition}
    return {**found.resource, **keep, **one.attributes}


def _series(one: Measurement) -> tuple[Any, ...]:
    return (one.name, one.unit, one.timed, *map(str, _dimensions(one).items()))


def _id(digits: str) -> bytes:
    return bytes.fromhex(digits)
