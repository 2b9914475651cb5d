"""The files of a project's folder that its globs take, whatever the order in which the system lists them."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from lanewise.builds.pathcheck import shown
from lanewise.builds.selection import ENVIRONMENTS_FILE, NEVER, Selection, forbidden
from lanewise.errors import WrongInput

MAX_FILES = 100_000
"""More files than this are surely a mistake: a virtual environment, or links that multiply."""


def find_files(root: str, selection: Selection) -> list[str]:
    """Relative POSIX paths of all files in the build, sorted.

    A link is followed when it stays in the folder. Raises ``WrongInput`` for one that leaves it or runs in
    circles, for a file that is none (a pipe, a device, a socket), and when a folder can't be read.
    """
    real = os.path.realpath(root)
    found: list[str] = []
    for path in _below(root, "", selection, (real,)):
        found.append(path)
        if len(found) > MAX_FILES:
            raise WrongInput(
                f"more than {MAX_FILES:,} files match source.include", hint="narrow it, or use source.exclude"
            )
    return sorted(found)


def _below(folder: str, prefix: str, selection: Selection, trail: tuple[str, ...]) -> Iterator[str]:
    """``trail`` holds the real paths of the folders that we are in, outermost first."""
    for entry in _entries(folder, prefix):
        name = entry.name
        path = prefix + name
        if name in NEVER or name.endswith(".pyc") or path == ENVIRONMENTS_FILE:
            continue
        if entry.is_symlink():
            yield from _through(entry, path, selection, trail)
        elif entry.is_dir(follow_symlinks=False):
            if selection.reaches(path):
                yield from _below(entry.path, path + "/", selection, (*trail, f"{trail[-1]}/{name}"))
        elif selection.takes(path):
            if not entry.is_file(follow_symlinks=False):
                _expect_regular(entry.stat(follow_symlinks=False), path)
            yield path


def _through(entry: os.DirEntry[str], path: str, selection: Selection, trail: tuple[str, ...]) -> Iterator[str]:
    as_file, as_folder = selection.takes(path), selection.reaches(path)
    if not (as_file or as_folder):
        return
    try:
        target = os.path.realpath(entry.path, strict=True)
        status = os.stat(target)  # noqa: PTH116 - strings throughout: this walks every file of a build
    except OSError as error:
        if as_file:
            raise WrongInput(f"the link {shown(path)} leads nowhere: {error.strerror}") from error
        return
    is_folder = stat.S_ISDIR(status.st_mode)
    if not (as_folder if is_folder else as_file):
        return
    inside = os.path.relpath(target, trail[0])
    if inside == ".." or inside.startswith("../"):
        raise WrongInput(f"the link {shown(path)} leaves the project's folder", hint="copy the file in, or exclude it")
    if forbidden(inside):
        raise WrongInput(f"the link {shown(path)} leads to {inside}, which no build may hold", hint="exclude it")
    if not is_folder:
        _expect_regular(status, path)
        yield path
    elif target in trail:
        raise WrongInput(f"the link {shown(path)} leads to a folder that it lies in", hint="exclude it")
    else:
        yield from _below(target, path + "/", selection, (*trail, target))


def _expect_regular(status: os.stat_result, path: str) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise WrongInput(f"{shown(path)} is no regular file (a pipe, a device or a socket)", hint="exclude it")


def _entries(folder: str, prefix: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        raise WrongInput(f"the folder {shown(prefix or '.')} can't be read: {error.strerror}") from error
