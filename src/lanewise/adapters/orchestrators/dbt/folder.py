"""A dbt project's folder within a build: where it lies, and what of ours is laid into a run's copy of it."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from lanewise.domain.project import Project
from lanewise.errors import OutsideBroke, Refused

DBT_PROJECT = "dbt_project.yml"
_RENAMED = ("generate_schema_name", "generate_alias_name")
"""Macros that projects often have themselves; ours stand in for them in a run's copy."""


@dataclass(frozen=True)
class DbtFolder:
    """A dbt project. ``path`` is its folder, ``said`` what its ``dbt_project.yml`` says."""

    path: Path
    said: Mapping[str, Any]

    @classmethod
    def of(cls, build: Path, project: Project) -> DbtFolder:
        """The one in a build's files: ``entries: {dbt: FOLDER}`` of lanewise.yaml, else its top. ``Refused`` when there
        is none, or its file can't be read."""
        folder = build / project.entries.get("dbt", ".")
        file = folder / DBT_PROJECT
        try:
            said = YAML(typ="safe").load(file.read_text(encoding="utf-8"))
        except OSError as error:
            raise Refused(f"there is no {file.relative_to(build)} in this build",
                          hint="name its folder in lanewise.yaml: `entries: {dbt: FOLDER}`") from error  # fmt: skip
        except (YAMLError, UnicodeDecodeError) as error:
            raise Refused(f"{file.relative_to(build)} is no YAML: {' '.join(str(error).split())[:200]}") from error
        if not isinstance(said, dict):
            raise Refused(f"{file.relative_to(build)} is no dbt project")
        return cls(folder, said)

    @property
    def microbatched(self) -> bool:
        """Whether a model may be computed in batches of time: then scattered partitions take several calls."""
        return any(
            b"microbatch" in file.read_bytes()
            for ending in ("*.sql", "*.yml", "*.yaml", "*.py") for file in self.path.rglob(ending)
        )  # fmt: skip

    def lay_package(self, room: Mapping[str, Any]) -> None:
        """Put our package among the project's own, where dbt finds it, and in it what this run's room is like."""
        into = self.path / self._folder_named("packages-install-path", "dbt_packages") / "lanewise"
        try:
            with as_file(files("lanewise.integrations") / "dbt" / "package") as package:
                shutil.copytree(package, into, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
            (into / "macros" / "room.sql").write_text(_room_macro(room), encoding="utf-8")
        except OSError as error:
            raise OutsideBroke(f"{into} can't be written: {error.strerror}") from error

    def lay_macros(self, database: str) -> None:
        """Put the macros for a database into the project itself; its own of the same name stand aside."""
        folder = self.path / self._folder_named("macro-paths", "macros")
        try:
            for file in sorted(folder.rglob("*.sql")):
                text = file.read_text(encoding="utf-8")
                if (renamed := _standing_aside(text)) != text:
                    file.write_text(renamed, encoding="utf-8")
            folder.mkdir(parents=True, exist_ok=True)
            ours = (files("lanewise.integrations") / "dbt" / database / "lanewise.sql").read_text(encoding="utf-8")
            (folder / "lanewise.sql").write_text(ours, encoding="utf-8")
        except OSError as error:
            raise OutsideBroke(f"{folder} can't be written: {error.strerror}") from error

    def _folder_named(self, key: str, usual: str) -> str:
        """A folder that dbt_project.yml names, or the first of several."""
        said = self.said.get(key) or usual
        return str(said[0] if isinstance(said, list) else said)


def _standing_aside(text: str) -> str:
    names = "|".join(_RENAMED)
    return re.sub(rf"(\{{%-?\s*macro\s+)({names})(\s*\()", r"\1lanewise_aside_\2\3", text)


def _room_macro(room: Mapping[str, Any]) -> str:
    """A macro that returns this data. Braces and the like are escaped: dbt looks for blocks within strings too."""
    text = json.dumps(json.dumps(room, ensure_ascii=False), ensure_ascii=False)
    for sign in "{}%#":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return "{% macro room() %}{{ return(fromjson(" + text + ")) }}{% endmacro %}\n"
