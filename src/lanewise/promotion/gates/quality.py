"""The tables' own data checks, on the candidate's output and on what was released.

## What it does

Evaluates every check that `lanewise.yaml` gives the moved tables: on the computed, still invisible output
before a release, and again on the published tables after it. One row that breaks a check fails. Inconclusive
are: a check that was not evaluated, one that looked at no rows, and tables without any check. `row_count`
compares with the same partitions as they are live (`max_drop: 5%`), exactly and without rounding; where nothing
is live yet only `min` and `max` bind. A table that may rightly be empty says so with `row_count: {min: 0}`.
When no table is computed anew (a config-only promotion) there is nothing to check and it passes, saying so.

It takes no arguments: what is checked is the project's business, and the same everywhere.

## Why it matters

The code may be right and the data wrong. Unaudited rows are never visible, so the checks run before any reader
can see what they judge.

## Example

```yaml
# lanewise.yaml
tables:
  orders_daily:
    checks: [{not_null: [order_id]}, {unique: [order_id]}, {row_count: {max_drop: 5%}}]
# environments.yaml
promotion:
  stage: {gates: [quality]}
```

## When to switch it off

Hardly ever. Scheduled runs are audited by the same checks whether the gate is on or not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from lanewise.domain.canonical import plain
from lanewise.domain.evidence import CheckResult, Evidence, Moment, Result, Verdict
from lanewise.domain.gate import Look
from lanewise.domain.project import Check, Table
from lanewise.domain.words import counted
from lanewise.promotion.gates.arguments import Arguments
from lanewise.promotion.gates.evidence import Speaker, fresh, speaker


@dataclass(frozen=True)
class CheckVerdict:
    """What one check says of one table, in a sentence."""

    table: str
    check: str
    result: Result
    reason: str


class QualityGate:
    """The gate ``quality``."""

    name: str = "quality"
    moments: tuple[Moment, ...] = (Moment.CANDIDATE, Moment.AFTER)

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        Arguments(self.name, arguments, ())

    def measure(self, look: Look) -> Mapping[str, Any]:
        """The moved tables' checks and what each of them found."""
        moved = [t.table for t in look.plan.moved]
        return {
            "moved": moved,
            "checks": {name: plain(t.checks) for name, t in look.project.tables.items() if name in moved},
            "results": [plain(result) for result in look.checks()] if moved else [],
        }

    def judge(self, evidence: Evidence | None, now: datetime) -> Verdict:
        """No check broken, none in doubt."""
        found = fresh(self, evidence, now, "moved", "checks", "results")
        if isinstance(found, Verdict):
            return found
        say, facts = speaker(self, found), found.facts
        if not facts["moved"]:
            return say.passes("no table is computed anew: there is nothing to check")
        tables = {name: _table(name, checks) for name, checks in facts["checks"].items()}
        return _sum_up(say, tables, [CheckResult(**result) for result in facts["results"]])


def judge_checks(tables: Mapping[str, Table], results: Sequence[CheckResult]) -> tuple[CheckVerdict, ...]:
    """Judge what was found by the checks of ``tables``, in their order; a check that has no result is in doubt.

    Pure. Several results of one check (one a slice, say) are judged each. Results of tables that are not among
    ``tables`` are judged as well: broken is broken.
    """
    verdicts = [_judge(tables.get(result.table), result) for result in results]
    seen = {(result.table, result.check) for result in results}
    for name, table in tables.items():
        verdicts += [
            CheckVerdict(name, check.name, Result.INCONCLUSIVE, f"{name}: {check.name}: was not evaluated")
            for check in table.checks
            if (name, check.name) not in seen
        ]
    order = {(name, check.name): at for at, (name, check) in enumerate(
        (name, check) for name, table in tables.items() for check in table.checks)}  # fmt: skip
    return tuple(sorted(verdicts, key=lambda v: (order.get((v.table, v.check), len(order)), v.table, v.check)))


