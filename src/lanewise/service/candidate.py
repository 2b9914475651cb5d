"""A build opened for use: verified, unpacked, its own project file read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lanewise.config.load import parse_project
from lanewise.domain.build import Build, Manifest
from lanewise.domain.environment import Environment
from lanewise.domain.lineage import LINEAGE_FILE, Lineage
from lanewise.domain.project import Project, Table
from lanewise.publication.fingerprints import fingerprints
from lanewise.publication.lineage import read_lineage
from lanewise.service.build import checkout
from lanewise.service.context import Context

PROJECT_FILE = "lanewise.yaml"


@dataclass(frozen=True)
class Candidate:
    """A build whose bytes have just been verified, and where they lie."""

    build: Build
    project: Project
    directory: Path
    lineage: Lineage | None = None

    @property
    def digest(self) -> str:
        """The build's name."""
        return self.build.digest

    def fingerprints(self, environment: Environment) -> Mapping[str, str]:
        """Table -> the version it would have in that environment."""
        return fingerprints(self.project, self.build.manifest, environment.settings, self.lineage)

    def tables(self, names: tuple[str, ...]) -> tuple[Table, ...]:
        """The tables of these names, in the project's order."""
        return tuple(table for name, table in self.project.tables.items() if name in names)


def open_candidate(ctx: Context, name: str) -> Candidate:
    """Find a build by digest, prefix or tag, verify every byte of it, and read the project file it carries."""
    digest = ctx.builds.resolve(name)
    directory = checkout(ctx, digest)
    text = (directory / PROJECT_FILE).read_text(encoding="utf-8")
    build, project = ctx.builds.get(digest), parse_project(text, f"{digest[7:15]}/{PROJECT_FILE}")
    return Candidate(build, project, directory, lineage_in(directory, build.manifest))


def lineage_of(ctx: Context, build: Build) -> Lineage | None:
    """What a stored build's own tool knows of how its tables are computed."""
    carried = any(file.path == LINEAGE_FILE for file in build.manifest.files)
    return lineage_in(checkout(ctx, build.digest), build.manifest) if carried else None


def lineage_in(directory: Path, manifest: Manifest) -> Lineage | None:
    """The lineage that a build carries, where it is there and tells of this very build."""
    if not any(file.path == LINEAGE_FILE for file in manifest.files):
        return None
    return read_lineage((directory / LINEAGE_FILE).read_text(encoding="utf-8"), manifest)
