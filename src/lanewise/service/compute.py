"""Compute a step of a rollout: the candidate, the old build beside it on the same pinned input, and the old build
against itself for the noise floor. Nothing here is seen by any reader."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from lanewise.domain.canonical import digest
from lanewise.domain.environment import Environment
from lanewise.domain.plan import Move, Plan
from lanewise.domain.ports import Warehouse
from lanewise.domain.publication import PartitionMap, Slice
from lanewise.domain.run import Purpose
from lanewise.errors import Refused, RunFailed
from lanewise.publication.maps import uncovered
from lanewise.service.candidate import Candidate, open_candidate
from lanewise.service.context import Context
from lanewise.service.promotions import Journal
from lanewise.service.releases import as_released
from lanewise.service.run import Work, execute
from lanewise.service.serving import serve

Slices = Mapping[str, tuple[Slice, ...]]

_NOISE_PARTITIONS = 3
"""How many partitions the old build computes twice: enough to see that a pipeline is not reproducible."""

_ROUNDS = 5


@dataclass(frozen=True)
class Computed:
    """What a step computed, by table. ``baseline`` is the old build's output for the same partitions;
    ``noise`` is the old build run once more over a few of them, to be compared with ``noise_of``."""

    slices: Slices = field(default_factory=dict)
    baseline: Slices = field(default_factory=dict)
    noise: Slices = field(default_factory=dict)
    noise_of: Slices = field(default_factory=dict)


@dataclass
class Computer:
    """Runs builds for one promotion."""

    ctx: Context
    journal: Journal
    plan: Plan
    candidate: Candidate
    target: Environment
    warehouse: Warehouse

    def step(self, step: int) -> Computed:
        """Compute one step and write down which slices it staged."""
        partitions = self.plan.steps[step].partitions
        purpose = Purpose.CANARY if self.plan.strategy == "canary" else Purpose.PROMOTION
        self.journal.write("step.intended", step=step, kind="compute", partitions=partitions)
        new = self._run(self.candidate, self.target, purpose, self._wanted(partitions), partitions)
        computed = self._beside(step, new, partitions) if self._compares() else Computed(slices=new)
        self.journal.write("step.done", step=step, kind="compute", computed=computed)
        return computed

    def catch_up(self) -> tuple[Computed, PartitionMap]:
        """All slices of the earlier steps, and those of the days that readers got from the old build meanwhile;
        with the live map that they cover."""
        seen, live = self.warehouse.map_at(self.journal.promotion.base_map), self.warehouse.live()
        for _ in range(_ROUNDS):
            slices = merged([c.slices for c in all_recorded(self.journal)])
            missing = uncovered(live, self.plan, slices, seen, self.candidate.project)
            if not missing:
                break
            partitions = tuple(sorted({p for found in missing.values() for p in found}))
            self.journal.write("step.intended", step=len(self.plan.steps), kind="compute", partitions=partitions)
            new = self._run(self.candidate, self.target, Purpose.PROMOTION, tuple(missing), partitions)
            old = self._published(live, tuple(missing), partitions) if self._compares() else {}
            computed = Computed(slices=new, baseline=old or {})
            self.journal.write("step.done", step=len(self.plan.steps), kind="compute", computed=computed)
            seen, live = live, self.warehouse.live()
        return Computed(slices=merged([c.slices for c in all_recorded(self.journal)])), live

    def _compares(self) -> bool:
        return not self.plan.first_release and self.plan.strategy != "all-at-once"

    def _wanted(self, partitions: Sequence[str]) -> tuple[str, ...]:
        return tuple(t.table for t in self.plan.moved if set(t.partitions) & set(partitions))

    def _beside(self, step: int, new: Slices, partitions: tuple[str, ...]) -> Computed:
        """The old build's side: what it published from this very input, or else what it computes from it now."""
        base = self.warehouse.map_at(self.journal.promotion.base_map)
        tables = tuple(t.table for t in self.plan.moved if t.move is not Move.NEW and t.table in new)
        tables = tuple(name for name in tables if _of(base, name, partitions))
        if not tables:
            return Computed(new)
        old = self._published(base, tables, partitions)
        if old is None:
            old = self._run(self.old_build, self.old_lane, Purpose.BASELINE, tables, partitions)
        if step:
            return Computed(new, old)
        few = _spread([p for p in partitions if any(_of(base, name, [p]) for name in tables)])
        again = self._run(self.old_build, self.old_lane, Purpose.BASELINE, tables, few)
        first = {name: tuple(s for s in found if s.partition in few) for name, found in old.items()}
        return Computed(new, old, again, first)

    def _published(self, live: PartitionMap, tables: tuple[str, ...], partitions: Sequence[str]) -> Slices | None:
        """What is published of these partitions, if it is just what the old build would compute now: its own version,
        from its own inputs as they are. Of a build that declares no inputs nobody can tell."""
        pinned = self._inputs(self.old_build)
        versions = self.old_build.fingerprints(self.old_lane)
        found = {name: _of(live, name, partitions) for name in tables}
        slices = [s for part in found.values() for s in part]
        same = all(s.inputs == pinned and s.version == versions.get(s.table) for s in slices)
        return found if same and self.old_build.project.inputs else None

    @cached_property
    def old_build(self) -> Candidate:
        """The build that is live."""
        return open_candidate(self.ctx, self.plan.base_build)

    @cached_property
    def old_lane(self) -> Environment:
        """The environment as the live build was released into it."""
        return as_released(self.ctx, self.target.name) or self.target

    def _inputs(self, build: Candidate) -> str:
        return digest(self.warehouse.pin(build.project.inputs))

    def _run(
        self,
        build: Candidate,
        lane: Environment,
        purpose: Purpose,
        tables: tuple[str, ...],
        partitions: tuple[str, ...],
    ) -> Slices:
        try:
            serve(self.ctx, lane, build)
        except Refused as error:
            raise RunFailed(error.message, hint=error.hint) from error
        promotion, inputs = self.journal.promotion.id, self._inputs(build)
        work = Work(build, lane, purpose, partitions, tables, promotion=promotion, inputs=inputs)
        return execute(self.ctx, work, self.warehouse).slices


