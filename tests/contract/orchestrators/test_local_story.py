from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lanewise.bootstrap import open_context
from lanewise.testing.orchestrator_story import SECRET, VARIABLE, OrchestratorStory, Seen

CODE = """\
import lanewise

lane = lanewise.current()
salt = len(lane.connection("src").password)
with lane.run() as run:
    run.sql(f'''
        insert into {{run.output("daily")}}
        select day, sum(amount) * {{lane.settings.factor}} + {{salt}} + {more}, '{{lane.build}}'
        from {{run.input("raw.sales")}} where day in {{run.partitions}} group by day
    ''')
{last}
"""


class LocalStand:
    """The runner that is there without any orchestrator; whoever calls ``lane run`` is its clock."""

    type = "local"

    def start(self, root: Path) -> None:
        self.root = root

    def stop(self) -> None:
        pass

    def connection(self) -> None:
        return None

    def variables(self) -> dict[str, str]:
        return {}

    def project(self) -> dict[str, str]:
        return {"run": "python pipelines/sales.py"}

    def files(self, version: str) -> dict[str, str]:
        last = {"broken": "def (", "failing": "raise SystemExit(3)"}.get(version, "")
        return {"sales.py": CODE.format(more=1 if version == "two" else 0, last=last)}

    def fire(self, day: str) -> bool:
        command = [sys.executable, "-m", "lanewise.cli", "run", "prod", "--partition", day]
        environment = {**os.environ, VARIABLE: SECRET}
        return subprocess.run(command, cwd=self.root, env=environment, check=False).returncode == 0

    def runs(self) -> list[Seen]:
        seen = {}
        for event in open_context(self.root).ledger.events():
            if event.type in {"run.intended", "run.ended"}:
                data = event.data
                seen[event.stream] = Seen(
                    data["build"], data["environment"], data["purpose"], event.stream.rpartition("/")[2],
                    event.type == "run.ended", tuple(data["partitions"]),
                )  # fmt: skip
        return list(seen.values())

    def away(self) -> None:
        return None


class TestLocalOrchestrator(OrchestratorStory):
    @pytest.fixture
    def stand(self) -> LocalStand:
        return LocalStand()
