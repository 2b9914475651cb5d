"""``ledger: postgresql://USER@HOST/DATABASE?password=env:NAME``: an address that never holds a secret itself."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import unquote

HINT = "write postgresql://USER@HOST/DATABASE?password=env:NAME, or another reference after password="


def parameters(url: str) -> list[tuple[str, str]]:
    """What stands behind the question mark, decoded. A ``#`` belongs to a value: ``vault:MOUNT/PATH#FIELD``."""
    query = url.partition("?")[2]
    pairs = (part.partition("=") for part in query.split("&") if part)
    return [(unquote(name), unquote(value)) for name, _, value in pairs]


def inline_secret(url: str, is_secret: Callable[[str], bool], is_reference: Callable[[str], bool]) -> str:
    """Why this address must not stand in a file; empty when it may. Never repeats any of it."""
    before = url.partition("?")[0]
    user, at, _ = before.partition("://")[2].rpartition("@")
    if at and ":" in user:  # whatever it is made of: a password may hold a slash, or another @
        return "a credential inside a URI or a connection string"
    seen: set[str] = set()
    for name, value in parameters(url):
        if is_secret(name) and not is_reference(value):
            return f"{name[:60]}: a secret where a reference belongs"
        if name in seen:
            return f"{name[:60]} is given twice"
        seen.add(name)
    return ""
