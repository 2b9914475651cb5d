"""The port ``Orchestrator`` for Airflow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lanewise.adapters.orchestrators.airflow.api import Api, Login
from lanewise.adapters.orchestrators.airflow.carrying import Carrier
from lanewise.adapters.orchestrators.airflow.handover import Handover
from lanewise.adapters.orchestrators.airflow.readiness import Readiness
from lanewise.adapters.orchestrators.airflow.records import ACTIVE, Dag
from lanewise.adapters.orchestrators.airflow.waiting import Watch
from lanewise.adapters.orchestrators.rest import PATIENCE
from lanewise.config.values import parse_duration
from lanewise.domain.environment import Connection, Environment
from lanewise.domain.ports import Secrets
from lanewise.domain.run import Launch, Purpose, RunOutcome
from lanewise.domain.serving import Served, Standing
from lanewise.errors import ConfigError, NotFound, OrchestratorUnavailable
from lanewise.runtime.airflow_names import candidate_dag
from lanewise.runtime.sign import Sign, read_sign

_LIVE = frozenset({Purpose.SCHEDULED, Purpose.RERUN})
_READY = 120.0  # seconds for a dag-processor that is well to take a candidate up
_SETTLED = 60.0  # seconds for a run that was ended to say so


@dataclass(frozen=True)
class Terms:
    """What the connection says: where Airflow is, its interpreter on this machine (or empty), and how long to wait."""

    url: str
    python: str
    ready: float
    patience: float

    @classmethod
    def of(cls, connection: Connection) -> Terms:
        """``ConfigError`` names the field that can't be meant."""
        url = connection.fields.get("url")
        if not isinstance(url, str) or not url.startswith(("http://", "https://")):
            hint = "the address of Airflow's api-server"
            raise ConfigError(f"the connection {connection.name} has no url", hint=hint)
        return cls(url, str(connection.fields.get("python") or ""), _seconds(connection, "ready_timeout", _READY),
                   _seconds(connection, "patience", PATIENCE))  # fmt: skip


class AirflowOrchestrator:
    """Implements ``Orchestrator``. What the sign says of a build (its entry, above all) is read when it is needed."""

    own_copy = False

    def __init__(
        self, api: Api, terms: Terms, place: tuple[Path, str], redact: Callable[[str], str], say: Callable[[str], None]
    ) -> None:
        """``place`` is the project's ``.lanewise`` folder and the environment's name."""
        self._api, self._terms, self._say = api, terms, say
        self._home, self._environment = place
        self._readiness = Readiness(api, say, terms.python, terms.ready, terms.patience)
        self._handover = Handover(api, say, terms.patience)
        self._carrier = Carrier(api, say, redact, self._dag_for)

    def serve(self, served: Served) -> None:
        """See ``Orchestrator.serve``."""
        self._readiness.parses(served)
        dag = self._readiness.wait(served, lambda: self._candidate(served.build, served.entry))
        if dag.paused:
            self._api.unpause(dag.id)

    def withdraw(self, build: str) -> None:
        """See ``Orchestrator.withdraw``. Its DAG goes when it leaves the sign: Airflow then hides it, and keeps its
        runs to be looked at."""
        dag = self._candidate(build, self._entry(build))
        if dag is None:
            return
        watch = Watch(self._say)
        for now in watch.looks():
            active = self._api.runs(dag.id, ACTIVE)
            if not active:
                return
            if now > _SETTLED:
                raise OrchestratorUnavailable(f"{active[0].id} in {self._api.name} does not end",
                                              hint="do the same again, or end it there")  # fmt: skip
            for run in active:
                self._api.end(run)

    def adopt(self, served: Served) -> None:
        """See ``Orchestrator.adopt``."""
        self._handover.to(served)

    def standing(self) -> Standing:
        """See ``Orchestrator.standing``. All of it is read from Airflow; the sign only tells the DAG's name."""
        sign = self._sign()
        if sign is None:
            return Standing()
        shown = [*([sign.live] if sign.live else []), *sign.candidates]
        found = [self._api.dag(entry) for entry in sorted({str(one["entry"]) for one in shown})]
        own = next((dag for dag in found if dag is not None and not dag.stale and dag.build), None)
        beside = [self._candidate(str(one["build"]), str(one["entry"])) for one in sign.candidates]
        candidates = [dag for dag in beside if dag is not None and not dag.stale]
        active = [run.version or dag.build for dag in [*([own] if own else []), *candidates]
                  for run in self._api.runs(dag.id, ACTIVE)]  # fmt: skip
        return Standing(
            live=own.build if own else "", candidates=tuple(dag.build for dag in candidates),
            scheduled=own is not None and bool(own.timetable) and not own.paused, active=tuple(active),
        )  # fmt: skip

    def run(self, launch: Launch) -> RunOutcome:
        """See ``Orchestrator.run``."""
        return self._carrier.carry_out(launch)

    def _dag_for(self, launch: Launch) -> Dag:
        """The DAG that a launch starts, waited for until it can be."""
        request = launch.request
        entry = self._entry(request.build)
        live = request.purpose in _LIVE
        watch = Watch(self._say, longest=2.0)
        for now in watch.looks():
            dag = self._api.dag(entry) if live else self._candidate(request.build, entry)
            if dag is not None and dag.runs(request.build):
                return dag
            if now > self._terms.ready:
                has = f"runs build {dag.build[7:15]}" if dag and dag.build else "has no such DAG"
                raise OrchestratorUnavailable(
                    f"{self._api.name} does not run build {request.build[7:15]} as {entry}: it {has}",
                    hint="its dag-processor's log says why",
                )
            watch.waits_for(f"{self._api.name} to have build {request.build[7:15]} of {entry}")
        raise AssertionError("a watch has no end")

    def _candidate(self, build: str, entry: str) -> Dag | None:
        dag = self._api.dag(candidate_dag(entry, build)) if entry else None
        return dag if dag is not None and dag.build == build else None

    def _entry(self, build: str) -> str:
        sign = self._sign()
        found = sign.find(build) if sign else None
        return str(found["entry"]) if found else ""

    def _sign(self) -> Sign | None:
        try:
            return read_sign(str(self._home), self._environment)
        except NotFound:  # nothing was put up yet
            return None


def open_orchestrator(
    *, home: Path, lane: Environment, project: str, secrets: Secrets, say: Callable[[str], None]
) -> AirflowOrchestrator:
    """See ``OrchestratorOpener``."""
    del project  # the DAG's name is the sign's to tell
    connection = lane.connection("orchestrator")
    terms = Terms.of(connection)
    login = Login(
        connection.name, str(connection.fields.get("user") or ""), connection.secrets.get("password"),
        connection.secrets.get("token"), secrets,
    )  # fmt: skip
    api = Api(terms.url, login, say, terms.patience)
    return AirflowOrchestrator(api, terms, (home, lane.name), secrets.redact, say)


def _seconds(connection: Connection, name: str, unless_said: float) -> float:
    value: Any = connection.fields.get(name)
    if value is None:
        return unless_said
    try:
        if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
            return float(value)
        return parse_duration(str(value)).total_seconds()
    except ValueError as error:
        raise ConfigError(f"{name} of the connection {connection.name} {error}", hint="such as 120s or 5m") from error
