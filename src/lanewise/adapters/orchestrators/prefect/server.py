"""What is asked of a Prefect server, by its REST API."""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from lanewise.adapters.orchestrators.rest import Answer, Rest
from lanewise.domain.environment import Connection
from lanewise.domain.ports import Secrets
from lanewise.errors import ConfigError, LoginRefused, OrchestratorUnavailable, WrongInput

OVER = frozenset({"COMPLETED", "FAILED", "CANCELLED", "CRASHED"})
"""The types of state in which a flow run stays."""

QUEUED = ("SCHEDULED",)
UNDER_WAY = ("PENDING", "RUNNING", "PAUSED", "CANCELLING")

_TRIES = 8
_OUR_FAULT = ("Parameter", "Invalid schema", "Error validating", "Cannot create", "Validation")

Found = dict[str, Any]


def address(connection: Connection) -> str:
    """Where its pages are: the connection's ``url``, without the API's own part."""
    return str(connection.fields.get("url") or "").rstrip("/").removesuffix("/api")


def login(connection: Connection, secrets: Secrets) -> Mapping[str, str]:
    """The header of the connection's login: ``token``, or ``user`` and ``password``; none where it has neither."""
    token, password = connection.secrets.get("token"), connection.secrets.get("password")
    if token:
        return {"Authorization": f"Bearer {secrets.resolve(token)}"}
    if not password:
        return {}
    pair = f"{connection.fields.get('user', '')}:{secrets.resolve(password)}"
    return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


class Server:
    """One Prefect server. Every method may be called again."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest

    def flow(self, name: str) -> str:
        """The id of the flow of that name, made where there is none."""
        return str(self._done(self._rest.post("/api/flows/", {"name": name}), "make a flow")["id"])

    def deployment(self, flow: str, name: str) -> Found | None:
        """A deployment as it stands, or None."""
        answer = self._rest.get(f"/api/deployments/name/{quote(flow, safe='')}/{quote(name, safe='')}")
        return None if answer.status == 404 else self._done(answer, "read a deployment")

    def deployments(self, tags: Sequence[str]) -> list[Found]:
        """Those that carry all of these tags."""
        wanted = {"deployments": {"tags": {"all_": list(tags)}}, "limit": 200}
        return self._many(self._rest.post("/api/deployments/filter", wanted), "list deployments")

    def deploy(self, body: Found) -> Found:
        """Post a deployment; one of the same flow and name becomes this."""
        answer = self._rest.post("/api/deployments/", body)
        if answer.status == 404 and "ork pool" in _detail(answer):
            pool = body["work_pool_name"]
            hint = f"`prefect work-pool create {pool} --type process`, and start a worker of it"
            raise ConfigError(f"{self._rest.name} has no work pool {pool!r}", hint=hint)
        return self._done(answer, f"post the deployment {body['name']}")

    def remove(self, deployment: str) -> None:
        """Delete a deployment; nothing where it is gone."""
        answer = self._rest.delete(f"/api/deployments/{deployment}")
        if answer.status != 404:
            self._done(answer, "delete a deployment")

    def start(self, deployment: str, bodies: Sequence[Found]) -> list[str]:
        """Create flow runs, each once by its idempotency key; their ids. Asks again where the server has failed inside
        (on SQLite its database is locked now and then), which it tells with a success."""
        for attempt in range(_TRIES):
            answer = self._rest.post(f"/api/deployments/{deployment}/create_flow_run/bulk", list(bodies))
            made = self._done(answer, "start flow runs")["results"]
            failed = [str(one["error"]).partition("\n")[0] for one in made if one["status"] != "CREATED"]
            if not failed:
                return [str(one["flow_run_id"]) for one in made]
            if failed[0].startswith(_OUR_FAULT):
                raise WrongInput(f"{self._rest.name} does not start a flow run: {failed[0]}")
            time.sleep(0.5 * (attempt + 1))
        hint = "look at the server's log; doing the same again goes on from here"
        raise OrchestratorUnavailable(f"{self._rest.name} does not start a flow run: {failed[0]}", hint=hint)

    def run(self, identifier: str) -> Found:
        """A flow run as it stands."""
        return self._done(self._rest.get(f"/api/flow_runs/{identifier}"), "read a flow run")

    def runs(self, wanted: Found, *, limit: int = 200) -> list[Found]:
        """Flow runs that a filter takes, newest first."""
        body = {"flow_runs": wanted, "sort": "EXPECTED_START_TIME_DESC", "limit": limit}
        return self._many(self._rest.post("/api/flow_runs/filter", body), "list flow runs")

    def end(self, identifier: str, state: str, reason: str) -> None:
        """Ask for CANCELLING (its worker ends the process) or set CANCELLED (nothing runs yet, or nobody answers)."""
        named = {"type": state, "name": state.capitalize(), "message": reason}  # workers listen for the name
        body = {"state": named, "force": state == "CANCELLED"}
        answer = self._rest.post(f"/api/flow_runs/{identifier}/set_state", body)
        if answer.status != 404:
            self._done(answer, "end a flow run")

    def has_worker(self, pool: str) -> bool:
        """Whether a work pool gives out work, and somebody is there to take it."""
        answer = self._rest.get(f"/api/work_pools/{quote(pool, safe='')}")
        return bool(answer.ok and answer.body.get("status") == "READY" and not answer.body.get("is_paused"))

    def tasks(self, run: str) -> list[Found]:
        """The task runs of a flow run."""
        body = {"flow_runs": {"id": {"any_": [run]}}, "sort": "EXPECTED_START_TIME_ASC", "limit": 200}
        return self._many(self._rest.post("/api/task_runs/filter", body), "list task runs")

    def logs(self, run: str) -> list[Found]:
        """The last 200 entries of a flow run's log, oldest first."""
        body = {"logs": {"flow_run_id": {"any_": [run]}}, "sort": "TIMESTAMP_DESC", "limit": 200}
        return self._many(self._rest.post("/api/logs/filter", body), "read a log")[::-1]

    def _done(self, answer: Answer, what: str) -> Found:
        self._demand(answer, what)
        return answer.body if isinstance(answer.body, dict) else {}

    def _many(self, answer: Answer, what: str) -> list[Found]:
        self._demand(answer, what)
        return answer.body if isinstance(answer.body, list) else []

    def _demand(self, answer: Answer, what: str) -> None:
        if answer.status in {401, 403}:
            hint = "the connection's user and password, or its token, must be the server's own"
            raise LoginRefused(f"{self._rest.name} refuses the login", hint=hint)
        if not answer.ok:
            said, hint = _detail(answer)[:300], "look at the server's log; doing the same again goes on from here"
            raise OrchestratorUnavailable(f"{self._rest.name} did not {what}: {answer.status} {said}", hint=hint)


def _detail(answer: Answer) -> str:
    body = answer.body if isinstance(answer.body, dict) else {}
    return str(body.get("detail") or body.get("exception_detail") or body.get("exception_message") or "")
