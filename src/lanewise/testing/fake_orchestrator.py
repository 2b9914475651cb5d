"""An orchestrator for tests: calls a function where the real one starts a process."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from lanewise.domain.run import Launch, RunOutcome

Pipeline = Callable[[Launch, dict[str, Any]], int]
"""What stands for the command: given the launch and the compiled file's content, it returns an exit code."""


@dataclass
class FakeOrchestrator:
    """Implements ``Orchestrator``. ``launches`` are all it was asked for, with what their compiled files said."""

    pipeline: Pipeline
    launches: list[tuple[Launch, dict[str, Any]]] = field(default_factory=list)

    def run(self, launch: Launch) -> RunOutcome:
        """See ``Orchestrator.run``."""
        document = json.loads(launch.compiled.read_text(encoding="utf-8"))
        self.launches.append((launch, document))
        return RunOutcome(self.pipeline(launch, document), 0.0, "", str(launch.log))
