"""The compiled file: one environment as one build sees it, as JSON. Written by ``lanewise.service.compiled``.

::

    {"format": 1,
     "project": "orders", "environment": "prod",
     "build": "sha256:…",          empty: compiled for a working tree
     "config": "sha256:…",         Environment.digest
     "variable": "DEPLOY_ENV",     the project's own name for LANEWISE_ENV
     "log_format": "text",
     "root": "/srv/orders",        the project's folder, where a relative ``file:`` reference starts
     "effects": ["emails"],        external effects that the build declares
     "sources": {"environments.yaml": {"size", "mtime_ns", "sha256"}},    a working tree's: stale when they differ
     "settings": {…},
     "connections": {NAME: {"type", "fields": {…}, "secrets": {FIELD: {"text", "previous"}}}},
     "run": null | {"id", "purpose", "partitions", "promotion", "tables": wanted, "declared": {TABLE: columns}},
     "engine": null | Space.engine}

It holds references, never a secret's value.
"""

from __future__ import annotations

import os

from lanewise.errors import BuildTampered, ConfigError, NotFound
from lanewise.runtime.place import COMPILED, VARIABLE, Place, compiled_file, compiled_folder

TYPE_CHECKING = False  # as type checkers know it; importing `typing` would cost 6 ms
if TYPE_CHECKING:
    from typing import Any

FORMAT = 1


def load(asked: str | None, place: Place | None) -> dict[str, Any]:
    """The compiled file of this process, verified against the code it is read by."""
    named = os.environ.get(COMPILED, "")
    if place is not None and place.stamp:
        place.digest = str(_stamp(place).get("digest") or "sha256:unknown")
    own_variable = "" if named else _own_variable(place)
    environment, path = (asked or "", named) if named else compiled_file(asked, place, own_variable or VARIABLE)
    document = read(path, environment)
    if environment and document["environment"] != environment:
        raise ConfigError(
            f"{path} is about {document['environment']}, and {environment} was asked for",
            hint="inside a run, call lanewise.current() without a name" if named else _cure(environment),
        )
    _check_code(document, place, path, in_run=bool(named))
    return document


def read(path: str, environment: str = "") -> dict[str, Any]:
    """Read one compiled file; ``environment`` is for the message when it is missing."""
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123 - pathlib costs 4 ms
            document = parse(file.read())
    except FileNotFoundError as error:
        known = _compiled_environments(path)
        cure = _cure(environment or "ENV") + (f" (there is {', '.join(known)})" if known else "")
        raise NotFound("compiled file", path, hint=cure) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", "") or "it is no JSON"
        raise ConfigError(f"can't be read: {reason}", file=path, hint=_cure(environment or "ENV")) from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ConfigError(f"is not in format {FORMAT}", file=path, hint=_cure(environment or "ENV"))
    document["path"] = path
    return document


class _Plain:
    """How the scanner is to read JSON: as ``json.loads`` does."""

    strict = True
    object_hook = object_pairs_hook = None
    parse_float, parse_int, parse_constant = float, int, float


def parse(text: str) -> Any:
    """``json.loads`` without importing ``json``, whose regular expressions take half of the time that is allowed.

    The scanner is CPython's own, the one that ``json`` uses. Where it is missing or finds a fault, ``json`` does the
    work, and words the error (a ``ValueError``).
    """
    try:
        from _json import make_scanner  # noqa: PLC0415 - private to CPython, hence the way back

        found, end = make_scanner(_Plain)(text, 0)  # type: ignore[arg-type] # any object with these attributes
    except (ImportError, AttributeError, TypeError, StopIteration, ValueError, SystemError):
        end = -1  # SystemError: a fault, and `json.decoder`, which would name it, is not imported yet
    if end < 0 or text[end:].strip(" \t\n\r"):
        import json  # noqa: PLC0415 - see above

        return json.loads(text)
    return found


def _own_variable(place: Place | None) -> str:
    """The project's own name for ``LANEWISE_ENV``, from the build's stamp or from any compiled file."""
    if place is None:
        return ""
    if place.stamp:
        return str(_stamp(place).get("variable") or "")
    folder = compiled_folder(place)
    for name in _compiled_environments(f"{folder}/x"):
        return str(read(f"{folder}/{name}.json", name).get("variable") or "")
    return ""


def _compiled_environments(path: str) -> list[str]:
    try:
        names = os.listdir(os.path.dirname(path))  # noqa: PTH120, PTH208 - pathlib costs 4 ms
    except OSError:
        return []
    return sorted(name[:-5] for name in names if name.endswith(".json"))


def _stamp(place: Place) -> dict[str, Any]:
    try:
        with open(place.stamp, encoding="utf-8") as file:  # noqa: PTH123
            found = parse(file.read())
    except (OSError, ValueError) as error:
        raise BuildTampered(f"{place.stamp} can't be read", hint="unpack the build again") from error
    if not isinstance(found, dict):
        raise BuildTampered(f"{place.stamp} is no build's stamp", hint="unpack the build again")
    return found


def _check_code(document: dict[str, Any], place: Place | None, path: str, *, in_run: bool) -> None:
    build, environment = document.get("build") or "", document["environment"]
    if place is None:
        return
    if place.digest and place.digest != build:
        raise BuildTampered(
            f"{path} belongs to build {_short(build)}, and this code is build {_short(place.digest)}",
            hint=f"run the code of the build that is live in {environment}; {_cure(environment)}",
        )
    if not place.digest and not in_run:
        _check_sources(document, place, path)


def _check_sources(document: dict[str, Any], place: Place, path: str) -> None:
    """A working tree's files must be those that were compiled: by size and time, else by content."""
    for name, known in (document.get("sources") or {}).items():
        file = f"{place.folder}/{name}"
        try:
            found = os.stat(file)  # noqa: PTH116
        except OSError:
            found = None
        if found and [found.st_size, found.st_mtime_ns] == [known["size"], known["mtime_ns"]]:
            continue
        if found is None or _sha256(file) != known["sha256"]:
            raise ConfigError(f"is stale: {name} has changed since", file=path, hint=_cure(document["environment"]))


def _sha256(file: str) -> str:
    import hashlib  # noqa: PLC0415 - 3 ms that an untouched working tree need not pay

    with open(file, "rb") as content:  # noqa: PTH123
        return hashlib.sha256(content.read()).hexdigest()


def _short(build: str) -> str:
    return build.removeprefix("sha256:")[:8] or "(a working tree)"


def _cure(environment: str) -> str:
    return f"`lane config show {environment}` writes it, and so does every promotion into {environment}"
