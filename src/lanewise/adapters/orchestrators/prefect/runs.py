"""Flow runs that Lanewise starts: once each, waited for, and read back as evidence."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lanewise.adapters.orchestrators.prefect.server import OVER, QUEUED, Found, Server
from lanewise.domain.run import Finding
from lanewise.errors import OrchestratorUnavailable, OutsideBroke

_POLL = 0.5  # seconds
_TAIL = 40  # lines
_SETTLING = 6.0  # seconds: task runs and logs reach the server a moment after their flow run has ended
_FLOW_LOG = "prefect.flow_runs"
_ENDING = 40.0  # seconds that a worker has to end a process before the run is given up for ended
TOLERATED = "lanewise/may-fail"
"""A task's tag: it may fail, and the run counts."""


@dataclass(frozen=True)
class Waiting:
    """How runs are waited for. ``say`` tells why it takes long; ``patience``: seconds without a worker."""

    server: Server
    say: Callable[[str], None]
    patience: float


def start_once(server: Server, deployment: str, body: Found) -> str:
    """Start a flow run by its name, and its id. One of that name that has not come to nothing is this one: it was
    started before a crash. One that has is tried again."""
    name = body["name"]
    earlier = [one for one in server.runs({"name": {"any_": [name]}}) if _is(one, name)]
    standing = [one for one in earlier if one["state_type"] not in OVER or one["state_type"] == "COMPLETED"]
    if standing:
        return str(standing[0]["id"])
    key = f"{name}#{len(earlier) + 1}" if earlier else name
    return server.start(deployment, [{**body, "idempotency_key": key}])[0]


def _is(run: Found, name: str) -> bool:
    return str(run.get("idempotency_key") or "").partition("#")[0] == name


def wait(waiting: Waiting, identifier: str, timeout: float | None = None) -> tuple[Found, bool]:
    """Wait until a flow run is over: as it stands then, and whether its time ran out (``timeout``, seconds from its
    start). ``OrchestratorUnavailable`` when nobody takes it within the patience, and its work pool has no worker or is
    paused: then it is taken back."""
    server, asked, started = waiting.server, time.monotonic(), 0.0
    said = False
    while True:
        run = server.run(identifier)
        if run["state_type"] in OVER:
            return run, False
        now = time.monotonic()
        if run["state_type"] in QUEUED or not run.get("start_time"):
            if not said and now - asked > 20:
                said = True
                waiting.say(f"{run['name']} waits for a worker of work pool {run.get('work_pool_name') or '?'}")
            if now - asked > waiting.patience and not server.has_worker(str(run.get("work_pool_name"))):
                server.end(identifier, "CANCELLED", "no worker took it")
                raise OrchestratorUnavailable(f"no worker of Prefect took {run['name']} in {waiting.patience:.0f} s",
                                              hint="start one: `prefect worker start --pool …`")  # fmt: skip
        else:
            started = started or now
            if timeout is not None and now - started > timeout:
                return end(server, identifier, f"its time ran out: {timeout:.0f} s"), True
        time.sleep(_POLL)


def end(server: Server, identifier: str, reason: str) -> Found:
    """End a flow run, whatever it is at; as it stands then."""
    run = server.run(identifier)
    if run["state_type"] in QUEUED:
        server.end(identifier, "CANCELLED", reason)
    elif run["state_type"] not in OVER:
        server.end(identifier, "CANCELLING", reason)
    deadline = time.monotonic() + _ENDING
    while (run := server.run(identifier))["state_type"] not in OVER:
        if time.monotonic() > deadline:  # its worker is gone, and its process with it
            server.end(identifier, "CANCELLED", reason)
            deadline += _ENDING
        time.sleep(_POLL)
    return run


def findings(server: Server, identifier: str) -> tuple[Finding, ...]:
    """What became of each task. One that failed counts against the run even where the flow went on without it, unless
    it carries the tag ``lanewise/may-fail``."""
    deadline = time.monotonic() + _SETTLING
    while True:
        found = server.tasks(identifier)
        if all(one["state_type"] in OVER for one in found) or time.monotonic() > deadline:
            return tuple(_finding(one) for one in found)
        time.sleep(_POLL)


def _finding(task: Found) -> Finding:
    over, state = task["state_type"] in OVER, task.get("state") or {}
    passed = task["state_type"] == "COMPLETED" if over else None
    message = "" if passed else str(state.get("message") or task.get("state_name") or "")
    return Finding(str(task["name"]), "task", passed, TOLERATED not in (task.get("tags") or ()), message)


def lines(server: Server, run: Found) -> list[str]:
    """What a flow run that is over logged, at most its last 200 entries."""
    deadline = time.monotonic() + _SETTLING
    while True:
        found = server.logs(str(run["id"]))
        told = any(one["name"] == _FLOW_LOG and str(one["message"]).startswith("Finished in state") for one in found)
        if told or run["state_type"] not in {"COMPLETED", "FAILED"} or time.monotonic() > deadline:
            return [line for one in found for line in str(one["message"]).splitlines()]
        time.sleep(_POLL)


def write_log(lines: list[str], log: Path, label: str) -> None:
    """Keep what a run logged on this machine too, each line labelled, for its owner alone."""
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "w", encoding="utf-8") as file:
            file.writelines(f"{label} | {line}\n" for line in lines)
    except OSError as error:
        raise OutsideBroke(f"{log} can't be written: {error.strerror}") from error


def tail(lines: list[str]) -> str:
    """The last lines, as one text."""
    return "\n".join(lines[-_TAIL:])
