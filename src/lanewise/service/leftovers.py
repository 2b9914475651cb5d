"""What lies in ``.lanewise`` on this machine and nothing needs: unpacked builds that are gone from the store, old logs,
what a killed run left."""

from __future__ import annotations

import re
import shutil
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from lanewise.errors import OutsideBroke
from lanewise.publication.retention import GRACE
from lanewise.service.context import Context

_HEX = re.compile(r"[0-9a-f]{64}")
_BY_BUILD = ("unpacked", "compiled")


@dataclass(frozen=True)
class Leftover:
    """A file or folder below ``.lanewise``, and the bytes it holds. ``kind``: build | log | run."""

    kind: str
    name: str
    bytes: int


def leftovers(ctx: Context, builds: Collection[str], window: timedelta) -> tuple[Leftover, ...]:
    """Find them. ``builds`` are the digests that stay; logs are kept for ``window``, what a run leaves for a day."""
    now, home = ctx.ledger.now(), ctx.home
    found = [("build", path) for path in _of_builds(home, builds)]
    found += [("build", path) for path in _aged(home / "unpacked", ".unpacking-*", now - GRACE)]
    found += [("log", path) for path in _aged(home / "logs", "*.log", now - window)]
    at_work = _at_work(ctx)
    for path in _aged(home / "runs", "*", now - GRACE):
        if not path.name.lstrip(".").startswith(at_work) or _modified(path) < now - window:
            found.append(("run", path))
    return tuple(Leftover(kind, path.relative_to(home).as_posix(), _size(path)) for kind, path in found)


def drop_leftovers(ctx: Context, found: Collection[Leftover]) -> int:
    """Delete them; bytes freed."""
    for one in found:
        path = ctx.home / one.name
        try:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise OutsideBroke(f"{path} can't be deleted: {error.strerror}") from error
    return sum(one.bytes for one in found)


def _of_builds(home: Path, builds: Collection[str]) -> Iterator[Path]:
    stored = {digest.removeprefix("sha256:") for digest in builds}
    for folder in _BY_BUILD:
        for path in sorted((home / folder).glob("*")):
            if _HEX.fullmatch(path.name) and path.name not in stored:
                yield path


def _aged(folder: Path, pattern: str, before: datetime) -> list[Path]:
    return [path for path in sorted(folder.glob(pattern)) if _modified(path) < before]


def _modified(path: Path) -> datetime:
    try:
        return datetime.fromtimestamp(path.lstat().st_mtime, UTC)
    except FileNotFoundError:  # its run has just ended
        return datetime.max.replace(tzinfo=UTC)


def _at_work(ctx: Context) -> tuple[str, ...]:
    """The runs whose end is not written down: a long one may still be at it."""
    streams = ctx.ledger.streams(f"run/{ctx.project.name}/", without=["run.ended", "run.failed", "run.published"])
    return tuple(stream.rpartition("/")[2] for stream in streams)


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() and not path.is_symlink() else [path]
    return sum(file.lstat().st_size for file in files if not file.is_dir())
