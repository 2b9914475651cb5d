"""How one Lanewise run is started in Airflow: one DAG run, or one for each partition where the DAG is partitioned."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from lanewise.domain.partition import ALL
from lanewise.domain.run import Launch, RunRequest
from lanewise.errors import OutsideBroke
from lanewise.runtime.airflow_names import ASKED

_RUN_ID = re.compile(r"[A-Za-z0-9_.~:+-]{1,150}")  # what Airflow takes as one, and the length that its columns have


@dataclass(frozen=True)
class Piece:
    """One DAG run of a launch. ``id`` names it in Airflow; ``partition`` is Airflow's partition key, or empty: with
    one, the tasks are told of that partition alone, or each run would compute them all."""

    id: str
    partition: str


def whole(request: RunRequest) -> Piece:
    """All partitions in one DAG run."""
    return Piece(request.id, "")


def by_partition(request: RunRequest) -> tuple[Piece, ...]:
    """A DAG run for each partition; none where there are no partitions to tell Airflow of."""
    if request.partitions in {(), (ALL,)}:
        return ()
    return tuple(Piece(_piece_id(request.id, name), name) for name in request.partitions)


def body(piece: Piece, launch: Launch, document: Mapping[str, Any]) -> dict[str, Any]:
    """What Airflow is sent to start it. No secret is in it: a document holds references."""
    request = launch.request
    asked = {"run": request.id, "build": request.build, "purpose": request.purpose.value,
             "partitions": list(request.partitions), "document": dict(document)}  # fmt: skip
    found: dict[str, Any] = {"dag_run_id": piece.id, "logical_date": None, "conf": {ASKED: asked},
                             "note": note(request)}  # fmt: skip
    return {**found, "partition_key": piece.partition} if piece.partition else found


def side_by_side(document: Mapping[str, Any]) -> bool:
    """Whether runs of several partitions may write at once: on a server they insert, where the tables exist already;
    a file is written whole by one after the other."""
    declared = (document.get("run") or {}).get("declared") or {}
    return (document.get("engine") or {}).get("type") == "postgres" and all(declared.values())


def document_of(launch: Launch) -> dict[str, Any]:
    """What ``lanewise.current()`` is told in the tasks."""
    try:
        found: dict[str, Any] = json.loads(launch.compiled.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise OutsideBroke(f"{launch.compiled} can't be read: {error}") from error
    return found


def note(request: RunRequest) -> str:
    """What a person reads beside the run in Airflow."""
    return "\n".join((
        f"lanewise/environment: {request.environment}",
        f"lanewise/build: {request.build} ({request.build[7:15]})",
        f"lanewise/purpose: {request.purpose.value}",
        f"lanewise/project: {request.project}",
        f"lanewise/run: {request.id}",
    ))  # fmt: skip


def _piece_id(run: str, partition: str) -> str:
    plain = f"{run}--{partition}"
    return plain if _RUN_ID.fullmatch(plain) else f"{run}--{sha256(partition.encode()).hexdigest()[:16]}"
