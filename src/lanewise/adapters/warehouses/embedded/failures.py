"""What goes wrong outside becomes ``WarehouseUnavailable``, with the place and the way on."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from lanewise.errors import WarehouseUnavailable

_CURES = {
    errno.ENOSPC: "free some room (`lane gc` says what nothing needs any more) and try again",
    errno.EDQUOT: "free some room (`lane gc` says what nothing needs any more) and try again",
    errno.EROFS: "the folder is read-only: make it writable, or set `path` on the dst connection",
    errno.EACCES: "this user may not write there: check the folder's owner",
    errno.EPERM: "this user may not write there: check the folder's owner",
}


def cure_of(said: str) -> str:
    """The way on, from an error's own words; empty when they are none of the file system's."""
    return next((cure for code, cure in _CURES.items() if os.strerror(code).lower() in said.lower()), "")


@contextmanager
def disk_errors(what: str) -> Iterator[None]:
    """``what`` was being done when the file system refused; readers still see what they saw."""
    try:
        yield
    except OSError as error:
        place = f" ({error.filename})" if error.filename else ""
        raise WarehouseUnavailable(
            f"{what}: {(error.strerror or str(error)).lower()}{place}", hint=_CURES.get(error.errno or 0, "")
        ) from error
