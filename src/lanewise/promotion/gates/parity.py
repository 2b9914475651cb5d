"""Whether the target is enough like another environment that what is seen here says something about there.

## What it does

Compares what the target publishes with what another environment does (`against`; by default the last of the
promotion order, usually prod): every table that is there and in this build must be here, each of its columns
with the same type, and the volume within `factor`. Columns that only the target has are fine: it is a build
ahead. A dropped or retyped column that the build declares is expected.

Looking at the candidate (the default), the columns are those that would be published; the volume is that of
what is live in the target, over the partitions that both publish. Inconclusive are: nothing published in the
other environment, no partition in common, no rows on either side. A target that has published nothing yet is
compared by columns alone, and the verdict says so.

Arguments: `against`, an environment's name; `factor`, how many times more or fewer rows are still alike (default
2); `moment`, `candidate` (default) or `before`.

## Why it matters

A stage with two columns fewer and a thousandth of the rows passes everything, and proves nothing about prod.

## Example

```yaml
promotion:
  stage:
    gates:
      - parity: {against: prod, factor: 20}   # stage holds a sample of 10%
```

## When to switch it off

Until the other environment has had its first release, because there is nothing to be like yet. In the last
environment itself it is an error unless `against` names another one.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from lanewise.domain.canonical import plain
from lanewise.domain.evidence import Evidence, Moment, Verdict
from lanewise.domain.gate import Look
from lanewise.domain.project import Column, DeclaredChange
from lanewise.domain.words import counted
from lanewise.promotion.gates.arguments import Arguments
from lanewise.promotion.gates.columns import column_changes, undeclared
from lanewise.promotion.gates.evidence import Speaker, fresh, speaker


class ParityGate:
    """The gate ``parity``."""

    name: str = "parity"
    moments: tuple[Moment, ...] = (Moment.CANDIDATE,)

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        given = Arguments(self.name, arguments, ("against", "factor", "moment"))
        self._against = given.text("against")
        self._factor = given.factor("factor", Decimal(2))
        self.moments = (Moment(given.choice("moment", ("before", "candidate"), "candidate")),)

    def measure(self, look: Look) -> Mapping[str, Any]:
        """What both environments publish, and the candidate's columns."""
        against = self._against or look.environments[-1]
        here, there = look.published(look.target.name), look.published(against)
        columns = {name: plain(found[0]) for name, found in here.items()}
        if look.moment is Moment.CANDIDATE:
            columns |= {name: plain(found) for name, found in look.columns("candidate").items()}
        return {
            "target": look.target.name,
            "against": against,
            "tables": sorted(look.project.tables),
            "here": {"columns": columns, "rows": {name: dict(found[1]) for name, found in here.items()}},
            "there": {
                "columns": {name: plain(found[0]) for name, found in there.items()},
                "rows": {name: dict(found[1]) for name, found in there.items()},
            },
            "declared": {name: plain(t.changes) for name, t in look.project.tables.items() if t.changes},
        }

    def judge(self, evidence: Evidence | None, now: datetime) -> Verdict:
        """Same tables, columns and types; volume within the factor."""
        found = fresh(self, evidence, now, "target", "against", "tables", "here", "there", "declared")
        if isinstance(found, Verdict):
            return found
        say, facts = speaker(self, found), found.facts
        here, there = facts["target"], facts["against"]
        if here == there:
            return say.errs(f"{here} would be compared with itself", "name another environment with `against`")
        both = [name for name in facts["tables"] if name in facts["there"]["columns"]]
        if not both:
            return say.doubts(f"{there} publishes none of this build's tables: there is nothing to be like",
                              "switch the gate on after the first release there")  # fmt: skip
        if not facts["here"]["columns"]:
            return say.doubts(f"{here} publishes nothing yet", "look at the candidate: `moment: candidate`")
        return self._compare(say, facts, both)

    def _compare(self, say: Speaker, facts: Mapping[str, Any], both: list[str]) -> Verdict:
        here, there, first = facts["target"], facts["against"], not facts["here"]["rows"]
        unlike = [words for name in both for words in _columns_differ(name, facts)]
        volumes = {} if first else {name: _volume(name, facts) for name in both}
        unlike += [
            f"{name}: {ours:,} rows in {here}, {theirs:,} in {there}"
            for name, (ours, theirs) in volumes.items()
            if max(ours, theirs) > self._factor * min(ours, theirs)
        ]
        if unlike:
            more = f" (and {len(unlike) - 1} more)" if len(unlike) > 1 else ""
            return say.fails(f"{unlike[0]}{more}", details=tuple({"difference": words} for words in unlike))
        empty = [name for name, rows in volumes.items() if rows == (0, 0)]
        if empty:
            return say.doubts(f"{', '.join(empty)}: {here} and {there} share no partition with rows")
        beside = f"{here} has no rows to compare yet" if first else f"rows within a factor of {self._factor}"
        return say.passes(f"{counted(len(both), 'table')} as in {there}: same columns and types, {beside}")


def _columns_differ(table: str, facts: Mapping[str, Any]) -> list[str]:
    here, there = facts["target"], facts["against"]
    ours = facts["here"]["columns"].get(table)
    if not ours:
        return [f"{table} is published in {there} and not in {here}"]
    declared = [DeclaredChange(d["what"], d["reason"], tuple(d["columns"])) for d in facts["declared"].get(table, ())]
    changes = undeclared(column_changes(_columns(facts["there"]["columns"][table]), _columns(ours)), declared)
    return [f"{table}: against {there}, {c.text}" for c in changes if c.what in {"column_dropped", "column_retyped"}]


def _volume(table: str, facts: Mapping[str, Any]) -> tuple[int, int]:
    """Rows here and there, over the partitions that both publish."""
    ours, theirs = facts["here"]["rows"].get(table, {}), facts["there"]["rows"].get(table, {})
    shared = [partition for partition in theirs if partition in ours]
    return sum(ours[p] for p in shared), sum(theirs[p] for p in shared)


def _columns(found: list[Mapping[str, Any]]) -> tuple[Column, ...]:
    return tuple(Column(c["name"], c["type"], c["nullable"]) for c in found)
