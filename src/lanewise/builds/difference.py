"""What differs between two builds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lanewise.domain.build import Manifest


@dataclass(frozen=True)
class BuildDiff:
    """From ``a`` to ``b``. Paths are sorted; ``changed`` files differ in content or executable bit. The pairs are
    (a's, b's), or None where both agree; ``images`` and ``wheels`` hold the differing names only, "" for absent."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    project: tuple[str, str] | None = None
    interpreter: tuple[str, str] | None = None
    lock: tuple[str, str] | None = None  # "path@sha256:…", "" for a build without one
    images: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    wheels: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def same(self) -> bool:
        """True when the two are one build."""
        return self == BuildDiff()


def diff_builds(a: Manifest, b: Manifest) -> BuildDiff:
    """What ``b`` has otherwise than ``a``."""
    old = {file.path: (file.digest, file.executable) for file in a.files}
    new = {file.path: (file.digest, file.executable) for file in b.files}
    return BuildDiff(
        added=tuple(sorted(new.keys() - old.keys())),
        removed=tuple(sorted(old.keys() - new.keys())),
        changed=tuple(sorted(path for path in old.keys() & new.keys() if old[path] != new[path])),
        project=_pair(a.project, b.project),
        interpreter=_pair(a.interpreter, b.interpreter),
        lock=_pair(_lock(a), _lock(b)),
        images=_pairs(a.images, b.images),
        wheels=_pairs(a.wheels, b.wheels),
    )


def _lock(manifest: Manifest) -> str:
    """Path and digest together, so that another lock file with equal bytes still shows."""
    for file in manifest.files:
        if file.path == manifest.lock:
            return f"{file.path}@{file.digest}"
    return ""


def _pair(a: str, b: str) -> tuple[str, str] | None:
    return None if a == b else (a, b)


def _pairs(a: Mapping[str, str], b: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    names = sorted(a.keys() | b.keys())
    return {name: (a.get(name, ""), b.get(name, "")) for name in names if a.get(name) != b.get(name)}
