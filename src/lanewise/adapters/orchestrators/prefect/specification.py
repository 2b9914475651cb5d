"""What a deployment of a build is made of: told by the build's own files, and kept, since Prefect keeps no history.

A build may carry a ``prefect.yaml``. Of its deployment of this entry (by entrypoint, or by name) count: ``schedules``,
``parameters``, ``description``, ``tags``, ``concurrency_limit`` and ``work_pool``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from lanewise.config.load import PROJECT_FILE, parse_project
from lanewise.domain.project import Grain
from lanewise.domain.serving import Served
from lanewise.errors import OutsideBroke, Refused

_CLOCKS = {"cron": ("cron", "timezone", "day_or"), "interval": ("interval", "anchor_date", "timezone"),
           "rrule": ("rrule", "timezone")}  # fmt: skip
PREFECT_FILE = "prefect.yaml"


@dataclass(frozen=True)
class Specification:
    """One build's deployment, short of what the environment says. ``schema`` is what Prefect asks of whoever starts it
    by hand; ``checked`` names the server and work pool on which the build was loaded (empty: not yet)."""

    entrypoint: str
    grain: str = ""
    timezone: str = "UTC"
    schedules: list[dict[str, Any]] = field(default_factory=list)
    own: dict[str, Any] = field(default_factory=dict)
    work_pool: dict[str, Any] = field(default_factory=dict)
    schema: dict[str, Any] = field(default_factory=dict)
    checked: str = ""


def specify(served: Served) -> Specification:
    """Read a build's files. ``Refused`` where they don't say which flow to run, or can't be read."""
    text = (served.directory / PROJECT_FILE).read_text(encoding="utf-8")
    project = parse_project(text, f"{served.build[7:15]}/{PROJECT_FILE}")
    found = _deployment(_deployments(served), served)
    entrypoint = served.entry if ":" in served.entry else str(found.get("entrypoint") or "")
    if not entrypoint:
        raise Refused(f"build {served.build[7:15]} does not say which flow computes its tables",
                      hint="in lanewise.yaml: `entries: {prefect: \"pipelines/flow.py:flights\"}`")  # fmt: skip
    file = PurePosixPath(entrypoint.partition(":")[0])
    if file.is_absolute() or ".." in file.parts:
        raise Refused(f"the entrypoint {entrypoint!r} of build {served.build[7:15]} lies outside of the build",
                      hint="name what lies in the build, by its path from there")  # fmt: skip
    cuts = {table.partition for table in project.tables.values() if table.partition}
    cut = next(iter(cuts)) if len({one.grain for one in cuts}) == 1 else None
    grain = cut.grain if cut else Grain.VALUE if cuts else ""
    own = {name: found[name] for name in ("parameters", "description", "tags", "concurrency_limit") if found.get(name)}
    return Specification(
        entrypoint, str(grain), cut.timezone if cut else "UTC", [_schedule(one) for one in _schedules(found)], own,
        dict(found.get("work_pool") or {}),
    )  # fmt: skip


def _deployments(served: Served) -> list[dict[str, Any]]:
    file = served.directory / PREFECT_FILE
    if not file.exists():
        return []
    try:
        found = YAML(typ="safe", pure=True).load(file.read_text(encoding="utf-8")) or {}
        # JSON, since YAML's own dates are none
        return list(json.loads(json.dumps(found.get("deployments") or [], default=str)))
    except (YAMLError, ValueError, AttributeError) as error:
        raise Refused(f"{PREFECT_FILE} of build {served.build[7:15]} can't be read: {error}") from error


def _deployment(found: list[dict[str, Any]], served: Served) -> dict[str, Any]:
    """The one of this entry; where there are several, the one named as the environment, else the first."""
    own = [one for one in found if served.entry in {one.get("entrypoint"), one.get("name")}]
    named = [one for one in own if one.get("name") == served.environment]
    return next(iter([*named, *own]), {})


def _schedules(deployment: Mapping[str, Any]) -> list[dict[str, Any]]:
    single = deployment.get("schedule")
    return [*(deployment.get("schedules") or []), *([single] if single else [])]


def _schedule(written: Mapping[str, Any]) -> dict[str, Any]:
    kind = next((name for name in _CLOCKS if written.get(name)), "")
    if not kind:
        raise Refused(f"a schedule of {PREFECT_FILE} has neither cron, interval nor rrule: {sorted(written)}")
    clock = {name: written[name] for name in _CLOCKS[kind] if written.get(name) is not None}
    beside = {name: written[name] for name in ("parameters", "slug", "max_scheduled_runs") if written.get(name)}
    return {"schedule": clock, "active": bool(written.get("active", True)), **beside}


def _file(home: Path, environment: str, build: str) -> Path:
    return home / "prefect" / environment / f"{build.removeprefix('sha256:')}.json"


def kept(home: Path, served: Served) -> Specification | None:
    """The specification that was kept of a build in an environment; None where none was, or it can't be read."""
    try:
        return Specification(**json.loads(_file(home, served.environment, served.build).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def keep(home: Path, served: Served, specification: Specification) -> None:
    """Write it down, whole."""
    file = _file(home, served.environment, served.build)
    aside = file.with_name(f".{file.name}.aside")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        aside.write_text(json.dumps(asdict(specification), indent=1), encoding="utf-8")
        aside.replace(file)
    except OSError as error:
        raise OutsideBroke(f"{file} can't be written: {error.strerror}") from error
