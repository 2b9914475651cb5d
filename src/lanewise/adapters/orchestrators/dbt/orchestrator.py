"""Implements ``Orchestrator`` with dbt's command line. There is no server: what is live is what the road sign says, and
whoever calls ``lane run`` by the clock is the schedule."""

from __future__ import annotations

import json
import os
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from lanewise.adapters.orchestrators.dbt.connections import variables_of
from lanewise.adapters.orchestrators.dbt.folder import DBT_PROJECT, DbtFolder
from lanewise.adapters.orchestrators.dbt.lineage import lineage_of
from lanewise.adapters.orchestrators.dbt.profile import PASSWORD, Profile, duckdb_profile, postgres_profile
from lanewise.adapters.orchestrators.dbt.results import read_findings
from lanewise.adapters.orchestrators.dbt.room import profile_for, room_of
from lanewise.adapters.orchestrators.dbt.trial import Trial, demand_tables
from lanewise.adapters.orchestrators.dbt.words import (
    Stretch,
    between,
    choosing,
    interpreter_of,
    placed,
    split,
    stretches,
)
from lanewise.adapters.orchestrators.local import LocalOrchestrator, LocalRunner
from lanewise.config.load import parse_project
from lanewise.domain.build import BuildFile
from lanewise.domain.environment import Environment, Role, SecretRef
from lanewise.domain.lineage import Lineage
from lanewise.domain.ports import Secrets
from lanewise.domain.project import Project
from lanewise.domain.rotation import with_rotation
from lanewise.domain.run import Launch, RunOutcome
from lanewise.domain.serving import Served, Standing
from lanewise.errors import ConfigError, OutsideBroke, Refused

PROJECT_FILE = "lanewise.yaml"
_EARLIER = ["build", "--select", "+config.incremental_strategy:microbatch", "--exclude-resource-type", "test",
            "--exclude-resource-type", "unit_test", "--exclude-resource-type", "snapshot"]  # fmt: skip
_THREADS = 4


@dataclass(frozen=True)
class Installed:
    """Where dbt is on this machine, and how many models it may work on at a time."""

    executable: str
    threads: int


