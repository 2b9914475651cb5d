"""``lanewise.yaml`` to a ``Project``: everything that its parts must agree on is checked here."""

from __future__ import annotations

import graphlib
import re
import shlex
from collections.abc import Iterable
from pathlib import PurePosixPath

from lanewise.config.models import validated
from lanewise.config.node import Document
from lanewise.config.project_models import LanewiseFile, SourceModel
from lanewise.config.secrets import literal_secrets
from lanewise.config.tables import table
from lanewise.config.values import NAME, NAME_RULE
from lanewise.domain.project import Project, Source, Table
from lanewise.errors import nearest_hint

_TABLE = re.compile(rf"{NAME.pattern}(\.{NAME.pattern})?")
_INPUT = re.compile(rf"{NAME.pattern}(\.{NAME.pattern}){{0,2}}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_IMAGE = re.compile(r"[a-z0-9][\w./:-]*@sha256:[0-9a-f]{64}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def build_project(document: Document) -> Project:
    """The project that a parsed file describes; ``ConfigError`` at the first thing that is wrong."""
    # Columns may well be called `token`: here only the shape of a value gives a secret away.
    for problem in literal_secrets(document, names=False):
        raise problem
    model = validated(LanewiseFile, document)
    _names(document, model)
    _command(document, "run", model.run)
    if model.tests is not None:
        _command(document, "tests", model.tests)
    _digests(document, model)
    _entries(document, model)
    tables = {name: table(document, name, model.tables) for name in model.tables}
    _no_circle(document, tables)
    return Project(
        name=model.project,
        source=_source(document, model.source),
        run=model.run,
        tests=model.tests,
        inputs=tuple(model.inputs),
        tables=tables,
        environment_variable=model.environment_variable,
        images=model.images,
        wheels=model.wheels,
        effects=tuple(model.effects),
        entries=dict(model.entries),
        batch=model.batch,
    )


def _names(document: Document, model: LanewiseFile) -> None:
    if not NAME.fullmatch(model.project):
        raise document.error("this is no name for a project", document.find(["project"]), hint=NAME_RULE)
    seen: dict[str, str] = {}
    for name in model.tables:
        if not _TABLE.fullmatch(name):
            raise document.error("this is no name for a table", document.key(["tables", name]), hint=NAME_RULE)
        if other := seen.get(name.lower()):
            message = f"the tables {other} and {name} differ by case alone, which no warehouse keeps apart"
            raise document.error(message, document.key(["tables", name]))
        seen[name.lower()] = name
    for index, name in enumerate(model.inputs):
        if not _INPUT.fullmatch(name):
            raise document.error("this is no name for a table", document.find(["inputs", index]), hint=NAME_RULE)
    if not _VARIABLE.fullmatch(model.environment_variable):
        place = document.find(["environment_variable"])
        raise document.error("this is no name for a variable", place, hint="write it like DEPLOY_ENV")


def _command(document: Document, key: str, command: str) -> None:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise document.error(f"{key} is no command: {str(error).lower()}", document.find([key])) from None
    if not words:
        raise document.error(f"{key} is empty", document.find([key]))


def _digests(document: Document, model: LanewiseFile) -> None:
    for name, image in model.images.items():
        if not _IMAGE.fullmatch(image):
            hint = "write NAME@sha256:DIGEST; a tag can be moved to another image"
            raise document.error("an image is named by its digest", document.find(["images", name]), hint=hint)
    for name, wheel in model.wheels.items():
        if not _DIGEST.fullmatch(wheel):
            hint = "write sha256: and 64 hex digits"
            raise document.error("a wheel is named by its digest", document.find(["wheels", name]), hint=hint)


def _source(document: Document, model: SourceModel) -> Source:
    for key, globs in (("include", model.include), ("exclude", model.exclude)):
        inside(document, ["source", key], globs)
    if model.lock:
        inside(document, ["source", "lock"], [model.lock])
    return Source(tuple(model.include), tuple(model.exclude), model.lock)


def _entries(document: Document, model: LanewiseFile) -> None:
    """What is started is the build's own: what lies elsewhere, nobody has verified."""
    for name, entry in model.entries.items():
        if _leaves(entry.partition(":")[0]):
            raise document.error(f"entries.{name} leaves the folder", document.find(["entries", name]),
                                 hint="name what lies in the build, by its path from there")  # fmt: skip


def _leaves(path: str) -> bool:
    return "\\" in path or path.startswith(("/", "~")) or ".." in PurePosixPath(path).parts


def inside(document: Document, path: list[str | int], globs: Iterable[str]) -> None:
    """Refuse a glob that can leave the project's folder."""
    for index, glob in enumerate(globs):
        if _leaves(glob):
            hint = "paths are relative to the project's folder and stay inside it, with / between the parts"
            raise document.error(
                f"{'.'.join(map(str, path))} leaves the folder", document.find([*path, index]), hint=hint
            )


def _no_circle(document: Document, tables: dict[str, Table]) -> None:
    for name, one in tables.items():
        inside(document, ["tables", name, "depends"], one.depends)
        for index, upstream in enumerate(one.upstream):
            if upstream not in tables:
                place = document.find(["tables", name, "upstream", index])
                hint = nearest_hint(upstream, set(tables) - {name})
                raise document.error(f"{name} has the unknown upstream table {upstream[:60]!r}", place, hint=hint)
    try:
        graphlib.TopologicalSorter({name: one.upstream for name, one in tables.items()}).prepare()
    except graphlib.CycleError as error:
        circle: list[str] = error.args[1]
        place = document.find(["tables", circle[-1], "upstream"])
        raise document.error(f"tables are upstream of themselves: {' → '.join(circle)[:300]}", place) from None
