"""A warehouse in memory, for tests of stories that need no engine. Its maps, pointer and fences are the real thing
(it passes ``PublicationContract``); what an engine would measure, the test sets: ``check_results``, ``comparisons``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from lanewise.domain.canonical import digest
from lanewise.domain.comparison import PartitionComparison, TableComparison
from lanewise.domain.evidence import CheckResult
from lanewise.domain.partition import ALL, partition_name
from lanewise.domain.project import Check, Column, Grain, Table
from lanewise.domain.publication import Break, Holding, InputPin, PartitionMap, Pointer, Slice
from lanewise.domain.run import RunRequest, Space, Written
from lanewise.errors import FenceRefused, GroundMoved, NotFound, Refused, RunFailed

Row = Mapping[str, Any]


@dataclass
class FakeWarehouse:
    """Satisfies ``domain.ports.Warehouse``. Rows are mappings; a slice's location is its place in ``stored``.

    ``writes`` is what each table gets when the run of a story "writes": set it before the run is staged, or call
    ``write``. ``inputs`` maps a declared input to its digest.
    """

    pipeline: str = "shop"
    inputs: dict[str, str] = field(default_factory=dict)
    check_results: dict[str, CheckResult] = field(default_factory=dict)
    comparisons: dict[str, TableComparison] = field(default_factory=dict)
    broken: dict[str, Break] = field(default_factory=dict)
    writes: dict[str, Sequence[Row]] = field(default_factory=dict)
    stored: list[tuple[Row, ...]] = field(default_factory=list)
    rooms: dict[str, dict[str, Sequence[Row]]] = field(default_factory=dict)
    history: list[tuple[PartitionMap, Pointer, int]] = field(default_factory=list)  # map, pointer, base
    ready: list[PartitionMap] = field(default_factory=list)
    schemas: dict[str, tuple[Column, ...]] = field(default_factory=dict)  # location -> columns
    slices: list[Slice] = field(default_factory=list)
    fence: int = 0

    def pointer(self) -> Pointer:
        """What is live."""
        return self.history[-1][1] if self.history else Pointer(0, self.fence, "", "")

    def live(self) -> PartitionMap:
        """The live map."""
        return self.history[-1][0] if self.history else PartitionMap(self.pipeline)

    def map_at(self, number: int) -> PartitionMap:
        """A kept map."""
        kept = {0: PartitionMap(self.pipeline)} | {m.number: m for m, _, _ in self.history}
        if number not in kept:
            raise NotFound("map", str(number), known=[str(n) for n in kept])
        return kept[number]

    def maps(self) -> tuple[int, ...]:
        """The kept maps."""
        return tuple(m.number for m, _, _ in self.history)

    def missing(self, number: int) -> tuple[str, ...]:
        """The slices of a kept map that the test took away (``slices``)."""
        there = {s.location for s in self.slices}
        held = [s for t in self.map_at(number).tables.values() for found in t.slices.values() for s in found]
        return tuple(s.location for s in held if s.location not in there)

    def raise_fence(self, fence: int) -> None:
        """Refuse older writers."""
        if fence < self.fence:
            raise FenceRefused(fence, self.fence)
        self.fence = fence

    def open_run(self, request: RunRequest, tables: Sequence[Table], inputs: Sequence[InputPin]) -> Space:
        """Make a room; ``writes`` are in it at once."""
        self.rooms[request.id] = {t.name: self.writes[t.name] for t in tables if t.name in self.writes}
        return Space(request.id, {"type": "fake", "inputs": [p.name for p in inputs]})

    def write(self, run: str, table: str, rows: Sequence[Row]) -> None:
        """What a run would do."""
        self.rooms[run][table] = rows

    def written(self, run: str, tables: Sequence[Table]) -> tuple[Written, ...]:
        """What the run left."""
        room = self.rooms.get(run, {})
        return tuple(
            Written(t.name, _columns(t, room[t.name]), {p: len(rows) for p, rows in _cut(t, room[t.name]).items()})
            for t in tables
            if t.name in room
        )

    def stage(self, request: RunRequest, tables: Sequence[Table]) -> Mapping[str, tuple[Slice, ...]]:
        """Full and partitioned tables; the fake neither merges nor appends."""
        room = self.rooms.get(request.id, {})
        wanted = [t for t in tables if t.name in request.tables]
        missing = [t.name for t in wanted if t.name not in room]
        if missing:
            raise RunFailed(f"the run wrote nothing for {', '.join(missing)}")
        found = {t.name: tuple(self._slice(request, t, room[t.name], p) for p in _wanted(t, request)) for t in wanted}
        self.slices += [s for slices in found.values() for s in slices]
        return found

    def evaluate(self, table: Table, checks: Sequence[Check], slices: Sequence[Slice]) -> tuple[CheckResult, ...]:
        """``check_results`` by "table.check", else that nothing is bad."""
        rows = sum(s.rows for s in slices)
        return tuple(
            self.check_results.get(f"{table.name}.{c.name}", CheckResult(table.name, c.name, c.kind, rows, 0))
            for c in checks
        )

    def columns(self, slices: Sequence[Slice]) -> tuple[Column, ...]:
        """The newest slice's."""
        return self.schemas[slices[-1].location] if slices else ()

    def offset(self, table: Table, slices: Sequence[Slice]) -> str | None:
        """The newest offset."""
        values = [row[table.offset] for s in slices for row in self.rows(s)] if table.offset else []
        return str(max(values)) if values else None

    def compare(self, table: Table, old: Sequence[Slice], new: Sequence[Slice]) -> TableComparison:
        """``comparisons`` by table, else whether the rows are the same."""
        if table.name in self.comparisons:
            return self.comparisons[table.name]
        parts = []
        for p in sorted({s.partition for s in (*old, *new)}):
            sides = [[row for s in side if s.partition == p for row in self.rows(s)] for side in (old, new)]
            parts.append(PartitionComparison(p, len(sides[0]), len(sides[1]), bool(table.key), sides[0] == sides[1]))
        return TableComparison(table.name, self.columns(old), self.columns(new), tuple(parts))

    def prepare(self, target: PartitionMap) -> None:
        """Remember it."""
        if target not in self.ready:
            self.ready.append(target)

    def publish(self, target: PartitionMap, *, base: int, fence: int) -> None:
        """Make a prepared map live."""
        self._check(fence)
        pointer = Pointer(target.number, fence, target.build, target.config)
        if self.history and self.history[-1][:2] == (target, pointer):
            return
        if self.pointer().number != base or target.number <= base or target not in self.ready:
            raise GroundMoved(f"map {self.pointer().number} is live, not map {base}, or the map is not prepared")
        self._go_live(target, pointer, base)

    def revert(self, to: int, *, base: int, fence: int) -> int:
        """Publish a kept map again."""
        self._check(fence)
        target = replace(self.map_at(to), number=base + 1)
        if self.history and self.history[-1][0] == target and self.history[-1][1].repeats == to:
            return target.number
        if self.pointer().number != base:
            raise GroundMoved(f"map {self.pointer().number} is live, not map {base}")
        self._go_live(target, Pointer(target.number, fence, target.build, target.config, to), base)
        return target.number

    def breaks(self, table: str, columns: Sequence[Column]) -> Break | None:  # noqa: ARG002 - the port's signature
        """What the test set."""
        return self.broken.get(table)

    def compact(self) -> tuple[str, ...]:
        """Nothing here is slow."""
        return ()

    def pin(self, inputs: Sequence[str]) -> tuple[InputPin, ...]:
        """The digests that the test set."""
        for name in inputs:
            if name not in self.inputs:
                raise NotFound("input", name, known=self.inputs)
        return tuple(InputPin(name, digest(self.inputs[name])) for name in inputs)

    def discard(self, run: str) -> None:
        """Throw the room away."""
        self.rooms.pop(run, None)

    def holdings(self) -> tuple[Holding, ...]:
        """Maps, rooms, slices; all of them old."""
        old = "2000-01-01T00:00:00+00:00"
        maps = [Holding("map", str(m.number), 1, (m.number,), old) for m, _, _ in self.history]
        runs = [Holding("run", run, 1, (), old) for run in self.rooms]
        held = [Holding("slice", s.location, 1, self._needing(s), old) for s in self.slices]
        return (*maps, *runs, *held)

    def drop(self, holdings: Sequence[Holding]) -> int:
        """Forget what nothing needs."""
        going = {n for h in holdings if h.kind == "map" for n in h.maps}
        if self.pointer().number in going or any(set(h.maps) - going for h in holdings):
            raise Refused("a map needs that")
        names = {(h.kind, h.name) for h in holdings}
        self.history = [entry for entry in self.history if entry[0].number not in going]
        self.rooms = {run: room for run, room in self.rooms.items() if ("run", run) not in names}
        self.slices = [s for s in self.slices if ("slice", s.location) not in names]
        return sum(h.bytes for h in holdings)

    def rows(self, one: Slice) -> tuple[Row, ...]:
        """The rows of a slice."""
        return self.stored[int(one.location)]

    def _check(self, fence: int) -> None:
        if fence < self.fence:
            raise FenceRefused(fence, self.fence)

    def _go_live(self, target: PartitionMap, pointer: Pointer, base: int) -> None:
        self.fence = max(self.fence, pointer.fence)
        self.history.append((target, pointer, base))

    def _slice(self, request: RunRequest, table: Table, rows: Sequence[Row], partition: str) -> Slice:
        held = _cut(table, rows).get(partition, ())
        location = str(len(self.stored))
        self.stored.append(tuple(held))
        self.schemas[location] = _columns(table, rows)
        version = request.fingerprints[table.name]
        return Slice(
            table.name, partition, version, location, len(held), len(held), request.id, request.build, request.inputs
        )

    def _needing(self, one: Slice) -> tuple[int, ...]:
        return tuple(
            m.number
            for m, _, _ in self.history
            if any(s.location == one.location for t in m.tables.values() for found in t.slices.values() for s in found)
        )


def _wanted(table: Table, request: RunRequest) -> tuple[str, ...]:
    return request.partitions if table.partition else (ALL,)


def _columns(table: Table, rows: Sequence[Row]) -> tuple[Column, ...]:
    return table.columns or tuple(Column(name, "VARCHAR") for name in (rows[0] if rows else ()))


def _cut(table: Table, rows: Sequence[Row]) -> dict[str, tuple[Row, ...]]:
    found: dict[str, tuple[Row, ...]] = {}
    for row in rows:
        name = ALL
        if table.partition:
            value = row[table.partition.column]
            grain = table.partition.grain
            name = str(value) if grain is Grain.VALUE or isinstance(value, str) else partition_name(value, grain)
        found[name] = (*found.get(name, ()), row)
    return found
