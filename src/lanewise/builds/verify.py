"""An unpacked build against its manifest, byte by byte: what runs is what was built."""

from __future__ import annotations

import os

from lanewise.builds.content import read_file
from lanewise.builds.pathcheck import shown
from lanewise.builds.walk import unexpected
from lanewise.domain.build import BuildFile, Manifest
from lanewise.errors import BuildTampered, WrongInput


def swept(root: str, manifest: Manifest) -> tuple[str, ...]:
    """The cache folders that tools left in an unpacked build (``__pycache__`` and the like), to be deleted before it
    runs. Raises ``BuildTampered`` naming anything else that the manifest does not have."""
    files = frozenset(file.path for file in manifest.files)
    folders: set[str] = set()
    for path in files:
        while (path := path.rpartition("/")[0]) and path not in folders:
            folders.add(path)
    caches = []
    try:
        for path, is_cache in unexpected(root, files, frozenset(folders)):
            if not is_cache:
                raise _tampered(root, manifest, f"{shown(path)} was added")
            caches.append(path)
    except WrongInput as error:
        raise _tampered(root, manifest, error.message) from error
    return tuple(sorted(caches))


def verify_tree(root: str, manifest: Manifest) -> None:
    """Read every file below ``root``; ``BuildTampered`` names the first that is missing, changed or no plain file."""
    if os.path.islink(root):  # noqa: PTH114 - strings throughout: this reads every file of a build
        raise _tampered(root, manifest, "its folder is a link")
    for file in manifest.files:
        if reason := _fault(root, file):
            raise _tampered(root, manifest, f"{shown(file.path)} {reason}")


def _fault(root: str, file: BuildFile) -> str:
    if not os.path.lexists(f"{root}/{file.path}"):
        return "is missing"
    try:
        digest, size, executable = read_file(root, file.path, follow=False)
    except WrongInput:
        return "is no readable plain file any more"
    if (digest, size) != (file.digest, file.size):
        return "was changed"
    return "" if executable == file.executable else "has another executable bit"


def _tampered(root: str, manifest: Manifest, what: str) -> BuildTampered:
    return BuildTampered(
        f"the unpacked build of {manifest.project} is not what was built: {what}",
        hint=f"find out who writes there, then delete {root}: it is unpacked again when it is needed",
    )
