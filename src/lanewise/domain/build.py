"""A build: an immutable, content-addressed set of files that knows no environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from lanewise.domain.canonical import digest, short


@dataclass(frozen=True)
class BuildFile:
    """One file: POSIX path relative to the project, size in bytes, ``sha256:…``, and whether it is executable."""

    path: str
    size: int
    digest: str
    executable: bool = False


@dataclass(frozen=True)
class Manifest:
    """All that the digest covers, and nothing environmental. Files are sorted by path."""

    project: str
    files: tuple[BuildFile, ...]
    interpreter: str  # e.g. "cpython-3.11"
    lock: str | None = None  # path of the lock file among ``files``
    images: Mapping[str, str] = field(default_factory=dict)
    wheels: Mapping[str, str] = field(default_factory=dict)
    format: int = 1

    @cached_property
    def digest(self) -> str:
        """The build's name: ``sha256:…`` of this manifest's canonical JSON. Kept: 5,000 files take 20 ms."""
        return digest(self)


@dataclass(frozen=True)
class Provenance:
    """Where a build came from. Recorded beside it, never in its digest."""

    commit: str | None = None
    branch: str | None = None
    dirty: bool = False
    authors: tuple[str, ...] = ()  # "Name <mail>" of the commit, for the four-eyes rule
    built_by: str = ""
    built_at: str = ""  # ISO 8601 UTC


@dataclass(frozen=True)
class Build:
    """A stored build."""

    manifest: Manifest
    provenance: Provenance = Provenance()
    tags: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """The build's name, ``sha256:…``."""
        return self.manifest.digest

    @property
    def short(self) -> str:
        """Eight hex digits, for people."""
        return short(self.digest)

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.manifest.files)
