"""Marks of a run's blocks in its room: ``blocks/*.open`` while one runs, ``*.done`` once it has handed over.

A block that never ended keeps its mark open; then nothing of the run is looked at, since it is not whole.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from lanewise.errors import WarehouseUnavailable


class Block:
    """One ``with lane.run()``, from its first use of the engine on. ``directory`` is the run's room."""

    def __init__(self, directory: str) -> None:
        blocks = Path(directory) / "blocks"
        try:
            blocks.mkdir(parents=True, exist_ok=True)
            number = len(list(blocks.iterdir()))
            self._mark = blocks / f"{os.getpid()}-{number}.open"
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
