"""Which files of a project's folder are its build: include and exclude globs.

``*`` and ``?`` stay within one name, ``[a-z]`` is one character, ``**`` is any number of folders. A glob that
ends in a plain name takes a folder of that name with all that is in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from lanewise.domain.lineage import LINEAGE_FILE
from lanewise.domain.project import Source
from lanewise.errors import ConfigError

PROJECT_FILE = "lanewise.yaml"
"""Always in a build."""
ENVIRONMENTS_FILE = "environments.yaml"
"""Never in a build: what differs between environments does not travel."""
CACHES = frozenset({"__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis"})
"""Folders that tools leave behind as they run: never in a build."""
NEVER = CACHES | {".lanewise", ".git"}
"""Names that are never in a build, at any depth."""

_WILD = re.compile(r"[*?\[]")
_NOTHING = "(?!)"


class Selection:
    """A project's ``source`` as two questions. Raises ``ConfigError`` for a glob that leaves the folder."""

    def __init__(self, source: Source) -> None:
        include = [_segments(glob, "include") for glob in source.include]
        exclude = [_segments(glob, "exclude") for glob in source.exclude]
        self._include = _any(map(_files, include))
        self._reach = _any(map(_folders, include))
        self._exclude = _any(map(_files, exclude))
        self._prune = _any(map(_whole, exclude))

    def takes(self, path: str) -> bool:
        """Whether the file at ``path`` is in the build."""
        if path in {PROJECT_FILE, LINEAGE_FILE}:
            return True
        return self._include.fullmatch(path) is not None and self._exclude.fullmatch(path) is None

    def reaches(self, folder: str) -> bool:
        """Whether a file below ``folder`` may be in the build."""
        return self._reach.fullmatch(folder) is not None and self._prune.fullmatch(folder) is None


def forbidden(path: str) -> bool:
    """Whether ``path`` is one that no glob brings into a build."""
    if path == ENVIRONMENTS_FILE or path.endswith(".pyc"):
        return True
    return not NEVER.isdisjoint(path.split("/"))


def _segments(glob: str, key: str) -> list[str]:
    def wrong(reason: str, hint: str = "") -> ConfigError:
        return ConfigError(f"source.{key}: the glob {glob!r} {reason}", file=PROJECT_FILE, hint=hint)

    if not glob.strip():
        raise wrong("is empty")
    if "\\" in glob:
        raise wrong("has a backslash", "separate folders by /")
    if "{" in glob or "}" in glob:
        raise wrong("has braces, which globs here do not know", "write one glob for each")
    if glob.startswith(("/", "~")) or re.match(r"[A-Za-z]:", glob):
        raise wrong("is absolute", f"globs start from the folder of {PROJECT_FILE}")
    names = [name for name in glob.split("/") if name not in {"", "."}]
    if ".." in names or not names:
        raise wrong("leaves the project's folder", "keep what a build needs below it")
    if glob.endswith("/"):
        names.append("**")
    return names


def _any(patterns: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns) or _NOTHING, re.DOTALL)


def _files(glob: list[str]) -> str:
    """A pattern for the files that a glob takes."""
    return _path(glob) + ("" if _WILD.search(glob[-1]) else "(?:/.*)?")


def _whole(glob: list[str]) -> str:
    """A pattern for the folders that a glob takes with all that is in them."""
    if glob[-1] == "**":
        return _path(glob[:-1]) if len(glob) > 1 else ".*"
    return _NOTHING if _WILD.search(glob[-1]) else _path(glob)


def _path(glob: list[str]) -> str:
    pattern = ""
    for at, name in enumerate(glob):
        last = at == len(glob) - 1
        if name == "**":
            pattern += ".+" if last else "(?:[^/]+/)*"
        else:
            pattern += _name(name) + ("" if last else "/")
    return pattern


def _folders(glob: list[str]) -> str:
    """A pattern for the folders that may have such files below them."""
    name, rest = glob[0], glob[1:]
    if name == "**":
        return ".*"
    if not rest:
        return _NOTHING if _WILD.search(name) else f"{_name(name)}(?:/.*)?"
    return f"{_name(name)}(?:/(?:{_folders(rest)}))?"


def _name(glob: str) -> str:
    pattern, at = "", 0
    while at < len(glob):
        character = glob[at]
        at += 1
        close = glob.find("]", at + 1) if character == "[" else -1
        if character == "*":
            pattern += "" if pattern.endswith("[^/]*") else "[^/]*"
        elif character == "?":
            pattern += "[^/]"
        elif close > 0:
            pattern += _one_of(glob[at:close])
            at = close + 1
        else:
            pattern += re.escape(character)
    return pattern


def _one_of(inside: str) -> str:
    negated = inside.startswith("!")
    listed = re.sub(r"([\\\[\]^&~|])", r"\\\1", inside[1:] if negated else inside)
    pattern = f"(?!/)[{'^' if negated else ''}{listed}]"
    try:
        re.compile(pattern)
    except re.error:  # a range that runs backwards takes nothing
        return _NOTHING
    return pattern
