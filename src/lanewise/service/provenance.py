"""Where a working tree comes from, as git tells it: recorded beside a build, never in its digest."""

from __future__ import annotations

import os
import subprocess  # git has no library that is lighter than its own command
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from lanewise.builds.selection import ENVIRONMENTS_FILE

_TIMEOUT = 60.0  # seconds; a repository on a slow network disk
_REDIRECTING = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_NAMESPACE"}  # set inside git's hooks
_AUTHORS = "%an <%ae>%x00%cn <%ce>%x00%(trailers:key=Co-authored-by,valueonly,separator=%x00)"


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


def look_at_git(root: Path) -> Checkout | None:
    """The repository that ``root`` lies in, or None where there is none. Never raises."""
    if not any(os.path.lexists(folder / ".git") for folder in (root, *root.parents)):
        return None
    try:
        status = _git(root, "status", "--porcelain=v2", "--branch", "-z", "-uno", "--",
                      ".", f":(exclude){ENVIRONMENTS_FILE}")  # fmt: skip
        tracked = frozenset(_git(root, "ls-files", "-z").split("\0")) - {""}
        heads, changed = _read_status(status)
        commit = _known(heads.get("oid", ""))
        authors = tuple(_git(root, "log", "-1", f"--format={_AUTHORS}").strip("\n").split("\0")) if commit else ()
    except (OSError, subprocess.SubprocessError) as error:
        return Checkout(fault=_reason(error))
    branch = _known(heads.get("head", ""))
    return Checkout(commit, branch, changed, tuple(dict.fromkeys(filter(None, authors))), tracked)


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
