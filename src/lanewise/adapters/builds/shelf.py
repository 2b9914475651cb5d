"""Where a build store keeps its bytes: a handful of operations that a disk and an object store both have.

A key is a relative path with forward slashes. Nothing is ever seen half written under its key: bytes appear there
whole, by a rename on a disk and at the end of the upload elsewhere.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from typing import BinaryIO, Protocol

_INCOMING = "incoming"


class Shelf(Protocol):
    """Raises ``FileNotFoundError`` for a key that isn't there, ``OSError`` when the store is away, full, read-only."""

    def read(self, key: str) -> bytes:
        """All bytes of a small object."""

    def open(self, key: str) -> BinaryIO:
        """The object, to read in order."""

    def size(self, key: str) -> int:
        """Bytes of the object."""

    def names(self, folder: str) -> list[str]:
        """The names directly in a folder, sorted; none when there is no such folder. "" is the top."""

    def create(self, key: str, data: bytes) -> bool:
        """Write a small object unless it exists; False when it did. Of two at once, one wins."""

    def staging(self) -> str:
        """A local folder in which to prepare what ``adopt`` takes."""

    def adopt(self, path: str, key: str) -> None:
        """Move a finished local file (flushed, from ``staging``) to its key, over what was there."""

    def remove(self, key: str) -> None:
        """Drop an object, or an empty folder; nothing happens when it isn't there."""


class LocalShelf:
    """A folder on a disk. Each write is durable when it returns: file and folder are fsynced."""

    def __init__(self, root: str) -> None:
        self._root = root

    def read(self, key: str) -> bytes:
        """See ``Shelf``."""
        with self.open(key) as file:
            return file.read()

    def open(self, key: str) -> BinaryIO:
        """See ``Shelf``."""
        return open(self._at(key), "rb")  # noqa: PTH123 - the caller closes it

    def size(self, key: str) -> int:
        """See ``Shelf``."""
        return os.stat(self._at(key)).st_size  # noqa: PTH116 - keys are strings on every shelf

    def names(self, folder: str) -> list[str]:
        """See ``Shelf``."""
        try:
            return sorted(os.listdir(self._at(folder)))  # noqa: PTH208 - as above
        except (FileNotFoundError, NotADirectoryError):
            return []

    def create(self, key: str, data: bytes) -> bool:
        """See ``Shelf``. A hard link is the one way to make a whole file appear only where there is none."""
        target = self._at(key)
        if os.path.lexists(target):
            return False
        handle, temporary = tempfile.mkstemp(dir=self.staging())
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fchmod(file.fileno(), 0o644)
                os.fsync(file.fileno())
            _make_folder(os.path.dirname(target))  # noqa: PTH120 - as above
            os.link(temporary, target)
        except FileExistsError:
            return False
        finally:
            os.unlink(temporary)  # noqa: PTH108 - as above
        _sync_folder(os.path.dirname(target))  # noqa: PTH120 - as above
        return True

    def staging(self) -> str:
        """See ``Shelf``. On the same disk, so that a rename does the rest."""
        folder = self._at(_INCOMING)
        _make_folder(folder)
        return folder

    def adopt(self, path: str, key: str) -> None:
        """See ``Shelf``."""
        target = self._at(key)
        folder = os.path.dirname(target)  # noqa: PTH120 - as above
        _make_folder(folder)
        os.replace(path, target)  # noqa: PTH105 - as above
        _sync_folder(folder)

    def remove(self, key: str) -> None:
        """See ``Shelf``."""
        target = self._at(key)
        with contextlib.suppress(FileNotFoundError):
            if os.path.isdir(target):  # noqa: PTH112 - as above
                os.rmdir(target)  # noqa: PTH106 - as above
            else:
                os.unlink(target)  # noqa: PTH108 - as above

    def _at(self, key: str) -> str:
        return f"{self._root}/{key}" if key else self._root


@contextlib.contextmanager
def staged(shelf: Shelf) -> Iterator[tuple[int, str]]:
    """A new local file (handle, path) to fill and hand to ``adopt``; gone afterwards if nobody took it."""
    handle, path = tempfile.mkstemp(prefix="lanewise-", dir=shelf.staging())
    try:
        os.fchmod(handle, 0o644)
        yield handle, path
    finally:
        os.close(handle)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)  # noqa: PTH108 - as above


def _make_folder(folder: str) -> None:
    if not os.path.isdir(folder):  # noqa: PTH112 - as above
        os.makedirs(folder, exist_ok=True)  # noqa: PTH103 - as above
        _sync_folder(os.path.dirname(folder))  # noqa: PTH120 - as above


def _sync_folder(folder: str) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