class DbtOrchestrator:
    """``lane`` is the environment whose ``orchestrator`` connection is of type ``dbt``."""

    own_copy = True

    def __init__(self, local: LocalOrchestrator, home: Path, lane: Environment, secrets: Secrets) -> None:
        self._local = local
        self._home = home
        self._lane = lane
        self._secrets = secrets
        self._parsed: set[tuple[str, str]] = set()

    def serve(self, served: Served) -> None:
        """See ``Orchestrator.serve``. dbt compiles the build with this environment's profile, as far as
        that needs no database; nothing stays behind."""
        project = _project(served.directory)
        if not _is_dbts(shlex.split(project.run)):
            self._local.serve(served)
            return
        key = (served.build, served.config)
        if key in self._parsed:
            return
        files = [f.relative_to(served.directory).as_posix() for f in served.directory.rglob("*") if f.is_file()]
        try:
            demand_tables(self._trial(project).compile(served.directory, files, project), project)
        except Refused as error:
            raise Refused(f"build {served.build[7:15]}: {error.message}", hint=error.hint) from error
        self._parsed.add(key)

    def traces(self, root: Path, project: Project) -> bool:
        """See ``Tracer``."""
        return _is_dbts(shlex.split(project.run)) and (root / project.entries.get("dbt", ".") / DBT_PROJECT).is_file()

    def trace(self, root: Path, files: Sequence[BuildFile], project: Project) -> Lineage:
        """See ``Tracer``. From dbt's manifest, as ``dbt parse`` writes it."""
        manifest = self._trial(project).parse(root, [file.path for file in files], project)
        return lineage_of(manifest, DbtFolder.of(root, project).said, files, project)

    def _trial(self, project: Project) -> Trial:
        installed, name = self._installed(), self._lane.name
        login = {"user": "nobody", "dbname": "none"}
        profile = (
            postgres_profile(name, login, "lanewise", installed.threads)
            if self._lane.connection("dst").type == "postgres"
            else duckdb_profile(name, ":memory:", "spill", installed.threads)
        )
        variables = {
            "PATH": os.environ.get("PATH", os.defpath), "HOME": os.environ.get("HOME", "/"), "LANG": "C.UTF-8",
            "LANEWISE_ENV": name, project.environment_variable: name, **_OUTSIDE_OF_RUNS, **_QUIET,
            **variables_of(self._lane, lambda _: "not asked for"),
        }  # fmt: skip
        return Trial(installed.executable, name, profile, variables, {**self._lane.settings, "lanewise_partitions": []})

    def withdraw(self, build: str) -> None:
        """Nothing: a run that ended has left nothing behind."""

    def adopt(self, served: Served) -> None:
        """Nothing: the next run asks the warehouse what is live."""

    def standing(self) -> Standing:
        """What the road sign says."""
        return self._local.standing()

    def run(self, launch: Launch) -> RunOutcome:
        """See ``Orchestrator.run``. Scattered partitions of models in microbatches take a call for each stretch; the
        last one runs everything, its tests included, and hands over. A command that is not dbt's is run as it is."""
        if not _is_dbts(launch.request.command):
            return self._local.run(launch)
        started = time.monotonic()
        project = _project(launch.directory)
        folder = DbtFolder.of(launch.directory, project)
        document = json.loads(launch.compiled.read_bytes())
        room = Path(document["engine"]["directory"]) / "dbt"  # goes with the run's room, after a crash too
        self._lay(folder, room, document, project)
        words, own = split(launch.request.command)
        said = {**document["settings"], "lanewise_partitions": document["run"]["partitions"],
                "lanewise_offsets": document["engine"].get("offsets", {})}  # fmt: skip
        words = [*words, *choosing(words, launch.request.tables, project)]
        found = stretches(launch.request.partitions, project) if folder.microbatched else ()
        command = self._command(words, found, placed(launch.request.environment, room, {**said, **own}))
        outcome = self._local.run(
            replace(
                launch,
                request=replace(launch.request, command=tuple(command)),
                directory=folder.path,
                environment={**_inherited(launch), **self._variables(document), **_labels(launch)},
            )
        )
        return self._told(outcome, room / "target", launch, time.monotonic() - started)

    def _lay(self, folder: DbtFolder, room: Path, document: Mapping[str, Any], project: Project) -> None:
        """Put what is ours into the run's copy of the project, and the profile into its room."""
        folder.lay_package(room_of(document, project))
        if document["engine"]["type"] == "postgres":
            folder.lay_macros("postgres")
        try:
            room.mkdir(parents=True, exist_ok=True)
            (room / "profiles.yml").write_text(self._profile(document).text, encoding="utf-8")
        except OSError as error:
            raise OutsideBroke(f"{room} can't be written: {error.strerror}") from error

    def _profile(self, document: Mapping[str, Any]) -> Profile:
        return profile_for(document["engine"], self._lane.name, self._installed().threads)

    def _variables(self, document: Mapping[str, Any]) -> dict[str, str]:
        """What the profile and the project's ``env_var()`` refer to; for dbt's process alone."""
        connections = variables_of(self._lane, self._secrets.resolve)
        return {**connections, **self._profile(document).variables, **self._password(document)}

    def _command(self, words: list[str], found: Sequence[Stretch], last: list[str]) -> list[str]:
        """What is started: dbt itself, or several calls of it where models in microbatches have a gap to leave out.
        Where its interpreter isn't found, the gaps are computed too; what was not asked for is not handed over."""
        executable = self._installed().executable
        python = interpreter_of(executable) if len(found) > 1 else ""
        if not python:
            return [executable, *words, *between(found), *last]
        session = str(files("lanewise.integrations") / "dbt" / "session.py")
        calls = [*([*_EARLIER, *between([one])] for one in found[:-1]), [*words, *between(found[-1:])]]
        return [python, session, json.dumps({"placed": last, "calls": calls}, ensure_ascii=False)]

    def _told(self, outcome: RunOutcome, target: Path, launch: Launch, seconds: float) -> RunOutcome:
        """With what dbt found; its ``run_results.json`` is kept beside the log."""
        findings = tuple(
            replace(one, message=self._secrets.redact(one.message)) for one in read_findings(target, outcome.tail)
        )
        if (target / "run_results.json").exists():
            _keep(launch.log.with_suffix(".run_results.json"), self._secrets.redact(
                (target / "run_results.json").read_text(encoding="utf-8")))  # fmt: skip
        failed = any(one.passed is False and one.severe for one in findings)
        return replace(outcome, findings=findings, seconds=seconds, exit_code=outcome.exit_code or int(failed))

    def _password(self, document: Mapping[str, Any]) -> dict[str, str]:
        """The run's own password at the warehouse, for dbt's process alone: one that has just logged in, so that the
        older version serves while a rotation is under way, and a refused one is told in our words."""
        said = document["engine"].get("password")
        if not said:
            return {PASSWORD: ""}
        from lanewise.adapters.warehouses.postgres.server import log_in  # noqa: PLC0415 - 100 ms, for servers alone

        def proved(value: str) -> str:
            log_in(self._lane.connection("dst"), Role.RUNNER, value).close()
            return value

        reference = SecretRef(said["text"], said.get("previous"))
        return {PASSWORD: with_rotation(self._secrets, reference, proved)}

    def _installed(self) -> Installed:
        fields = self._lane.connection("orchestrator").fields
        said, threads = str(fields.get("executable") or "dbt"), fields.get("threads", _THREADS)
        if not isinstance(threads, int) or isinstance(threads, bool) or threads < 1:
            raise ConfigError(f"threads of the connection for dbt must be a whole number from 1, not {threads!r}")
        path = Path(said).expanduser()
        return Installed(str(self._home.parent / path) if "/" in said else said, threads)


