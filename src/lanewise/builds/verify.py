"""An unpacked build against its manifest, byte by byte: what runs is what was built."""

from __future__ import annotations

import os

from lanewise.builds.content import read_file
from lanewise.builds.pathcheck import shown
from lanewise.domain.build import BuildFile, Manifest
from lanewise.errors import BuildTampered, WrongInput

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def verify_tree(root: str, manifest: Manifest) -> None:
    """Read every file of the build below ``root``; ``BuildTampered`` names the first that is missing, changed or no
    plain file. What else lies there is not looked at: no run sees it (``copy_tree``)."""
    if os.path.islink(root):  # noqa: PTH114 - strings throughout: this reads every file of a build
        raise _tampered(root, manifest, "its folder is a link")
    for file in manifest.files:
        if reason := _fault(root, file):
            raise _tampered(root, manifest, f"{shown(file.path)} {reason}")


def copy_tree(root: str, manifest: Manifest, into: str) -> None:
    """Lay the files of the build below ``root``, and nothing else, out in ``into`` (made here).

    The copy is what is verified, so a file that changes meanwhile can't slip through; ``BuildTampered`` names the
    first one that is not the build's. Raises ``OSError`` when the copy can't be written.
    """
    if os.path.islink(root):  # noqa: PTH114 - as above
        raise _tampered(root, manifest, "its folder is a link")
    os.makedirs(into)  # noqa: PTH103 - as above
    made = {""}
    for file in manifest.files:
        folder = file.path.rpartition("/")[0]
        if folder not in made:
            os.makedirs(f"{into}/{folder}", exist_ok=True)  # noqa: PTH103 - as above
            made.add(folder)
        copy = os.open(f"{into}/{file.path}", _NEW_FILE, 0o600)
        try:
            reason = _fault(root, file, copy)
            os.fchmod(copy, 0o755 if file.executable else 0o644)
        finally:
            os.close(copy)
        if reason:
            raise _tampered(root, manifest, f"{shown(file.path)} {reason}")


def _fault(root: str, file: BuildFile, copy: int | None = None) -> str:
    if not os.path.lexists(f"{root}/{file.path}"):
        return "is missing"
    try:
        digest, size, executable = read_file(root, file.path, follow=False, copy=copy)
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
