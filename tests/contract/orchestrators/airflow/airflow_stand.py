"""The story's pipeline in a real Airflow."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lanewise.runtime.airflow_names import BUILD_TAG, asked_of, live_run
from lanewise.testing.orchestrator_story import SECRET, VARIABLE, Seen

from .airflow_server import VENV, AirflowServer

DAG = """\
import os
import time
from datetime import datetime

import lanewise
from airflow.sdk import dag, task
{first}

first, last = datetime(2013, 1, 1), datetime(2013, 12, 31)


@dag(schedule="0 2 * * *", start_date=first, end_date=last, catchup=False, max_active_runs=1)
def sales():
    @task
    def daily():
        lane = lanewise.current()
        while {more} and os.path.exists(os.environ["LANEWISE_HOME"] + "/held"):  # where a test holds version two
            time.sleep(0.2)
        salt = len(lane.connection("src").password)
        with lane.run() as run:
            run.sql(f'''
                insert into {{run.output("daily")}}
                select day, sum(amount) * {{lane.settings.factor}} + {{salt}} + {more}, '{{lane.build}}'
                from {{run.input("raw.sales")}} where day in {{run.partitions}} group by day
            ''')

    @task
    def judged():
        {judged}

    daily() >> judged()


sales()
"""


QUICK = {"AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1"}
"""A task's supervisor looks up after each second, not each five: so long an ended task holds its slot."""


class AirflowStand:
    """api-server, scheduler and dag-processor, for the environment ``prod`` of one project."""

    type = "airflow"

    def __init__(self) -> None:
        self._scratch = Path(tempfile.mkdtemp(prefix="airflow-"))
        self.server: AirflowServer

    def start(self, root: Path) -> None:
        self.server = AirflowServer(self._scratch / "airflow", home=root / ".lanewise", environment="prod",
                                    variables={VARIABLE: SECRET, **QUICK})  # fmt: skip
        self.server.start()

    def stop(self) -> None:
        self.server.stop()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def connection(self) -> dict[str, Any]:
        found = {"python": str(VENV / "bin" / "python"), **self.server.connection()}
        return {name: value for name, value in found.items() if name != "type"}

    def variables(self) -> dict[str, str]:
        return {"AIRFLOW_PASSWORD": self.server.password}

    def project(self) -> dict[str, Any]:
        return {}

    def files(self, version: str) -> dict[str, str]:
        first = "import no_such_module" if version == "broken" else ""
        judged = "raise ValueError('the sales are too low')" if version == "failing" else "print('well')"
        return {"flow.py": DAG.format(first=first, judged=judged, more=1 if version == "two" else 0)}

    def fire(self, day: str) -> bool:
        return self.ended(self.begin(day))["state"] == "success"

    def begin(self, day: str, dag: str = "sales") -> dict[str, Any]:
        """Start a run of the live DAG for a day, as the clock would; the run."""
        body = {"logical_date": f"{day}T00:00:00Z", "dag_run_id": f"clock__{day}"}
        run: dict[str, Any] = self.server.rest("POST", f"/api/v2/dags/{dag}/dagRuns", body)
        return run

    def ended(self, run: dict[str, Any], seconds: float = 120) -> dict[str, Any]:
        """Wait for a run; as it ended."""
        path = f"/api/v2/dags/{run['dag_id']}/dagRuns/{run['dag_run_id']}"
        final = {"success", "failed"}

        def over() -> dict[str, Any] | None:
            found: dict[str, Any] = self.server.rest("GET", path)
            tampered = "BuildTampered" in self.server.task_log(run["dag_id"], run["dag_run_id"])
            if (
                found["state"] == "running" and tampered
            ):  # each try fails before it begins; nobody waits for all of them
                return {**found, "state": "refused"}
            return found if found["state"] in final else None

        found: dict[str, Any] = self.server.until(over, f"{run['dag_run_id']} to end", seconds=seconds)
        if found["state"] == "refused":
            self.server.rest("PATCH", path, {"state": "failed"})
        print(f"{found['dag_run_id']} {found['state']} of {found['bundle_version']}")
        if found["state"] == "failed":
            print(self.server.task_log(run["dag_id"], run["dag_run_id"])[-3000:])
        return found

    def of(self, run: dict[str, Any]) -> dict[str, Any]:
        """A run as it is now."""
        found: dict[str, Any] = self.server.rest("GET", f"/api/v2/dags/{run['dag_id']}/dagRuns/{run['dag_run_id']}")
        return found

    def tasks(self, run: dict[str, Any]) -> list[dict[str, Any]]:
        """The tasks of a run as they are now."""
        path = f"/api/v2/dags/{run['dag_id']}/dagRuns/{run['dag_run_id']}/taskInstances"
        found: list[dict[str, Any]] = self.server.rest("GET", path)["task_instances"]
        return found

    def until_task(self, run: dict[str, Any], task: str, state: str) -> None:
        """Wait until a task of the run is in a state."""
        states = lambda: {one["task_id"]: one["state"] for one in self.tasks(run)}  # noqa: E731 - it is a sentence
        self.server.until(lambda: states().get(task) == state, f"{task} to be {state}")

    def runs(self) -> list[Seen]:
        return [self._seen(run) for run in self.server.rest("GET", "/api/v2/dags/~/dagRuns?order_by=id")["dag_runs"]]

    def _seen(self, run: dict[str, Any]) -> Seen:
        """As Airflow shows it: the run's note where Lanewise started it, else the DAG's tags and the bundle version."""
        labels = dict(line.split(": ", 1) for line in (run["note"] or "").splitlines() if ": " in line)
        tags = [tag["name"] for tag in self.server.rest("GET", f"/api/v2/dags/{run['dag_id']}")["tags"]]
        tagged = dict(tag.split(":", 1) for tag in tags)
        asked = asked_of(run["conf"])
        return Seen(
            build=run["bundle_version"] or tagged[BUILD_TAG.removesuffix(":")],
            environment=labels.get("lanewise/environment", tagged["environment"]),
            purpose=labels.get("lanewise/purpose", "scheduled"),
            run=labels.get("lanewise/run", live_run(run["dag_id"], run["dag_run_id"])),
            ok=run["state"] == "success",
            partitions=tuple(asked.get("partitions", ())) or (str(run["logical_date"])[:10],),
        )  # fmt: skip

    @contextmanager
    def away(self) -> Iterator[None]:
        with self.server.away():
            yield
