"""What goes wrong outside becomes ``WarehouseUnavailable``, with the place and the way on."""

from __future__ import annotations

import errno
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
