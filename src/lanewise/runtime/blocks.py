"""Marks of a run's blocks in its room: ``blocks/*.open`` while one runs, ``*.done`` once it has handed over.

A block that never ended keeps its mark open; then nothing of the run is looked at, since it is not whole.

Where an orchestrator tries a task again in the same room, ``LANEWISE_WRITER`` (``TASK#TRY``) tells its tries apart:
what an earlier try left open is forgotten, and one that had handed over before it failed is not repeated, since its
rows would be there twice.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

from lanewise.errors import Refused, WarehouseUnavailable

WRITER = "LANEWISE_WRITER"
"""Who writes: the task, ``#``, and the number of the try. Unset where the tries are not the orchestrator's to count."""


class Block:
    """One ``with lane.run()``, from its first use of the engine on. ``directory`` is the run's room."""

    def __init__(self, directory: str) -> None:
        blocks = Path(directory) / "blocks"
        try:
            blocks.mkdir(parents=True, exist_ok=True)
            writer = _writer(blocks)
            number = len(list(blocks.iterdir()))
            self._mark = blocks / f"{writer}{os.getpid()}-{number}.open"
            self._mark.touch()
        except OSError as error:
            raise WarehouseUnavailable(f"{blocks}: {error.strerror}") from error

    def done(self, tables: Sequence[str]) -> None:
        """It ended, and wrote these tables."""
        done = self._mark.with_suffix(".done")
        try:
            self._mark.write_text(json.dumps({"tables": list(tables)}), encoding="utf-8")
            self._mark.replace(done)
        except OSError as error:
            raise WarehouseUnavailable(f"{done}: {error.strerror}") from error


def _writer(blocks: Path) -> str:
    """How the marks of this writer's try begin, after its earlier tries were looked at; empty without a writer."""
    task, _, attempt = os.environ.get(WRITER, "").rpartition("#")
    if not task:
        return ""
    own = hashlib.sha256(task.encode()).hexdigest()[:16]
    for mark in blocks.glob(f"{own}.*"):
        if mark.name.startswith(f"{own}.{attempt}-"):
            continue
        if mark.suffix == ".done":
            raise Refused(f"{task} had handed over what it wrote before it failed: this try would write it twice",
                          hint="begin the run again from its first task: it gets a fresh room")  # fmt: skip
        mark.unlink(missing_ok=True)
    return f"{own}.{attempt}-"
