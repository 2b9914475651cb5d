"""What takes room, which maps need it, and dropping what none does."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from lanewise.adapters.warehouses.embedded.branches import locations
from lanewise.adapters.warehouses.embedded.catalogs import Catalogs
from lanewise.adapters.warehouses.embedded.failures import disk_errors
from lanewise.adapters.warehouses.embedded.layout import encoded
from lanewise.domain.publication import Holding, PartitionMap
from lanewise.errors import Refused
from lanewise.publication.documents import decode

SLICE, MAP, RUN = "slice", "map", "run"


@dataclass(frozen=True)
class Holdings:
    """The holdings of one environment. Slices are named by their file below the warehouse, maps by their catalog's
    file name, runs by their room's."""

    catalogs: Catalogs

    def all(self) -> tuple[Holding, ...]:
        """Everything, slices last."""
        with disk_errors("the warehouse can't be listed"):
            maps = [*self._published(), *self._unpublished()]
            return (*maps, *self._runs(), *self._slices())

    def drop(self, holdings: Sequence[Holding]) -> int:
        """Delete them, unless what remains needs one."""
        with disk_errors("the warehouse can't be cleared"), self.catalogs.locked():
            now = {(h.kind, h.name): h for h in self.all()}
            asked = {(h.kind, h.name) for h in holdings}
            going = {n for (kind, _), h in now.items() if kind == MAP and (kind, h.name) in asked for n in h.maps}
            live = self.catalogs.pointer().number
            if live and live in going:
                raise Refused(f"map {live} is live and can't be dropped")
            for key in asked & set(now):
                needed = sorted(set(now[key].maps) - going)
                if needed:
                    raise Refused(f"the {key[0]} {key[1]} is needed by map {needed[-1]} and can't be dropped")
            return sum(self._delete(now[key]) for key in sorted(asked & set(now)))

    def _published(self) -> Iterator[Holding]:
        for record in self.catalogs.records():
            release = self.catalogs.release(record)
            files = [self.catalogs.layout.catalogs / f"{record.stem}{ending}" for ending in (".duckdb", ".json")]
            files.append(self.catalogs.document(release["map"]))
            size = sum(f.stat().st_size for f in files)
            yield Holding(MAP, record.stem, size, (record.number,), release["at"])

    def _unpublished(self) -> Iterator[Holding]:
        """Prepared maps, and what a crash left of preparing or publishing one."""
        layout, live = self.catalogs.layout, self.catalogs.pointer().number
        known = {r.stem for r in self.catalogs.records()}
        documents = {self.catalogs.release(r)["map"] for r in self.catalogs.records()}
        for file in sorted(layout.catalogs.glob("*")) if layout.catalogs.exists() else []:
            if file.stem not in known:
                number = _prepared_number(file)
                yield _file(MAP, file.name, file, (number,) if number > live else ())
        for file in sorted(layout.maps.glob("*")) if layout.maps.exists() else []:
            if file.stem not in documents:
                number = int(file.stem[:10]) if file.stem[:10].isdigit() else 0
                yield _file(MAP, file.name, file, (number,) if number > live else ())

    def _runs(self) -> Iterator[Holding]:
        folder = self.catalogs.layout.run("x").parent
        for room in sorted(folder.iterdir()) if folder.exists() else []:
            files = [f for f in room.rglob("*") if f.is_file()]
            newest = max((f.stat().st_mtime for f in (room, *files)), default=0.0)
            yield Holding(RUN, room.name, sum(f.stat().st_size for f in files), (), _when(newest))

    def _slices(self) -> Iterator[Holding]:
        layout = self.catalogs.layout
        needed: dict[str, set[int]] = {}
        for held in self._maps():
            slices = (s for table in held.tables.values() for found in table.slices.values() for s in found)
            for location in locations(slices):
                needed.setdefault(location, set()).add(held.number)
        for file in sorted(layout.versions.rglob("*.parquet")) if layout.versions.exists() else []:
            name = layout.relative(file)
            yield _file(SLICE, name, file, tuple(sorted(needed.get(name, ()))))

    def _maps(self) -> Iterator[PartitionMap]:
        live = self.catalogs.pointer().number
        for number in self.catalogs.numbers():
            yield self.catalogs.map_at(number)
        folder = self.catalogs.layout.maps
        for file in sorted(folder.glob("*.json")) if folder.exists() else []:
            if int(file.stem[:10]) > live:
                yield decode(file.read_bytes())

    def _delete(self, holding: Holding) -> int:
        layout = self.catalogs.layout
        if holding.kind == SLICE:
            file = layout.root / holding.name
            file.unlink(missing_ok=True)
            _remove_empty(file.parent, layout.versions)
        elif holding.kind == RUN:
            shutil.rmtree(layout.run("x").parent / encoded(holding.name), ignore_errors=True)
        else:
            self._delete_map(holding)
        return holding.bytes

    def _delete_map(self, holding: Holding) -> None:
        layout = self.catalogs.layout
        record = next((r for r in self.catalogs.records() if r.stem == holding.name), None)
        if record is None:  # an unpublished one is named by its file
            for folder in (layout.catalogs, layout.maps):
                (folder / holding.name).unlink(missing_ok=True)
            return
        document = self.catalogs.release(record)["map"]
        (layout.catalogs / f"{record.stem}.duckdb").unlink()
        (layout.catalogs / f"{record.stem}.json").unlink()
        if not any(self.catalogs.release(r)["map"] == document for r in self.catalogs.records()):
            self.catalogs.document(document).unlink(missing_ok=True)


def _file(kind: str, name: str, file: Path, maps: tuple[int, ...]) -> Holding:
    stat = file.stat()
    return Holding(kind, name, stat.st_size, maps, _when(stat.st_mtime))


def _prepared_number(file: Path) -> int:
    found = file.name.removeprefix("prepared-")[:10]
    return int(found) if file.name.startswith("prepared-") and found.isdigit() else 0


def _remove_empty(folder: Path, root: Path) -> None:
    """Folders named for a partition go with their last file; a schema's folder stays, slices of no rows name it."""
    if "=" in folder.name and folder != root and not any(folder.iterdir()):
        folder.rmdir()


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")
