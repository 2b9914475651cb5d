"""A project's ``.lanewise`` folder made by hand, with a stub for ``lane``: what the adapter is tried on by itself."""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from lanewise.adapters.orchestrators.prefect import PrefectOrchestrator, open_orchestrator
from lanewise.domain.environment import Connection, Environment, SecretRef
from lanewise.domain.run import Launch, Purpose, RunRequest
from lanewise.domain.serving import PAUSED, Served
from lanewise.errors import SecretUnavailable

SECRET = "hunter2-prefect"
VARIABLE = "GROUND_PASSWORD"
PROJECT = """\
project: {project}
source: {{include: ["pipelines/**"]}}
run: "true"
tables:
  daily: {{kind: partition, partition: {{column: day, grain: day, timezone: America/New_York}}}}
"""
PREFECT = """\
deployments:
  - {name: nightly, entrypoint: "pipelines/flow.py:main", schedule: {cron: "0 2 * * *"}}
"""
FLOW = """\
import lanewise
from prefect import flow, task
{first}

@task
def daily() -> None:
    lane = lanewise.current()
    run = lane.run()
    print(f"computes {{[*run.partitions]}} in {{lane.environment}}, {{run.purpose}} {{run.id}}")
    print(len(lane.connection("src").password))
    {then}


@flow(log_prints=True)
def main() -> None:
    daily()
"""
STUB = """\
import json, pathlib, sys
home, words = pathlib.Path({home!r}), sys.argv[1:]
with (home / "asked").open("a") as asked:
    asked.write(json.dumps(words) + "\\n")
if words[1] == "begin":
    run, build = words[words.index("--id") + 1], words[words.index("--build") + 1]
    days = [word for before, word in zip(words, words[1:]) if before == "--partition"]
    told = json.loads((home / "compiled" / build[7:] / "prod.json").read_text())
    told["run"] = {{"id": run, "purpose": "scheduled", "partitions": days, "tables": [], "declared": {{}}}}
    told["engine"] = {{"type": "none"}}
    (home / "runs" / f"{{run}}.json").write_text(json.dumps(told))
    print(json.dumps({{"compiled": str(home / "runs" / f"{{run}}.json")}}))
else:
    print("{{}}")
"""


class Known:
    """Secrets by reference; everything else does not resolve."""

    def __init__(self, **values: str) -> None:
        self._values = values

    def resolve(self, reference: SecretRef, *, previous: bool = False) -> str:
        if reference.text not in self._values:
            raise SecretUnavailable(reference.text)
        return self._values[reference.text]

    def age(self, reference: SecretRef) -> None:
        return None

    def concerns(self, reference: SecretRef) -> tuple[str, ...]:
        return ()

    def redact(self, text: str) -> str:
        return text


class Ground:
    """``home`` is where ``lane`` is, ``away`` where the worker is: another machine's folder, with no run's file."""

    def __init__(self, folder: Path, project: str, fields: dict[str, Any], password: str) -> None:
        self.home, self.away = folder / "here/.lanewise", folder / "there/.lanewise"
        for home in (self.home, self.away):
            for name in ("runs", "signs", "logs"):
                (home / name).mkdir(parents=True)
        self.project, self._fields, self._password = project, fields, password
        self.said: list[str] = []

    def orchestrator(self, patience: float = 120.0, password: str = "", **fields: Any) -> PrefectOrchestrator:
        plain = {**self._fields, "home": str(self.away), "patience": patience, **fields}
        secret = {"password": SecretRef(plain.pop("password"))}
        connection = Connection("prefect_prod", "prefect", plain, secret)
        settings = {"orchestrator_conn": "prefect_prod"}
        lane = Environment("prod", 0, settings, {"prefect_prod": connection})
        known = Known(**{"env:PREFECT_PASSWORD": password or self._password})
        return open_orchestrator(home=self.home, lane=lane, project=self.project, secrets=known, say=self.said.append)

    def build(self, *, first: str = "", then: str = "pass", schedule: str = PAUSED) -> Served:
        """Lay a build out on both machines."""
        files = {
            "lanewise.yaml": PROJECT.format(project=self.project),
            "pipelines/flow.py": FLOW.format(first=first, then=then),
            "prefect.yaml": PREFECT,
        }
        listed = [{"path": path, "digest": f"sha256:{_sha(text)}"} for path, text in files.items()]
        manifest = json.dumps({"files": listed})
        name = _sha(manifest)
        for home in (self.home, self.away):
            for path, text in files.items():
                _write(home / "unpacked" / name / path, text)
            _write(home / "manifests" / f"{name}.json", manifest)
            _write(home / "compiled" / name / "prod.json", json.dumps(self._told(f"sha256:{name}")))
        directory = self.home / "unpacked" / name
        return Served(
            self.project, "prod", f"sha256:{name}", "sha256:" + "cf" * 32, directory,
            self.home / "compiled" / name / "prod.json", "pipelines/flow.py:main", schedule,
        )  # fmt: skip

    def show(self, served: Served) -> None:
        """Put a build on the worker's sign as the live one."""
        stub = self.away / "lane.py"
        stub.write_text(STUB.format(home=str(self.away)))
        live = {"build": served.build, "config": served.config, "entry": served.entry, "settings": {}, "number": 1,
                "schedule": served.schedule}  # fmt: skip
        sign = {"format": 1, "project": self.project, "environment": "prod", "home": str(self.away), "candidates": [],
                "live": live, "lane": [sys.executable, str(stub)]}  # fmt: skip
        _write(self.away / "signs/prod.json", json.dumps(sign))

    def asked(self) -> list[list[str]]:
        """What the worker asked ``lane`` for."""
        return [json.loads(line) for line in (self.away / "asked").read_text().splitlines()]

    def launch(
        self, served: Served, run: str, purpose: Purpose = Purpose.CANARY, timeout: float | None = None
    ) -> Launch:
        days = ("2013-01-05", "2013-01-06")
        request = RunRequest(run, self.project, "prod", served.build, served.config, purpose, days, (), ())
        told = self._told(served.build)
        told["run"] = {"id": run, "purpose": purpose.value, "partitions": list(days), "promotion": "", "tables": [],
                       "declared": {}}  # fmt: skip
        compiled = self.home / "runs" / f"{run}.json"
        compiled.write_text(json.dumps({**told, "engine": {"type": "none"}}))
        variables = {"LANEWISE_RUN_ID": run, "LANEWISE_COMPILED": str(compiled), VARIABLE: SECRET}
        return Launch(request, served.directory, compiled, variables, self.home / "logs" / f"{run}.log", timeout)

    def _told(self, build: str) -> dict[str, Any]:
        secret = {"password": {"text": f"env:{VARIABLE}", "previous": None}}
        src = {"type": "files", "fields": {}, "secrets": secret}
        return {"format": 1, "project": self.project, "environment": "prod", "build": build, "config": "sha256:cf",
                "variable": "LANEWISE_ENV", "effects": [], "settings": {"src_conn": "src"}, "connections": {"src": src},
                "run": None, "engine": None, "root": "/nowhere", "log_format": "text", "sources": {}}  # fmt: skip


def scheduled(served: Served, schedule: str) -> Served:
    """The same build with another schedule."""
    return replace(served, schedule=schedule)


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
