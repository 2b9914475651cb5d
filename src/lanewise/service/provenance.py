"""Where a working tree comes from, as git tells it: recorded beside a build, never in its digest."""

from __future__ import annotations

import os
import subprocess  # git has no library that is lighter than its own command
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lanewise.builds.selection import ENVIRONMENTS_FILE

_TIMEOUT = 60.0  # seconds; a repository on a slow network disk
_REDIRECTING = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_NAMESPACE"}  # set inside git's hooks
_RECENT = 50  # commits looked at where it is not known which one was built before
_AUTHORS = "%an <%ae>%x00%cn <%ce>%x00%(trailers:key=Co-authored-by,valueonly,separator=%x00)%x00"


@dataclass(frozen=True)
class Checkout:
    """What git knows. ``changed``: tracked files differ from the commit (the environments file aside, which is in no
    build). ``tracked``: the paths that git knows below the project's folder. ``fault``: why git could not tell."""

    commit: str | None = None
    branch: str | None = None
    changed: bool = False
    authors: tuple[str, ...] = ()
    tracked: frozenset[str] = frozenset()
    fault: str = ""

    def dirty(self, root: Path, files: Collection[str]) -> bool:
        """Whether a build of ``files``, read below ``root``, holds more or other than the commit does."""
        unknown = [root / path for path in files if path not in self.tracked]
        real = root.resolve()  # git tracks what a link leads to, where it lies
        return self.changed or any(os.path.relpath(path.resolve(), real) not in self.tracked for path in unknown)


def look_at_git(root: Path, built: Sequence[str] = ()) -> Checkout | None:
    """The repository that ``root`` lies in, or None where there is none. Never raises.

    ``built`` are the commits of earlier builds, newest first: the authors are those of all commits since the first
    one that this repository knows, and where it knows none (a shallow clone, say), of the last 50.
    """
    if not _in_repository(root):
        return None
    try:
        status = _git(root, "status", "--porcelain=v2", "--branch", "-z", "-uno", "--",
                      ".", f":(exclude){ENVIRONMENTS_FILE}")  # fmt: skip
        tracked = frozenset(_git(root, "ls-files", "-z").split("\0")) - {""}
        heads, changed = _read_status(status)
        commit = _known(heads.get("oid", ""))
        authors = _authors(root, commit, built) if commit else ()
    except (OSError, subprocess.SubprocessError) as error:
        return Checkout(fault=_reason(error))
    branch = _known(heads.get("head", ""))
    return Checkout(commit, branch, changed, authors, tracked)


def authors_between(root: Path, base: str, head: str) -> tuple[str, ...]:
    """The authors, committers and co-authors of all commits in ``head`` that are not in ``base``, those of merged
    branches included; () where git can't tell. Never raises."""
    if not _in_repository(root):
        return ()
    try:
        return _logged(root, head, f"^{base}")
    except (OSError, subprocess.SubprocessError):
        return ()


def _authors(root: Path, commit: str, built: Sequence[str]) -> tuple[str, ...]:
    """Of the commit itself in any case: a build of it may differ from the one before by its interpreter alone."""
    own = _logged(root, "-1", commit)
    for base in built:
        with suppress(subprocess.CalledProcessError):  # this repository does not know that commit
            return tuple(dict.fromkeys((*own, *_logged(root, commit, f"^{base}"))))
    return _logged(root, f"-{_RECENT}", commit)


def _logged(root: Path, *which: str) -> tuple[str, ...]:
    told = _git(root, "log", f"--format={_AUTHORS}", *which, "--")
    return tuple(dict.fromkeys(name for part in told.split("\0") if (name := part.strip())))


def _in_repository(root: Path) -> bool:
    return any(os.path.lexists(folder / ".git") for folder in (root, *root.parents))


def _read_status(status: str) -> tuple[dict[str, str], bool]:
    lines = [line for line in status.split("\0") if line]
    heads = dict(line.removeprefix("# branch.").split(" ", 1) for line in lines if line.startswith("# branch."))
    return heads, any(not line.startswith("#") for line in lines)


def _known(text: str) -> str | None:
    """Git says ``(initial)`` before the first commit and ``(detached)`` on no branch."""
    return None if not text or text.startswith("(") else text


def _git(root: Path, *arguments: str) -> str:
    environment = {name: value for name, value in os.environ.items() if name not in _REDIRECTING}
    environment |= {"LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0"}
    done = subprocess.run(  # noqa: S603 - fixed arguments, no shell
        ["git", "-c", "core.fsmonitor=false", "-C", str(root), *arguments],  # noqa: S607 - the user's own git
        env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=True, timeout=_TIMEOUT,
    )  # fmt: skip
    return done.stdout.decode(errors="surrogateescape")


def _reason(error: Exception) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        lines = error.stderr.decode(errors="replace").strip().splitlines()
        return lines[0] if lines else f"git ended with {error.returncode}"
    return "git is not installed" if isinstance(error, FileNotFoundError) else type(error).__name__
