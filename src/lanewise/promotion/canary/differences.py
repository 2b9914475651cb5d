"""What differs in one partition, and whether the noise or a declared change accounts for it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from lanewise.domain.comparison import PartitionComparison
from lanewise.domain.evidence import Result
from lanewise.domain.project import DeclaredChange
from lanewise.promotion.canary.noise import UNNAMED, Noise, changed_columns, gained, lost


@dataclass(frozen=True)
class Problem:
    """One thing in one partition that nothing accounts for. ``what`` is a phrase with a place for the count;
    a ``hard`` one is never within what the rollout tolerates."""

    what: str
    count: int
    partition: str
    result: Result = Result.FAIL
    hard: bool = False


@dataclass(frozen=True)
class Difference:
    """One partition's differences: those that are problems, and what accounts for the others."""

    partition: str
    problems: tuple[Problem, ...]
    expected: bool  # some difference is a declared one
    noisy: frozenset[str]  # what is put down to noise: columns, or "keys" or "rows"

    @property
    def identical(self) -> bool:
        """Nothing differs at all."""
        return not (self.problems or self.expected or self.noisy)


class Assessor:
    """Assesses the partitions of one table, against its noise and its declared changes."""

    def __init__(self, noise: Noise, changes: Sequence[DeclaredChange]) -> None:
        self._noise, self._changes = noise, changes

    def assess(self, p: PartitionComparison) -> Difference:
        """What differs in this partition."""
        keys, values = self._keys(p), self._values(p) if p.keyed else self._distances(p)
        return Difference(
            p.partition,
            (*keys.problems, *_bad_keys(p), *values.problems, *_unpaired(p)),
            keys.expected or values.expected,
            keys.noisy | values.noisy,
        )

    def _keys(self, p: PartitionComparison) -> Difference:
        noun, problems, expected, noisy = ("keys" if p.keyed else "rows"), [], False, set()
        for count, kind, verb, by_itself in (
            (lost(p), "rows_removed", "removed", self._noise.explains_removed),
            (gained(p), "rows_added", "added", self._noise.explains_added),
        ):
            if not count:
                continue
            excess = _excess([(c, count) for c in self._changes if c.what == kind], p.rows_old)
            if excess is None:
                expected = True
            elif by_itself(count, p.rows_old, keyed=p.keyed):
                noisy.add(noun)
            else:
                problems.append(Problem(f"{{}} {noun} {verb}{excess}", count, p.partition))
        return Difference(p.partition, tuple(problems), expected, frozenset(noisy))

    def _values(self, p: PartitionComparison) -> Difference:
        found = changed_columns(p)
        noisy = frozenset(c.column for c in found if self._noise.explains_changed(c.column, c.changed, p.rows_old))
        counted = {c.column: c.changed for c in found if c.column not in noisy}
        keys = max((p.keys_changed, *counted.values()))
        problems, expected = [], False
        for column, changed in counted.items():
            covering = [(c, _touched(c, counted, keys)) for c in self._changes if _covers(c, column)]
            excess = _excess(covering, p.rows_old)
            if excess is None:
                expected = True
            else:
                problems.append(Problem(f"{column} changed for {{}} keys{excess}", changed, p.partition))
        return Difference(p.partition, tuple(problems), expected, noisy)

    def _distances(self, p: PartitionComparison) -> Difference:
        problems, expected, noisy = [], False, set()
        for name, distance in p.distances.items():
            covering = [c for c in self._changes if _covers(c, name)]
            if self._noise.explains_distance(name, distance):
                noisy |= {name} if distance and self._noise.distances.get(name) else set()
            elif any(c.limit is None for c in covering):
                expected = True
            else:
                beside = ", and its declared limit can't be checked without a key" if covering else ""
                what = f"{name} is distributed differently over {{}} rows{beside}"
                problems.append(Problem(what, p.rows_new, p.partition))
        if not p.same and not p.distances and p.rows_old == p.rows_new:
            problems.append(
                Problem("{} rows differ and nothing says how", p.rows_new, p.partition, Result.INCONCLUSIVE)
            )
        return Difference(p.partition, tuple(problems), expected, frozenset(noisy))


def _excess(declared: Sequence[tuple[DeclaredChange, int]], rows: int) -> str | None:
    """None when one of the declared changes allows the keys it touches; else what to say: beyond the limit, or
    nothing."""
    if any(c.limit is None or touched <= Decimal(c.limit) * rows for c, touched in declared):
        return None
    limits = [Decimal(c.limit) for c, _ in declared if c.limit is not None]
    return f", beyond the declared {(max(limits) * 100).normalize():f}%" if limits else ""


def _bad_keys(p: PartitionComparison) -> Iterable[Problem]:
    """A key that is not one any more: neither noise nor a declaration excuses it."""
    for count, what in (
        (p.duplicate_keys_new - p.duplicate_keys_old, "{} duplicate keys that the old build has not"),
        (p.null_keys_new - p.null_keys_old, "{} NULL keys that the old build has not"),
    ):
        if count > 0:
            yield Problem(what, count, p.partition, hard=True)


def _unpaired(p: PartitionComparison) -> Iterable[Problem]:
    """Rows without a key can't be paired, so a difference may hide among them."""
    if p.null_keys_old and not p.same:
        what = "{} rows whose key is NULL can't be paired"
        yield Problem(what, p.null_keys_old, p.partition, Result.INCONCLUSIVE)


def _covers(change: DeclaredChange, column: str) -> bool:
    return change.what == "values" and (not change.columns or column in change.columns)


def _touched(change: DeclaredChange, counted: dict[str, int], keys: int) -> int:
    """How many keys a declared change touches at most: all changed ones, or its columns' together if fewer."""
    if UNNAMED in counted:
        return keys
    return min(keys, sum(changed for column, changed in counted.items() if _covers(change, column)))
