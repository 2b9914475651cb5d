"""A manifest and a provenance as they lie in a store. A reader trusts nothing in them before it is checked."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from lanewise.builds.pathcheck import check_paths
from lanewise.domain.build import BuildFile, Manifest, Provenance
from lanewise.domain.canonical import canonical_json, short
from lanewise.errors import BuildTampered, WrongInput

FORMAT = 1
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_KEYS = {"project", "files", "interpreter", "lock", "images", "wheels", "format"}


REBUILD = "the store was changed behind our back: `lane build` on the same files makes the build whole again"
"""What to do about a stored build that has lost something."""


def digest_of(data: bytes) -> str:
    """``sha256:…`` of stored bytes."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def manifest_bytes(manifest: Manifest) -> bytes:
    """The manifest's canonical JSON, whose SHA-256 is the build's digest."""
    return canonical_json(manifest)


def read_manifest(data: bytes, digest: str) -> Manifest:
    """The manifest that these stored bytes are. Raises ``BuildTampered`` when they are not what ``digest`` names, or
    name files that no build may hold: a digest alone does not make a manifest safe to unpack."""
    if digest_of(data) != digest:
        raise BuildTampered(f"the stored manifest of build {short(digest)} does not have that digest", hint=REBUILD)
    try:
        found = json.loads(data)
        return _checked(_manifest(found), canonical_json(found) == data)
    except (_Malformed, WrongInput, ValueError, RecursionError) as error:
        reason = getattr(error, "message", "") or str(error)
        raise BuildTampered(f"the stored manifest of build {short(digest)} is not one: {reason}") from error


def provenance_bytes(provenance: Provenance) -> bytes:
    """The provenance as JSON."""
    return canonical_json(provenance)


def read_provenance(data: bytes, digest: str) -> Provenance:
    """The provenance that these stored bytes are; ``BuildTampered`` when they are none."""
    try:
        found = json.loads(data)
        texts = {key: _text(found[key]) for key in ("built_by", "built_at")}
        optional = {key: None if found[key] is None else _text(found[key]) for key in ("commit", "branch")}
        return Provenance(
            commit=optional["commit"],
            branch=optional["branch"],
            dirty=bool(found["dirty"]),
            authors=tuple(map(_text, found["authors"])),
            built_by=texts["built_by"],
            built_at=texts["built_at"],
        )
    except (_Malformed, ValueError, KeyError, TypeError, RecursionError) as error:
        raise BuildTampered(f"the stored provenance of build {short(digest)} can't be read") from error


class _Malformed(Exception):
    """Not a manifest; the message says why."""


def _checked(manifest: Manifest, canonical: bool) -> Manifest:  # noqa: FBT001 - a fact, not a switch
    paths = [file.path for file in manifest.files]
    check_paths(paths)
    if paths != sorted(paths):
        raise _Malformed("its files are not sorted")
    if not canonical:
        raise _Malformed("it is not in canonical form")
    return manifest


def _manifest(found: Any) -> Manifest:
    if not isinstance(found, dict) or set(found) != _KEYS:
        raise _Malformed("its keys are not a manifest's")
    if found["format"] != FORMAT:
        raise _Malformed(f"its format {found['format']!r} is not known here; a newer lanewise may know it")
    if not isinstance(found["files"], list):
        raise _Malformed("its files are no list")
    return Manifest(
        project=_text(found["project"]),
        files=tuple(map(_file, found["files"])),
        interpreter=_text(found["interpreter"]),
        lock=None if found["lock"] is None else _text(found["lock"]),
        images=_texts(found["images"]),
        wheels=_texts(found["wheels"]),
    )


def _file(found: Any) -> BuildFile:
    if not isinstance(found, dict) or set(found) != {"path", "size", "digest", "executable"}:
        raise _Malformed("an entry's keys are not a file's")
    size, executable = found["size"], found["executable"]
    if type(size) is not int or size < 0:
        raise _Malformed("a file's size is no count of bytes")
    if type(executable) is not bool:
        raise _Malformed("a file's executable bit is neither true nor false")
    digest = _text(found["digest"])
    if not _DIGEST.fullmatch(digest):
        raise _Malformed("a file's digest is not SHA-256")
    return BuildFile(_text(found["path"]), size, digest, executable)


def _text(found: Any) -> str:
    if not isinstance(found, str):
        raise _Malformed(f"{found!r} is no text")
    return found


def _texts(found: Any) -> dict[str, str]:
    if not isinstance(found, dict):
        raise _Malformed("images or wheels are no mapping")
    return {key: _text(value) for key, value in found.items()}
