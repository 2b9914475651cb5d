"""CSV inputs as Parquet, converted once per content: the runs of one promotion would parse the same text four times.

A run sees the same columns, types and rows in the same order, because the engine reads the text with the settings a
run would use. Files are named by the content's digest and the engine's version, so they never go stale.
"""

from __future__ import annotations

import errno
import os
import time
from contextlib import suppress
from pathlib import Path

import duckdb

from lanewise.adapters.warehouses.embedded.digests import file_digest
from lanewise.adapters.warehouses.embedded.engine import engine
from lanewise.adapters.warehouses.embedded.layout import sync_file
from lanewise.errors import LaneError
from lanewise.publication import sql

WORTHWHILE = 1_000_000
"""Bytes: a smaller text is parsed in less time than it takes to look for its other form."""

_FORGOTTEN_AFTER = 30 * 24 * 3600


def columnar(text: Path, cache: Path, scratch: Path) -> Path | None:
    """The Parquet form of a CSV file. None where there is none: the text is small, can't be read, changes meanwhile,
    or the disk is full. A run then reads the text itself, and says what is wrong with it."""
    with suppress(OSError, duckdb.Error, LaneError):
        if text.stat().st_size < WORTHWHILE:
            return None
        content = file_digest(text, cache)
        path = cache / "inputs" / f"{content.removeprefix('sha256:')}-{duckdb.__version__}.parquet"
        if path.exists():
            os.utime(path)
        else:
            _convert(text, content, path, scratch)
            _forget(path.parent)
        return path
    return None


def _convert(text: Path, content: str, path: Path, scratch: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"{path.name}.{os.getpid()}.part")
    rows = sql.select(["*"], sql.call("read_csv", "[" + sql.file_literal(str(text)) + "]"))
    try:
        with engine(scratch) as connection:
            connection.execute(" ".join(["COPY", "(" + rows + ")", "TO", sql.literal(str(aside)), "(FORMAT parquet)"]))
        if file_digest(text, path.parent.parent) != content:
            raise OSError(errno.ESTALE, "the text changed while it was read", str(text))
        sync_file(aside)  # the name promises this content for good
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def _forget(folder: Path) -> None:
    """Drop the forms that no run has asked for in a month."""
    now = time.time()
    for file in folder.iterdir():
        with suppress(OSError):
            if now - file.stat().st_mtime > _FORGOTTEN_AFTER:
                file.unlink()
