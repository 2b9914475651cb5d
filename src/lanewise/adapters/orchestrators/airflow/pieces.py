"""How one Lanewise run is started in Airflow: one DAG run, or one for each partition where the DAG is partitioned."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from lanewise.domain.partition import ALL
from lanewise.domain.run import Launch, RunRequest
from lanewise.errors import OutsideBroke

_RUN_ID = re.compile(r"[A-Za-z0-9_.~:+-]{1,150}")  # what Airflow takes as one, and the length that its columns have


@dataclass(frozen=True)
class Piece:
    """One DAG run of a launch. ``id`` names it in Airflow and its document in ``.lanewise/runs``; ``partition`` is
    Airflow's partition key, or empty; ``document`` is what ``lanewise.current()`` is told in its tasks."""

    id: str
    partition: str
    partitions: tuple[str, ...]
    document: Mapping[str, Any]

    def body(self, request: RunRequest) -> dict[str, Any]:
        """What Airflow is sent to start it. No secret is in it: a document holds references."""
        asked = {"run": self.id, "build": request.build, "purpose": request.purpose.value,
                 "partitions": list(self.partitions), "document": dict(self.document)}  # fmt: skip
        body: dict[str, Any] = {"dag_run_id": self.id, "logical_date": None, "conf": {"lanewise": asked},
                                "note": note(request)}  # fmt: skip
        return {**body, "partition_key": self.partition} if self.partition else body


def whole(launch: Launch) -> Piece:
    """All partitions in one DAG run."""
    return Piece(launch.request.id, "", launch.request.partitions, _document(launch))


def by_partition(launch: Launch) -> tuple[Piece, ...]:
    """A DAG run for each partition; its tasks are told of that one alone, or each would compute them all."""
    document = _document(launch)
    return tuple(
        Piece(_piece_id(launch.request.id, name), name, (name,),
              {**document, "run": {**document["run"], "partitions": [name]}})
        for name in launch.request.partitions
    )  # fmt: skip


def partitioned(request: RunRequest) -> bool:
    """Whether there are partitions to tell Airflow of at all."""
    return request.partitions not in {(), (ALL,)}


def side_by_side(launch: Launch) -> bool:
    """Whether runs of several partitions may write at once: on a server they insert, where the tables exist already;
    a file is written whole by one after the other."""
    document = _document(launch)
    declared = (document.get("run") or {}).get("declared") or {}
    return (document.get("engine") or {}).get("type") == "postgres" and all(declared.values())


@contextmanager
def laid_out(home: Path, piece: Piece) -> Iterator[None]:
    """For as long as the block lasts, the piece's document lies where the glue looks for it. The launch's own does so
    already: a piece that is the whole launch is left alone."""
    if not piece.partition:
        yield
        return
    path = home / "runs" / f"{piece.id}.json"
    _write(path, piece.document)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


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


def _document(launch: Launch) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(launch.compiled.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise OutsideBroke(f"{launch.compiled} can't be read: {error}") from error
    return found


def _write(path: Path, document: Mapping[str, Any]) -> None:
    aside = path.with_name(f".{path.name}.aside")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside.write_text(json.dumps(document), encoding="utf-8")
        aside.replace(path)
    except OSError as error:
        raise OutsideBroke(f"{path} can't be written: {error.strerror}") from error
