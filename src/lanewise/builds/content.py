"""One read of one file: its digest, its size, and whether its owner may execute it."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator

from lanewise.builds.pathcheck import shown
from lanewise.errors import WrongInput

CHUNK = 1 << 20
"""Bytes read at a time; most files of a build are smaller."""
OPEN_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK  # a pipe put in a file's place must not hang us


def read_file(root: str, path: str, *, follow: bool = True, copy: int | None = None) -> tuple[str, int, bool]:
    """``(sha256:…, bytes, executable)`` of the file at ``path`` below ``root``.

    ``copy``: an open file that gets the very bytes that were read. Raises ``WrongInput`` when it can't be read or is
    no regular file, with ``follow`` off also for a link; ``OSError`` when the copy can't be written.
    """
    try:
        handle = os.open(f"{root}/{path}", OPEN_FLAGS if follow else OPEN_FLAGS | os.O_NOFOLLOW)
    except (OSError, ValueError) as error:
        raise WrongInput(f"{shown(path)} can't be read: {getattr(error, 'strerror', error)}") from error
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise WrongInput(f"{shown(path)} is no regular file")
        hasher, size = hashlib.sha256(), 0
        for chunk in _chunks(handle, min(status.st_size + 1, CHUNK), path):
            hasher.update(chunk)
            size += len(chunk)
            if copy is not None:
                write_all(copy, chunk)
    finally:
        os.close(handle)
    return f"sha256:{hasher.hexdigest()}", size, bool(status.st_mode & stat.S_IXUSR)


def write_all(handle: int, data: bytes) -> None:
    """Write all of ``data``: in one call, but for a signal or a disk about to be full."""
    left = memoryview(data)
    while left:
        left = left[os.write(handle, left) :]


def _chunks(handle: int, wanted: int, path: str) -> Iterator[bytes]:
    while True:
        try:
            chunk = os.read(handle, wanted)
        except OSError as error:
            raise WrongInput(f"{shown(path)} can't be read: {error.strerror}") from error
        yield chunk
        if len(chunk) < wanted:  # the end of a regular file
            return
