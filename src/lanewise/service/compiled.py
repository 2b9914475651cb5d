"""Write what ``lanewise.current()`` reads: one environment as one build sees it, as JSON. References, never a value.

The format is told in ``lanewise.runtime.compiled``.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lanewise.domain.canonical import plain
from lanewise.domain.environment import Connection, Environment
from lanewise.domain.project import Project
from lanewise.domain.run import RunRequest, Space
from lanewise.errors import OutsideBroke
from lanewise.runtime.compiled import FORMAT
from lanewise.service.context import Context

_SOURCES = ("lanewise.yaml", "environments.yaml")


def compile_lane(
    environment: Environment, project: Project, build: str, run: RunRequest | None = None, space: Space | None = None
) -> dict[str, Any]:
    """The compiled file's content, with the runner's logins alone. ``build`` is empty for a working tree."""
    connections = environment.for_runs().connections
    return {
        "format": FORMAT,
        "project": project.name,
        "environment": environment.name,
        "build": build,
        "config": environment.digest,
        "variable": project.environment_variable,
        "effects": list(project.effects),
        "settings": plain(environment.settings),
        "connections": {name: _connection(found) for name, found in connections.items()},
        "run": None if run is None else _run(run, project),
        "engine": None if space is None else plain(space.engine),
    }


def write_compiled(path: Path, document: Mapping[str, Any]) -> None:
    """Put a compiled file in its place whole, readable by its owner alone."""
    write_whole(path, json.dumps(document, indent=1, ensure_ascii=False).encode())


def write_whole(path: Path, content: bytes) -> None:
    """Put a file in its place whole, whoever else does so at the same time; readable by its owner alone."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, aside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # made with mode 0600
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            Path(aside).replace(path)
        except BaseException:
            Path(aside).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise OutsideBroke(f"{path} can't be written: {error.strerror}") from error


def write_lane(ctx: Context, environment: Environment, project: Project, build: str, *, beside: bool = False) -> Path:
    """Write ``.lanewise/compiled/BUILD/ENV.json``, which tells an unpacked build's code about its lane outside of a
    run. With an empty ``build`` it is ``.lanewise/compiled/ENV.json``, for the working tree, and goes stale when one
    of the two files changes. ``beside``: a file of its own, since the build is live under a config that stays in force.
    """
    document = {
        **compile_lane(environment, project, build),
        "root": str(ctx.root),
        "log_format": ctx.config.log_format,
        "sources": {} if build else _sources(ctx.root),
    }
    folder = ctx.home / "compiled" / build.removeprefix("sha256:")
    path = (folder / "beside" if beside else folder) / f"{environment.name}.json"
    write_compiled(path, document)
    return path


def _connection(connection: Connection) -> dict[str, Any]:
    return {
        "type": connection.type,
        "fields": plain(connection.fields),
        "secrets": {
            name: {"text": secret.text, "previous": secret.previous} for name, secret in connection.secrets.items()
        },
    }


def _run(run: RunRequest, project: Project) -> dict[str, Any]:
    return {
        "id": run.id,
        "purpose": run.purpose.value,
        "promotion": run.promotion,
        "partitions": own_partitions(run.partitions, project),
        "tables": list(run.tables),
        "declared": {
            name: [[column.name, column.type, column.nullable] for column in table.columns]
            for name, table in project.tables.items()
        },
    }


def own_partitions(partitions: tuple[str, ...], project: Project) -> list[str]:
    """What the pipeline's code is told: the one slice of its unpartitioned tables is no day of the others."""
    if any(table.partition for table in project.tables.values()):
        return [name for name in partitions if name != "all"]
    return list(partitions)


def _sources(root: Path) -> dict[str, Any]:
    found = {}
    for name in _SOURCES:
        file = root / name
        if file.is_file():
            status, content = file.stat(), file.read_bytes()
            found[name] = {
                "size": status.st_size,
                "mtime_ns": status.st_mtime_ns,
                "sha256": hashlib.sha256(content).hexdigest(),
            }
    return found
