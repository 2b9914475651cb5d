"""The two code locations: what each has loaded, and letting it load anew."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lanewise.adapters.orchestrators.dagster.graphql import GraphQL, first_line, tags_of
from lanewise.adapters.orchestrators.dagster.queries import BACKFILLS, LOOK, RELOAD, RESET
from lanewise.errors import ConfigError, OrchestratorUnavailable

BROKEN = "does_not_load"
"""The one job of a candidate that does not load; its description says why."""

DRAIN = 600.0
"""Seconds that a reload waits for backfills that are still handing over their runs."""


@dataclass(frozen=True)
class Repository:
    """One build, as a location has loaded it. ``jobs`` maps a name to its tags and ``sets`` to its partition set;
    ``schedules`` are Dagster's own documents."""

    name: str
    build: str
    config: str
    jobs: Mapping[str, Mapping[str, str]]
    sets: Mapping[str, str]
    schedules: tuple[Mapping[str, Any], ...] = ()
    fault: str = ""  # why it does not load

    @property
    def scheduled(self) -> bool:
        """Whether anything in it is started by the clock."""
        return any(one["scheduleState"]["status"] == "RUNNING" for one in self.schedules)


@dataclass(frozen=True)
class Loaded:
    """A location. ``fault`` is why nothing of it is loaded."""

    name: str
    repositories: tuple[Repository, ...] = ()
    fault: str = ""

    def of(self, build: str) -> Repository | None:
        """The repository of a build."""
        return next((one for one in self.repositories if one.build == build), None)


@dataclass(frozen=True)
class Location:
    """One code location, by its name in Dagster's workspace."""

    dagster: GraphQL
    name: str
    module: str = field(default="")

    def look(self) -> Loaded:
        """What the webserver has loaded of it."""
        return self._read(self.dagster.ask(LOOK, name=self.name))

    def reload(self) -> Loaded:
        """Let it load anew, and look. Backfills that have not handed over all of their runs are waited for: Dagster
        gives a backfill up, and cancels its queued runs, when its job is gone for a moment."""
        self._drain()
        found = self.dagster.ask(RELOAD, name=self.name)
        if found["__typename"] != "WorkspaceLocationEntry":
            return self._read(found)
        return self.look()  # what came with the answer is read in the workspace as it was before

    def follow_files(self, repository: Repository) -> None:
        """Schedules that a person has started or stopped by hand are again as the build and the environment say."""
        for one in repository.schedules:
            if one["scheduleState"]["status"] != one["defaultStatus"]:
                selector = {"repositoryLocationName": self.name, "repositoryName": repository.name,
                            "scheduleName": one["name"]}  # fmt: skip
                self.dagster.ask(RESET, selector=selector)

    def _drain(self) -> None:
        deadline, told = time.monotonic() + DRAIN, False
        while time.monotonic() < deadline:
            found = self.dagster.ask(BACKFILLS, limit=50, status="REQUESTED")
            mine = [one for one in found["results"] if _place(one) == self.name and one["numCancelable"]]
            if not mine:
                return
            if not told:
                self.dagster.rest.say(f"waiting for backfill {mine[0]['id']} to hand over its runs")
                told = True
            time.sleep(1)
        raise OrchestratorUnavailable(f"backfills of {self.name} are still handing over their runs",
                                      hint="do this again when they are through, or cancel them")  # fmt: skip

    def _read(self, entry: Mapping[str, Any] | None) -> Loaded:
        kind = entry["__typename"] if entry else "RepositoryLocationNotFound"
        if entry is None or kind != "WorkspaceLocationEntry":
            said = first_line((entry or {}).get("message", "")) or "no such code location"
            raise ConfigError(f"{self.dagster.rest.name}: {self.name}: {said}",
                              hint=f"add `- python_module: {self.module}` to workspace.yaml")  # fmt: skip
        found = entry["locationOrLoadError"]
        if found is None:
            return Loaded(self.name, fault="it is still being loaded")
        if found["__typename"] != "RepositoryLocation":
            return Loaded(self.name, fault=_reason(found))
        return Loaded(self.name, tuple(_repository(one) for one in found["repositories"]))


def _place(backfill: Mapping[str, Any]) -> str:
    origin = (backfill.get("partitionSet") or {}).get("repositoryOrigin") or {}
    return str(origin.get("repositoryLocationName", ""))


def _reason(error: Mapping[str, Any]) -> str:
    """The innermost of a chain of errors: the outer ones say that Dagster could not load what follows."""
    chain = [first_line(link["error"]["message"]) for link in error.get("causes") or ()]
    return chain[-1] if chain else first_line(error["message"])


def _repository(found: Mapping[str, Any]) -> Repository:
    jobs = {job["name"]: tags_of(job) for job in found["jobs"]}
    tags: Mapping[str, str] = next((tags for tags in jobs.values() if tags.get("lanewise/build")), {})
    faults = [job["description"] for job in found["jobs"] if job["name"] == BROKEN]
    return Repository(
        found["name"], tags.get("lanewise/build", ""), tags.get("lanewise/config", ""), jobs,
        {one["pipelineName"]: one["name"] for one in found["partitionSets"]},
        tuple(found["schedules"]), faults[0] if faults else "",
    )  # fmt: skip
