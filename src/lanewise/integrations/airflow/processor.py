"""The dag-processor around a bundle, as far as a bundle must know of it.

It reads a bundle's version when a parse *ends*. A file of build A whose parse is under way while the bundle moves to B
would be stored as B, and runs labelled B would do what A says. So before a bundle moves, what is being parsed is let
end, and its results are stored as what they are; and what is queued with the path of the former build is forgotten.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from lanewise.errors import OutsideBroke

_MANAGER = "airflow.dag_processing.manager"
_NEEDED = ("_processors", "_file_queue", "_file_stats", "_callback_to_execute", "_kill_timed_out_processors",
           "_service_processor_sockets", "_collect_results", "heartbeat")  # fmt: skip


class DagProcessor:
    """The dag-processor's loop that has called a bundle's ``refresh``."""

    def __init__(self, manager: Any) -> None:
        lacking = [name for name in _NEEDED if not hasattr(manager, name)]
        if lacking:
            raise OutsideBroke(f"this Airflow's dag-processor is not the one that is known: it has no {lacking[0]}",
                               hint="use Airflow 3.3, or a Lanewise that knows this one")  # fmt: skip
        self._manager = manager

    @classmethod
    def around(cls) -> DagProcessor | None:
        """The one that is calling; None in a worker or a command, where nothing is parsed beside."""
        module = sys.modules.get(_MANAGER)
        if module is None:
            return None
        frame = sys._getframe(1)  # noqa: SLF001 - a bundle is told nothing of its caller
        while frame is not None:
            caller = frame.f_locals.get("self")
            if isinstance(caller, module.DagFileProcessorManager):
                return cls(caller)
            frame = frame.f_back  # type: ignore[assignment]
        return None

    def drain(self, bundle: str) -> None:
        """Let every parse of the bundle that is under way end, and store its result under the version it had.

        These are the steps of the loop itself, short of starting new parses: Airflow's own limit ends a parse that
        hangs."""
        manager = self._manager
        while any(self._parsing(bundle)):
            manager.heartbeat()
            manager._kill_timed_out_processors()  # noqa: SLF001 - as in the loop
            manager._service_processor_sockets(timeout=0.1)  # noqa: SLF001 - as in the loop
            manager._collect_results()  # noqa: SLF001 - as in the loop

    def forget(self, bundle: str) -> None:
        """Take the bundle's files for new ones: they are parsed at once, from where they are now."""
        manager = self._manager
        waiting = [file for file in manager._file_queue if self._plain(file, bundle)]  # noqa: SLF001 - as above
        for file in waiting:
            if file not in manager._callback_to_execute:  # noqa: SLF001 - a callback is for a run of its own version
                del manager._file_queue[file]  # noqa: SLF001
        for file in [file for file in manager._file_stats if file.bundle_name == bundle]:  # noqa: SLF001
            del manager._file_stats[file]  # noqa: SLF001

    def _parsing(self, bundle: str) -> Iterator[Any]:
        return (file for file in self._manager._processors if self._plain(file, bundle))  # noqa: SLF001 - as above

    @staticmethod
    def _plain(file: Any, bundle: str) -> bool:
        """A file that is parsed for what it says, not to carry out a callback of one of its runs."""
        return bool(file.bundle_name == bundle and file.bundle_version is None)
