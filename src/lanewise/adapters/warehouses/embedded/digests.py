"""Content digests of input files, remembered while a file's size, time and inode stay the same."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
import zipfile
from contextlib import suppress
from pathlib import Path

from lanewise.errors import WrongInput

_TOO_YOUNG = 2_000_000_000
"""Nanoseconds: a file that changed this recently may change again within one tick of its clock."""


def file_digest(path: Path, cache: Path) -> str:
    """``sha256:…`` of a file's content."""
    stat = path.stat()
    stamp = [stat.st_size, stat.st_mtime_ns, stat.st_ino]
    note = (
        cache
        / "digests"
        / (hashlib.sha256(str(path.resolve()).encode("utf-8", "surrogateescape")).hexdigest() + ".json")
    )
    with suppress(OSError, ValueError, KeyError, TypeError):
        known = json.loads(note.read_bytes())
        if known["stamp"] == stamp:
            return str(known["digest"])
    with path.open("rb") as file:
        digest = "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
    if time.time_ns() - stat.st_mtime_ns > _TOO_YOUNG:
        with suppress(OSError):  # only a note for next time
            note.parent.mkdir(parents=True, exist_ok=True)
            aside = note.with_name(f"{note.name}.{os.getpid()}.part")
            aside.write_text(json.dumps({"stamp": stamp, "digest": digest}), encoding="ascii")
            aside.replace(note)
    return digest


def extracted(archive: Path, digest: str, cache: Path) -> Path:
    """The one CSV file inside a ``.csv.zip``, unpacked once per content. Its name in the archive is never used."""
    path = cache / "inputs" / f"{digest.removeprefix('sha256:')}.csv"
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with zipfile.ZipFile(archive) as box, aside.open("wb") as plain, box.open(_only_csv(archive, box)) as packed:
            shutil.copyfileobj(packed, plain, 1 << 20)
            plain.flush()
            os.fsync(plain.fileno())  # the name promises this content for good
        aside.replace(path)
    except zipfile.BadZipFile as error:
        raise WrongInput(f"{archive} is no whole zip file") from error
    finally:
        aside.unlink(missing_ok=True)
    return path


def _only_csv(archive: Path, box: zipfile.ZipFile) -> str:
    names = [name for name in box.namelist() if name.lower().endswith(".csv")]
    if len(names) != 1:
        raise WrongInput(f"{archive} holds {len(names)} CSV files", hint="put exactly one into it")
    return names[0]
