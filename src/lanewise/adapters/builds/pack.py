"""A build's bytes: its files one after another, in the manifest's order, with nothing between them.

Where a file begins follows from the sizes before it. Names, links, devices, holes and modes can't be expressed in a
pack at all; they come from the verified manifest, or not at all.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterator
from typing import BinaryIO

from lanewise.builds.content import CHUNK, OPEN_FLAGS, write_all
from lanewise.builds.pathcheck import check_paths, shown
from lanewise.domain.build import Build, BuildFile, Manifest
from lanewise.errors import BuildTampered, StoreUnavailable, WrongInput

_SPOILT = "find out who writes to the store; then delete the build's folder there and `lane build` the same files"
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def write_pack(build: Build, root: str, handle: int) -> None:
    """Write the build's files, read below ``root``, to an open file. ``BuildTampered`` for the first whose bytes are
    not the manifest's; what was written until then is worthless."""
    batch = _Batch(handle)
    for file in build.manifest.files:
        hasher, size = hashlib.sha256(), 0
        try:
            source = os.open(f"{root}/{file.path}", OPEN_FLAGS)
        except OSError as error:
            raise _moved(file, error.strerror or "can't be read") from error
        try:
            while size <= file.size and (chunk := os.read(source, min(file.size - size + 1, CHUNK))):
                hasher.update(chunk)
                size += len(chunk)
                batch.add(chunk)
        finally:
            os.close(source)
        if size != file.size or "sha256:" + hasher.hexdigest() != file.digest:
            raise _moved(file, "changed while the build was made")
    batch.write()


class _Batch:
    """Chunks on their way to a file: many small ones in one call, and each batch is sent to the disk while the next
    is read, so that the fsync at the end finds little to do (5,000 files: 220 ms become 155)."""

    LIMIT = 4 << 20

    def __init__(self, handle: int) -> None:
        self._handle = handle
        self._chunks: list[bytes] = []
        self._size = self._start = 0

    def add(self, chunk: bytes) -> None:
        """Take a chunk, and write when there are enough."""
        self._chunks.append(chunk)
        self._size += len(chunk)
        if self._size >= self.LIMIT:
            self.write()

    def write(self) -> None:
        """Write what there is."""
        write_all(self._handle, b"".join(self._chunks))
        if hasattr(os, "posix_fadvise"):  # not on macOS
            os.posix_fadvise(self._handle, self._start, self._size, os.POSIX_FADV_DONTNEED)
        self._start += self._size
        self._chunks, self._size = [], 0


def unpack_pack(pack: BinaryIO, length: int, manifest: Manifest, into: str) -> None:
    """Lay the files out in ``into``: made, or an empty folder, and not a link. ``length`` is the pack's size in bytes.

    Raises ``BuildTampered`` (and leaves ``into`` empty) when the pack is shorter or longer than the manifest says,
    or a file's bytes are not its own; ``WrongInput`` when ``into`` is in use or a path is not safe.
    """
    check_paths(file.path for file in manifest.files)
    expected = sum(file.size for file in manifest.files)
    if length != expected:
        raise BuildTampered(f"the stored pack has {length:,} bytes where its manifest has {expected:,}", hint=_SPOILT)
    with _empty_folder(into) as top:
        free = shutil.disk_usage(top).free
        if expected > free:
            raise StoreUnavailable(f"the build needs {expected:,} bytes and {into} has {free:,} left")
        try:
            with contextlib.ExitStack() as handles:
                folders = {"": top}
                for file in manifest.files:
                    folder, _, name = file.path.rpartition("/")
                    _copy_out(pack, file, name, _folder(folders, folder, handles))
                _expect_end(pack)
        except BaseException:
            _clear(into)
            raise


def _expect_end(pack: BinaryIO) -> None:
    """The length was looked at before; the pack may have grown since."""
    if pack.read(1):
        raise BuildTampered("the stored pack is longer than its manifest says", hint=_SPOILT)


def _copy_out(pack: BinaryIO, file: BuildFile, name: str, folder: int) -> None:
    handle = os.open(name, _NEW_FILE, 0o600, dir_fd=folder)
    try:
        hasher, left = hashlib.sha256(), file.size
        while left and (chunk := pack.read(min(left, CHUNK))):
            hasher.update(chunk)
            left -= len(chunk)
            write_all(handle, chunk)
        if left or "sha256:" + hasher.hexdigest() != file.digest:
            raise BuildTampered(f"the stored bytes of {shown(file.path)} are not those that were built", hint=_SPOILT)
        os.fchmod(handle, 0o755 if file.executable else 0o644)
    finally:
        os.close(handle)


def _folder(open_folders: dict[str, int], path: str, handles: contextlib.ExitStack) -> int:
    """A handle of a folder below the top, made where needed. Going by handles, no link put there meanwhile is
    followed. Only the way down to the current folder stays open: files come sorted."""
    if path in open_folders:
        return open_folders[path]
    parent, _, name = path.rpartition("/")
    above = _folder(open_folders, parent, handles)
    with contextlib.suppress(FileExistsError):
        os.mkdir(name, 0o755, dir_fd=above)
    handle = os.open(name, _FOLDER, dir_fd=above)
    os.fchmod(handle, 0o755)
    for other in [known for known in open_folders if known and not f"{path}/".startswith(f"{known}/")]:
        os.close(open_folders.pop(other))
    open_folders[path] = handle
    handles.callback(_close, open_folders, path, handle)
    return handle


def _close(open_folders: dict[str, int], path: str, handle: int) -> None:
    if open_folders.get(path) == handle:
        os.close(open_folders.pop(path))


@contextlib.contextmanager
def _empty_folder(into: str) -> Iterator[int]:
    os.makedirs(os.path.dirname(into) or ".", exist_ok=True)  # noqa: PTH103, PTH120 - strings, as ``os.open`` takes
    with contextlib.suppress(FileExistsError):
        os.mkdir(into, 0o755)  # noqa: PTH102 - as above
    try:
        handle = os.open(into, _FOLDER)
    except OSError as error:
        raise WrongInput(f"can't unpack into {into}: it is no folder of its own") from error
    try:
        if os.listdir(handle):  # noqa: PTH208 - by handle, which pathlib can't
            raise WrongInput(f"can't unpack into {into}: it is not empty")
        os.fchmod(handle, 0o755)
        yield handle
    finally:
        os.close(handle)


def _clear(folder: str) -> None:
    with os.scandir(folder) as entries:
        for entry in list(entries):
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            else:
                os.unlink(entry.path)  # noqa: PTH108 - as above


def _moved(file: BuildFile, what: str) -> BuildTampered:
    return BuildTampered(f"{shown(file.path)}: {what}", hint="let the working tree rest, then build again")
