"""Globs over POSIX paths: ``*`` and ``?`` stay within a folder, ``**`` is any number of folders."""

from __future__ import annotations

import re
from functools import cache


@cache
def pattern(glob: str) -> re.Pattern[str]:
    """The expression that matches whole paths. A glob that names a folder matches what lies below it."""
    parts = glob.strip("/").split("/")
    found = ""
    for number, part in enumerate(parts):
        last = number == len(parts) - 1
        if part == "**":
            found += ".+" if last else "(?:[^/]+/)*"
        else:
            found += _segment(part) + ("(?:/.*)?" if last else "/")
    return re.compile(found, re.DOTALL)


def _segment(part: str) -> str:
    found = ""
    position = 0
    while position < len(part):
        character = part[position]
        closing = part.find("]", position + 2) if character == "[" else -1
        if closing > 0:
            inside = part[position + 1 : closing].replace("\\", "\\\\")
            found += "[" + ("^" + inside[1:] if inside.startswith("!") else inside) + "]"
            position = closing
        else:
            found += {"*": "[^/]*", "?": "[^/]"}.get(character, re.escape(character))
        position += 1
    return found
