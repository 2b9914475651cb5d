"""One read of one file: its digest, its size, and whether its owner may execute it."""

from __future__ import annotations

import hashlib
import os
import stat

from lanewise.builds.pathcheck import shown
from lanewise.errors import WrongInput

CHUNK = 1 << 20
"""Bytes read at a time; most files of a build are smaller."""
OPEN_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK  # a pipe put in a file's place must not hang us


def read_file(root: str, path: str, *, follow: bool = True) -> tuple[str, int, bool]:
    """``(sha256:…, bytes, executable)`` of the file at ``path`` below ``root``.

    Raises ``WrongInput`` when it can't be read or is no regular file; with ``follow`` off, also for a link.
    """
    try:
        handle = os.open(f"{root}/{path}", OPEN_FLAGS if follow else OPEN_FLAGS | os.O_NOFOLLOW)
    except (OSError, ValueError) as error:
        raise WrongInput(f"{shown(path)} can't be read: {getattr(error, 'strerror', error)}") from error
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise WrongInput(f"{shown(path)} is no regular file")
        hasher, size, wanted = hashlib.sha256(), 0, min(status.st_size + 1, CHUNK)
        while chunk := os.read(handle, wanted):
            hasher.update(chunk)
            size += len(chunk)
            if len(chunk) < wanted:
                break  # a short read is the end of a regular file
    except OSError as error:
        raise WrongInput(f"{shown(path)} can't be read: {error.strerror}") from error
    finally:
        os.close(handle)
    return f"sha256:{hasher.hexdigest()}", size, bool(status.st_mode & stat.S_IXUSR)
