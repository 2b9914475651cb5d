"""One table's part of a judgement: its partitions' differences summed up, its columns, its warnings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from lanewise.domain.comparison import PartitionComparison, TableComparison
from lanewise.domain.evidence import Result
from lanewise.domain.project import DeclaredChange
from lanewise.promotion.canary.differences import Assessor, Difference, Problem
from lanewise.promotion.canary.noise import Noise, changed_columns, gained, lost
from lanewise.promotion.gates.columns import ColumnChange, column_changes, undeclared


@dataclass(frozen=True)
class Complaint:
    """Problems of one kind in one table, in a sentence; ``size`` orders them."""

    text: str
    size: int
    result: Result


@dataclass(frozen=True)
class TableFinding:
    """What is printed of a table. ``declared``: whether its differences are: ``yes``, ``partly``, ``no``,
    ``noise``, or empty when there are none. ``worst``: the column that differs most, with the keys (or distance)."""

    table: str
    partitions: int
    identical: int
    rows_old: int
    rows_new: int
    keys_added: int
    keys_removed: int
    keys_changed: int
    worst: str
    declared: str
    verdict: Result
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class TableJudgement:
    """The finding, what speaks against it, and the partitions that differ and should not."""

    finding: TableFinding
    complaints: tuple[Complaint, ...]
    bad: frozenset[str]


def judge_table(
    comparisons: Sequence[TableComparison], changes: Sequence[DeclaredChange], noise: Noise, max_bad: Decimal
) -> TableJudgement:
    """Judge all comparisons of one table; at least one."""
    table = comparisons[0].table
    partitions = sorted((p for c in comparisons for p in c.partitions), key=lambda p: (p.partition, repr(p)))
    assessor = Assessor(noise, changes)
    differences = [assessor.assess(p) for p in partitions]
    columns = _columns(comparisons)
    bad = frozenset(d.partition for d in differences if any(p.result is Result.FAIL for p in d.problems))
    names = {p.partition for p in partitions}
    tolerated = len(bad) <= max_bad * len(names)
    problems = [p for d in differences for p in d.problems]
    complaints = [
        *_schema(table, undeclared(columns, changes), sum(p.rows_old for p in partitions)),
        *_complaints(table, [p for p in problems if p.hard or not tolerated or p.result is not Result.FAIL], names),
        *_not_reproducible(table, noise, differences, partitions),
    ]
    let_pass = _complaints(table, [p for p in problems if tolerated and not p.hard and p.result is Result.FAIL], names)
    notes = (
        *(f"tolerated: {c.text}" for c in let_pass),
        *(f"{table}: {change.text}" for change in columns),
        *_by_itself(table, differences),
        *_never_happened(table, changes, partitions, columns),
    )
    finding = _finding(table, partitions, differences, complaints, notes)
    return TableJudgement(finding, tuple(complaints), bad)


def _columns(comparisons: Sequence[TableComparison]) -> tuple[ColumnChange, ...]:
    found = {change for c in comparisons for change in column_changes(c.columns_old, c.columns_new, c.retyped)}
    return tuple(sorted(found, key=lambda change: (change.column, change.what, change.text)))


def _schema(table: str, changes: Iterable[ColumnChange], rows: int) -> list[Complaint]:
    return [Complaint(f"{table}: {change.text}, which is not declared", rows, Result.FAIL) for change in changes]


def _complaints(table: str, problems: Iterable[Problem], names: set[str]) -> list[Complaint]:
    """One complaint a kind of problem: how much of it, in how many of the partitions."""
    kinds: dict[tuple[str, Result], list[Problem]] = {}
    for problem in problems:
        kinds.setdefault((problem.what, problem.result), []).append(problem)
    found = []
    for (what, result), same in sorted(kinds.items()):
        count, where = sum(p.count for p in same), {p.partition for p in same}
        text = f"{table}: {what.format(f'{count:,}')} in {len(where):,} of {len(names):,} partitions"
        found.append(Complaint(text, count, result))
    return found


def _not_reproducible(
    table: str, noise: Noise, differences: Sequence[Difference], partitions: Sequence[PartitionComparison]
) -> list[Complaint]:
    """Where even the old build gives other keys the second time, no difference in keys means anything."""
    keyed = any(p.keyed for p in partitions)
    if not keyed or not noise.keys_differ or all(d.identical for d in differences):
        return []
    text = (
        f"{table}: the old build against itself, on the same input, removes {noise.removed:,} keys and adds "
        f"{noise.added:,}: the pipeline is not reproducible"
    )
    return [Complaint(text, noise.removed + noise.added, Result.INCONCLUSIVE)]


def _by_itself(table: str, differences: Iterable[Difference]) -> list[str]:
    names = sorted({name for d in differences for name in d.noisy})
    return [f"{table}: {', '.join(names)} differ by themselves (not deterministic)"] if names else []


def _never_happened(
    table: str,
    changes: Iterable[DeclaredChange],
    partitions: Sequence[PartitionComparison],
    columns: Sequence[ColumnChange],
) -> list[str]:
    changed = {c.column for p in partitions for c in changed_columns(p)}
    changed |= {name for p in partitions if not p.keyed for name, distance in p.distances.items() if distance}
    happened = {
        "values": changed,
        "rows_added": {"" for p in partitions if gained(p)},
        "rows_removed": {"" for p in partitions if lost(p)},
        "column_added": {c.column for c in columns if c.what == "column_added"},
        "column_dropped": {c.column for c in columns if c.what == "column_dropped"},
        "column_retyped": {c.column for c in columns if c.what not in {"column_added", "column_dropped"}},
    }
    warnings = []
    for change in changes:
        seen = happened.get(change.what, set())
        if not (seen & set(change.columns) if change.columns and "" not in seen else seen):
            of = f" of {', '.join(change.columns)}" if change.columns else ""
            warnings.append(f"{table}: the declared change ({change.what}{of}) did not happen here")
    return warnings


def _finding(
    table: str,
    partitions: Sequence[PartitionComparison],
    differences: Sequence[Difference],
    complaints: Sequence[Complaint],
    notes: tuple[str, ...],
) -> TableFinding:
    results = {c.result for c in complaints}
    verdict = next((r for r in (Result.FAIL, Result.INCONCLUSIVE) if r in results), Result.PASS)
    return TableFinding(
        table=table,
        partitions=len({d.partition for d in differences}),
        identical=len({d.partition for d in differences} - {d.partition for d in differences if not d.identical}),
        rows_old=sum(p.rows_old for p in partitions),
        rows_new=sum(p.rows_new for p in partitions),
        keys_added=sum(p.keys_added for p in partitions),
        keys_removed=sum(p.keys_removed for p in partitions),
        keys_changed=sum(p.keys_changed for p in partitions),
        worst=_worst(partitions),
        declared=_declared(differences),
        verdict=verdict,
        notes=notes,
    )


def _declared(differences: Sequence[Difference]) -> str:
    expected, problems = any(d.expected for d in differences), any(d.problems for d in differences)
    if problems:
        return "partly" if expected else "no"
    if expected:
        return "yes"
    return "noise" if any(d.noisy for d in differences) else ""


def _worst(partitions: Sequence[PartitionComparison]) -> str:
    changed: Counter[str] = Counter()
    for p in partitions:
        changed.update({c.column: c.changed for c in changed_columns(p)})
    if changed:
        column, keys = min(changed.items(), key=lambda item: (-item[1], item[0]))
        return f"{column} ({keys:,})"
    distances = [(distance, name) for p in partitions for name, distance in p.distances.items() if distance]
    if distances:
        distance, name = max(distances)
        return f"{name} ({distance:.3g})"
    return ""
