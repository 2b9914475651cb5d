"""A real Airflow for tests: api-server, scheduler and dag-processor, singly, on a SQLite database of its own.

with AirflowServer(tmp_path / "airflow", home=project / ".lanewise", environment="prod").started() as airflow:
    airflow.rest("GET", "/api/v2/dags")
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
import signal
import socket
import sqlite3
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[4]
VENV = REPOSITORY / ".cache" / "airflow"
TEMPLATE = REPOSITORY / ".cache" / "airflow-template"
USER = "lane"
GLUE = "lanewise.integrations.airflow"
BUNDLES = (
    {"name": "lanewise", "classpath": f"{GLUE}.LanewiseBundle", "kwargs": {"refresh_interval": 1}},
    {"name": "lanewise-candidates", "classpath": f"{GLUE}.LanewiseCandidates", "kwargs": {"refresh_interval": 1}},
)
SECRETS = f"{GLUE}.LanewiseSecrets"


class AirflowServer:
    """One Airflow in ``folder`` for one environment of the project whose ``.lanewise`` folder is ``home``.

    ``variables`` are further environment variables of its processes (secrets that ``env:`` references name, say);
    ``bundles`` stand in for the two of Lanewise.
    """

    def __init__(self, folder: Path, *, home: Path, environment: str, variables: Mapping[str, str] | None = None,
                 bundles: Sequence[Mapping[str, Any]] = BUNDLES) -> None:  # fmt: skip
        self.folder, self.home, self.environment = folder, home, environment
        self.port = free_port()
        self.password = secrets.token_hex(8)
        self._token = ""
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        folder.mkdir(parents=True)
        (folder / "passwords.json").write_text(json.dumps({USER: self.password}))
        self.variables = self._variables(bundles) | dict(variables or {})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def connection(self) -> dict[str, Any]:
        """What ``connections`` of environments.yaml says of it; the password is in ``AIRFLOW_PASSWORD`` (see there)."""
        return {"type": "airflow", "url": self.url, "user": USER, "password": "env:AIRFLOW_PASSWORD"}

    @contextmanager
    def started(self, *, parser_only: bool = False) -> Iterator[AirflowServer]:
        try:
            self.start(parser_only=parser_only)
            yield self
        finally:
            self.stop()

    def start(self, *, parser_only: bool = False) -> None:
        """Start all three and wait until the API answers and the dag-processor's heart beats; or start the
        dag-processor alone, and wait for nothing."""
        copy_template(self.folder / "airflow.db", self.variables)
        if parser_only:
            self.start_again("dag-processor")
            return
        self.start_api(wait=False)
        self.start_again("scheduler")
        self.start_again("dag-processor")
        self._wait_for_api()
        self.until(lambda: self._healthy("dag_processor") and self._healthy("scheduler"), "scheduler and dag-processor")

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask Airflow's database, which nothing may write to but Airflow."""
        with sqlite3.connect(f"file:{self.folder}/airflow.db?mode=ro", uri=True, timeout=10) as database:
            return database.execute(sql).fetchall()

    def stop(self) -> None:
        """End every process that was started here, children of theirs included."""
        for process in self._running.values():  # all at once, so that they are waited for side by side
            with suppress(ProcessLookupError):
                process.terminate()
        for name in list(self._running):
            self.end(name)

    def start_api(self, *, wait: bool = True) -> None:
        self._start("api-server", "api-server", "--host", "127.0.0.1", "--port", str(self.port), "--workers", "1")
        if wait:
            self._wait_for_api()

    def stop_api(self) -> None:
        """The API is away; scheduler and dag-processor stay (tasks need the API to begin and to end)."""
        self.end("api-server")

    @contextmanager
    def away(self) -> Iterator[None]:
        """The API is away inside of the block."""
        self.stop_api()
        try:
            yield
        finally:
            self.start_api()

    def rest(self, method: str, path: str, body: Any = None) -> Any:
        """One request as the user ``lane``; the JSON of the answer. ``HTTPError`` above 399, its text as a note."""
        if not self._token:
            self._token = str(self._ask("POST", "/auth/token", {"username": USER, "password": self.password}, token="")
                              ["access_token"])  # fmt: skip
        return self._ask(method, path, body, token=self._token)

    def until(self, met: Callable[[], Any], what: str, *, seconds: float = 60, every: float = 0.2) -> Any:
        """The first true value of ``met``; an ``AssertionError`` with the servers' last lines when time is up."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for name, process in self._running.items():
                if process.poll() is not None:
                    raise AssertionError(f"airflow {name} ended with {process.returncode}\n{self.logs()}")
            found = met()
            if found:
                return found
            time.sleep(every)
        raise AssertionError(f"{what}: not within {seconds} s\n{self.logs()}")

    def logs(self, lines: int = 25) -> str:
        """The last lines of each server's output, for a failure's message."""
        shown = []
        for file in sorted(self.folder.glob("*.log")):
            told = [line for line in file.read_text(errors="replace").splitlines() if "http_access_log" not in line]
            shown += [f"--- {file.name}", *told[-lines:]]
        return "\n".join(shown)

    def task_log(self, dag: str, run: str) -> str:
        """All that the tasks of a run wrote."""
        folder = self.folder / "logs" / f"dag_id={dag}" / f"run_id={run}"
        return "\n".join(f"--- {file.parent.name}\n{file.read_text(errors='replace')}"
                         for file in sorted(folder.rglob("*.log")))  # fmt: skip

    def command(self, *words: str) -> str:
        """``airflow WORDS`` in this Airflow; what it printed on standard output."""
        done = subprocess.run([VENV / "bin" / "airflow", *words], env=self.variables, cwd=self.folder,
                              capture_output=True, text=True, timeout=120, check=False)  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def _variables(self, bundles: Sequence[Mapping[str, Any]]) -> dict[str, str]:
        settings = {
            "CORE__LOAD_EXAMPLES": "False",
            "CORE__PARALLELISM": "2",
            "CORE__DAGS_FOLDER": str(self.folder / "no-dags"),
            "CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "CORE__FERNET_KEY": "VmPYvpDmzOcCHbf1LqdEHC0tsXfl1CBBPeq1hUuTzYI=",
            "CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": "0",
            "CORE__MIN_SERIALIZED_DAG_FETCH_INTERVAL": "0",
            "CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
            "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(self.folder / "passwords.json"),
            "DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{self.folder}/airflow.db",
            "API__HOST": "127.0.0.1",
            "API__PORT": str(self.port),
            "API__BASE_URL": self.url,
            "API__WORKERS": "1",
            "API__SECRET_KEY": "a key of the tests",
            "API_AUTH__JWT_SECRET": "another key of the tests, of enough bytes for every algorithm there is in HS512",
            "LOGGING__BASE_LOG_FOLDER": str(self.folder / "logs"),
            "LOGGING__DAG_PROCESSOR_CHILD_PROCESS_LOG_DIRECTORY": str(self.folder / "logs" / "dag_processor"),
            "SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
            "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
            "DAG_PROCESSOR__REFRESH_INTERVAL": "1",
            "DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL": "1",
            "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "5",
            "DAG_PROCESSOR__PARSING_PROCESSES": "2",
            "DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH": str(self.folder / "bundles"),
            "DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(list(bundles)),
            "SECRETS__BACKEND": SECRETS,
            "WORKERS__SECRETS_BACKEND": SECRETS,
            "WORKERS__MIN_HEARTBEAT_INTERVAL": "1",  # so long an ended task keeps its slot
            "USAGE_DATA_COLLECTION__ENABLED": "False",
        }
        return {
            "PATH": f"{VENV / 'bin'}:{os.environ['PATH']}", "HOME": str(self.folder), "LANG": "C.UTF-8",
            "PYTHONUNBUFFERED": "1", "AIRFLOW_HOME": str(self.folder),
            "LANEWISE_HOME": str(self.home), "LANEWISE_ENV": self.environment, "AIRFLOW_PASSWORD": self.password,
            **{f"AIRFLOW__{name}": value for name, value in settings.items()},
        }  # fmt: skip

    def _start(self, name: str, *words: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                [VENV / "bin" / "airflow", *words], env=self.variables, cwd=self.folder, stdin=subprocess.DEVNULL,
                stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    def end(self, name: str) -> None:
        """End one of ``api-server``, ``scheduler``, ``dag-processor`` and all that it started."""
        process = self._running.pop(name)
        with suppress(ProcessLookupError):
            process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(5)
        for member in _session(process.pid):  # tasks have a process group of their own, and the session in common
            with suppress(ProcessLookupError):
                os.kill(member, signal.SIGKILL)
        process.wait(5)

    def kill(self, name: str) -> None:
        """End one of them as a crash would: at once, with no time to tidy up."""
        process = self._running.pop(name)
        for member in _session(process.pid):
            with suppress(ProcessLookupError):
                os.kill(member, signal.SIGKILL)
        process.wait(5)

    def start_again(self, name: str) -> None:
        """Start ``scheduler`` or ``dag-processor`` once more after ``end`` or ``kill``."""
        self._start(name, name, *(["--skip-serve-logs"] if name == "scheduler" else []))

    def _wait_for_api(self) -> None:
        self.until(self._answers, "the API")

    def _answers(self) -> bool:
        with suppress(OSError):
            return self._ask("GET", "/api/v2/monitor/health", None, token="") is not None
        return False

    def _healthy(self, part: str) -> bool:
        with suppress(OSError):
            return bool(self._ask("GET", "/api/v2/monitor/health", None, token="")[part]["status"] == "healthy")
        return False

    def _ask(self, method: str, path: str, body: Any, *, token: str) -> Any:
        request = urllib.request.Request(f"{self.url}{path}", method=method,
                                         data=None if body is None else json.dumps(body).encode())  # fmt: skip
        request.add_header("Content-Type", "application/json")
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            error.add_note(error.read().decode(errors="replace"))
            raise
        return json.loads(text) if text else None


def copy_template(into: Path, variables: Mapping[str, str]) -> None:
    """Put a migrated, empty database there. It takes 10 s to make, so one is kept for all tests."""
    version = next((VENV / "lib").glob("python*/site-packages/apache_airflow-*.dist-info")).name
    TEMPLATE.mkdir(parents=True, exist_ok=True)
    kept = TEMPLATE / f"{version}.db"
    with (TEMPLATE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            made = TEMPLATE / "being-made.db"
            made.unlink(missing_ok=True)
            subprocess.run([VENV / "bin" / "airflow", "db", "migrate"], check=True, capture_output=True,
                           env={**variables, "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{made}"})  # fmt: skip
            made.replace(kept)
    shutil.copyfile(kept, into)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on just now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _session(leader: int) -> list[int]:
    """The processes of a session: the one that was started here, and all that it started."""
    members = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError, ProcessLookupError):
                if os.getsid(int(entry.name)) == leader:
                    members.append(int(entry.name))
    return members
