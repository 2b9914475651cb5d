"""What every span, measurement, log record and lineage event says about itself, whatever it tells of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lanewise.domain.event import Event
from lanewise.domain.run import RunRequest

MOST_PARTITIONS = 100
"""How many partitions a span or log record names one by one; the others are counted."""

OPERATION = "operation"
"""The purpose of what concerns an environment as a whole and runs nothing: a pause, a rollback, a quarantine."""


@dataclass(frozen=True)
class Labels:
    """Environment, build and what for. ``build`` is a full digest; empty where nothing is live."""

    project: str
    environment: str
    build: str
    purpose: str
    partitions: tuple[str, ...] = ()
    run: str = ""
    promotion: str = ""
    config: str = ""

    @property
    def partition(self) -> str:
        """The partitions in one word: ``2013-01-05``, ``2013-01-01..2013-01-08 (8)``, or ``none``."""
        if len(self.partitions) <= 1:
            return self.partitions[0] if self.partitions else "none"
        return f"{self.partitions[0]}..{self.partitions[-1]} ({len(self.partitions)})"

    @property
    def attributes(self) -> dict[str, Any]:
        """What is put on each span and log record."""
        found: dict[str, Any] = {
            "lanewise.purpose": self.purpose,
            "lanewise.partition": self.partition,
            "lanewise.partitions": list(self.partitions[:MOST_PARTITIONS]),
            "lanewise.run.id": self.run,
            "lanewise.config": self.config,
            "deployment.id": self.promotion,  # the convention's name for one move into an environment
        }
        return {name: value for name, value in found.items() if value}

    @property
    def resource(self) -> dict[str, Any]:
        """What OpenTelemetry calls the resource: the pipeline, as this build, in this environment."""
        return {
            "service.name": self.project,
            "service.version": self.build or "none",
            "deployment.environment.name": self.environment,
        }


def of_request(request: RunRequest) -> Labels:
    """Those of a run that is asked for."""
    return Labels(
        request.project, request.environment, request.build, request.purpose.value, tuple(request.partitions),
        request.id, request.promotion, request.config,
    )  # fmt: skip


def of_stream(stream: Sequence[Event]) -> Labels | None:
    """Those of what a stream of the ledger tells of; None for a stream that concerns no single environment, or whose
    beginning could not be read."""
    kind, *where = stream[-1].stream.split("/")
    if stream[0].type == "promotion.requested":
        return _promotion(stream)
    if stream[0].type == "run.intended":
        return _run(stream, where[0], where[-1])
    if kind == "environment" and len(where) == 2:
        return _environment(stream, *where)
    return None


def _promotion(stream: Sequence[Event]) -> Labels:
    asked = stream[0].data
    planned: Any = next((e.data.get("document") for e in reversed(stream) if e.type == "promotion.planned"), None)
    steps = (planned or {}).get("steps", ())
    partitions = tuple(sorted({p for step in steps for p in step["partitions"]}))
    return Labels(
        asked["project"], asked["environment"], asked["build"], "promotion", partitions,
        promotion=asked["id"], config=asked["config"],
    )  # fmt: skip


def _run(stream: Sequence[Event], project: str, run: str) -> Labels:
    told = stream[0].data
    return Labels(
        project, told["environment"], told["build"], told["purpose"], tuple(told["partitions"]),
        run, told.get("promotion") or "", told.get("config") or "",
    )  # fmt: skip


def _environment(stream: Sequence[Event], project: str, environment: str) -> Labels:
    """The build is the one that the event is about, or else the one that was live by then."""
    told = [stream[-1], *(e for e in reversed(stream) if e.type == "release.changed")]
    build = next((e.data["build"] for e in told if e.data.get("build")), "")
    config = next((e.data["config"] for e in told if e.data.get("config")), "")
    return Labels(project, environment, build, OPERATION, ("all",), config=config)
