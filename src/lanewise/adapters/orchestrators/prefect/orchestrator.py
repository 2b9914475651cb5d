"""The port ``Orchestrator``, on Prefect 3."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from lanewise.adapters.orchestrators.prefect import deployment as posted
from lanewise.adapters.orchestrators.prefect import runs
from lanewise.adapters.orchestrators.prefect.server import QUEUED, UNDER_WAY, Found, Server, address, login
from lanewise.adapters.orchestrators.prefect.specification import keep, kept, specify
from lanewise.adapters.orchestrators.rest import PATIENCE, Rest
from lanewise.domain.canonical import digest
from lanewise.domain.environment import Environment
from lanewise.domain.ports import Secrets
from lanewise.domain.run import Launch, Purpose, RunOutcome
from lanewise.domain.serving import Served, Standing
from lanewise.errors import ConfigError, Refused

_CHECK = "check"
_OUR_OWN = re.compile(r"Flow run encountered an exception: Refused: ")
_LONGEST = 100_000  # characters: a variable that is longer keeps a process from being started
_SENT = ("LANEWISE_ENV", "LANEWISE_BUILD", "LANEWISE_PARTITIONS", "LANEWISE_LOG_FORMAT")
"""What the server is told of a launch's variables: by name, since any other one may hold a secret."""
_LIVE = frozenset({Purpose.SCHEDULED, Purpose.RERUN})


class PrefectOrchestrator:
    """Implements ``Orchestrator``. A deployment of the environment's name is what schedules start; each candidate has
    one of its own beside it."""

    own_copy = False
    """See ``Orchestrator.own_copy``: the pull step checks the build out, wherever the worker is."""

    def __init__(self, home: Path, lane: Environment, project: str, redact: Callable[[str], str], rest: Rest) -> None:
        self._home = home
        self._lane = lane
        self._project = project
        self._redact = redact
        self._rest = rest
        self._server = Server(rest)
        self._waiting = runs.Waiting(self._server, rest.say, rest.patience)

    @cached_property
    def _ground(self) -> posted.Ground:
        return posted.Ground(self._lane.connection("orchestrator"), self._server.flow(self._project), self._home)

    def serve(self, served: Served) -> None:
        """See ``Orchestrator.serve``. A worker of the environment's own work pool loads the build: what does not load
        there is refused."""
        name = posted.candidate_name(served.environment, served.build)
        specification = kept(self._home, served)
        place = f"{self._rest.url} {self._ground.work_pool(specification or specify(served))}"
        if specification is not None and specification.checked == place:
            found = self._server.deployment(self._project, name)
            wanted = posted.body(self._ground, served, specification, live=False)
            if found is None or not _same(found, wanted):
                self._server.deploy(wanted)
            return
        specification = specify(served)
        made = self._server.deploy(posted.body(self._ground, served, specification, live=False))
        schema = self._check(served, str(made["id"]), digest([place, served.config])[7:15])
        specification = replace(specification, schema=schema, checked=place)
        keep(self._home, served, specification)
        self._server.deploy(posted.body(self._ground, served, specification, live=False))

    def _check(self, served: Served, deployment: str, where: str) -> dict[str, Any]:
        """Have a worker load the build; the schema of its flow's parameters. ``where``: a server, pool and config."""
        labels = {"purpose": _CHECK}
        body = {
            "name": f"{_CHECK}-{served.environment}-{served.build[7:15]}-{where}",
            "tags": posted.tags(labels), "labels": {f"{posted.LABEL}purpose": _CHECK},
            "empirical_policy": {"retries": 0}, "job_variables": {"env": {"LANEWISE_PURPOSE": _CHECK}},
        }  # fmt: skip
        run, _ = runs.wait(self._waiting, runs.start_once(self._server, deployment, body))
        message = str((run.get("state") or {}).get("message") or "")
        if run["state_type"] != "COMPLETED":
            lines = [line for line in runs.lines(self._server, run) if line.strip()]
            self._server.remove(deployment)
            why = _OUR_OWN.sub("", message) if run["state_type"] == "FAILED" else " / ".join([message, *lines[-1:]])
            raise Refused(f"build {served.build[7:15]} does not load in Prefect: {self._redact(why)}",
                          hint=f"the run that tried it is {self._page(run)}")  # fmt: skip
        found: dict[str, Any] = json.loads(message)["schema"]
        return found

    def withdraw(self, build: str) -> None:
        """See ``Orchestrator.withdraw``."""
        found = self._server.deployment(self._project, posted.candidate_name(self._lane.name, build))
        if found is None or found["version"] != build:
            return
        for run in self._server.runs(_of(found, (*QUEUED, *UNDER_WAY))):
            runs.end(self._server, str(run["id"]), "its build was withdrawn")
        self._server.remove(str(found["id"]))

    def adopt(self, served: Served) -> None:
        """See ``Orchestrator.adopt``. Runs of the former build that are queued are started anew, of this build; those
        that run are let end, and Lanewise refuses to publish what they wrote."""
        specification = kept(self._home, served) or specify(served)
        wanted = posted.body(self._ground, served, specification, live=True)
        found = self._server.deployment(self._project, posted.live_name(served.environment))
        if found is None or not _same(found, wanted):
            found = self._server.deploy(wanted)
        for run in self._server.runs(_of(found, QUEUED)):
            if run.get("deployment_version") != served.build:
                self._start_anew(run, str(found["id"]), served)

    def _start_anew(self, run: Found, deployment: str, served: Served) -> None:
        """The clock's own runs, and those of people; what ``lane`` itself waits for is only ended."""
        if not posted.told(run, "run"):
            key = f"{run.get('idempotency_key') or run['id']} of {served.build[7:15]}"
            tags = [tag for tag in run.get("tags") or () if not tag.startswith(posted.LABEL)]
            due = {"type": "SCHEDULED", "state_details": {"scheduled_time": run["expected_start_time"]}}
            self._server.start(deployment, [{
                "name": run["name"], "parameters": run["parameters"], "tags": tags, "state": due,
                "idempotency_key": key, "job_variables": run.get("job_variables") or {},
            }])  # fmt: skip
        self._server.end(str(run["id"]), "CANCELLED", f"build {served.build[7:15]} is live now")

    def standing(self) -> Standing:
        """See ``Orchestrator.standing``."""
        live = self._server.deployment(self._project, posted.live_name(self._lane.name))
        common = {"environment": self._lane.name, "project": self._project}
        candidates = self._server.deployments(posted.tags({**common, "role": "candidate"}))
        clocks = (live or {}).get("schedules") or []
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        active = [
            run
            for one in [*([live] if live else []), *candidates]
            for run in self._server.runs({**_of(one, (*QUEUED, *UNDER_WAY)), "expected_start_time": {"before_": now}})
        ]
        return Standing(
            live=str(live["version"]) if live else "",
            candidates=tuple(sorted(str(one["version"]) for one in candidates)),
            scheduled=bool(live and not live["paused"] and any(one["active"] for one in clocks)),
            active=tuple(posted.told(run, "build") or str(run.get("deployment_version") or "") for run in active),
        )

    def run(self, launch: Launch) -> RunOutcome:
        """See ``Orchestrator.run``. One flow run, whose parameter ``partitions`` says what it computes."""
        began = time.monotonic()
        request = launch.request
        live = request.purpose in _LIVE
        name = (
            posted.live_name(request.environment) if live else posted.candidate_name(request.environment, request.build)
        )
        found = self._server.deployment(self._project, name)
        if found is None or found["version"] != request.build:
            raise Refused(f"Prefect has no deployment {self._project}/{name} of build {request.build[7:15]}",
                          hint="it is posted when the build is promoted: `lane promote` does it again")  # fmt: skip
        identifier = runs.start_once(self._server, str(found["id"]), _asked(launch))
        run, timed_out = runs.wait(self._waiting, identifier, launch.timeout)
        judged = runs.findings(self._server, identifier)
        lines = [self._redact(line) for line in runs.lines(self._server, run)]
        runs.write_log(lines, launch.log, " ".join(f"{key}={value}" for key, value in launch.request.labels.items()))
        message = self._redact(str((run.get("state") or {}).get("message") or ""))
        well = run["state_type"] == "COMPLETED" and all(one.passed or not one.severe for one in judged)
        return RunOutcome(
            0 if well else 1, time.monotonic() - began, runs.tail([*lines, *([] if well else [message])]),
            str(launch.log), timed_out, judged, self._page(run),
        )  # fmt: skip

    def _page(self, run: Found) -> str:
        return f"{self._rest.url}/runs/flow-run/{run['id']}"


