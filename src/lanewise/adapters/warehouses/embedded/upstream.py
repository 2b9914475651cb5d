"""Inputs that are tables of a DuckDB file: another pipeline's published catalog, or a file somebody keeps.

A published catalog is immutable, so pinning its number pins its content: a run reads that very catalog even when
the upstream pipeline has published since.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from lanewise.adapters.warehouses.embedded.catalogs import Catalogs, Record
from lanewise.adapters.warehouses.embedded.digests import file_digest
from lanewise.adapters.warehouses.embedded.layout import Layout
from lanewise.domain.canonical import digest
from lanewise.domain.publication import InputPin, PartitionMap
from lanewise.errors import GroundMoved, NotFound
from lanewise.publication import sql


@dataclass(frozen=True)
class Upstream:
    """One DuckDB file. ``path`` is what the connection says."""

    path: Path
    cache: Path
    scratch: Path

    def pin(self, name: str) -> InputPin:
        """The table as it is now."""
        if not self.path.exists():
            raise NotFound("input", name, hint=f"there is no {self.path}")
        catalogs = self._catalogs()
        record = catalogs.live_record() if catalogs else None
        return self._pin_at(catalogs, record, name) if catalogs and record else self._pin_file(name)

    def again(self, pin: InputPin) -> InputPin:
        """The same input, read once more: from the pinned catalog where it is one."""
        catalogs = self._catalogs()
        if not pin.release or catalogs is None:
            return self.pin(pin.name)
        return self._pin_at(catalogs, self._record(catalogs, pin), pin.name)

    def engine_input(self, pin: InputPin) -> dict[str, Any]:
        """How a run reads it."""
        found = self.again(pin)
        if found.digest != pin.digest:
            raise GroundMoved(f"the input {pin.name} has changed since it was pinned", hint="start again")
        catalogs = self._catalogs()
        if catalogs is not None and pin.release:
            path = catalogs.layout.catalogs / f"{self._record(catalogs, pin).stem}.duckdb"
            return {"kind": "catalog", "path": str(path.resolve()), "relation": f"main.{_table_in(pin.name)}"}
        return {"kind": "catalog", "path": str(self.path.resolve()), "relation": _relation(pin.name)}

    def _catalogs(self) -> Catalogs | None:
        """The other pipeline's catalogs, when the file is the link of a published one."""
        if not self.path.is_symlink():
            return None
        catalog = self.path.resolve()
        release = catalog.with_suffix(".json")
        if catalog.parent.name != "catalogs" or not release.exists():
            return None
        pipeline = json.loads(release.read_bytes())["pipeline"]
        lane = catalog.parent.parent
        return Catalogs(Layout(lane.parent, self.cache.parent, unquote(lane.name)), pipeline)

    def _record(self, catalogs: Catalogs, pin: InputPin) -> Record:
        return catalogs.record_at(int(pin.release.rpartition("@")[2]))

    def _pin_at(self, catalogs: Catalogs, record: Record, name: str) -> InputPin:
        published: PartitionMap = catalogs.map_at(record.number)
        table = published.tables.get(_table_in(name))
        if table is None:
            raise NotFound("input", name, known=published.tables)
        held = [[p, [s.location for s in slices]] for p, slices in table.slices.items()]
        return InputPin(name, digest([name, table.columns, held]), f"{catalogs.pipeline}@{record.number}")

    def _pin_file(self, name: str) -> InputPin:
        from lanewise.adapters.warehouses.embedded.engine import engine_of_its_own  # noqa: PLC0415 - 170 ms, for this kind of input

        with engine_of_its_own(self.scratch) as connection:
            connection.execute(" ".join(["ATTACH", sql.literal(str(self.path)), "AS source (READ_ONLY)"]))
            rows = connection.execute(
                "SELECT table_schema, table_name FROM information_schema.tables WHERE table_catalog = 'source'"
            ).fetchall()
        known = {f"{schema}.{table}" for schema, table in rows}
        if _relation(name) not in known:
            raise NotFound("input", name, known=known)
        return InputPin(name, digest([name, file_digest(self.path.resolve(), self.cache)]))


def _table_in(name: str) -> str:
    """A published catalog has one schema: ``orders.daily`` and ``daily`` are its table ``daily``."""
    return name.rpartition(".")[2]


def _relation(name: str) -> str:
    return name if "." in name else f"main.{name}"
