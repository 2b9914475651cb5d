"""A table's fingerprint: the digest of all that its content depends on in a build and an environment.

Two builds that give a table the same fingerprint share its version: nothing is computed again. What judges a table
(checks, tolerances, declared changes) or only describes it is not in it.
"""

from __future__ import annotations

from collections.abc import Mapping

from lanewise.domain.build import BuildFile, Manifest
from lanewise.domain.canonical import digest
from lanewise.domain.lineage import LINEAGE_FILE, Lineage
from lanewise.domain.project import Project, Table
from lanewise.errors import ConfigError, nearest_hint
from lanewise.publication.globs import pattern

PROJECT_FILE = "lanewise.yaml"
NEVER_CODE = ("tests/**", "docs/**", "**/*.md", PROJECT_FILE, "environments.yaml", LINEAGE_FILE)


def fingerprints(
    project: Project, manifest: Manifest, settings: Mapping[str, object], lineage: Lineage | None = None
) -> dict[str, str]:
    """Table -> ``sha256:…``, in the project's order.

    Covers the table's spec as far as it changes content, the files that its ``depends`` globs match (without any:
    every file of the build but tests, docs and the two config files), the lock file, the interpreter, the run
    command, images and wheels, the values of the settings it names, and the fingerprints of its ``upstream``. Where
    the build has a ``lineage`` that tells of the table, and no ``depends`` is written, what it is computed from there
    stands for the files.
    Raises ``ConfigError`` for a glob that matches nothing, an unknown setting or upstream table, a cycle.
    """
    found: dict[str, str] = {}
    common = _common(project, manifest)
    for name in project.tables:
        _fingerprint(name, project, _Ground(manifest, settings, common, lineage), found, ())
    return {name: found[name] for name in project.tables}


class _Ground:
    """What every table of a build stands on."""

    def __init__(
        self, manifest: Manifest, settings: Mapping[str, object], common: object, lineage: Lineage | None
    ) -> None:
        self.manifest, self.settings, self.common = manifest, settings, common
        self._lineage = lineage

    def code(self, table: Table) -> list[list[object]]:
        """What computes a table: the nodes of its lineage, or files."""
        if self._lineage is None or table.depends or table.name not in self._lineage.tables:
            return [[f.path, f.digest, f.executable] for f in _files(table, self.manifest)]
        nodes = self._lineage.of(table.name)
        asked = sorted({name for node in nodes.values() for name in node.variables} & set(self.settings))
        head: list[object] = ["lineage", self._lineage.common, [[name, self.settings[name]] for name in asked]]
        return [head, *(list[object]([name, node.checksum, node.rest]) for name, node in nodes.items())]


def _fingerprint(name: str, project: Project, ground: _Ground, found: dict[str, str], path: tuple[str, ...]) -> str:
    if name in found:
        return found[name]
    if name in path:
        circle = " -> ".join([*path[path.index(name) :], name])
        raise ConfigError(f"tables are computed from each other in a circle: {circle}", file=PROJECT_FILE)
    table = project.tables[name]
    upstream = {}
    for other in table.upstream:
        if other not in project.tables:
            hint = nearest_hint(other, project.tables)
            raise ConfigError(f"{name}: upstream names no table {other!r}", file=PROJECT_FILE, hint=hint)
        upstream[other] = _fingerprint(other, project, ground, found, (*path, name))
    found[name] = digest(
        {
            "spec": _spec(table),
            "files": ground.code(table),
            "settings": _settings(table, ground.settings),
            "upstream": upstream,
            "common": ground.common,
        }
    )
    return found[name]


def _spec(table: Table) -> list[object]:
    columns = [[c.name, c.type, c.nullable] for c in table.columns]
    return [table.name, table.kind, table.partition, table.key, columns, table.offset]


def _common(project: Project, manifest: Manifest) -> dict[str, object]:
    lock = next((f.digest for f in manifest.files if f.path == manifest.lock), None)
    return {
        "run": project.run,
        "lock": lock,
        "interpreter": manifest.interpreter,
        "images": manifest.images,
        "wheels": manifest.wheels,
    }


def _files(table: Table, manifest: Manifest) -> list[BuildFile]:
    if not table.depends:
        return [f for f in manifest.files if not any(pattern(glob).fullmatch(f.path) for glob in NEVER_CODE)]
    wanted: dict[str, BuildFile] = {}
    for glob in table.depends:
        matched = [f for f in manifest.files if pattern(glob).fullmatch(f.path)]
        if not matched:
            hint = nearest_hint(glob, [f.path for f in manifest.files]) or "see `lane build show` for the build's files"
            raise ConfigError(f"{table.name}: depends on {glob!r}, which matches no file", file=PROJECT_FILE, hint=hint)
        wanted.update((f.path, f) for f in matched)
    return [wanted[path] for path in sorted(wanted)]


def _settings(table: Table, settings: Mapping[str, object]) -> dict[str, object]:
    for name in table.settings:
        if name not in settings:
            raise ConfigError(
                f"{table.name}: depends on a setting {name!r} that this environment does not have",
                file=PROJECT_FILE,
                hint=nearest_hint(name, settings),
            )
    return {name: settings[name] for name in table.settings}
