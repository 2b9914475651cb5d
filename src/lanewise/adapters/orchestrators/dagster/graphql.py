"""One question to Dagster's GraphQL API, and its answer or the error that it stands for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from lanewise.adapters.orchestrators.rest import Answer, Rest
from lanewise.errors import LoginRefused, OrchestratorUnavailable


class AnswerLost(OrchestratorUnavailable):
    """Whether the server has done what it was asked is not known."""


_FAULTS = frozenset({"PythonError", "UnauthorizedError"})


@dataclass(frozen=True)
class GraphQL:
    """Dagster's webserver."""

    rest: Rest

    def ask(self, query: str, *, patient: bool = True, **variables: Any) -> Any:
        """The one field that ``query`` asks for, as JSON data; errors that Dagster declares are part of it, save
        its own breakdowns. Waits while the server is away; ``patient=False`` does not, for what must not be sent twice.

        ``LoginRefused``, ``OrchestratorUnavailable``, and without patience ``AnswerLost``.
        """
        answer = self._post({"query": query, "variables": variables}, patient=patient)
        if answer.status in {401, 403}:
            raise LoginRefused(f"{self.rest.name} refuses the login (status {answer.status})",
                               hint="see user, password and token of the orchestrator's connection")  # fmt: skip
        body = answer.body if isinstance(answer.body, dict) else {}
        if not answer.ok or body.get("errors") or not body.get("data"):
            said = "; ".join(str(error.get("message", error)) for error in body.get("errors") or ())
            raise OrchestratorUnavailable(f"{self.rest.name}: {said or f'status {answer.status}'}",
                                          hint="is this the address of dagster-webserver 1.13 or newer?")  # fmt: skip
        found = next(iter(body["data"].values()))
        if isinstance(found, dict) and found.get("__typename") in _FAULTS:
            raise OrchestratorUnavailable(f"{self.rest.name}: {first_line(str(found.get('message', '')))}")
        return found

    def _post(self, body: object, *, patient: bool) -> Answer:
        if patient:
            return self.rest.post("/graphql", body)
        try:
            return replace(self.rest, patience=0.0, say=lambda _text: None).post("/graphql", body)
        except OrchestratorUnavailable as error:
            raise AnswerLost(error.message, hint=error.hint) from error


def tags_of(found: Mapping[str, Any]) -> dict[str, str]:
    """The tags of a run, a backfill or a job."""
    return {tag["key"]: tag["value"] for tag in found.get("tags") or ()}


def first_line(text: str) -> str:
    """The first line that says something."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "")