_OUTSIDE_OF_RUNS = {
    "LANEWISE_BUILD": "", "LANEWISE_RUN_ID": "", "LANEWISE_PURPOSE": "", "LANEWISE_PARTITIONS": "[]",
}  # fmt: skip
_QUIET = {"DO_NOT_TRACK": "1", "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}


def open_orchestrator(
    *, home: Path, lane: Environment, project: str, secrets: Secrets, say: Callable[[str], None]
) -> DbtOrchestrator:
    """See ``OrchestratorOpener``. The connection: ``{type: dbt, executable: PATH, threads: 4}``; without an executable
    it is ``dbt`` on the ``PATH``; a relative path starts at the project's folder."""
    del project, say
    return DbtOrchestrator(LocalOrchestrator(LocalRunner(secrets.redact), home, lane.name), home, lane, secrets)


def _keep(file: Path, text: str) -> None:
    """For its owner alone, as the log is; a full disk takes nothing from the run."""
    with suppress(OSError), os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as into:
        into.write(text)


def _is_dbts(command: Sequence[str]) -> bool:
    return bool(command) and command[0] == "dbt"


def _project(build: Path) -> Project:
    return parse_project((build / PROJECT_FILE).read_text(encoding="utf-8"), PROJECT_FILE)


def _inherited(launch: Launch) -> dict[str, str]:
    """The run's variables, but for those that concern this interpreter: dbt has one of its own."""
    ours = {"PYTHONPATH", "PYTHONDONTWRITEBYTECODE"}
    return {name: value for name, value in launch.environment.items() if name not in ours} | _QUIET


def _labels(launch: Launch) -> dict[str, str]:
    """What dbt writes into its artifacts, as ``metadata.env``."""
    request = launch.request
    said = {
        "ENVIRONMENT": request.environment, "BUILD": request.build, "PURPOSE": request.purpose.value,
        "PROJECT": request.project, "RUN": request.id, "PARTITIONS": json.dumps(launch.request.partitions),
    }  # fmt: skip
    return {f"DBT_ENV_CUSTOM_ENV_LANEWISE_{name}": value for name, value in said.items()}
