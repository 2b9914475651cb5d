"""What Airflow says of its DAGs, runs and tasks, as far as it matters here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lanewise.runtime.airflow_names import BUILD_TAG, CONFIG_TAG, asked_of, config_tag

QUEUED, RUNNING, SUCCESS, FAILED = "queued", "running", "success", "failed"
ACTIVE = (QUEUED, RUNNING)
BROKEN = frozenset({"failed", "upstream_failed"})
UNDECIDED = frozenset({"skipped", "removed"})
ENDED = frozenset({"success", *BROKEN, *UNDECIDED})


def digest_of(text: object) -> str:
    """``sha256:HEX`` of what Airflow keeps as a version or a tag; empty where that is no digest."""
    name = str(text or "").removeprefix(BUILD_TAG).removeprefix("sha256:")
    return f"sha256:{name}" if len(name) == 64 else ""


@dataclass(frozen=True)
class Dag:
    """A DAG as Airflow has it now. ``build`` and ``config`` are what its tags say, ``stale``: its file is gone."""

    id: str
    build: str
    config: str
    paused: bool
    stale: bool
    broken: bool
    timetable: str
    version: str
    file_token: str

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Dag:
        """From the API's answer."""
        tags = [str(tag["name"]) for tag in found.get("tags") or ()]
        build = next((digest_of(tag) for tag in tags if tag.startswith(BUILD_TAG)), "")
        config = next((tag for tag in tags if tag.startswith(CONFIG_TAG)), "")
        return cls(
            id=str(found["dag_id"]),
            build=build,
            config=config,
            paused=bool(found["is_paused"]),
            stale=bool(found["is_stale"]),
            broken=bool(found.get("has_import_errors")),
            timetable=str(found.get("timetable_summary") or ""),
            version=digest_of(found.get("bundle_version")),
            file_token=str(found.get("file_token") or ""),
        )

    def runs(self, build: str, config: str = "") -> bool:
        """Whether a run that is started now is the build's (and under this config). The bundle's version is what a
        worker checks out, the tags what was parsed; they must say the same."""
        released = self.build == build and (not config or self.config == config_tag(config))
        return not self.stale and not self.broken and released and self.version in {"", build}


@dataclass(frozen=True)
class DagRun:
    """One run of a DAG. ``version`` is the build that its workers check out; empty where the bundle has no versions
    (a candidate's). ``asked`` is what Lanewise sent with it; empty for a run that Airflow started itself."""

    dag: str
    id: str
    state: str
    version: str
    start: str = ""
    note: str = ""
    partition: str = ""
    asked: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> DagRun:
        """From the API's answer."""
        return cls(
            dag=str(found["dag_id"]), id=str(found["dag_run_id"]), state=str(found["state"]),
            version=digest_of(found.get("bundle_version")), start=str(found.get("start_date") or ""),
            note=str(found.get("note") or ""), partition=str(found.get("partition_key") or ""),
            asked=asked_of(found.get("conf")),
        )  # fmt: skip

    @property
    def active(self) -> bool:
        """Whether it waits or works."""
        return self.state in ACTIVE


@dataclass(frozen=True)
class Task:
    """One task of a run, as its latest try stands. ``index`` is -1 where the task is not mapped; ``begun``: a process
    was started for it."""

    name: str
    index: int
    state: str
    tries: int
    begun: bool

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Task:
        """From the API's answer."""
        return cls(str(found["task_id"]), int(found.get("map_index", -1)), str(found["state"] or ""),
                   int(found.get("try_number") or 0), bool(found.get("start_date")))  # fmt: skip

    @property
    def shown(self) -> str:
        """As people name it."""
        return self.name if self.index < 0 else f"{self.name}[{self.index}]"

    @property
    def passed(self) -> bool | None:
        """None where it came to no result."""
        return True if self.state == SUCCESS else False if self.state in BROKEN else None
