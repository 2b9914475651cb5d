"""A collector of the tests' own: takes OTLP and OpenLineage over HTTP, and keeps what it was told."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue


@dataclass(frozen=True)
class Told:
    """A span, a data point or a log record, with its resource's attributes among its own. ``message`` is the rest."""

    name: str
    attributes: dict[str, Any]
    message: Any


@dataclass
class Receiver:
    """What has arrived. ``status`` is what it answers; while ``hanging`` is set it answers nobody."""

    url: str = ""
    spans: list[Told] = field(default_factory=list)
    points: list[Told] = field(default_factory=list)
    records: list[Told] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    status: int = 200
    asked: int = 0
    released: threading.Event = field(default_factory=threading.Event)

    def take(self, path: str, body: bytes) -> None:
        taken = {"/v1/traces": self._traces, "/v1/metrics": self._metrics, "/v1/logs": self._logs,
                 "/api/v1/lineage": lambda found: self.events.append(json.loads(found))}  # fmt: skip
        taken[path](body)

    def _traces(self, body: bytes) -> None:
        for group in ExportTraceServiceRequest.FromString(body).resource_spans:
            for span in group.scope_spans[0].spans:
                self.spans.append(Told(span.name, _attributes(group.resource, span), span))

    def _metrics(self, body: bytes) -> None:
        for group in ExportMetricsServiceRequest.FromString(body).resource_metrics:
            for metric in group.scope_metrics[0].metrics:
                for point in (*metric.sum.data_points, *metric.histogram.data_points):
                    self.points.append(Told(metric.name, _attributes(group.resource, point), point))

    def _logs(self, body: bytes) -> None:
        for group in ExportLogsServiceRequest.FromString(body).resource_logs:
            for record in group.scope_logs[0].log_records:
                self.records.append(Told(record.event_name, _attributes(group.resource, record), record))


def _attributes(*carriers: Any) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for carrier in carriers for pair in carrier.attributes}


def _value(found: AnyValue) -> Any:
    kind = found.WhichOneof("value")
    if kind == "array_value":
        return [_value(one) for one in found.array_value.values]
    return getattr(found, kind) if kind else None


@contextmanager
def receiver(*, hanging: bool = False) -> Iterator[Receiver]:
    """One at work on a free port of this machine. ``hanging``: it takes what is sent and never answers."""
    found = Receiver()
    turn = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            with turn:
                found.asked += 1
            if hanging:
                found.released.wait(60)
                return
            with turn:
                found.bodies.append(body)
                found.headers.append(dict(self.headers))
                if found.status == 200:
                    found.take(self.path, body)
            self.send_response(found.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the base class calls it that
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    found.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield found
    finally:
        found.released.set()
        server.shutdown()
        server.server_close()
        thread.join()
