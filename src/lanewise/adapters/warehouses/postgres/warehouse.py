"""The Postgres warehouse: one facade over publication (maps, views, the pointer), runs, and what is measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lanewise.adapters.warehouses.postgres.compaction import Compaction
from lanewise.adapters.warehouses.postgres.holdings import Holdings
from lanewise.adapters.warehouses.postgres.maps import Maps
from lanewise.adapters.warehouses.postgres.opening import Opening
from lanewise.adapters.warehouses.postgres.place import Place
from lanewise.adapters.warehouses.postgres.publishing import Publishing
from lanewise.adapters.warehouses.postgres.server import Server
from lanewise.domain.comparison import TableComparison
from lanewise.domain.environment import Connection, Environment
from lanewise.domain.evidence import CheckResult
from lanewise.domain.ports import Secrets
from lanewise.domain.project import Check, Column, Table
from lanewise.domain.publication import Break, Holding, InputPin, PartitionMap, Pointer, Slice
from lanewise.domain.run import RunRequest, Space, Written
from lanewise.errors import NotFound

if TYPE_CHECKING:
    from lanewise.adapters.warehouses.postgres.measuring import Measuring
    from lanewise.adapters.warehouses.postgres.running import Running


def open_warehouse(
    *, home: Path, lane: Environment, project: str, secrets: Secrets, say: Callable[[str], None]
) -> PostgresWarehouse:
    """Open the warehouse of one environment: the database of its ``dst`` connection. Logs in nowhere yet."""
    try:
        source: Connection | None = lane.connection("src")
    except NotFound:
        source = None
    server = Server(lane.connection("dst"), secrets)
    return PostgresWarehouse(server, Place.of(lane, project), say, home.absolute(), source)


@dataclass(frozen=True)
class PostgresWarehouse:
    """Satisfies ``domain.ports.Warehouse``. ``source`` is the ``src`` connection, where the lane has one."""

    server: Server
    place: Place
    say: Callable[[str], None]
    home: Path
    source: Connection | None

    def pointer(self) -> Pointer:
        """What is live."""
        return self._maps.pointer()

    def live(self) -> PartitionMap:
        """The live map."""
        return self._maps.live()

    def map_at(self, number: int) -> PartitionMap:
        """A kept map."""
        return self._maps.map_at(number)

    def maps(self) -> tuple[int, ...]:
        """The kept maps that were live."""
        return self._maps.numbers()

    def missing(self, number: int) -> tuple[str, ...]:
        """The slices whose table or registration is gone."""
        return self._maps.missing(number)

    def raise_fence(self, fence: int) -> None:
        """Refuse older writers."""
        self._publishing.raise_fence(fence)

    def open_run(self, request: RunRequest, tables: Sequence[Table], inputs: Sequence[InputPin]) -> Space:
        """Make the run's room."""
        return self._running.open_run(request, tables, inputs, live=self.live().tables)

    def written(self, run: str, tables: Sequence[Table]) -> tuple[Written, ...]:
        """What the run left."""
        return self._running.written(run, tables, live=self.live().tables)

    def stage(self, request: RunRequest, tables: Sequence[Table]) -> Mapping[str, tuple[Slice, ...]]:
        """The run's slices."""
        return self._running.stage(request, tables, live=self.live().tables)

    def evaluate(self, table: Table, checks: Sequence[Check], slices: Sequence[Slice]) -> tuple[CheckResult, ...]:
        """The checks over these slices."""
        return self._measuring.evaluate(table, checks, slices, live=self.live().tables.get(table.name))

    def columns(self, slices: Sequence[Slice]) -> tuple[Column, ...]:
        """Their columns."""
        return self._measuring.columns(slices)

    def offset(self, table: Table, slices: Sequence[Slice]) -> str | None:
        """The newest offset."""
        return self._measuring.offset(table, slices)

    def compare(self, table: Table, old: Sequence[Slice], new: Sequence[Slice]) -> TableComparison:
        """Old against new."""
        return self._measuring.compare(table, old, new)

    def prepare(self, target: PartitionMap) -> None:
        """Store the map, and open the views that it changes."""
        self._opening.prepare(target)

    def publish(self, target: PartitionMap, *, base: int, fence: int) -> None:
        """Move the pointer."""
        self._publishing.publish(target, base=base, fence=fence)

    def revert(self, to: int, *, base: int, fence: int) -> int:
        """Move the pointer back, under a new number."""
        return self._publishing.revert(to, base=base, fence=fence)

    def breaks(self, table: str, columns: Sequence[Column]) -> Break | None:
        """What the published view could not take in place."""
        return self._opening.breaks(table, columns)

    def compact(self) -> tuple[str, ...]:
        """Make views plain again where one version serves a whole table."""
        return Compaction(self.server, self.place).compact()

    def pin(self, inputs: Sequence[str]) -> tuple[InputPin, ...]:
        """The inputs as they are now."""
        return self._running.pin(inputs)

    def discard(self, run: str) -> None:
        """Throw the run's room away."""
        self._running.discard(run)

    def holdings(self) -> tuple[Holding, ...]:
        """All that takes room."""
        return Holdings(self.server, self.place, self.discard).all()

    def drop(self, holdings: Sequence[Holding]) -> int:
        """Delete what nothing needs."""
        return Holdings(self.server, self.place, self.discard).drop(holdings)

    @property
    def _maps(self) -> Maps:
        return Maps(self.server, self.place)

    @property
    def _opening(self) -> Opening:
        return Opening(self.server, self.place, self.say)

    @property
    def _publishing(self) -> Publishing:
        return Publishing(self.server, self.place, self.say)

    @property
    def _running(self) -> Running:
        from lanewise.adapters.warehouses.postgres.running import Running  # noqa: PLC0415 - only to compute

        return Running(self.server, self.place, self.home, self.source, self.say)

    @property
    def _measuring(self) -> Measuring:
        from lanewise.adapters.warehouses.postgres.measuring import Measuring  # noqa: PLC0415 - only to compute

        return Measuring(self.server, self.place)
