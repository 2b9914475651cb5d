"""The story of every orchestrator, on a real Prefect."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lanewise.testing.orchestrator_story import SECRET, VARIABLE, OrchestratorStory, Seen

from .prefect.prefect_server import PrefectServer

FLOW = """\
import lanewise
from prefect import flow, task
{first}

@task
def daily(more: int) -> None:
    lane = lanewise.current()
    salt = len(lane.connection("src").password)
    with lane.run() as run:
        run.sql(f'''
            insert into {{run.output("daily")}}
            select day, sum(amount) * {{lane.settings.factor}} + {{salt}} + {{more}}, '{{lane.build}}'
            from {{run.input("raw.sales")}} where day in {{run.partitions}} group by day
        ''')


@task
def judged() -> None:
    {judged}


@flow
def sales() -> None:
    daily({more})
    judged()
"""
PREFECT = """\
deployments:
  - name: sales
    entrypoint: pipelines/flow.py:sales
    schedules: [{cron: "0 2 29 2 *", timezone: UTC}]
"""


class PrefectStand:
    """A server, and a worker of a process work pool."""

    type = "prefect"

    def __init__(self) -> None:
        self._scratch = Path(tempfile.mkdtemp(prefix="prefect-"))
        self._server = PrefectServer(self._scratch / "home", {VARIABLE: SECRET})

    def start(self, root: Path) -> None:
        (root / "prefect.yaml").write_text(PREFECT)
        self._server.start()

    def stop(self) -> None:
        self._server.stop()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def connection(self) -> dict[str, Any]:
        return self._server.connection()

    def variables(self) -> dict[str, str]:
        return self._server.secrets()

    def project(self) -> dict[str, Any]:
        return {
            "entries": {"prefect": "pipelines/flow.py:sales"},
            "source": {"include": ["pipelines/**", "prefect.yaml"]},
        }

    def files(self, version: str) -> dict[str, str]:
        first = "import no_such_module" if version == "broken" else ""
        judged = "raise ValueError('the sales are too low')" if version == "failing" else "print('well')"
        return {"flow.py": FLOW.format(first=first, judged=judged, more=1 if version == "two" else 0)}

    def fire(self, day: str) -> bool:
        """As the clock does, at half past two of the day after."""
        deployment = self._server.deployment("sales", "prod")["id"]
        due = f"{day[:-2]}{int(day[-2:]) + 1:02}T02:30:00Z"
        state = {"type": "SCHEDULED", "state_details": {"scheduled_time": due}}
        made = self._server.rest("POST", f"/api/deployments/{deployment}/create_flow_run", {"state": state})
        return bool(self._server.finished(made["id"])["state_type"] == "COMPLETED")

    def runs(self) -> list[Seen]:
        return [_seen(run) for run in self._server.runs() if _label(run, "purpose") not in {"", "check"}]

    @contextmanager
    def away(self) -> Iterator[None]:
        self._server.stop_api()
        try:
            yield
        finally:
            self._server.start_api()


def _seen(run: dict[str, Any]) -> Seen:
    return Seen(
        _label(run, "build"), _label(run, "environment"), _label(run, "purpose"), _label(run, "run"),
        run["state_type"] == "COMPLETED", tuple(run["parameters"].get("partitions") or ()),
    )  # fmt: skip


def _label(run: dict[str, Any], name: str) -> str:
    start = f"lanewise/{name}="
    return next((tag.removeprefix(start) for tag in run["tags"] if tag.startswith(start)), "")


@pytest.mark.slow
class TestPrefect(OrchestratorStory):
    @pytest.fixture
    def stand(self) -> PrefectStand:
        return PrefectStand()
