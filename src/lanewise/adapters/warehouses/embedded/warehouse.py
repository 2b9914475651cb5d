"""The embedded warehouse: versions are Parquet files, a published map is a catalog of views over exact files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lanewise.adapters.warehouses.demands import continues, demand_all
from lanewise.adapters.warehouses.embedded import branches, rooms
from lanewise.adapters.warehouses.embedded.catalogs import Catalogs
from lanewise.adapters.warehouses.embedded.holdings import Holdings
from lanewise.adapters.warehouses.embedded.layout import Layout
from lanewise.adapters.warehouses.embedded.sources import Sources
from lanewise.adapters.warehouses.embedded.wholeness import missing
from lanewise.domain.comparison import TableComparison
from lanewise.domain.environment import Connection, Environment
from lanewise.domain.evidence import CheckResult
from lanewise.domain.ports import Secrets
from lanewise.domain.project import Check, Column, Table
from lanewise.domain.publication import Break, Holding, InputPin, PartitionMap, Pointer, Slice
from lanewise.domain.run import RunRequest, Space, Written
from lanewise.errors import NotFound, WrongInput

if TYPE_CHECKING:
    import duckdb


def open_warehouse(
    *,
    home: Path,
    lane: Environment,
    project: str,
    secrets: Secrets,  # noqa: ARG001 - the port's signature; files need no login
    say: Callable[[str], None],  # noqa: ARG001 - as above; nothing here waits
) -> EmbeddedWarehouse:
    """Open the warehouse of one environment. ``path`` on the connection moves it out of ``home``; it is taken from
    the project's folder. Touches no file and starts no engine."""
    home, destination = home.absolute(), lane.connection("dst")
    try:
        source: Connection | None = lane.connection("src")
    except NotFound:
        source = None
    path = destination.fields.get("path")
    if path is not None and not isinstance(path, str):
        raise WrongInput(f"the path of the connection {destination.name} is no text")
    root = home.parent / Path(path).expanduser() if path else home / "warehouse"
    layout = Layout(root, home, lane.name)
    return EmbeddedWarehouse(Catalogs(layout, project), Sources(source, home.parent, layout.cache, home / "tmp"))


