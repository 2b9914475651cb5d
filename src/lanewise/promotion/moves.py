"""What happens to one table: which move it makes, over which partitions, and what that will hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from lanewise.domain.plan import Move, TablePlan
from lanewise.domain.project import Grain, History, Table
from lanewise.domain.publication import Break, Slice, TableMap
from lanewise.promotion.breaks import told
from lanewise.promotion.contract import breaking_changes
from lanewise.promotion.ground import Ground, recut

_BYTES_A_VALUE = 8
"""What a value is taken to hold where only rows are known: a plan never promises that rows take no room."""


@dataclass(frozen=True)
class Decided:
    """One table's move, before the canary is chosen. ``standing`` is published, ``missing`` is not yet."""

    table: Table
    move: Move
    version: str
    live: TableMap | None
    standing: tuple[str, ...]
    missing: tuple[str, ...]
    note: str = ""

    @property
    def compared(self) -> bool:
        """Whether another version of it is live, to be compared with."""
        return self.move is Move.REBUILD or (self.move is Move.INHERIT and self.version not in _versions(self.live))

    @property
    def in_steps(self) -> bool:
        """Whether a canary can take it a few partitions at a time."""
        cut = self.table.partition
        return self.compared and cut is not None and self.live is not None and self.live.partition == cut

    def computes(self, chosen: Sequence[str]) -> tuple[str, ...]:
        """The partitions to compute. Of inherited history, those that are judged: the chosen ones, or else the
        newest."""
        if self.move in {Move.REUSE, Move.DROP}:
            return ()
        if self.move is not Move.INHERIT:
            return ordered(self.standing, self.missing)
        if not self.compared:
            return self.missing
        judged = set(chosen) & set(self.standing) or set(self.standing[-1:])
        return ordered(judged, self.missing)


def decide(ground: Ground, table: Table) -> Decided:
    """The move of one of the candidate's tables: the cheapest that leaves it as this build would have computed it."""
    version, live = ground.fingerprints[table.name], ground.live.tables.get(table.name)
    wanted = ground.wanted(table)
    if live is None:
        found = wanted or _like_the_others(ground, table)
        note = "" if found else "no partition is known to compute"
        return Decided(table, Move.NEW, version, None, (), found, note)
    same_cut = live.partition == table.partition
    standing = ordered(live.slices) if same_cut else recut(ordered(live.slices), live.partition, table.partition)
    missing = ordered(set(wanted) - set(standing))
    mixed = table.history is History.INHERIT and _newest_version(live) == version  # the older days kept theirs
    if same_cut and (mixed or _versions(live) <= {version}):
        if not missing:
            return Decided(table, Move.REUSE, version, live, standing, ())
        if live.slices:
            note = "the version is the same: only partitions that are not there yet are computed"
            return Decided(table, Move.INHERIT, version, live, standing, missing, note)
    if table.history is History.INHERIT and same_cut and standing:
        note = "published partitions stay as they are; some are computed to be judged, and never shown"
        return Decided(table, Move.INHERIT, version, live, standing, missing, note)
    note = "" if same_cut else "it is cut into other partitions than those that are published"
    return Decided(table, Move.REBUILD, version, live, standing, missing, note)


def _like_the_others(ground: Ground, table: Table) -> tuple[str, ...]:
    """Of a new table that no data policy speaks of: the partitions that the pipeline's other tables have."""
    if table.partition is None or table.partition.grain is Grain.VALUE:
        return ()
    others = (t for t in ground.live.tables.values() if t.partition and t.partition.grain is table.partition.grain)
    return ordered(p for other in others for p in other.slices)


def table_plan(decided: Decided, partitions: tuple[str, ...], breaks: Break | None = None) -> TablePlan:
    """The decision as a plan shows it, computing these partitions. ``breaks``: what its published view can't take in
    place."""
    table, live = decided.table, decided.live
    return TablePlan(
        table=table.name, kind=table.kind, move=decided.move, version=decided.version,
        live_version=_newest_version(live), history=table.history, partitions=partitions,
        exposed=decided.move is not Move.INHERIT, bytes=_expected(live, partitions, _bytes),
        rows=_expected(live, partitions, lambda one, _: one.rows),
        breaking=told(breaking_changes(table, live.columns) if live else (), breaks), breaks=breaks, note=decided.note,
    )  # fmt: skip


def dropped_tables(ground: Ground) -> tuple[TablePlan, ...]:
    """The tables that are published and that the candidate does not have."""
    gone = [t for name, t in ground.live.tables.items() if name not in ground.project.tables]
    return tuple(
        TablePlan(t.name, t.kind, Move.DROP, "", live_version=_newest_version(t),
                  breaking=(f"{t.name}: the table is no longer published",))
        for t in gone
    )  # fmt: skip


def _expected(live: TableMap | None, partitions: Iterable[str], measure: Callable[[Slice, int], int]) -> int:
    """What these partitions will hold: as much as the published ones, and on average where one is not published.
    ``measure`` takes a slice and the number of columns."""
    if live is None or not live.slices:
        return 0
    sizes = {p: sum(measure(s, len(live.columns)) for s in slices) for p, slices in live.slices.items()}
    average = -(-sum(sizes.values()) // len(sizes))
    return sum(sizes.get(p, average) for p in partitions)


def _bytes(one: Slice, columns: int) -> int:
    return one.bytes or one.rows * max(columns, 1) * _BYTES_A_VALUE


def _versions(live: TableMap | None) -> frozenset[str]:
    return frozenset(s.version for slices in live.slices.values() for s in slices) if live else frozenset()


def _newest_version(live: TableMap | None) -> str:
    """The version that serves the newest partition."""
    if live is None or not live.slices:
        return ""
    return next((s.version for s in reversed(live.slices[max(live.slices)])), "")


def ordered(*names: Iterable[str]) -> tuple[str, ...]:
    """All of the names, once each, in order."""
    return tuple(sorted({name for group in names for name in group}))
