"""Whether Airflow can run a build: its DAG is there, whole, and says that it is this build's; or why it is not."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lanewise.adapters.orchestrators.airflow.api import Api
from lanewise.adapters.orchestrators.airflow.records import Dag
from lanewise.adapters.orchestrators.airflow.waiting import Watch
from lanewise.domain.serving import Served
from lanewise.errors import OrchestratorUnavailable, OutsideBroke, Refused

_CHECK = 300.0  # seconds for one look at a build's files in Airflow's own interpreter


@dataclass(frozen=True)
class Readiness:
    """How a candidate is waited for. ``python`` is Airflow's own interpreter on this machine, or empty; ``timeout``
    seconds are given to a dag-processor that is well; ``patience`` to one that is away."""

    api: Api
    say: Callable[[str], None]
    python: str
    timeout: float
    patience: float

    def parses(self, served: Served) -> None:
        """Load the build's DAG files as Airflow does, without Airflow's database. ``Refused`` with file, line and
        reason when that fails. Nothing where no interpreter is named."""
        if not self.python:
            return
        command = [self.python, "-m", "lanewise.integrations.airflow.check", str(served.directory), served.entry]
        variables = {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", "HOME": str(Path.home()),
                     "LANEWISE_ENV": served.environment, "LANEWISE_COMPILED": str(served.compiled)}  # fmt: skip
        try:
            done = subprocess.run(  # noqa: S603 - the interpreter that the reviewed config names, on a verified build
                command, env=variables, capture_output=True, text=True, timeout=_CHECK, check=False,
                stdin=subprocess.DEVNULL,
            )  # fmt: skip
        except OSError as error:
            hint = "`python` of the orchestrator's connection is Airflow's own interpreter on this machine"
            raise OutsideBroke(f"{self.python} can't be started: {error.strerror}", hint=hint) from error
        except subprocess.TimeoutExpired:
            raise _refusal(served, f"its files were not loaded after {_CHECK:.0f} s") from None
        faults = _faults(done.stdout)
        if faults is None:
            said = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
            hint = f"is this version of lanewise installed there? `{self.python} -m pip install lanewise`"
            raise OutsideBroke(f"{self.python} could not look at the build: {said}", hint=hint)
        if faults:
            raise _refusal(served, faults[0], more=len(faults) - 1)

    def wait(self, served: Served, find: Callable[[], Dag | None]) -> Dag:
        """Wait until Airflow has the candidate's DAG. ``Refused`` with the import error it reports, or when a
        dag-processor that is well has not got it in time; ``OrchestratorUnavailable`` when it is away for too long."""
        watch, unwell_for, before = Watch(self.say, longest=2.0), 0.0, 0.0
        for now in watch.looks():
            dag = find()
            self._demand_no_errors(served)
            if dag is not None and dag.runs(served.build, served.config):
                return dag
            unwell = self.api.unwell()
            unwell_for += now - before if unwell else 0.0
            before = now
            if unwell:
                watch.waits_for(f"the {unwell} of {self.api.name}, which is not heard of")
                if unwell_for > self.patience:
                    raise OrchestratorUnavailable(f"the {unwell} of {self.api.name} is not heard of",
                                                  hint="start it, and do the same again")  # fmt: skip
            elif now - unwell_for > self.timeout:
                raise self._too_late(served, dag)
            watch.waits_for(f"{self.api.name} to take up build {served.build[7:15]}")
        raise AssertionError("a watch has no end")

    def _demand_no_errors(self, served: Served) -> None:
        for file, said in self.api.import_errors(served.build.removeprefix("sha256:")):
            raise _refusal(served, _in_one_line(file, said, served.build))

    def _too_late(self, served: Served, dag: Dag | None) -> Refused:
        self.parses(served)  # the best reason there is, where it can be had
        hex_digits = served.build.removeprefix("sha256:")
        seen = "has no such DAG" if dag is None else f"has it as {dag.id}, not (yet) as this build's"
        hint = ("is dag_bundle_config_list as the docs say, and LANEWISE_HOME set for the dag-processor? its log names "
                f"{hex_digits[:8]} where it failed to load")  # fmt: skip
        return Refused(f"{served.environment}: {self.api.name} did not take up build {hex_digits[:8]} in "
                       f"{self.timeout:.0f} s: it {seen} ({served.entry})", hint=hint)  # fmt: skip


def _faults(printed: str) -> list[str] | None:
    """What the check found, a line each; None where it did not come to a result."""
    for line in reversed(printed.splitlines()):
        if line.startswith("{"):
            try:
                return [str(one) for one in json.loads(line)["faults"]]
            except (ValueError, KeyError):
                return None
    return None


def _in_one_line(file: str, said: str, build: str) -> str:
    """Airflow keeps a traceback; its last line is the reason, and its last place in the build where."""
    inside = file.rpartition(f"{build.removeprefix('sha256:')}/")[2]
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    at = [line for line in lines if line.startswith("File ") and build.removeprefix("sha256:") in line]
    number = at[-1].partition("line ")[2].partition(",")[0] if at else ""
    where = at[-1].partition('"')[2].partition('"')[0].rpartition(f"{build.removeprefix('sha256:')}/")[2] if at else ""
    return f"{where or inside}{f':{number}' if number else ''}: {lines[-1] if lines else 'it does not load'}"


def _refusal(served: Served, reason: str, *, more: int = 0) -> Refused:
    rest = f" (and {more} more)" if more else ""
    return Refused(f"build {served.build[7:15]} does not load in Airflow: {reason}{rest}",
                   hint="mend it, and build again")  # fmt: skip