@dataclass(frozen=True)
class EmbeddedWarehouse:
    """Satisfies ``domain.ports.Warehouse``."""

    catalogs: Catalogs
    sources: Sources

    @property
    def layout(self) -> Layout:
        """Where things lie."""
        return self.catalogs.layout

    def pointer(self) -> Pointer:
        """What is live."""
        return self.catalogs.pointer()

    def live(self) -> PartitionMap:
        """The live map."""
        return self.catalogs.live()

    def map_at(self, number: int) -> PartitionMap:
        """A kept map."""
        return self.catalogs.map_at(number)

    def maps(self) -> tuple[int, ...]:
        """The kept maps that were live."""
        return self.catalogs.numbers()

    def missing(self, number: int) -> tuple[str, ...]:
        """The files that are gone or of another size."""
        return missing(self.catalogs, number)

    def raise_fence(self, fence: int) -> None:
        """Refuse older writers."""
        self.catalogs.raise_fence(fence)

    def open_run(self, request: RunRequest, tables: Sequence[Table], inputs: Sequence[InputPin]) -> Space:
        """Make the run's room."""
        readable = {pin.name: self.sources.engine_input(pin) for pin in inputs}
        space = rooms.open_room(self.layout, request, tables, readable, self._own(request, tables))
        rooms.remember_pins(self.layout, request.id, inputs)
        return space

    def written(self, run: str, tables: Sequence[Table]) -> tuple[Written, ...]:
        """What the run left."""
        from lanewise.adapters.warehouses.embedded.reading import count_partitions, read  # noqa: PLC0415 - the engine

        by_name, live, found = {t.name: t for t in tables}, self.live().tables, []
        with self._engine() as connection:
            for output in rooms.outputs(self.layout, run, tables):
                reading = read(connection, output, by_name[output.table], live.get(output.table))
                counts = dict(count_partitions(connection, reading))
                nulls = counts.pop(None, 0)
                partitions = {str(p): counts[p] for p in sorted(counts, key=str)}
                found.append(Written(output.table, reading.columns, partitions, nulls))
        return tuple(found)

    def stage(self, request: RunRequest, tables: Sequence[Table]) -> Mapping[str, tuple[Slice, ...]]:
        """The run's slices."""
        from lanewise.adapters.warehouses.embedded.reading import read  # noqa: PLC0415 - the engine
        from lanewise.adapters.warehouses.embedded.staging import Stager  # noqa: PLC0415 - the engine

        for pin in rooms.pins_of(self.layout, request.id):
            self.sources.check(pin)
        wanted = [t for t in tables if t.name in request.tables]
        left = {output.table: output for output in rooms.outputs(self.layout, request.id, wanted)}
        demand_all(wanted, left)
        live = self.live().tables
        with self._engine() as connection:
            stager = Stager(self.layout, request, live, connection)
            return {t.name: stager.stage(read(connection, left[t.name], t, live.get(t.name))) for t in wanted}

    def evaluate(self, table: Table, checks: Sequence[Check], slices: Sequence[Slice]) -> tuple[CheckResult, ...]:
        """The checks over these slices."""
        from lanewise.adapters.warehouses.embedded.measuring import DuckDBEngine  # noqa: PLC0415 - the engine
        from lanewise.adapters.warehouses.measuring.checks import Checker  # noqa: PLC0415 - only to compute

        with self._engine() as connection:
            live = self.live().tables.get(table.name)
            return Checker(DuckDBEngine(self.layout, connection), table, slices, live).results(checks)

    def columns(self, slices: Sequence[Slice]) -> tuple[Column, ...]:
        """Their columns; opens no file of theirs."""
        return branches.columns_of(self.layout, slices)

    def offset(self, table: Table, slices: Sequence[Slice]) -> str | None:
        """The newest offset."""
        if not table.offset or not any(s.rows for s in slices):
            return None
        from lanewise.adapters.warehouses.embedded.staging import newest_offset  # noqa: PLC0415 - the engine

        with self._engine() as connection:
            return newest_offset(self.layout, connection, table, slices)

    def compare(self, table: Table, old: Sequence[Slice], new: Sequence[Slice]) -> TableComparison:
        """Old against new."""
        from lanewise.adapters.warehouses.embedded.measuring import DuckDBEngine  # noqa: PLC0415 - the engine
        from lanewise.adapters.warehouses.measuring.comparing import Comparer  # noqa: PLC0415 - only to compute

        with self._engine() as connection:
            return Comparer(DuckDBEngine(self.layout, connection), table, old, new).compare()

    def prepare(self, target: PartitionMap) -> None:
        """Build the catalog aside."""
        from lanewise.adapters.warehouses.embedded.building import prepare  # noqa: PLC0415 - the engine

        prepare(self.catalogs, target)

    def publish(self, target: PartitionMap, *, base: int, fence: int) -> None:
        """Rename the link."""
        self.catalogs.publish(target, base=base, fence=fence)

    def revert(self, to: int, *, base: int, fence: int) -> int:
        """Rename the link back, under a new name."""
        if to:
            return self.catalogs.revert(to, base=base, fence=fence)
        nothing = PartitionMap(self.catalogs.pipeline, base + 1)
        live = self.live()
        if live != nothing:
            self.prepare(nothing)
            self.publish(nothing, base=base, fence=fence)
        return nothing.number

    def breaks(self, table: str, columns: Sequence[Column]) -> Break | None:  # noqa: ARG002 - the port's signature
        """Nothing: every map has views of its own."""
        return None

    def compact(self) -> tuple[str, ...]:
        """Nothing: a catalog names its files as plainly as can be."""
        return ()

    def pin(self, inputs: Sequence[str]) -> tuple[InputPin, ...]:
        """The inputs as they are now."""
        return tuple(self.sources.pin(name) for name in inputs)

    def discard(self, run: str) -> None:
        """Throw the run's room away."""
        rooms.discard(self.layout, run)

    def holdings(self) -> tuple[Holding, ...]:
        """All that takes room."""
        return Holdings(self.catalogs).all()

    def drop(self, holdings: Sequence[Holding]) -> int:
        """Delete what nothing needs."""
        return Holdings(self.catalogs).drop(holdings)

    def _own(self, request: RunRequest, tables: Sequence[Table]) -> dict[str, Any]:
        """What a run may read of what is live: the very catalog, and where its appends go on."""
        record = self.catalogs.live_record()
        offsets: dict[str, str] = {}
        live = self.live().tables
        for table in tables:
            held = live.get(table.name)
            if table.offset and held and continues(table, held, request.fingerprints.get(table.name, "")):
                found = self.offset(table, [s for slices in held.slices.values() for s in slices])
                if found is not None:
                    offsets[table.name] = found
        own = str(self.layout.catalogs.absolute() / f"{record.stem}.duckdb") if record else ""
        return {"own": own, "offsets": offsets}

    @contextmanager
    def _engine(self) -> Iterator[duckdb.DuckDBPyConnection]:
        from lanewise.adapters.warehouses.embedded.engine import engine  # noqa: PLC0415 - 170 ms, only to compute

        with engine(self.layout.home / "tmp") as connection:
            yield connection
