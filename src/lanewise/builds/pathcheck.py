"""Which paths a build may hold: those that mean the same file on every system, inside the build's folder.

The same check runs when a build is made, when a stored manifest is read, and before anything is unpacked.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from lanewise.errors import WrongInput

MAX_SEGMENT = 255
"""Bytes of one name, in UTF-8: the limit of common file systems."""
MAX_PATH = 1024
"""Bytes of a whole path, in UTF-8."""

_RESERVED = frozenset(
    ["con", "prn", "aux", "nul", "conin$", "conout$"]
    + [f"{device}{digit}" for device in ("com", "lpt") for digit in "0123456789¹²³"]
)
_UNPORTABLE = '<>:"|?*'
_PLAIN = re.compile(r"(?:[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*/)*[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")
_MAYBE_RESERVED = re.compile(r"(?:^|/)(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:[./]|$)", re.IGNORECASE)
_DIRECTION_MARKS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")  # make a name read as another


def check_path(path: str) -> None:
    """Raise ``WrongInput`` unless ``path`` is a relative POSIX path that is safe and the same everywhere."""
    if _PLAIN.fullmatch(path) and len(path) <= MAX_SEGMENT and not _MAYBE_RESERVED.search(path):
        return  # nearly every path of a real project, in one match
    if reason := _fault(path):
        raise WrongInput(f"{shown(path)} can't be in a build: {reason}", hint="rename the file, or exclude it")


def check_paths(paths: Iterable[str]) -> None:
    """Check each path, and that no two are the same file where case does not count, nor one a folder of another.

    Raises ``WrongInput``.
    """
    spelled: dict[str, str] = {}  # folded path of a file or folder -> how it is written
    folders: set[str] = set()
    files: set[str] = set()
    for path in paths:
        check_path(path)
        if path in files:
            raise WrongInput(f"{shown(path)} is in the build twice")
        files.add(path)
        _note_spelling(spelled, path)
        folder = path.rpartition("/")[0]
        while folder and folder not in folders:
            folders.add(folder)
            _note_spelling(spelled, folder)
            folder = folder.rpartition("/")[0]
    if both := files & folders:
        raise WrongInput(f"{shown(min(both))} is both a file and a folder in the build")


def shown(path: str) -> str:
    """A path as it may be printed: quoted, with control and undecodable characters escaped."""
    return ascii(path) if any(not c.isprintable() for c in path) else repr(path)


def _note_spelling(spelled: dict[str, str], path: str) -> None:
    folded = path.lower() if path.isascii() else unicodedata.normalize("NFC", path.casefold())
    first = spelled.setdefault(folded, path)
    if first != path:
        raise WrongInput(
            f"{shown(first)} and {shown(path)} differ only in case: they are one file on some systems",
            hint="rename one of them",
        )


def _fault(path: str) -> str:
    try:
        encoded = path.encode()
    except UnicodeEncodeError:
        return "its name is not UTF-8"
    if not path:
        return "its name is empty"
    if path.startswith("/"):
        return "its path is absolute"
    if len(encoded) > MAX_PATH:
        return f"its path is longer than {MAX_PATH} bytes"
    if not unicodedata.is_normalized("NFC", path):
        return "its name is not in Unicode's composed form (NFC)"
    return next(filter(None, map(_segment_fault, path.split("/"))), "")


def _segment_fault(name: str) -> str:
    faults = (
        (name == "", "it has an empty name between slashes"),
        (name in {".", ".."}, f"it has {name!r} in its path"),
        (len(name.encode()) > MAX_SEGMENT, f"a name is longer than {MAX_SEGMENT} bytes"),
        ("\\" in name, "it has a backslash in its name"),
        (any(map(_is_control, name)), "it has a control character in its name"),
        (any(c in _UNPORTABLE for c in name), f"it has one of {_UNPORTABLE} in its name"),
        (name.endswith((".", " ")), "a name ends in a dot or a space, which Windows drops"),
        (name.partition(".")[0].rstrip(" ").casefold() in _RESERVED, "Windows reserves that name for a device"),
    )
    return next((reason for wrong, reason in faults if wrong), "")


def _is_control(character: str) -> bool:
    return unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} or character in _DIRECTION_MARKS
