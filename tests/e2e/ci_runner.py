"""A tiny runner for the recipes of ``examples/ci``: it reads a workflow of GitHub Actions or a pipeline of GitLab CI,
and does in clean clones what those sites do, line by line: conditions, variables, secrets by environment, buttons.

Actions are not run: ``actions/checkout`` is the clone, and Python is this one. ``pip`` is a stand-in that looks whether
it was given a file with hashes.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

_ACTIONS = re.compile(r"actions/(checkout|setup-python)@[0-9a-f]{40}")
_EXPRESSION = re.compile(r"\$\{\{\s*(.+?)\s*\}\}")
_VARIABLE = re.compile(r"\$(\w+)")
_PIP = """\
#!/bin/sh
set -e
test "$1 $2 $3 $4" = "install --quiet --require-hashes -r"
grep -q -- --hash=sha256: "$5"
"""


@dataclass(frozen=True)
class Event:
    """What starts a pipeline: a push to main, or a change (number 7) of this very repository or of a fork."""

    commit: str
    actor: str
    change: bool = False
    fork: bool = False


@dataclass(frozen=True)
class Job:
    """One job, whatever the site: ``scripts`` are run in turn by ``shell``, each with variables of its own."""

    name: str
    needs: tuple[str, ...]
    environment: str
    manual: bool
    shell: tuple[str, ...]
    scripts: tuple[tuple[str, Mapping[str, str]], ...]


@dataclass
class Ran:
    """How a job ended, and all that it printed."""

    code: int
    log: str


@dataclass
class Runner:
    """``secrets``: environment -> what its jobs are given, and no other's. ``variables``: those of the site itself."""

    origin: Path
    scratch: Path
    secrets: Mapping[str, Mapping[str, str]]
    variables: Mapping[str, str]
    count: int = 0
    logs: list[str] = field(default_factory=list)

    def run(self, job: Job, event: Event) -> Ran:
        """Run one job in a clone of its own; stops at the first script that fails."""
        folder = self._clone(event)
        said = ""
        for script, variables in job.scripts:
            done = subprocess.run(
                [*job.shell, script], cwd=folder, env={**self._machine(), **self.variables, **variables}, check=False,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=240,
            )  # fmt: skip
            said += f"$ {script}\n{done.stdout}"
            if done.returncode:
                break
        self.logs.append(said)
        return Ran(done.returncode, said)

    def until_a_button(self, jobs: Sequence[Job], event: Event) -> dict[str, Ran]:
        """Every job that nobody has to start, in order; what needs one that failed or waits is left out."""
        done: dict[str, Ran] = {}
        for job in jobs:
            if not job.manual and all(name in done and done[name].code == 0 for name in job.needs):
                done[job.name] = self.run(job, event)
        return done

    def _clone(self, event: Event) -> Path:
        self.count += 1
        folder = self.scratch / f"job-{self.count}"
        subprocess.run(["git", "clone", "-q", self.origin, folder], check=True)
        subprocess.run(["git", "-C", folder, "checkout", "-q", "--detach", event.commit], check=True)
        return folder

    def _machine(self) -> dict[str, str]:
        programs = self.scratch / "programs"
        if not programs.exists():
            programs.mkdir()
            (programs / "pip").write_text(_PIP)
            (programs / "pip").chmod(0o755)
        path = os.pathsep.join([str(programs), str(Path(sys.executable).parent), "/usr/bin", "/bin"])
        return {"PATH": path, "HOME": str(self.scratch), "LANG": "C.UTF-8"}


