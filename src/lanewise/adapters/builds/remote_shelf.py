"""A build store anywhere that fsspec reaches: S3, GCS, Azure, memory."""

from __future__ import annotations

import contextlib
import os
import tempfile
from typing import Any, BinaryIO

import fsspec
from fsspec.core import url_to_fs

from lanewise.errors import StoreUnavailable, WrongInput


class RemoteShelf:
    """Objects below one URL. Uploads are whole or absent, as object stores promise; nothing is renamed there.

    ``create`` asks for a conditional write (S3: If-None-Match). Where a driver has none it looks first, so that two
    writers in the same instant could both win: drivers of S3, GCS and memory have it.
    """

    def __init__(self, url: str) -> None:
        try:
            self._fs, self._root = url_to_fs(url, use_listings_cache=False)
        except ImportError as error:
            raise StoreUnavailable(
                f"the build store's driver is not installed: {error.name or error}", hint="install it with pip"
            ) from error
        except ValueError as error:
            known = ", ".join(
                sorted(set(fsspec.available_protocols()) & {"s3", "gs", "abfs", "file", "memory", "sftp"})
            )
            raise WrongInput(
                "the build store's URL has a scheme that nothing knows", hint=f"such as {known}"
            ) from error

    def read(self, key: str) -> bytes:
        """See ``Shelf``."""
        data: bytes = self._fs.cat_file(self._at(key))
        return data

    def open(self, key: str) -> BinaryIO:
        """See ``Shelf``."""
        file: BinaryIO = self._fs.open(self._at(key), "rb")
        return file

    def size(self, key: str) -> int:
        """See ``Shelf``."""
        self._fs.invalidate_cache()
        return int(self._fs.info(self._at(key))["size"])

    def names(self, folder: str) -> list[str]:
        """See ``Shelf``."""
        self._fs.invalidate_cache()
        try:
            found: list[Any] = self._fs.ls(self._at(folder), detail=False)
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(str(path).rstrip("/").rpartition("/")[2] for path in found)

    def create(self, key: str, data: bytes) -> bool:
        """See ``Shelf``."""
        target = self._at(key)
        if self._fs.exists(target):
            return False
        self._fs.makedirs(os.path.dirname(target), exist_ok=True)  # noqa: PTH120 - a key, not a path on this machine
        try:
            self._fs.pipe_file(target, data, mode="create")
        except FileExistsError:
            return False
        return True

    def staging(self) -> str:
        """See ``Shelf``."""
        return tempfile.gettempdir()

    def adopt(self, path: str, key: str) -> None:
        """See ``Shelf``."""
        target = self._at(key)
        self._fs.makedirs(os.path.dirname(target), exist_ok=True)  # noqa: PTH120 - a key, not a path on this machine
        self._fs.put_file(path, target)
        os.unlink(path)  # noqa: PTH108 - ``staging`` gives strings

    def remove(self, key: str) -> None:
        """See ``Shelf``. Folders of an object store are gone with their last object."""
        target = self._at(key)
        with contextlib.suppress(FileNotFoundError):
            if self._fs.isdir(target):
                self._fs.rmdir(target)
            else:
                self._fs.rm_file(target)

    def _at(self, key: str) -> str:
        return f"{self._root}/{key}" if key else str(self._root)
