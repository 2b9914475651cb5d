"""A real Prefect for tests: its server on SQLite, and a worker of one process work pool, in a folder of their own.

with PrefectServer(tmp_path / "prefect").started() as prefect:
    prefect.rest("POST", "/api/flow_runs/filter", {})
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[4]
BINARIES = REPOSITORY / ".cache" / "prefect" / "bin"
USER = "lane"
POOL = "lanes"


class PrefectServer:
    """``variables`` are further environment variables of the worker: secrets that references of a project name."""

    def __init__(self, folder: Path, variables: Mapping[str, str] | None = None) -> None:
        self.folder, self.port, self.password = folder, free_port(), secrets.token_hex(8)
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        folder.mkdir(parents=True)
        login = f"{USER}:{self.password}"
        own = {
            "PREFECT_HOME": str(folder),
            "PREFECT_API_URL": f"{self.url}/api", "PREFECT_API_AUTH_STRING": login,
            "PREFECT_SERVER_API_AUTH_STRING": login,
            "PREFECT_SERVER_API_HOST": "127.0.0.1", "PREFECT_SERVER_API_PORT": str(self.port),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1",
            "PREFECT_SERVER_UI_ENABLED": "false",
            "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "2",
            "PREFECT_WORKER_QUERY_SECONDS": "1", "PREFECT_WORKER_PREFETCH_SECONDS": "1",
        }  # fmt: skip
        self.variables = {
            "PATH": f"{BINARIES}:/usr/bin:/bin", "HOME": str(folder), "LANG": "C.UTF-8", **own, **(variables or {}),
        }  # fmt: skip

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def connection(self) -> dict[str, Any]:
        """What ``connections`` of environments.yaml says of it, its type left out; the password is ``secrets()``'s."""
        return {"url": self.url, "work_pool": POOL, "user": USER, "password": "env:PREFECT_PASSWORD"}

    def secrets(self) -> dict[str, str]:
        return {"PREFECT_PASSWORD": self.password}

    @contextmanager
    def started(self) -> Iterator[PrefectServer]:
        try:
            self.start()
            yield self
        finally:
            self.stop()

    def start(self) -> None:
        """Start both, and wait until the worker has said that it is there."""
        self.start_api()
        self.rest("POST", "/api/work_pools/", {"name": POOL, "type": "process", "base_job_template": TEMPLATE})
        self.start_worker()

    def start_api(self) -> None:
        self._start("server", "server", "start")
        self.until(self._answers, "the server")

    def stop_api(self) -> None:
        self._end("server")

    def start_worker(self) -> None:
        self._start("worker", "worker", "start", "--pool", POOL, "--type", "process")
        self.until(lambda: any(w["status"] == "ONLINE" for w in self.workers()), "the worker")

    def pause(self) -> None:
        """The worker is given nothing."""
        self.rest("PATCH", f"/api/work_pools/{POOL}", {"is_paused": True})

    def resume(self) -> None:
        self.rest("PATCH", f"/api/work_pools/{POOL}", {"is_paused": False})

    def workers(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.rest("POST", f"/api/work_pools/{POOL}/workers/filter", {})
        return found

    def stop(self) -> None:
        for name in list(self._running):
            self._end(name)

    def rest(self, method: str, path: str, body: object = None) -> Any:
        """The JSON of one request; an error for any other status than a success."""
        data = None if body is None else json.dumps(body).encode()
        pair = base64.b64encode(f"{USER}:{self.password}".encode()).decode()
        headers = {"Authorization": f"Basic {pair}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}{path}", data=data, method=method, headers=headers)
        for attempt in range(30):
            try:
                with urllib.request.urlopen(request, timeout=30) as response:
                    content = response.read()
                return json.loads(content) if content else None
            except urllib.error.HTTPError as error:
                if error.code != 503 or attempt == 29:  # its SQLite is locked now and then
                    raise
                time.sleep(0.5)
        raise AssertionError("the last attempt returns or raises")

    def runs(self, **wanted: Any) -> list[dict[str, Any]]:
        """Flow runs, oldest first."""
        body = {"flow_runs": wanted, "sort": "EXPECTED_START_TIME_ASC"}
        found: list[dict[str, Any]] = self.rest("POST", "/api/flow_runs/filter", body)
        return found

    def deployment(self, flow: str, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.rest("GET", f"/api/deployments/name/{flow}/{name}")
        return found

    def finished(self, run: str) -> dict[str, Any]:
        """Wait for a flow run; as it stands then."""
        over = {"COMPLETED", "FAILED", "CANCELLED", "CRASHED"}
        self.until(lambda: self.rest("GET", f"/api/flow_runs/{run}")["state_type"] in over, f"flow run {run}")
        found: dict[str, Any] = self.rest("GET", f"/api/flow_runs/{run}")
        return found

    def said(self, run: str) -> str:
        """All that a flow run logged."""
        body = {"logs": {"flow_run_id": {"any_": [run]}}, "sort": "TIMESTAMP_ASC"}
        return "\n".join(one["message"] for one in self.rest("POST", "/api/logs/filter", body))

    def until(self, there: Callable[[], bool], what: str, seconds: float = 240) -> None:
        deadline = time.monotonic() + seconds
        while not there():
            for name, process in self._running.items():
                assert process.poll() is None, f"{name} has ended:\n{self._log(name)[-3000:]}"
            assert time.monotonic() < deadline, f"{what} is not there after {seconds} s:\n{self._log('worker')[-3000:]}"
            time.sleep(0.2)

    def _answers(self) -> bool:
        try:
            self.rest("GET", "/api/health")
        except (OSError, urllib.error.URLError):
            return False
        return True

    def _start(self, name: str, *words: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                [str(BINARIES / "prefect"), *words], cwd=self.folder, env=self.variables, start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip

    def _end(self, name: str) -> None:
        """Its whole group: a worker's flow runs are in it."""
        process = self._running.pop(name, None)
        if process is None:
            return
        for number, patience in ((signal.SIGTERM, 8.0), (signal.SIGKILL, 5.0)):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with suppress(subprocess.TimeoutExpired):
                process.wait(patience)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

    def _log(self, name: str) -> str:
        file = self.folder / f"{name}.log"
        return file.read_text(errors="replace") if file.exists() else ""


TEMPLATE: dict[str, Any] = {
    "job_configuration": {
        name: f"{{{{ {name} }}}}" for name in ("command", "env", "labels", "name", "stream_output", "working_dir")
    },
    "variables": {
        "type": "object",
        "properties": {
            "env": {"type": "object", "additionalProperties": {"type": "string"}},
            "labels": {"type": "object"},
            "stream_output": {"type": "boolean", "default": True},
            **{name: {"type": "string"} for name in ("name", "command", "working_dir")},
        },
    },
}
"""That of a process work pool, as Prefect makes it."""


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
