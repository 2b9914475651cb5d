"""Old against new on the same pinned input: does the build do what it declares, and nothing else? Pure.

Differences are counted, partition by partition, and weighed against what the old build shows against itself and
against what the new one declares. There is no p-value over pooled rows in it: with enough rows any such test
rejects, however little has changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lanewise.domain.canonical import plain
from lanewise.domain.comparison import TableComparison
from lanewise.domain.environment import Rollout
from lanewise.domain.evidence import Result
from lanewise.domain.project import Table
from lanewise.promotion.canary.bound import bound_sentence
from lanewise.promotion.canary.findings import Complaint, TableJudgement, judge_table
from lanewise.promotion.canary.noise import Noise, noise_floor
from lanewise.promotion.gates.quality import CheckVerdict

_WORST_FIRST = (Result.FAIL, Result.ERROR, Result.INCONCLUSIVE)


@dataclass(frozen=True)
class Judgement:
    """What a canary step showed. ``rows`` is one plain mapping a table (the fields of ``TableFinding``), fit for
    the ledger and for ``report.canary_table``. ``bad_partitions``: those that differ and should not."""

    result: Result
    reason: str
    rows: tuple[Mapping[str, Any], ...]
    bad_partitions: tuple[str, ...]
    bound: str
    warnings: tuple[str, ...] = ()


def judge(  # noqa: PLR0913 - two sides, their context and two figures: bundled they would only be harder to read
    tables: Mapping[str, Table],
    comparisons: Sequence[TableComparison],
    noise: Sequence[TableComparison],
    *,
    checks: Sequence[CheckVerdict] = (),
    rollout: Rollout,
    confidence: float = 0.95,
    population: int | None = None,
) -> Judgement:
    """Judge one step. The order of what is given does not matter.

    ``comparisons`` pair the live build (old) with the candidate (new); ``noise`` the live build with itself. What
    ``tables`` declare as changes is expected, up to its limit. ``rollout.max_bad`` is the share of a table's
    partitions that may differ undeclared; keys that stop being keys and breaking columns are never within it.
    ``population``: how many partitions there are in all, which makes the bound exact.
    """
    floor = noise_floor(noise)
    pairs: dict[str, list[TableComparison]] = {}
    for comparison in comparisons:
        pairs.setdefault(comparison.table, []).append(comparison)
    judged = [
        judge_table(found, tables[name].changes if name in tables else (), floor.get(name, Noise()), rollout.max_bad)
        for name, found in sorted(pairs.items())
    ]
    compared = {p.partition for c in comparisons for p in c.partitions}
    bad = tuple(sorted({name for j in judged for name in j.bad}))
    bound = bound_sentence(len(compared) - len(bad), len(bad), confidence, population=population)
    complaints = [*(c for j in judged for c in j.complaints), *_of_checks(checks), *_of_nothing(comparisons)]
    result = next((r for r in _WORST_FIRST if any(c.result is r for c in complaints)), Result.PASS)
    warnings = tuple(note for j in judged for note in j.finding.notes)
    return Judgement(
        result=result,
        reason=_reason(result, complaints, f"{_summary(judged, len(compared))}; {bound}"),
        rows=tuple(plain(j.finding) for j in judged),
        bad_partitions=bad,
        bound=bound,
        warnings=warnings,
    )


def _of_checks(checks: Sequence[CheckVerdict]) -> list[Complaint]:
    return [Complaint(check.reason, 0, check.result) for check in checks if check.result is not Result.PASS]


def _of_nothing(comparisons: Sequence[TableComparison]) -> list[Complaint]:
    """No evidence, or evidence of no rows, is doubt."""
    partitions = [p for c in comparisons for p in c.partitions]
    if not partitions:
        return [Complaint("nothing was compared", 0, Result.INCONCLUSIVE)]
    if not any(p.rows_old or p.rows_new for p in partitions):
        return [Complaint("there are no rows on either side, in any partition", 0, Result.INCONCLUSIVE)]
    return []


def _reason(result: Result, complaints: Sequence[Complaint], good: str) -> str:
    """The largest offender of the worst kind, and how many more there are."""
    worst = sorted((c for c in complaints if c.result is result), key=lambda c: (-c.size, c.text))
    if not worst:
        return good
    return worst[0].text + (f" (and {len(worst) - 1} more)" if len(worst) > 1 else "")


def _summary(judged: Sequence[TableJudgement], partitions: int) -> str:
    noun = "table" if len(judged) == 1 else "tables"
    of = f"{partitions:,} {'partition' if partitions == 1 else 'partitions'} of {len(judged):,} {noun}"
    if all(j.finding.identical == j.finding.partitions for j in judged):
        return f"{of} are identical"
    return f"{of} differ only as declared, by themselves, or within what is tolerated"
