"""``file:PATH``: the content of a small file, as mounted by Kubernetes, Docker or systemd."""

from __future__ import annotations

import os
import stat
import time
from datetime import timedelta
from pathlib import Path

from lanewise.domain.environment import SecretRef
from lanewise.errors import BadReference, SecretUnavailable

_LIMIT = 64 * 1024


class FileStore:
    """Reads a regular file of UTF-8 text, at most 64 KB. One trailing newline is not part of the value.

    A relative path starts at the project's root; ``~`` is the home of who runs. Symbolic links are followed, since
    mounted secrets are made of them; the age is that of the file's content.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def resolve(self, reference: SecretRef, *, previous: bool = False) -> str:
        """The file's text. ``SecretUnavailable`` when it is missing, unreadable, empty, too large or not text."""
        text = reference.wanted(previous=previous)
        path = self._path(text)
        try:
            # A named pipe would block for ever without O_NONBLOCK.
            with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
                _demand_regular(text, os.fstat(file.fileno()))
                content = file.read(_LIMIT + 1)
        except OSError as error:
            raise _unreadable(text, path, error) from None
        if len(content) > _LIMIT:
            raise SecretUnavailable(f"{text}: more than 64 KB is no secret", hint="point the reference at another file")
        try:
            value = content.decode()
        except UnicodeDecodeError:  # its message shows a byte of the value
            raise SecretUnavailable(f"{text}: not UTF-8 text", hint="encode it, e.g. as base64") from None
        value = value.removesuffix("\n").removesuffix("\r") if value.endswith("\n") else value
        if not value:
            raise SecretUnavailable(f"{text}: the file is empty", hint=f"write the value to {path}")
        return value

    def age(self, reference: SecretRef) -> timedelta | None:
        """Time since the content was last written."""
        path = self._path(reference.text)
        try:
            return timedelta(seconds=max(0.0, time.time() - path.stat().st_mtime))
        except OSError as error:
            raise _unreadable(reference.text, path, error) from None

    def concerns(self, reference: SecretRef) -> tuple[str, ...]:
        """A file that other accounts of the machine may read or write."""
        path = self._path(reference.text)
        try:
            mode = path.stat().st_mode
        except OSError as error:
            raise _unreadable(reference.text, path, error) from None
        if mode & stat.S_IWOTH:
            return (f"every account may write {path}: chmod o-rwx {path}",)
        if mode & stat.S_IROTH:
            return (f"every account may read {path}: chmod o-rwx {path}",)
        return ()

    def _path(self, text: str) -> Path:
        scheme, _, name = text.partition(":")
        if scheme != "file" or not name.strip() or "\0" in name:
            raise BadReference("a file: reference names a path", hint="write file:PATH, e.g. file:~/.secrets/postgres")
        try:
            return self._root / Path(name).expanduser()
        except RuntimeError:  # ~nobody-of-that-name
            raise BadReference("a file: reference starts with ~ and an unknown user", hint="write file:PATH") from None


def _demand_regular(text: str, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        what = "a folder" if stat.S_ISDIR(status.st_mode) else "no regular file"
        raise SecretUnavailable(f"{text}: it is {what}", hint="point the reference at a regular file")


def _unreadable(text: str, path: Path, error: OSError) -> SecretUnavailable:
    hint = f"create {path}" if isinstance(error, FileNotFoundError) else f"look at {path}"
    return SecretUnavailable(f"{text}: {error.strerror or 'it cannot be read'}", hint=hint)
