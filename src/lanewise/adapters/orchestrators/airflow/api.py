"""Airflow's REST API, version 2, as far as a build's way needs it. Every request may be sent twice."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from lanewise.adapters.orchestrators.airflow.records import FAILED, Dag, DagRun, Task
from lanewise.adapters.orchestrators.rest import Answer, Rest
from lanewise.domain.environment import SecretRef
from lanewise.domain.ports import Secrets
from lanewise.errors import LoginRefused, OrchestratorUnavailable

_PAGE = 100
_STUMBLES = 5  # an answer 500 is most often a database that was busy: SQLite's says so under load


@dataclass
class Login:
    """How to be let in: a user and the reference to a password, or to a ready token. ``connection`` is its name, for
    messages. A password is resolved when it is needed; refused, it is resolved anew, and its previous one tried."""

    connection: str
    user: str
    password: SecretRef | None
    token: SecretRef | None
    secrets: Secrets
    _held: str = ""

    def headers(self, rest: Rest) -> Mapping[str, str]:
        """Those of a request; logs in first where there is no token yet."""
        if not self._held:
            self._held = self._new(rest)
        return {"Authorization": f"Bearer {self._held}"}

    def expired(self) -> None:
        """The server did not take the token any more."""
        self._held = ""

    def _new(self, rest: Rest) -> str:
        if self.token is not None:
            return self.secrets.resolve(self.token)
        if self.password is None:
            raise LoginRefused(f"the connection {self.connection} names no login",
                               hint="give it `user` and `password: REFERENCE`, or `token: REFERENCE`")  # fmt: skip
        for previous in (False, True) if self.password.previous else (False,):
            word = self.secrets.resolve(self.password, previous=previous)
            found = rest.send("POST", "/auth/token", {"username": self.user, "password": word}, {})
            if found.ok and found.body and found.body.get("access_token"):
                return str(found.body["access_token"])
        raise self.refused(rest, found.status)

    def refused(self, rest: Rest, status: int) -> LoginRefused:
        """The error for a login that was not taken."""
        reference = self.token or self.password
        shown = reference.text if reference else "nothing"
        return LoginRefused(f"{rest.name} refuses {self.user or 'the token'} with what {shown} resolves to ({status})",
                            hint=f"look at the connection {self.connection}")  # fmt: skip


class Api:
    """One Airflow. ``url`` is its api-server; ``say`` tells a person why this waits, at most ``patience`` seconds."""

    def __init__(self, url: str, login: Login, say: Callable[[str], None], patience: float) -> None:
        self.url = url.rstrip("/")
        self.name = f"Airflow at {self.url}"
        self.outages = 0
        """How often this Airflow was away, as far as it was noticed here."""
        self._login = login
        self._say = say
        self._rest = Rest(self.name, self.url, self._tell, patience=patience)
        self._rest.headers = lambda: login.headers(self._rest)

    def dag(self, dag: str) -> Dag | None:
        """The DAG of that id; None where Airflow has none."""
        found = self._ask("GET", f"/dags/{_word(dag)}", nothing=404)
        return Dag.of(found) if found else None

    def unpause(self, dag: str) -> None:
        """Let its runs begin."""
        self._ask("PATCH", f"/dags/{_word(dag)}", {"is_paused": False})

    def parse_again(self, dag: Dag) -> None:
        """Ask the dag-processor to look at the DAG's bundle now, not after its refresh interval. 409: it has been asked
        already, and has not got round to it."""
        self._send("PUT", f"/parseDagFile/{_word(dag.file_token)}", accept=(404, 409))

    def import_errors(self, part: str) -> tuple[tuple[str, str], ...]:
        """(file, what was said) of each file whose path has ``part`` in it and that did not load."""
        query = [("filename_pattern", f"%{part}%")]
        return tuple((str(one["filename"]), str(one["stack_trace"]))
                     for one in self._pages("/importErrors", "import_errors", query))  # fmt: skip

    def unwell(self) -> str:
        """What keeps Airflow from taking a build up: the part of it that is not heard of; empty when all is well."""
        found = self._ask("GET", "/monitor/health")
        parts = {"dag_processor": "dag-processor", "scheduler": "scheduler"}
        return next((name for key, name in parts.items() if (found.get(key) or {}).get("status") != "healthy"), "")

    def trigger(self, dag: str, body: Mapping[str, Any]) -> Answer:
        """Start a run; 200 with the run, 409 where one of that id exists, 404 while the DAG is not there, 400 with the
        reason."""
        return self._send("POST", f"/dags/{_word(dag)}/dagRuns", dict(body), accept=(400, 404, 409))

    def run(self, dag: str, run: str) -> DagRun | None:
        """One run; None where there is none."""
        found = self._ask("GET", f"/dags/{_word(dag)}/dagRuns/{_word(run)}", nothing=404)
        return DagRun.of(found) if found else None

    def runs(self, dag: str, states: Sequence[str], newest: int = 0) -> tuple[DagRun, ...]:
        """The DAG's runs in these states, the newest first; at most so many, or all."""
        query = [("state", state) for state in states] + [("order_by", "-id")]
        found = self._pages(f"/dags/{_word(dag)}/dagRuns", "dag_runs", query, newest)
        return tuple(DagRun.of(one) for one in found)

    def end(self, run: DagRun) -> None:
        """Mark a run as failed: what works is ended, what waits is skipped."""
        self._ask("PATCH", f"{_path(run)}?update_mask=state", {"state": FAILED}, nothing=404)

    def note(self, run: DagRun, text: str) -> None:
        """Write a run's note."""
        self._ask("PATCH", f"{_path(run)}?update_mask=note", {"note": text}, nothing=404)

    def begin_anew(self, run: DagRun, *, newest: bool, only_failed: bool = False) -> None:
        """Run all of it again, or what failed; by the newest version of its DAG, or its own."""
        body = {"dry_run": False, "only_failed": only_failed, "run_on_latest_version": newest}
        self._ask("POST", f"{_path(run)}/clear", body, nothing=404)

    def tasks(self, run: DagRun) -> tuple[Task, ...]:
        """The run's tasks."""
        return tuple(Task.of(one) for one in self._pages(f"{_path(run)}/taskInstances", "task_instances", []))

    def told(self, run: DagRun, task: str) -> Mapping[str, Any]:
        """What a task of the run left for others, where that is a mapping; else nothing."""
        path = f"{_path(run)}/taskInstances/{_word(task)}/xcomEntries/return_value?stringify=false"
        value = (self._ask("GET", path, nothing=404) or {}).get("value")
        return value if isinstance(value, Mapping) else {}

    def log(self, run: DagRun, task: Task) -> Sequence[Any]:
        """The lines of a task's latest try, as Airflow keeps them; none where there is no log."""
        path = f"{_path(run)}/taskInstances/{_word(task.name)}/logs/{max(task.tries, 1)}"
        found = self._ask("GET", f"{path}?map_index={task.index}&full_content=true", nothing=404)
        lines: Sequence[Any] = (found or {}).get("content") or ()
        return lines if isinstance(lines, list) else str(lines).splitlines()

    def page(self, run: DagRun) -> str:
        """Where a person sees the run."""
        return f"{self.url}/dags/{_word(run.dag)}/runs/{_word(run.id)}"

    def _tell(self, text: str) -> None:
        """All that there is to tell of a connection is that it was lost, and that it is back."""
        self.outages += 1
        self._say(text)

    def _pages(self, path: str, key: str, query: list[tuple[str, str]], limit: int = 0) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while True:
            words = urlencode([*query, ("limit", str(limit or _PAGE)), ("offset", str(len(found)))])
            page = self._ask("GET", f"{path}?{words}", nothing=404) or {key: []}
            found += page[key]
            if limit or not page[key] or len(found) >= int(page.get("total_entries") or 0):
                return found

    def _ask(self, method: str, path: str, body: object = None, *, nothing: int = 0) -> Any:
        """The answer's JSON; None for the status ``nothing``."""
        found = self._send(method, path, body, accept=(nothing,))
        return found.body if found.ok else None

    def _send(self, method: str, path: str, body: object = None, *, accept: Sequence[int] = ()) -> Answer:
        stumbles, renewed = 0, False
        while True:
            found = self._rest.send(method, f"/api/v2{path}", body)
            if found.ok or found.status in accept:
                return found
            if found.status == 401 and not renewed:
                self._login.expired()
                renewed = True
            elif found.status in {401, 403}:
                raise self._login.refused(self._rest, found.status)
            elif found.status >= 500 and stumbles < _STUMBLES:
                stumbles += 1
                time.sleep(0.3 * stumbles)
            else:
                asked = f"{method} {path.partition('?')[0]}"
                raise OrchestratorUnavailable(f"{self.name} answers {found.status} to {asked}{reason_of(found)}",
                                              hint="its api-server's log has more")  # fmt: skip


def reason_of(answer: Answer) -> str:
    """What the server said of a request that it did not do, as the end of a sentence."""
    said = (answer.body or {}).get("detail") if isinstance(answer.body, Mapping) else None
    return f": {said}" if said else ""


def _path(run: DagRun) -> str:
    return f"/dags/{_word(run.dag)}/dagRuns/{_word(run.id)}"


def _word(text: str) -> str:
    return quote(text, safe="")
