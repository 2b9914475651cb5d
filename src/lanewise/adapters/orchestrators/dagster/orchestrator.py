"""Dagster as the one that runs an environment's builds: two code locations of its workspace follow the road sign."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lanewise.adapters.orchestrators.dagster.graphql import GraphQL, tags_of
from lanewise.adapters.orchestrators.dagster.locations import Loaded, Location, Repository
from lanewise.adapters.orchestrators.dagster.outcome import Gathered, checked, gather, write_log
from lanewise.adapters.orchestrators.dagster.runs import ACTIVE, RUN, Runs, Started, Target
from lanewise.adapters.orchestrators.rest import Rest
from lanewise.domain.environment import Connection, Environment
from lanewise.domain.ports import Secrets
from lanewise.domain.run import Launch, Purpose, RunOutcome
from lanewise.domain.serving import Served, Standing
from lanewise.errors import ConfigError, LaneError, OrchestratorUnavailable, Refused
from lanewise.runtime.sign import read_sign

LIVE = "lanewise.integrations.dagster.live"
CANDIDATE = "lanewise.integrations.dagster.candidate"
"""The modules of the two code locations, and their names unless ``live`` and ``candidate`` of the connection differ."""

_OF_THE_LIVE_BUILD = frozenset({Purpose.SCHEDULED, Purpose.RERUN})
_BEGUN = "Started process for run"  # what Dagster writes first into the log of a run that has one
_PATIENCE = 90.0  # seconds for a location to have loaded what the sign says


@dataclass(frozen=True)
class Place:
    """Where this is: the project, its ``.lanewise`` folder, the environment, and Dagster's address."""

    project: str
    home: Path
    environment: str
    url: str


@dataclass(frozen=True)
class Ended:
    """One attempt that is over. ``well``: every run of it succeeded, and every check that must pass did."""

    started: Started
    found: Gathered
    well: bool
    timed_out: bool

    @property
    def begun(self) -> bool:
        """Whether a process was started for any of its runs."""
        return self.well or any(_BEGUN in line for line in self.found.lines)