def github(file: Path, event: Event, runner: Runner, reviewed: Sequence[str]) -> list[Job]:
    """The jobs of a workflow that this event starts. ``reviewed``: environments that wait for a reviewer."""
    document = _read(file)
    repository = "fork/pipeline" if event.fork else "shop/pipeline"
    known: dict[str, Any] = {
        "github.sha": event.commit, "github.triggering_actor": event.actor, "github.repository": "shop/pipeline",
        "github.event_name": "pull_request" if event.change else "push", "github.ref": "refs/pull/7/merge",
        "github.event.pull_request.head.repo.full_name": repository, "github.token": runner.variables["GITHUB_TOKEN"],
    }  # fmt: skip
    trigger = document[True] if True in document else document["on"]
    assert known["github.event_name"] in trigger
    jobs, names = [], set()
    for name, job in document["jobs"].items():
        needs = tuple(_listed(job.get("needs", [])))
        if not set(needs) <= names or not _holds(job.get("if", "true"), known):
            continue
        names.add(name)
        place = job["environment"]
        mine = known | {f"secrets.{key}": value for key, value in runner.secrets[place].items()}
        shared = _filled({**document.get("env", {}), **job.get("env", {})}, mine)
        scripts = []
        for step in job["steps"]:
            if "uses" in step:
                assert _ACTIONS.fullmatch(step["uses"]), f"{step['uses']} is not pinned"
                continue
            summary = {"GITHUB_STEP_SUMMARY": str(runner.scratch / f"summary-{name}.md")}
            scripts.append((step["run"], {**shared, **_filled(step.get("env", {}), mine), **summary}))
        jobs.append(Job(name, needs, place, place in reviewed, ("bash", "-e", "-c"), tuple(scripts)))
    return jobs


def gitlab(file: Path, event: Event, runner: Runner) -> list[Job]:
    """The jobs of a pipeline that this event starts; a job needs all those of the stages before its own."""
    document = _read(file)
    known = {
        "CI_PIPELINE_SOURCE": "merge_request_event" if event.change else "push", "CI_DEFAULT_BRANCH": "main",
        "CI_COMMIT_BRANCH": "" if event.change else "main", "CI_COMMIT_SHA": event.commit, "CI_PROJECT_ID": "42",
        "CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "43" if event.fork else "42", "CI_PROJECT_DIR": ".",
        "GITLAB_USER_LOGIN": event.actor,
    }  # fmt: skip
    assert any(_rule(rule, known) for rule in document["workflow"]["rules"])
    jobs: list[Job] = []
    for name, job in document.items():
        if name.startswith(".") or not isinstance(job, dict) or "script" not in job:
            continue
        rule = next((rule for rule in job["rules"] if _rule(rule, known)), None)
        if rule is None:
            continue
        place, stages = job["environment"]["name"], document["stages"]
        before = tuple(j.name for j in jobs if stages.index(document[j.name]["stage"]) < stages.index(job["stage"]))
        given = {**known, **document["variables"], **job.get("variables", {}), **runner.secrets[place]}
        shared = {key: _expanded(str(value), given) for key, value in given.items()}
        script = "\n".join([*document["default"]["before_script"], *job["script"]])
        shell = ("bash", "-eo", "pipefail", "-c")
        jobs.append(Job(name, before, place, rule.get("when") == "manual", shell, ((script, shared),)))
    return jobs


def _read(file: Path) -> Any:
    return YAML(typ="safe", pure=True).load(file.read_text(encoding="utf-8"))


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _filled(variables: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, str]:
    """An unknown secret is empty, as it is there."""
    return {name: _EXPRESSION.sub(lambda found: str(known.get(found[1], "")), str(value))
            for name, value in variables.items()}  # fmt: skip


def _expanded(value: str, known: Mapping[str, Any]) -> str:
    return _VARIABLE.sub(lambda found: str(known.get(found[1], "")), value)


def _holds(condition: str, known: Mapping[str, Any]) -> bool:
    return condition == "true" or all(
        _word(left, known) == _word(right, known)
        for left, right in (part.split(" == ") for part in condition.split(" && "))
    )


def _rule(rule: Mapping[str, str], known: Mapping[str, str]) -> bool:
    return _holds(rule["if"], {f"${name}": value for name, value in known.items()})


def _word(text: str, known: Mapping[str, Any]) -> str:
    text = text.strip()
    return text[1:-1] if text[0] in "'\"" else str(known[text])
