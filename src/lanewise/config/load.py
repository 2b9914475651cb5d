"""The ways in: the working tree's two files, a build's project file, a pinned config."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from lanewise.config.environments import build_config
from lanewise.config.node import Document, from_plain
from lanewise.config.project import build_project
from lanewise.config.reading import read_file, read_text
from lanewise.domain.environment import Config
from lanewise.domain.project import Project
from lanewise.errors import nearest_hint

PROJECT_FILE = "lanewise.yaml"
ENVIRONMENTS_FILE = "environments.yaml"


def load_project(root: Path) -> Project:
    """The project file of a folder. ``ConfigError`` with its place when it is missing or wrong."""
    return build_project(read_file(root / PROJECT_FILE, PROJECT_FILE))


@lru_cache(maxsize=8)  # a promotion opens the build it brings and the one it replaces several times
def parse_project(text: str, file: str) -> Project:
    """A project file that was read elsewhere, out of a build for one; ``file`` is what errors call it."""
    return build_project(read_text(text, file))


def load_config(root: Path, project: Project, variables: Mapping[str, str]) -> Config:
    """The environments file of a folder, resolved. ``variables``: the process's ``LANEWISE__*`` ones.

    ``ConfigError`` with its place when the file is missing or wrong, or when a table names an unknown setting.
    """
    config = _resolved(read_file(root / ENVIRONMENTS_FILE, ENVIRONMENTS_FILE), project, variables)
    _table_settings_known(root, project, config)
    return config


def from_document(
    document: Mapping[str, Any], project: Project, variables: Mapping[str, str], file: str = ENVIRONMENTS_FILE
) -> Config:
    """A pinned config (``Config.document``), resolved. Origins name ``file`` and no line: a pinned document has none.

    Its digest is that of the config it was pinned from.
    """
    return _resolved(Document(file, from_plain(document)), project, variables)


def _resolved(document: Document, project: Project, variables: Mapping[str, str]) -> Config:
    """Where people have to approve what changes, nobody changes it by a variable of their own shell: the overrides
    do not reach such an environment."""
    config = build_config(document, project, variables)
    if not variables:
        return config
    reviewed = build_config(document, project, {}).environments
    environments = {
        name: reviewed[name] if reviewed[name].rules.approvals.count else environment
        for name, environment in config.environments.items()
    }
    return replace(config, environments=environments)


def _table_settings_known(root: Path, project: Project, config: Config) -> None:
    """A misspelt setting would silently be left out of the table's fingerprint."""
    settings = next(iter(config.environments.values())).settings
    for table in project.tables.values():
        for index, dotted in enumerate(table.settings):
            here: Any = settings
            for step in dotted.split("."):
                here = here.get(step, _MISSING) if isinstance(here, Mapping) else _MISSING
            if here is _MISSING:
                document = read_file(root / PROJECT_FILE, PROJECT_FILE)
                place = document.find(["tables", table.name, "settings", index])
                message = f"{table.name} depends on the unknown setting {dotted[:60]!r}"
                raise document.error(message, place, hint=nearest_hint(dotted, settings))


_MISSING = object()
