"""A build as an orchestrator is to run it: what is live in an environment, and what stands beside it as a candidate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PAUSED = "paused"
"""The setting ``schedule`` of an environment where nothing is started by the clock; a person may still start a run."""

AS_WRITTEN = "as written"
"""The setting ``schedule`` of an environment where the schedules are those that the pipeline's own files say."""


@dataclass(frozen=True)
class Served:
    """One build, made ready for one environment on this machine.

    ``directory`` holds its verified files (``.lanewise/unpacked/DIGEST``), ``compiled`` is the file that tells its code
    about the environment, ``entry`` what is started there (a DAG, a job, a flow). ``schedule`` is ``paused``,
    ``as written``, or a cron expression that stands in for the written one.
    """

    project: str
    environment: str
    build: str
    config: str
    directory: Path
    compiled: Path
    entry: str
    schedule: str = PAUSED
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Standing:
    """What an orchestrator itself says it runs. ``live`` is the build that its schedules start now (empty: none);
    ``candidates`` those that can be run beside it; ``scheduled`` whether anything is started by the clock; ``active``
    the builds of the runs that are queued or at work, one entry a run."""

    live: str = ""
    candidates: tuple[str, ...] = ()
    scheduled: bool = False
    active: tuple[str, ...] = ()
