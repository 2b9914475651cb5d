"""A step that Dagster tries again writes into the same room: its tries are told apart by their marks there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lanewise.errors import RunFailed


class Tries:
    """Keeps a step that is tried again from writing twice: what its earlier try left open is forgotten, and one that
    had handed over before it failed is not tried again. ``blocks`` is where the room's blocks are marked."""

    def __init__(self, blocks: Path | None) -> None:
        self._blocks = blocks
        self._before: dict[str, frozenset[Path]] = {}

    def see(self, event: Any) -> None:
        """``RunFailed`` before a try that would write twice."""
        if self._blocks is None or event.step_key is None:
            return
        if event.is_step_start or event.is_step_restarted:
            self._before[event.step_key] = self._marks()
        elif event.is_step_up_for_retry:
            left = self._marks() - self._before.get(event.step_key, frozenset())
            for mark in sorted(mark for mark in left if mark.name.startswith(f"{event.pid}-")):
                if mark.suffix == ".done":
                    raise RunFailed(f"{event.step_key} had handed over what it wrote before it failed: another try "
                                    "would write it twice", hint="execute the run again, in a fresh room")  # fmt: skip
                mark.unlink(missing_ok=True)

    def _marks(self) -> frozenset[Path]:
        return frozenset(self._blocks.glob("*")) if self._blocks else frozenset()
