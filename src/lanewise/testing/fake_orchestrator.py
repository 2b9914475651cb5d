"""An orchestrator for tests: calls a function where the real one starts a process."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from lanewise.domain.run import Launch, RunOutcome
from lanewise.domain.serving import PAUSED, Served, Standing
from lanewise.errors import OrchestratorUnavailable, Refused

Pipeline = Callable[[Launch, dict[str, Any]], int]
"""What stands for the command: given the launch and the compiled file's content, it returns an exit code."""


@dataclass
class FakeOrchestrator:
    """Implements ``Orchestrator``. ``launches`` are all it was asked for, with what their compiled files said.

    ``broken``: build -> why it does not load here. ``away``: nobody answers.
    """

    pipeline: Pipeline
    launches: list[tuple[Launch, dict[str, Any]]] = field(default_factory=list)
    served: dict[str, Served] = field(default_factory=dict)
    live: Served | None = None
    broken: dict[str, str] = field(default_factory=dict)
    away: bool = False
    own_copy: bool = True

    def serve(self, served: Served) -> None:
        """See ``Orchestrator.serve``."""
        self._reached()
        if served.build in self.broken:
            raise Refused(self.broken[served.build])
        self.served[served.build] = served

    def withdraw(self, build: str) -> None:
        """See ``Orchestrator.withdraw``."""
        self._reached()
        self.served.pop(build, None)

    def adopt(self, served: Served) -> None:
        """See ``Orchestrator.adopt``."""
        self._reached()
        if served.build in self.broken:
            raise Refused(self.broken[served.build])
        self.live = served

    def standing(self) -> Standing:
        """See ``Orchestrator.standing``."""
        self._reached()
        live = self.live
        return Standing(live.build if live else "", tuple(self.served), bool(live and live.schedule != PAUSED))

    def _reached(self) -> None:
        if self.away:
            raise OrchestratorUnavailable("the orchestrator does not answer")

    def run(self, launch: Launch) -> RunOutcome:
        """See ``Orchestrator.run``."""
        document = json.loads(launch.compiled.read_text(encoding="utf-8"))
        self.launches.append((launch, document))
        return RunOutcome(self.pipeline(launch, document), 0.0, "", str(launch.log))