class DagsterOrchestrator:
    """Implements ``Orchestrator``."""

    own_copy = False

    def __init__(
        self, dagster: GraphQL, place: Place, fields: Mapping[str, object], redact: Callable[[str], str]
    ) -> None:
        self._dagster = dagster
        self._place = place
        self._redact = redact
        self._live = Location(dagster, str(fields.get("live", LIVE)), LIVE)
        self._candidates = Location(dagster, str(fields.get("candidate", CANDIDATE)), CANDIDATE)
        self._runs = Runs(dagster)

    def serve(self, served: Served) -> None:
        """See ``Orchestrator.serve``: the candidates' location loads it, from its own verified folder."""
        found = self._candidates.look().of(served.build)
        if found is None or found.fault or found.config != served.config:
            found = self._loaded(self._candidates, served.build)
        if found.fault:
            raise Refused(f"build {_short(served.build)} does not load in Dagster: {self._redact(found.fault)}",
                          hint="mend it, and build again")  # fmt: skip
        if served.entry not in found.jobs:
            known = ", ".join(name for name in found.jobs if not name.startswith("__")) or "none"
            raise Refused(f"build {_short(served.build)} has no job {served.entry!r} in Dagster; there is {known}",
                          hint="name the job that computes the tables: entries: {dagster: JOB}")  # fmt: skip

    def withdraw(self, build: str) -> None:
        """See ``Orchestrator.withdraw``. Dagster lists the build until the location is next loaded; no run of it would
        compute anything by then."""
        for purpose in Purpose:
            if purpose not in _OF_THE_LIVE_BUILD:
                self._runs.end({**self._here, "lanewise/build": build, "lanewise/purpose": purpose.value})

    def adopt(self, served: Served) -> None:
        """See ``Orchestrator.adopt``: the live location loads it. Runs of the former build that are under way end, and
        Lanewise refuses what they wrote. Queued ones are begun with the new build, wholly, and relabelled; one that a
        location begins before it has seen the new build is refused before it computes, and run again by the new one
        (the sensor ``lanewise_superseded``)."""
        found = self._live.look().of(served.build)
        if found is None or found.config != served.config:
            found = self._loaded(self._live, served.build, served.config)
        self._live.follow_files(found)

    def standing(self) -> Standing:
        """See ``Orchestrator.standing``."""
        live, candidates = self._first(self._live.look()), self._candidates.look()
        active = self._runs.labelled(self._here, ACTIVE)
        named = self._named()
        return Standing(
            live=live.build if live else "",
            candidates=tuple(one.build for one in candidates.repositories if one.build in named and not one.fault),
            scheduled=live is not None and live.scheduled,
            active=tuple(tags_of(run)["lanewise/build"] for run in active if tags_of(run).get("lanewise/build")),
        )

    def run(self, launch: Launch) -> RunOutcome:
        """See ``Orchestrator.run``: a run, or for several partitions a backfill. What Dagster's daemon could not start,
        since it had not seen the build yet, is started again."""
        request, began = launch.request, time.monotonic()
        partitions = json.loads(launch.environment.get("LANEWISE_PARTITIONS") or "[]") or request.partitions
        target, told = self._target(launch), False
        tags = {**self._here, RUN: request.id, "lanewise/build": request.build, "lanewise/config": request.config,
                "lanewise/purpose": request.purpose.value}  # fmt: skip
        while True:
            ended = self._run(target, partitions, tags, began + launch.timeout if launch.timeout else None)
            if ended.begun or ended.timed_out or time.monotonic() - began > _PATIENCE:
                return self._outcome(launch, ended, time.monotonic() - began)
            if not told:
                self._dagster.rest.say(f"waiting for dagster-daemon to load build {_short(request.build)}")
                told = True
            time.sleep(3)

    def _run(self, target: Target, partitions: Sequence[str], tags: Mapping[str, str], deadline: float | None) -> Ended:
        started, reason, timed_out = self._runs.start(target, partitions, tags), "", False
        try:
            reason = self._runs.wait(started, deadline)
        except TimeoutError:
            timed_out = True
            self._runs.end(tags)
        except KeyboardInterrupt:  # a person has given it up: nothing goes on that would write to a room that is gone
            self._runs.end(tags)
            raise
        runs = self._runs.of(started)
        found = gather(self._dagster, runs, self._redact)
        if reason:
            found.errors.append(self._redact(reason))
        well = bool(runs) and not reason and all(run["status"] == "SUCCESS" for run in runs) and not found.bad
        return Ended(started, found, well, timed_out)

    @property
    def _here(self) -> dict[str, str]:
        return {"lanewise/project": self._place.project, "lanewise/environment": self._place.environment}

    def _target(self, launch: Launch) -> Target:
        request = launch.request
        live = request.purpose in _OF_THE_LIVE_BUILD
        location = self._live if live else self._candidates
        loaded = location.look()
        found = loaded.of(request.build)
        if found is None or found.fault:
            hint = f"`lane promote --to {request.environment}` brings Dagster up to date"
            said = loaded.fault or (found.fault if found else "it is not there")
            raise OrchestratorUnavailable(
                f"{location.name} does not serve build {_short(request.build)}: {said}", hint=hint
            )
        entry = self._entry(request.build)
        if entry not in found.jobs:
            raise ConfigError(
                f"{location.name} has no job {entry!r}", hint="see entries: {dagster: JOB} in lanewise.yaml"
            )
        return Target(location.name, found.name, entry, found.sets.get(entry, ""))

    def _named(self) -> frozenset[str]:
        """The candidates that the sign names: a location goes on listing others until it is next loaded."""
        try:
            sign = read_sign(str(self._place.home), self._place.environment)
        except LaneError:
            return frozenset()
        return frozenset(one["build"] for one in sign.candidates)

    def _entry(self, build: str) -> str:
        told = read_sign(str(self._place.home), self._place.environment).find(build)
        return str(told["entry"]) if told else self._place.project

    def _outcome(self, launch: Launch, ended: Ended, seconds: float) -> RunOutcome:
        request, found, findings = launch.request, ended.found, checked(ended.found)
        if found.bad and not found.errors:
            found.errors += [f"{one.name}: {one.message}" for one in findings if one.severe and one.passed is False]
        label = (f"environment={request.environment} build={_short(request.build)} project={request.project} "
                 f"purpose={request.purpose.value} run={request.id}")  # fmt: skip
        write_log(launch.log, [*found.lines, *found.errors], label)
        path = f"runs/b/{ended.started.backfill}" if ended.started.backfill else f"runs/{ended.started.run}"
        url = f"{self._place.url.rstrip('/')}/{path}"
        code = 0 if ended.well else 1
        return RunOutcome(code, seconds, found.tail, str(launch.log), ended.timed_out, findings, url)

    def _loaded(self, location: Location, build: str, config: str = "") -> Repository:
        """Let the location load anew until it has the build."""
        deadline, faults = time.monotonic() + _PATIENCE, 0
        while True:
            loaded = location.reload()
            faults += bool(loaded.fault)
            found = loaded.of(build)
            if found is not None and (not config or found.config == config):
                return found
            if faults > 1 or time.monotonic() > deadline:
                said = loaded.fault or "its LANEWISE_HOME and LANEWISE_ENV name another project or environment"
                raise (Refused if faults and location is self._candidates else OrchestratorUnavailable)(
                    f"{location.name} does not load build {_short(build)}: {self._redact(said)}",
                    hint=f"its sign is {self._place.home}/signs/{self._place.environment}.json",
                )
            self._dagster.rest.say(f"waiting for {location.name} to load build {_short(build)}")
            time.sleep(2)

    def _first(self, loaded: Loaded) -> Repository | None:
        return next((one for one in loaded.repositories if one.build), None)


def open_orchestrator(
    *, home: Path, lane: Environment, project: str, secrets: Secrets, say: Callable[[str], None]
) -> DagsterOrchestrator:
    """See ``OrchestratorOpener``. The connection has ``url``, and for a login ``user`` and ``password`` (basic) or
    ``token``; ``live`` and ``candidate`` where the code locations have other names than their modules."""
    connection = lane.connection("orchestrator")
    url = connection.fields.get("url")
    if not isinstance(url, str):
        raise ConfigError(f"the connection {connection.name} has no url", hint='url: "http://127.0.0.1:3000"')
    rest = Rest(f"Dagster at {url}", url, say, lambda: _login(connection, secrets))
    return DagsterOrchestrator(GraphQL(rest), Place(project, home, lane.name, url), connection.fields, secrets.redact)


def _login(connection: Connection, secrets: Secrets) -> dict[str, str]:
    token, password = connection.secrets.get("token"), connection.secrets.get("password")
    if token is not None:
        value = secrets.resolve(token)
        return {"Authorization": f"Bearer {value}", "Dagster-Cloud-Api-Token": value}
    if password is not None:
        pair = f"{connection.fields.get('user', '')}:{secrets.resolve(password)}"
        return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
    return {}


def _short(build: str) -> str:
    return build.removeprefix("sha256:")[:8]
