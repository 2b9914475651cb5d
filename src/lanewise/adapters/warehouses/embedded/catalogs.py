"""What is live, and the one moment in which that changes. Never imports the engine.

Publishing renames one symbolic link, under a lock that every writer takes around compare and replace. A published
catalog's name carries its number and its fencing number; numbers only grow. So a name with a number above the live
one was never live: it is what a crash left, and the next publication sweeps it away.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lanewise.adapters.warehouses.embedded.failures import disk_errors
from lanewise.adapters.warehouses.embedded.layout import Layout, sync_folder, write_durably
from lanewise.domain.publication import PartitionMap, Pointer
from lanewise.errors import FenceRefused, GroundMoved, NotFound, WarehouseUnavailable
from lanewise.publication.documents import decode, encode, name_of

_NAME = re.compile(r"(\d{10})-(\d{10})-([0-9a-f]{16})\.duckdb")


@dataclass(frozen=True)
class Record:
    """A published catalog, as its name tells it. ``map`` names the map's document by its content."""

    number: int
    fence: int
    map: str

    @property
    def stem(self) -> str:
        """Its file name without the ending."""
        return f"{self.number:010d}-{self.fence:010d}-{self.map}"


@dataclass(frozen=True)
class Catalogs:
    """The published and prepared catalogs of one environment. ``pipeline`` is whose they are."""

    layout: Layout
    pipeline: str

    def pointer(self) -> Pointer:
        """What is live: one readlink and one small file."""
        with disk_errors("the live pointer can't be read"):
            record = self.live_record()
            if record is None:
                return Pointer(0, self.seen(), "", "")
            release = self.release(record)
        return Pointer(record.number, record.fence, release["build"], release["config"], release["repeats"])

    def live(self) -> PartitionMap:
        """The live map."""
        with disk_errors("the live map can't be read"):
            record = self.live_record()
            return self._read(record) if record else PartitionMap(self.pipeline)

    def map_at(self, number: int) -> PartitionMap:
        """A map that was live, and still is kept."""
        if number == 0:
            return PartitionMap(self.pipeline)
        with disk_errors(f"map {number} can't be read"):
            return self._read(self.record_at(number))

    def numbers(self) -> tuple[int, ...]:
        """The maps that were live and are kept."""
        with disk_errors("the maps can't be listed"):
            return tuple(sorted(r.number for r in self.records()))

    def raise_fence(self, fence: int) -> None:
        """Refuse older fencing numbers from now on, across crashes."""
        with disk_errors("the fencing number can't be written"), self.locked():
            self._check(fence)
            if fence > self._stored_fence():
                write_durably(self.layout.fence, str(fence).encode())

    def publish(self, target: PartitionMap, *, base: int, fence: int) -> None:
        """Make a prepared map the live one; see the port."""
        name = name_of(encode(target))
        with disk_errors(f"map {target.number} can't be published"), self.locked():
            self._check(fence)
            live = self.live_record()
            if live and (live.number, live.map, live.fence) == (target.number, name, fence):
                return
            self._check_ground(live, base)
            if target.number <= base:
                raise GroundMoved(
                    f"map {target.number} is not newer than the live map {base}",
                    hint="numbers only grow: number it anew, or go back to a kept map with `lane rollback`",
                )
            prepared = self.prepared(target.number, name)
            if not prepared.exists():
                raise GroundMoved(f"map {target.number} is not prepared", hint="prepare it (again) before publishing")
            record = Record(target.number, fence, name)
            self._go_live(record, prepared, _release(target, base, f"{target.number:010d}-{name}"))
            with suppress(OSError):  # the published name has it too
                prepared.unlink()

    def revert(self, to: int, *, base: int, fence: int) -> int:
        """Publish a kept map again under the next number; see the port."""
        with disk_errors(f"map {to} can't be published again"), self.locked():
            self._check(fence)
            live = self.live_record()
            if live and self._is_revert(live, to, base):
                return live.number
            self._check_ground(live, base)
            found = self.record_at(to)
            release = self.release(found) | {"number": base + 1, "repeats": to, "base": base, "at": _now()}
            record = Record(base + 1, fence, found.map)
            self._go_live(record, self.layout.catalogs / f"{found.stem}.duckdb", release)
            return record.number

    def prepared(self, number: int, name: str) -> Path:
        """Where a map's catalog waits to be published."""
        return self.layout.catalogs / f"prepared-{number:010d}-{name}.duckdb"

    def document(self, stem: str) -> Path:
        """Where a map itself is kept; ``stem`` is ``NUMBER-MAP``."""
        return self.layout.maps / f"{stem}.json"

    def release(self, record: Record) -> dict[str, Any]:
        """The small file beside a published catalog."""
        file = self.layout.catalogs / f"{record.stem}.json"
        with _whole(file):
            release: dict[str, Any] = json.loads(file.read_bytes())
            owner = release["pipeline"]
        if owner != self.pipeline:
            raise WarehouseUnavailable(
                f"{self.layout.link} belongs to the pipeline {owner}, not to {self.pipeline}",
                hint="give each project a warehouse folder of its own: `path` on its dst connection",
            )
        return release

    def live_record(self) -> Record | None:
        """What the link points at; None when nothing was ever published."""
        try:
            target = self.layout.link.readlink()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise WarehouseUnavailable(
                f"{self.layout.link} is not the link that Lanewise made", hint="move that file away"
            ) from error
        record = _parse(target.name)
        if record is None:
            raise WarehouseUnavailable(f"{self.layout.link} points at {target}, which Lanewise did not make")
        return record

    def records(self) -> tuple[Record, ...]:
        """All that were live: published names up to the live number."""
        live = self.live_record()
        return tuple(r for r in self._named() if live and r.number <= live.number)

    def record_at(self, number: int) -> Record:
        """The catalog that was live under that number."""
        found = self.records()
        for record in found:
            if record.number == number:
                return record
        raise NotFound("map", str(number), hint=f"kept are {', '.join(str(r.number) for r in found) or 'none'}")

    def seen(self) -> int:
        """The newest fencing number that a write carried."""
        live = self.live_record()
        return max(self._stored_fence(), live.fence if live else 0)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Alone, among all processes, until the block ends; the system lets go when a process dies."""
        for folder in (self.layout.catalogs, self.layout.maps):
            folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.layout.lock, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _go_live(self, record: Record, catalog: Path, release: dict[str, Any]) -> None:
        """The order matters: name and release are on disk before the link is renamed."""
        for stray in self._named():
            if stray.number >= record.number:
                (self.layout.catalogs / f"{stray.stem}.json").unlink(missing_ok=True)
                (self.layout.catalogs / f"{stray.stem}.duckdb").unlink()
        write_durably(self.layout.catalogs / f"{record.stem}.json", json.dumps(release).encode())
        (self.layout.catalogs / f"{record.stem}.duckdb").hardlink_to(catalog)
        sync_folder(self.layout.catalogs)
        aside = self.layout.link.with_name(f".{self.layout.link.name}.next")
        aside.unlink(missing_ok=True)
        aside.symlink_to(Path(self.layout.lane.name) / "catalogs" / f"{record.stem}.duckdb")
        aside.replace(self.layout.link)
        sync_folder(self.layout.root)

    def _is_revert(self, live: Record, to: int, base: int) -> bool:
        release = self.release(live)
        return live.number == base + 1 and (release["repeats"], release["base"]) == (to, base)

    def _check(self, fence: int) -> None:
        seen = self.seen()
        if fence < seen:
            raise FenceRefused(fence, seen)

    def _check_ground(self, live: Record | None, base: int) -> None:
        number = live.number if live else 0
        if number != base:
            raise GroundMoved(f"map {number} is live, not map {base}", hint="look again and decide anew")

    def _stored_fence(self) -> int:
        try:
            return int(self.layout.fence.read_text(encoding="ascii"))
        except FileNotFoundError:
            return 0
        except ValueError as error:
            raise WarehouseUnavailable(f"{self.layout.fence} holds no number") from error

    def _named(self) -> tuple[Record, ...]:
        try:
            names = [path.name for path in self.layout.catalogs.iterdir()]
        except FileNotFoundError:
            return ()
        return tuple(sorted((r for r in map(_parse, names) if r), key=lambda r: r.stem))

    def _read(self, record: Record) -> PartitionMap:
        release = self.release(record)
        file = self.document(release["map"])
        with _whole(file):
            return replace(decode(file.read_bytes()), number=record.number)


@contextmanager
def _whole(file: Path) -> Iterator[None]:
    """A file that does not read as what was written there."""
    try:
        yield
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise WarehouseUnavailable(
            f"{file} is damaged", hint="restore it from a backup, or go back to another map with `lane rollback`"
        ) from error


def _parse(name: str) -> Record | None:
    found = _NAME.fullmatch(name)
    return Record(int(found[1]), int(found[2]), found[3]) if found else None


def _release(target: PartitionMap, base: int, document: str) -> dict[str, Any]:
    return {
        "pipeline": target.pipeline, "number": target.number, "build": target.build, "config": target.config,
        "map": document, "base": base, "repeats": 0, "at": _now(),
    }  # fmt: skip


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
