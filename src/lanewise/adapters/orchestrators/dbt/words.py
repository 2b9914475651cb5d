"""dbt's command line for a run: which models, over which stretches of time, and where everything is."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from lanewise.adapters.orchestrators.dbt.profile import PROFILE
from lanewise.domain.partition import next_partition, parse_partition
from lanewise.domain.project import Grain, Project
from lanewise.errors import RunFailed

_CHOOSING = ("--select", "-s", "--models", "-m", "--exclude", "--selector")


@dataclass(frozen=True)
class Stretch:
    """Partitions that follow each other: from the first moment of ``start`` to just before ``end`` (ISO, UTC)."""

    start: str
    end: str


def stretches(partitions: Sequence[str], project: Project) -> tuple[Stretch, ...]:
    """The partitions as stretches of time without gaps, in order; none where they are not cut by time."""
    grains = {table.partition.grain for table in project.tables.values() if table.partition}
    if len(grains) != 1 or not partitions or (grain := next(iter(grains))) is Grain.VALUE:
        return ()
    found: list[list[str]] = []
    for name in sorted(partitions):
        if found and found[-1][1] == name:
            found[-1][1] = next_partition(name, grain)
        else:
            found.append([name, next_partition(name, grain)])
    return tuple(Stretch(*(parse_partition(name, grain).isoformat() for name in pair)) for pair in found)


def split(command: Sequence[str]) -> tuple[list[str], dict[str, Any]]:
    """The words that the build's own command gives to dbt, without ``dbt`` itself and ``--full-refresh`` (a run's room
    is always new), and its ``--vars`` apart."""
    words, said, rest = [], "", iter(command[1:])
    for word in rest:
        name, sign, value = word.partition("=")
        if name == "--vars":
            said = value if sign else next(rest, "")
        elif word not in {"--full-refresh", "-f"}:
            words.append(word)
    try:
        found = YAML(typ="safe").load(said) if said else {}
    except YAMLError:
        found = None
    if not isinstance(found, dict):
        raise RunFailed(f"--vars of `{shlex.join(command)}` is no mapping", hint="write it as '{name: value}'")
    words = words or ["build"]
    if words[0] == "build" and not any("resource-type" in word for word in words):
        words += ["--exclude-resource-type", "snapshot"]  # history that only goes on from itself is no run's output
    return words, found


def choosing(words: Sequence[str], tables: Sequence[str], project: Project) -> list[str]:
    """Only what the wanted tables are computed from, and the tests that this can satisfy; nothing where all are wanted,
    or the build's own command chooses."""
    if set(tables) == set(project.tables) or any(word.partition("=")[0] in _CHOOSING for word in words):
        return []
    return ["--select", *(f"+{model_of(name)}" for name in tables), "--indirect-selection", "buildable"]


def model_of(table: str) -> str:
    """The model (or seed) that computes a table: ``analytics.daily`` and ``daily`` are both ``daily``."""
    return table.rpartition(".")[2]


def between(found: Sequence[Stretch]) -> list[str]:
    """The range that models in microbatches are computed over: from the first stretch to the last."""
    return ["--event-time-start", found[0].start, "--event-time-end", found[-1].end] if found else []


def interpreter_of(executable: str) -> str:
    """The Python of the virtual environment that dbt is installed in; empty where it isn't beside the program."""
    program = shutil.which(executable)
    python = Path(program).resolve().parent / "python" if program else None
    return str(python) if python is not None and python.exists() else ""


def placed(environment: str, room: Path, variables: Mapping[str, Any]) -> list[str]:
    """Where dbt finds its profile and leaves its files, and what its ``var()`` says. The last word on each is ours."""
    return [
        "--profiles-dir", str(room), "--profile", PROFILE, "--target", environment,
        "--target-path", str(room / "target"),
        "--log-path", str(room / "logs"), "--no-use-colors", "--vars", json.dumps(variables, ensure_ascii=False),
    ]  # fmt: skip
