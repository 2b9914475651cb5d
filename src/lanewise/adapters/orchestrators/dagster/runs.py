"""Runs of a Lanewise run: started once, waited for, ended."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lanewise.adapters.orchestrators.dagster.graphql import AnswerLost, GraphQL, first_line, tags_of
from lanewise.adapters.orchestrators.dagster.queries import (
    BACKFILL,
    BACKFILLS,
    CANCEL,
    LAUNCH,
    PARTITION,
    RUNS,
    TERMINATE,
)
from lanewise.errors import OrchestratorUnavailable, RunFailed

RUN = "lanewise/run"
ACTIVE = ("QUEUED", "NOT_STARTED", "MANAGED", "STARTING", "STARTED", "CANCELING")
_OVER = frozenset({"COMPLETED", "COMPLETED_SUCCESS", "COMPLETED_FAILED", "FAILED", "CANCELED"})
_PAGE = 200
_LATE = 30.0  # seconds that a server may take to start what it was asked for before its answer was lost
_BUSY = ("timed out", "status 504")  # how an answer is lost whose server goes on working; one that is gone does not
_QUEUED_LONG = 60.0  # seconds, after which a person is told what is usually the matter


@dataclass(frozen=True)
class Target:
    """A job in a repository of a location. ``partition_set`` is empty where the job has no partitions."""

    location: str
    repository: str
    job: str
    partition_set: str = ""

    @property
    def place(self) -> dict[str, str]:
        """Its repository, as GraphQL selects one."""
        return {"repositoryLocationName": self.location, "repositoryName": self.repository}


@dataclass(frozen=True)
class Started:
    """What stands for a Lanewise run in Dagster: one run, or a backfill of several."""

    run: str = ""
    backfill: str = ""


class Runs:
    """Everything about runs that is asked of Dagster."""

    def __init__(self, dagster: GraphQL) -> None:
        self._dagster = dagster

    def start(self, target: Target, partitions: Sequence[str], tags: Mapping[str, str]) -> Started:
        """Start what ``tags`` name, or find it when it was started before and did not end badly."""
        while True:
            found = self.find(tags[RUN])
            if found is not None:
                return found
            try:
                return self._launch(target, partitions, tags)
            except AnswerLost as lost:  # whether it was taken is seen by looking, once the server is back
                self._dagster.rest.get("/server_info")
                if any(words in lost.message for words in _BUSY):
                    self._look_for(tags[RUN])

    def _look_for(self, run: str) -> None:
        """Wait until a run turns up that a busy server may still be about to start: started again, two would write the
        same rows."""
        deadline = time.monotonic() + _LATE
        while self.find(run) is None and time.monotonic() < deadline:
            time.sleep(1)

    def find(self, run: str) -> Started | None:
        """What was started under this name and is under way or ended well."""
        for one in self._backfills():
            if tags_of(one).get(RUN) == run and one["status"] in {"REQUESTED", "COMPLETED_SUCCESS", "COMPLETED"}:
                return Started(backfill=one["id"])
        for one in self.labelled({RUN: run}):
            if "dagster/backfill" not in tags_of(one) and one["status"] in {*ACTIVE, "SUCCESS"}:
                return Started(run=one["runId"])
        return None

    def of(self, started: Started) -> list[dict[str, Any]]:
        """Its runs in Dagster."""
        if started.backfill:
            return self.labelled({"dagster/backfill": started.backfill})
        return self._page({"runIds": [started.run]}, None)

    def wait(self, started: Started, deadline: float | None) -> str:
        """Until it is over: the reason why it never came to its runs, or nothing. ``TimeoutError`` at ``deadline``
        (``time.monotonic()``)."""
        began, pause, told = time.monotonic(), 0.3, False
        while True:
            over, reason = self._state(started)
            if over:
                return reason
            now = time.monotonic()
            if deadline is not None and now >= deadline:
                raise TimeoutError
            if not told and now - began > _QUEUED_LONG and not self._moving(started):
                self._dagster.rest.say("the run waits in Dagster's queue: is dagster-daemon running?")
                told = True
            time.sleep(pause)
            pause = min(pause * 1.3, 3.0)

    def labelled(self, tags: Mapping[str, str], statuses: Sequence[str] = ()) -> list[dict[str, Any]]:
        """Runs with all of these tags, newest first."""
        wanted: dict[str, Any] = {"tags": [{"key": key, "value": value} for key, value in tags.items()]}
        if statuses:
            wanted["statuses"] = list(statuses)
        found: list[dict[str, Any]] = []
        while True:
            page = self._page(wanted, found[-1]["runId"] if found else None)
            found += page
            if len(page) < _PAGE:
                return found

    def end(self, tags: Mapping[str, str], *, patience: float = 30.0) -> None:
        """End the runs with these tags, and the backfills that would start more; those that do not let go within
        ``patience`` seconds are marked as canceled."""
        for one in self._backfills("REQUESTED"):
            if tags.items() <= tags_of(one).items():
                self._dagster.ask(CANCEL, id=one["id"])
        deadline, policy = time.monotonic() + patience, "SAFE_TERMINATE"
        while runs := self.labelled(tags, ACTIVE):
            wanted = [run["runId"] for run in runs if run["status"] != "CANCELING" or policy != "SAFE_TERMINATE"]
            if wanted:
                self._dagster.ask(TERMINATE, runs=wanted, policy=policy)
            if time.monotonic() > deadline:
                if policy != "SAFE_TERMINATE":
                    raise OrchestratorUnavailable("runs in Dagster do not end: " + ", ".join(wanted))
                deadline, policy = time.monotonic() + patience, "MARK_AS_CANCELED_IMMEDIATELY"
            time.sleep(0.5)

    def _state(self, started: Started) -> tuple[bool, str]:
        if started.backfill:
            found = next((one for one in self._backfills() if one["id"] == started.backfill), None)
            if found is None or found["status"] not in _OVER:
                return False, ""
            return True, first_line((found["error"] or {}).get("message", ""))
        return all(run["status"] not in ACTIVE for run in self.of(started)), ""

    def _moving(self, started: Started) -> bool:
        runs = self.of(started)
        return bool(runs) and any(run["status"] not in {"QUEUED", "NOT_STARTED"} for run in runs)

    def _launch(self, target: Target, partitions: Sequence[str], tags: Mapping[str, str]) -> Started:
        own = [{"key": key, "value": value} for key, value in tags.items()]
        if target.partition_set and len(partitions) > 1:
            params = {
                "selector": {"repositorySelector": target.place, "partitionSetName": target.partition_set},
                "partitionNames": list(partitions), "tags": own, "title": tags[RUN],
            }  # fmt: skip
            answer = self._dagster.ask(BACKFILL, patient=False, params=params)
            return Started(backfill=_accepted(answer)["backfillId"])
        config: Any = {}
        if target.partition_set:
            config, further = self._partition(target, partitions[0])
            own += [tag for tag in further if tag["key"] not in tags]
        selector = {**target.place, "jobName": target.job}
        executed = {"selector": selector, "runConfigData": config, "executionMetadata": {"tags": own}}
        answer = self._dagster.ask(LAUNCH, patient=False, params=executed)
        return Started(run=_accepted(answer)["run"]["runId"])

    def _partition(self, target: Target, name: str) -> tuple[Any, list[dict[str, str]]]:
        """What Dagster's own pages send to run one partition."""
        found = self._dagster.ask(PARTITION, repository=target.place, set=target.partition_set, name=name)
        partition = found.get("partition") if found["__typename"] == "PartitionSet" else None
        if partition is None:
            raise _unknown(f"{target.job} has no partition {name}")
        config, tags = partition["runConfigOrError"], partition["tagsOrError"]
        for one in (config, tags):
            if one["__typename"] == "PythonError":
                raise RunFailed(f"{target.job} {name}: {first_line(one['message'])}")
        return config["yaml"], tags["results"]

    def _page(self, wanted: Mapping[str, Any], cursor: str | None) -> list[dict[str, Any]]:
        found = self._dagster.ask(RUNS, filter=wanted, limit=_PAGE, cursor=cursor)
        if found["__typename"] != "Runs":
            raise OrchestratorUnavailable(f"{self._dagster.rest.name}: {first_line(found.get('message', ''))}")
        return list(found["results"])

    def _backfills(self, status: str | None = None) -> list[dict[str, Any]]:
        found = self._dagster.ask(BACKFILLS, limit=100, status=status)
        return list(found["results"])


def _accepted(answer: dict[str, Any]) -> dict[str, Any]:
    if answer["__typename"] in {"LaunchRunSuccess", "LaunchBackfillSuccess"}:
        return answer
    said = [str(error["message"]) for error in answer.get("errors") or ()] or [str(answer.get("message", ""))]
    if answer["__typename"] in {"PartitionKeysNotFoundError", "PartitionSetNotFoundError"}:
        raise _unknown(first_line(said[0]))
    raise RunFailed(f"Dagster does not start it: {answer['__typename']}: {first_line(said[0])}")


def _unknown(said: str) -> RunFailed:
    hint = 'partitions have the names that Lanewise gives them: fmt="%Y-%m-%d", "%Y-%m" or "%Y-%m-%dT%H"'
    return RunFailed(said, hint=hint)
