"""How a run ended, as people and gates want it: a finding a task, the last lines of what failed, a log."""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lanewise.adapters.orchestrators.airflow.api import Api
from lanewise.adapters.orchestrators.airflow.records import ENDED, SUCCESS, DagRun, Task
from lanewise.domain.run import Finding, Launch

_TAIL = 20
_EARLIER = "an earlier task failed"
_OUTSIDE = "API_SERVER_ERROR"  # Airflow's own error in a task whose API does not answer
_NOISE = ("::", "DAG bundles loaded", "Filling up the DagBag", "Worker startup parse complete")  # Airflow's own


@dataclass(frozen=True)
class Report:
    """One DAG run, read back. ``lines`` are the last ones of the tasks that failed, redacted."""

    run: DagRun
    findings: tuple[Finding, ...]
    lines: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether it counts: Airflow says so, and nothing that must pass did not."""
        return self.run.state == SUCCESS and not any(one.severe and one.passed is False for one in self.findings)


def read_back(api: Api, run: DagRun, redact: Callable[[str], str]) -> Report:
    """What the tasks of an ended run came to. A failed task of a run that Airflow counts as a success was foreseen by
    the DAG itself (a trigger rule), so it is no severe one."""
    findings, lines = [], []
    for task in api.tasks(run):
        message = ""
        if task.passed is False:
            said = [redact(line) for line in _said(api.log(run, task))] if task.state == "failed" else []
            message = _reason(said) if task.state == "failed" else _EARLIER
            lines += [f"{task.shown} | {line}" for line in said[-_TAIL:]]
        findings.append(Finding(task.shown, "task", task.passed, run.state != SUCCESS, message))
    failed = [f"task {one.name} failed: {one.message}" for one in _first_causes(findings)]
    if run.state != SUCCESS and not failed:
        failed = [f"Airflow says that the run {run.state}, and names no task for it"]
    return Report(run, tuple(findings), (*lines, *failed))


def _first_causes(findings: Iterable[Finding]) -> list[Finding]:
    severe = [one for one in findings if one.passed is False and one.severe]
    return [one for one in severe if one.message != _EARLIER] or severe


def _said(lines: Iterable[Any]) -> list[str]:
    """A task's log as plain lines: Airflow's are structured, with the exception beside the event."""
    found: list[str] = []
    for line in lines:
        if not isinstance(line, Mapping):
            found.append(str(line))
            continue
        found.append(str(line.get("event", "")))
        found += [f"{detail.get('exc_type', 'Error')}: {detail.get('exc_value', '')}"
                  for detail in line.get("error_detail") or () if isinstance(detail, Mapping)]  # fmt: skip
    every = [part for line in found for part in line.splitlines() if part.strip()]
    return [line for line in every if not line.startswith(_NOISE) and not line.endswith(".log")]


def _reason(said: list[str]) -> str:
    """The line that tells why: the last one that names an error, else the last one."""
    return (_named(said) or said or ["it left no word"])[-1].strip()


def _named(said: list[str]) -> list[str]:
    return [line for line in said if re.search(r"(Error|Exception|Refused|Failed|Tampered)\b.*:|refused:", line)]


def tells_why(lines: Iterable[Any]) -> bool:
    """Whether a task's log has an error of the build's in it, rather than Airflow's own, or ending in the middle."""
    return any(_OUTSIDE not in line for line in _named(_said(lines)))


def keep(launch: Launch, reports: Iterable[Report], api: Api) -> None:
    """Write what was read back to the launch's log, each line labelled. A log that can't be written harms no run."""
    labels = launch.request.labels
    as_json = launch.environment.get("LANEWISE_LOG_FORMAT") == "json"
    with contextlib.suppress(OSError):
        Path(launch.log).parent.mkdir(parents=True, exist_ok=True)
        opened = os.open(launch.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)  # the owner's alone
        with os.fdopen(opened, "a", encoding="utf-8") as log:
            for report in reports:
                states = [f"{one.name}: {_word(one)}" for one in report.findings]
                for line in [f"{report.run.id} {report.run.state}: {api.page(report.run)}", *states, *report.lines]:
                    prefix = " ".join(f"{name}={value}" for name, value in labels.items())
                    log.write((json.dumps({"event": line, **labels}) if as_json else f"{prefix} | {line}") + "\n")


def _word(finding: Finding) -> str:
    return {True: "passed", False: "failed", None: "did not run"}[finding.passed]


def progress(tasks: Iterable[Task]) -> tuple[int, int]:
    """How many tasks have ended, of how many."""
    states = [task.state for task in tasks]
    return sum(state in ENDED for state in states), len(states)