def _same(found: Found, wanted: dict[str, Any]) -> bool:
    """Whether a deployment is as it was posted; one that somebody has deployed over is not."""
    name, labels = f"{posted.LABEL}specification", found.get("labels") or {}
    own = ("version", "entrypoint", "pull_steps", "paused")
    return labels.get(name) == wanted["labels"][name] and all(found.get(one) == wanted[one] for one in own)


def _of(deployment: Found, states: tuple[str, ...]) -> Found:
    return {"deployment_id": {"any_": [deployment["id"]]}, "state": {"type": {"any_": list(states)}}}


def _asked(launch: Launch) -> dict[str, Any]:
    """The flow run as it is asked for. What it is told goes with it, for a worker on another machine; it holds
    references and no secret. Lanewise itself tries again, so Prefect does not."""
    labels = {**launch.request.labels, "build": launch.request.build}
    env = {name: value for name in _SENT if (value := launch.environment.get(name)) and len(value) < _LONGEST}
    env |= {"LANEWISE_RUN_ID": launch.request.id, "LANEWISE_PURPOSE": launch.request.purpose.value}
    return {
        "name": launch.request.id,
        "parameters": {"partitions": list(launch.request.partitions)},
        "tags": posted.tags({"purpose": labels["purpose"], "run": labels["run"]}),
        "labels": {f"{posted.LABEL}{name}": value for name, value in labels.items()},
        "context": {"lanewise": json.loads(launch.compiled.read_text(encoding="utf-8"))},
        "empirical_policy": {"retries": 0},
        "job_variables": {"env": env},
    }


def open_orchestrator(
    *, home: Path, lane: Environment, project: str, secrets: Secrets, say: Callable[[str], None]
) -> PrefectOrchestrator:
    """See ``OrchestratorOpener``."""
    connection = lane.connection("orchestrator")
    url = address(connection)
    if not url:
        raise ConfigError(f"the connection {connection.name} has no url", hint='add `url: "http://HOST:4200"`')
    patience = connection.fields.get("patience")
    rest = Rest(
        f"Prefect at {url}", url, say, lambda: login(connection, secrets),
        float(patience) if isinstance(patience, int | float) else PATIENCE,
    )  # fmt: skip
    return PrefectOrchestrator(home, lane, project, secrets.redact, rest)
