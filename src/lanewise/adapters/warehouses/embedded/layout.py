"""Where everything of one environment lies, and how names become file names.

::

    warehouse/
      prod.duckdb -> prod/catalogs/0000000007-0000000012-1f0c….duckdb      what readers open
      prod/
        fence                                   the newest fencing number seen
        lock                                    taken around every change of what is live
        catalogs/NUMBER-FENCE-MAP.duckdb        a published catalog: views, and the labels as tables
        catalogs/NUMBER-FENCE-MAP.json          its release: number, fence, build, config, when, and what it repeats
        catalogs/prepared-NUMBER-MAP.duckdb     made ready, not yet published
        maps/NUMBER-MAP.json                    the map itself; MAP names it by its content
        versions/TABLE/FINGERPRINT/SCHEMA/[COLUMN=VALUE/]RUN-….parquet
        versions/TABLE/FINGERPRINT/SCHEMA/columns.json
        runs/RUN/                               a run's own room
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from lanewise.errors import WrongInput

_SAFE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.")
_LONGEST = 200


def encoded(name: str) -> str:
    """A name as a file name: percent-encoded, without a leading dot. Raises ``WrongInput`` when it gets too long."""
    text = "".join(c if c in _SAFE else "".join(f"%{b:02X}" for b in c.encode("utf-8", "surrogatepass")) for c in name)
    if text.startswith("."):
        text = "%2E" + text[1:]
    if len(text) > _LONGEST:
        raise WrongInput(f"{name[:40]!r}… is too long to name a file", hint=f"keep it below {_LONGEST} bytes")
    return text


def partition_folder(column: str, value: str) -> str:
    """``COLUMN=VALUE``, as the engine reads it back. A leading underscore is encoded too: there is one value,
    ``__HIVE_DEFAULT_PARTITION__``, that would be read as NULL."""
    name = encoded(value)
    return f"{column}={'%5F' + name[1:] if name.startswith('_') else name}"


@dataclass(frozen=True)
class Layout:
    """The paths of one environment. ``root`` is the warehouse folder, ``home`` the project's ``.lanewise``."""

    root: Path
    home: Path
    environment: str

    @property
    def link(self) -> Path:
        """What readers open: a relative symbolic link to the live catalog."""
        return self.root / f"{encoded(self.environment)}.duckdb"

    @property
    def lane(self) -> Path:
        """Everything of this environment but the link."""
        return self.root / encoded(self.environment)

    @property
    def catalogs(self) -> Path:
        """Published and prepared catalogs."""
        return self.lane / "catalogs"

    @property
    def maps(self) -> Path:
        """Maps as JSON."""
        return self.lane / "maps"

    @property
    def versions(self) -> Path:
        """The slices' files."""
        return self.lane / "versions"

    @property
    def fence(self) -> Path:
        """The newest fencing number seen."""
        return self.lane / "fence"

    @property
    def lock(self) -> Path:
        """The file whose lock guards what is live."""
        return self.lane / "lock"

    @property
    def cache(self) -> Path:
        """Digests and extracted inputs, of all environments."""
        return self.home / "cache"

    @property
    def folders_are_readable(self) -> bool:
        """False where the project itself lies below a folder like ``region=EU``: the engine would take that for a
        partition, so folder names are then not read at all (slower, never wrong)."""
        return "=" not in str(self.root)

    def run(self, run: str) -> Path:
        """A run's own room."""
        return self.lane / "runs" / encoded(run)

    def version(self, table: str, fingerprint: str) -> Path:
        """The folder of one version of a table."""
        return self.versions / encoded(table) / encoded(fingerprint.removeprefix("sha256:")[:12] or "none")

    def relative(self, path: Path) -> str:
        """A path as a slice's location names it."""
        return path.relative_to(self.root).as_posix()


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file(path: Path) -> None:
    """Make a file's content survive a power cut."""
    sync_folder(path)


def write_durably(path: Path, data: bytes) -> None:
    """A whole file or none under that name, on disk when this returns."""
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with aside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except OSError:
        aside.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)
