"""Whether all that a kept map names is still on the disk: looked up, never read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lanewise.adapters.warehouses.embedded.branches import locations, schema_folder
from lanewise.adapters.warehouses.embedded.catalogs import Catalogs
from lanewise.adapters.warehouses.embedded.failures import disk_errors
from lanewise.domain.publication import PartitionMap, Slice


def missing(catalogs: Catalogs, number: int) -> tuple[str, ...]:
    """The files below the warehouse that map ``number`` needs and that are gone or of another size, each once."""
    held = catalogs.map_at(number)  # not found where its catalog is gone
    with disk_errors(f"the files of map {number} can't be looked at"):
        return tuple(dict.fromkeys(_lost(catalogs.layout.root, held)))


def _lost(root: Path, held: PartitionMap) -> Iterator[str]:
    folders: set[str] = set()
    for table in held.tables.values():
        for slices in table.slices.values():
            for one in slices:
                yield from _lost_files(root, one)
                folders |= {schema_folder(location) for location in one.location.split("\n") if location}
    for folder in sorted(folders):  # without its columns nothing can be published over a slice
        if not _size(root / folder / "columns.json"):
            yield f"{folder}/columns.json"


def _lost_files(root: Path, one: Slice) -> list[str]:
    """A slice knows the bytes of its files together: where all are there and the sum is wrong, each is doubtful."""
    files = locations([one])
    sizes = {file: _size(root / file) for file in files}
    gone = [file for file, size in sizes.items() if size is None]
    if gone:
        return gone
    return files if sum(size or 0 for size in sizes.values()) != one.bytes else []


def _size(file: Path) -> int | None:
    try:
        return file.stat().st_size
    except (FileNotFoundError, NotADirectoryError):
        return None