def recorded(journal: Journal, step: int) -> Computed | None:
    """What a step is recorded to have computed; None when it has to be computed (again)."""
    found = _records(journal).get(step)
    return _decode(found[-1]) if found else None


def caught_up(journal: Journal, steps: int) -> list[Computed]:
    """What was computed beyond the plan's steps: days that readers got from the old build meanwhile."""
    return [_decode(data) for data in _records(journal).get(steps, ())]


def all_recorded(journal: Journal) -> list[Computed]:
    """What every step is recorded to have computed, in order; a retried step counts once, as last computed."""
    return [_decode(data) for _, found in sorted(_records(journal).items()) for data in found]


def _records(journal: Journal) -> dict[int, list[Any]]:
    """Step -> the records of its computations that still count, in order; a retry takes back the earlier ones."""
    by_step: dict[int, list[Any]] = {}
    for event in journal.events():
        if event.type == "hold.retried":
            by_step.pop(event.data["step"], None)
        elif event.type == "step.done" and event.data["kind"] == "compute":
            by_step.setdefault(event.data["step"], []).append(event.data["computed"])
    return by_step


def runs_of(journal: Journal) -> frozenset[str]:
    """The runs whose slices this promotion brought."""
    slices = merged([c.slices for c in all_recorded(journal)])
    return frozenset(s.run for found in slices.values() for s in found)


def merged(parts: Sequence[Slices]) -> dict[str, tuple[Slice, ...]]:
    """One mapping of table to slices; of a partition computed twice, the later one."""
    found: dict[str, dict[str, tuple[Slice, ...]]] = {}
    for part in parts:
        for table, slices in part.items():
            fresh: dict[str, tuple[Slice, ...]] = {}
            for one in slices:
                fresh[one.partition] = (*fresh.get(one.partition, ()), one)
            found.setdefault(table, {}).update(fresh)
    return {table: tuple(s for p in sorted(parts) for s in parts[p]) for table, parts in found.items()}


def _of(base: PartitionMap, table: str, partitions: Sequence[str]) -> tuple[Slice, ...]:
    slices = base.tables[table].slices if table in base.tables else {}
    return tuple(s for p in partitions for s in slices.get(p, ()))


def _spread(partitions: Sequence[str]) -> tuple[str, ...]:
    """A few partitions, evenly spread: the same ones each time."""
    if len(partitions) <= _NOISE_PARTITIONS:
        return tuple(partitions)
    last = len(partitions) - 1
    return tuple(partitions[i * last // (_NOISE_PARTITIONS - 1)] for i in range(_NOISE_PARTITIONS))


def _decode(data: Mapping[str, Mapping[str, Sequence[Mapping[str, str]]]]) -> Computed:
    parts = {
        part: {table: tuple(Slice(**one) for one in slices) for table, slices in tables.items()}  # type: ignore[arg-type]
        for part, tables in data.items()
    }
    return Computed(**parts)