def _judge(table: Table | None, found: CheckResult) -> CheckVerdict:
    check = next((c for c in table.checks if c.name == found.check), None) if table else None
    result, words = Result.PASS, f"{found.rows:,} rows, none breaks it"
    if found.bad:
        result, words = Result.FAIL, f"{found.bad:,} of {found.rows:,} rows break it"
    elif found.kind == "row_count" and (broken := _row_count(check, found)):
        result, words = Result.FAIL, broken
    elif not found.rows and not (table and _may_be_empty(table)):
        result, words = Result.INCONCLUSIVE, "looked at no rows"
    elif found.kind == "row_count":
        words = f"{found.rows:,} rows{_beside(found)}"
    return CheckVerdict(found.table, found.check, result, f"{found.table}: {found.check}: {words}")


def _row_count(check: Check | None, found: CheckResult) -> str:
    """What limit is broken, or nothing. Limits are compared exactly: ``lost <= limit * live``."""
    limits, rows = (check.arguments if check else {}), found.rows
    least, most = _number(limits, "min"), _number(limits, "max")
    if least is not None and rows < least:
        return f"{rows:,} rows, fewer than {least:,}"
    if most is not None and rows > most:
        return f"{rows:,} rows, more than {most:,}"
    live = int(found.facts.get("live_rows") or 0)
    now = int(found.facts.get("paired_rows", rows))  # of partitions that are live too: new days hide no drop
    drop, rise = _number(limits, "max_drop"), _number(limits, "max_rise")
    if live and drop is not None and live - now > drop * live:
        return f"{now:,} rows, {live - now:,} fewer than the {live:,} live; at most {_percent(drop)} may go"
    if live and rise is not None and now - live > rise * live:
        return f"{now:,} rows, {now - live:,} more than the {live:,} live; at most {_percent(rise)} may come"
    return ""


def _beside(found: CheckResult) -> str:
    live = int(found.facts.get("live_rows") or 0)
    return f", {live:,} live" if live else ", nothing live to compare with"


def _may_be_empty(table: Table) -> bool:
    return any(c.kind == "row_count" and _number(c.arguments, "min") == 0 for c in table.checks)


def _number(arguments: Mapping[str, Any], name: str) -> Decimal | None:
    value = arguments.get(name)
    return None if value is None else Decimal(str(value))


def _percent(share: Decimal) -> str:
    return f"{(share * 100).normalize():f}%"


def _table(name: str, checks: Sequence[Mapping[str, Any]]) -> Table:
    return Table(name, checks=tuple(Check(c["name"], c["kind"], c["arguments"]) for c in checks))


def _sum_up(say: Speaker, tables: Mapping[str, Table], results: Sequence[CheckResult]) -> Verdict:
    verdicts = judge_checks(tables, results)
    details = tuple(
        {"table": v.table, "check": v.check, "result": v.result.value, "reason": v.reason} for v in verdicts
    )
    if not verdicts:
        return say.doubts(f"{', '.join(tables) or 'the project'} has no checks", "give it some under `checks:`")
    failed = [v.reason for v in verdicts if v.result is Result.FAIL]
    if failed:
        more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
        return say.fails(f"{failed[0]}{more}", details=details)
    doubtful = [v.reason for v in verdicts if v.result is not Result.PASS]
    if doubtful:
        more = f" (and {len(doubtful) - 1} more)" if len(doubtful) > 1 else ""
        return say.doubts(f"{doubtful[0]}{more}", "a table that may be empty says `row_count: {min: 0}`", details)
    if not any(result.rows for result in results) and not all(_may_be_empty(table) for table in tables.values()):
        return say.doubts("the checks looked at no rows", details=details)
    unchecked = [name for name, table in tables.items() if not table.checks]
    beside = f"; {', '.join(unchecked)} has none" if unchecked else ""
    return say.passes(
        f"{counted(len(verdicts), 'check')} passed on {counted(len(tables) - len(unchecked), 'table')}{beside}", details
    )
