"""A deployment as it is posted: a build's specification, and what the environment says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lanewise.adapters.orchestrators.prefect.specification import Specification
from lanewise.domain.canonical import digest
from lanewise.domain.environment import Connection
from lanewise.domain.serving import AS_WRITTEN, PAUSED, Served
from lanewise.errors import ConfigError

LABEL = "lanewise/"
_STEP = "lanewise.integrations.prefect.checkout"
_ENTRYPOINT = "lanewise.integrations.prefect.pipeline"


def tags(labels: Mapping[str, str]) -> list[str]:
    """Labels as Prefect's tags: ``lanewise/build=sha256:…``."""
    return [f"{LABEL}{name}={value}" for name, value in labels.items()]


def told(found: Mapping[str, Any], name: str) -> str:
    """What a deployment's or flow run's tags say under a label; empty where they say nothing."""
    start = f"{LABEL}{name}="
    return next((tag.removeprefix(start) for tag in found.get("tags") or () if tag.startswith(start)), "")


def live_name(environment: str) -> str:
    """The deployment that schedules start."""
    return environment


def candidate_name(environment: str, build: str) -> str:
    """The deployment of a build that stands beside the live one."""
    return f"{environment}-{build.removeprefix('sha256:')[:8]}"


@dataclass(frozen=True)
class Ground:
    """What all deployments of a project in an environment have in common: the orchestrator's connection, Prefect's id
    of the flow, the ``.lanewise`` folder."""

    connection: Connection
    flow: str
    home: Path

    def work_pool(self, specification: Specification) -> str:
        """Whose workers run it: as the connection says, else ``prefect.yaml``."""
        found = self.connection.fields.get("work_pool") or specification.work_pool.get("name")
        if not found:
            raise ConfigError(f"the connection {self.connection.name} names no work pool",
                              hint="add `work_pool: NAME`: that of the workers which run this environment")  # fmt: skip
        return str(found)


def body(ground: Ground, served: Served, specification: Specification, *, live: bool) -> dict[str, Any]:
    """What is posted. The live deployment checks out what is live when a run starts; a candidate its own build."""
    labels = {
        "environment": served.environment, "build": served.build, "project": served.project,
        "role": "live" if live else "candidate",
    }  # fmt: skip
    home = str(ground.connection.fields.get("home") or ground.home)
    step = {"environment": served.environment, "entry": specification.entrypoint, "home": home,
            "grain": specification.grain, "timezone": specification.timezone}  # fmt: skip
    schedules = _schedules(served, specification) if live else []
    found = {
        "name": live_name(served.environment) if live else candidate_name(served.environment, served.build),
        "flow_id": ground.flow,
        "version": served.build,
        "entrypoint": _ENTRYPOINT,
        "pull_steps": [{_STEP: step if live else {**step, "build": served.build}}],
        "work_pool_name": ground.work_pool(specification),
        "work_queue_name": ground.connection.fields.get("work_queue") or specification.work_pool.get("work_queue_name"),
        "job_variables": _job_variables(ground, served, specification, home),
        "paused": live and served.schedule == PAUSED,
        "schedules": schedules,
        "parameters": specification.own.get("parameters", {}),
        "parameter_openapi_schema": specification.schema or {"type": "object", "properties": {}},
        "enforce_parameter_schema": False,
        "description": specification.own.get("description"),
        "concurrency_limit": specification.own.get("concurrency_limit"),
        "tags": [*specification.own.get("tags", []), *tags(labels)],
    }
    named = {f"{LABEL}{name}": value for name, value in labels.items()}
    return {**found, "labels": {**named, f"{LABEL}specification": digest(found)}}


def _schedules(served: Served, specification: Specification) -> list[dict[str, Any]]:
    if served.schedule == PAUSED:
        return [{**one, "active": False} for one in specification.schedules]
    if served.schedule == AS_WRITTEN:
        return specification.schedules
    return [{"schedule": {"cron": served.schedule, "timezone": specification.timezone}, "active": True}]


def _job_variables(ground: Ground, served: Served, specification: Specification, home: str) -> dict[str, Any]:
    written = dict(specification.work_pool.get("job_variables") or {})
    given = ground.connection.fields.get("job_variables") or {}
    own: dict[str, Any] = {**written, **(given if isinstance(given, dict) else {})}
    variables = {"LANEWISE_ENV": served.environment, "LANEWISE_HOME": home}
    return {**own, "env": {**dict(own.get("env") or {}), **variables}}
