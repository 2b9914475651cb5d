"""From a project's folder to its manifest, and from a stored manifest's bytes back to one that can be trusted."""

from __future__ import annotations

import difflib
import os
import re
import sys
from pathlib import Path

from lanewise.builds.content import read_file
from lanewise.builds.pathcheck import check_paths
from lanewise.builds.pinned import check_images, check_wheels
from lanewise.builds.selection import PROJECT_FILE, Selection
from lanewise.builds.walk import find_files
from lanewise.domain.build import BuildFile, Manifest
from lanewise.domain.lineage import LINEAGE_FILE
from lanewise.domain.project import Project
from lanewise.errors import ConfigError, NotFound

USUAL_LOCK = "requirements.txt"
"""The lock file of a project that names none, where there is one."""


def make_manifest(root: Path, project: Project) -> Manifest:
    """Read the project's folder. The same files give the same manifest, wherever, whenever and whoever reads them.

    Raises ``ConfigError`` for a wrong glob, a glob list that takes nothing, a lock file left out or a mutable
    reference; ``WrongInput`` for a file that can't be in a build (``pathcheck``, ``walk``).
    """
    folder = os.path.abspath(root)  # noqa: PTH100 - strings throughout: this walks every file of a build
    if not os.path.isfile(f"{folder}/{PROJECT_FILE}"):  # noqa: PTH113 - as above
        raise NotFound("project file", PROJECT_FILE, hint="`lane init` writes one")
    check_images(project.images)
    check_wheels(project.wheels)
    paths = find_files(folder, Selection(project.source))
    if set(paths) <= {PROJECT_FILE, LINEAGE_FILE}:
        raise ConfigError(
            f"source.include matches no file: {', '.join(map(repr, project.source.include)) or 'it is empty'}",
            file=PROJECT_FILE,
            hint="a glob such as pipelines/** takes a folder with all that is in it",
        )
    check_paths(paths)
    lock = _lock(folder, project, paths)
    files = tuple(BuildFile(path, size, digest, x) for path in paths for digest, size, x in [read_file(folder, path)])
    return Manifest(
        project=project.name,
        files=files,
        interpreter=this_interpreter(),
        lock=lock,
        images=dict(project.images),
        wheels=dict(project.wheels),
    )


def this_interpreter() -> str:
    """The interpreter that is running, as a manifest names it: ``cpython-3.11``."""
    return f"{sys.implementation.name}-{sys.version_info.major}.{sys.version_info.minor}"


def _lock(folder: str, project: Project, paths: list[str]) -> str | None:
    declared = project.source.lock
    if declared is None:
        present = os.path.lexists(f"{folder}/{USUAL_LOCK}")
        if not present:
            return None
    lock = USUAL_LOCK if declared is None else re.sub(r"^(\./)+", "", declared)
    if lock in paths:
        return lock
    if declared is not None and not os.path.lexists(f"{folder}/{lock}"):
        near = difflib.get_close_matches(lock, paths, n=1)
        raise ConfigError(
            f"source.lock: there is no file {declared!r}",
            file=PROJECT_FILE,
            hint=f"did you mean {near[0]}?" if near else "make it, or leave source.lock out",
        )
    raise ConfigError(
        f"the lock file {lock} is not in the build: source.include does not take it",
        file=PROJECT_FILE,
        hint=f"add {lock} to source.include, so that the build's digest covers its dependencies",
    )
