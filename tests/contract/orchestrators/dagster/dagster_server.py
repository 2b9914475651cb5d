"""A real Dagster for tests: webserver, daemon and the two code locations of Lanewise, each a process group of its own,
on free ports and in a folder of its own.

    with DagsterServer(tmp_path / "dagster", home=project / ".lanewise", environment="prod").started() as dagster:
        dagster.ask("{ version }")
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[4]
BIN = REPOSITORY / ".cache" / "dagster" / "bin"
LIVE, CANDIDATE = "lanewise.integrations.dagster.live", "lanewise.integrations.dagster.candidate"
DAEMON = """\
import dagster._daemon.controller as controller
controller.DEFAULT_DAEMON_INTERVAL_SECONDS = 1  # it looks at backfills every 30 s, which no test waits for
from dagster._daemon.cli import main
main()
"""
SETTINGS = """\
telemetry: {enabled: false}
run_coordinator:
  module: dagster.core.run_coordinator
  class: QueuedRunCoordinator
  config: {max_concurrent_runs: 2, dequeue_interval_seconds: 1}
"""


class DagsterServer:
    """One Dagster for one environment of the project whose ``.lanewise`` folder is ``home``.

    ``variables`` are further environment variables of its processes. The two locations are code servers of their own,
    as in production: what ``dagster dev`` starts follows a promotion within a minute, which no test waits for.
    """

    def __init__(
        self, folder: Path, *, home: Path, environment: str, variables: Mapping[str, str] | None = None
    ) -> None:
        self.folder = folder
        self.port, *self._ports = free_ports(3)
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("LANEWISE", "DAGSTER"))}
        self._variables = {
            **kept, "DAGSTER_HOME": str(folder), "LANEWISE_HOME": str(home), "LANEWISE_ENV": environment,
            "PATH": f"{BIN}:{os.environ['PATH']}", **(variables or {}),
        }  # fmt: skip
        folder.mkdir(parents=True)
        (folder / "dagster.yaml").write_text(SETTINGS)
        (folder / "workspace.yaml").write_text(json.dumps({"load_from": self._locations()}))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def connection(self) -> dict[str, Any]:
        return {"url": self.url}

    @contextmanager
    def started(self) -> Iterator[DagsterServer]:
        try:
            self.start()
            yield self
        finally:
            self.stop()

    def start(self) -> None:
        make_database = "from dagster import DagsterInstance; DagsterInstance.get()"  # two who make it at once fall out
        subprocess.run([str(BIN / "python"), "-c", make_database], cwd=self.folder, env=self._variables, check=True)
        for module, port in zip((LIVE, CANDIDATE), self._ports, strict=True):
            self._begin(module.rpartition(".")[2], BIN / "dagster", "code-server", "start", "-m", module,
                        "-h", "127.0.0.1", "-p", str(port), "-d", str(self.folder))  # fmt: skip
        for port in self._ports:
            _until(lambda port=port: _listens(port), "a code server", self)  # type: ignore[misc]
        self.start_webserver()
        self.start_daemon()

    def start_daemon(self) -> None:
        self._begin("daemon", BIN / "python", "-c", DAEMON, "run", "-w", str(self.folder / "workspace.yaml"))

    def start_webserver(self) -> None:
        self._begin("webserver", BIN / "dagster-webserver", "-h", "127.0.0.1", "-p", str(self.port),
                    "-w", str(self.folder / "workspace.yaml"))  # fmt: skip
        _until(self._answers, "the webserver", self)

    def stop_webserver(self) -> None:
        _end(self._running.pop("webserver"))

    def stop_daemon(self) -> None:
        _end(self._running.pop("daemon"))

    def stop(self) -> None:
        for process in self._running.values():
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
        for process in self._running.values():
            _end(process, asked=True)
        self._running.clear()

    def ask(self, query: str, **variables: Any) -> Any:
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(f"{self.url}/graphql", data=body, headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            found = json.load(answer)
        assert not found.get("errors"), found["errors"]
        return next(iter(found["data"].values()))

    def logs(self) -> str:
        return "\n".join(f"== {path.name}\n{path.read_text()[-4000:]}" for path in sorted(self.folder.glob("*.log")))

    def _locations(self) -> list[dict[str, Any]]:
        return [
            {"grpc_server": {"host": "127.0.0.1", "port": port, "location_name": module}}
            for module, port in zip((LIVE, CANDIDATE), self._ports, strict=True)
        ]

    def _begin(self, name: str, *command: str | Path) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                [str(word) for word in command], cwd=self.folder, env=self._variables, start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/server_info", timeout=2):
                return True
        except (urllib.error.URLError, OSError):
            return False


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def _listens(port: int) -> bool:
    with socket.socket() as one:
        one.settimeout(1)
        return one.connect_ex(("127.0.0.1", port)) == 0


def _until(true: Any, what: str, server: DagsterServer, seconds: float = 90.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"{what} did not start\n{server.logs()}"
        time.sleep(0.1)


def _end(process: subprocess.Popen[bytes], *, asked: bool = False, patience: float = 10.0) -> None:
    """End the whole group: code servers have children of their own."""
    with suppress(ProcessLookupError):
        if not asked:
            os.killpg(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(patience)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
