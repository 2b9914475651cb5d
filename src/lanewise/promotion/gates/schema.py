"""What readers of the published tables would notice of the new columns.

## What it does

Compares the columns that are live with the candidate's. A nullable column added at the end passes. A column
that is dropped, retyped, reordered, made NOT NULL, added as NOT NULL or added in the middle breaks somebody's
query, and so does a table that is no longer published: that fails, unless the build declares it under the
table's `changes` in `lanewise.yaml` (`column_dropped`, `column_retyped` for a new type, place or NOT NULL,
`column_added` for an added one). A table that goes away is declared by nobody, so it needs `allow`. A first
release has nothing to compare with and passes, saying so. No columns to look at is inconclusive.

Arguments: `allow`, kinds of breaking change that this environment takes undeclared: `column_added`,
`column_dropped`, `column_retyped`, `column_reordered`, `column_not_null`, `table_dropped`.

## Why it matters

Views can append a column while readers read; every other change makes somebody's dashboard fail, or worse,
read the wrong column. A declared change is one that somebody has thought about and a reviewer has seen.

## Example

```yaml
# lanewise.yaml
tables:
  orders_daily:
    changes:
      - {what: column_dropped, columns: [discount], reason: "moved to orders_discounts"}
# environments.yaml
promotion:
  dev: {gates: [{schema: {allow: [column_dropped, column_retyped]}}]}
  prod: {gates: [schema]}
```

## When to switch it off

In an environment that nobody but you reads. `allow` is the smaller step.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from lanewise.domain.canonical import plain
from lanewise.domain.evidence import Evidence, Moment, Verdict
from lanewise.domain.gate import Look
from lanewise.domain.plan import Move
from lanewise.domain.project import Column, DeclaredChange
from lanewise.domain.words import counted
from lanewise.promotion.gates.arguments import Arguments
from lanewise.promotion.gates.columns import BREAKING, ColumnChange, column_changes, undeclared
from lanewise.promotion.gates.evidence import fresh, speaker


class SchemaGate:
    """The gate ``schema``."""

    name: str = "schema"
    moments: tuple[Moment, ...] = (Moment.CANDIDATE,)

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        self._allow = Arguments(self.name, arguments, ("allow",)).words("allow", BREAKING)

    def measure(self, look: Look) -> Mapping[str, Any]:
        """The columns of both sides, and what the build declares."""
        live, candidate = look.columns("live"), look.columns("candidate")
        moved = [t.table for t in look.plan.moved]
        return {
            "moved": moved,
            "dropped": [t.table for t in look.plan.tables if t.move is Move.DROP],
            "live": {name: plain(live[name]) for name in moved if name in live},
            "candidate": {name: plain(columns) for name, columns in candidate.items()},
            "declared": {name: plain(t.changes) for name, t in look.project.tables.items() if t.changes},
        }

    def judge(self, evidence: Evidence | None, now: datetime) -> Verdict:
        """Only additive, declared or allowed changes."""
        found = fresh(self, evidence, now, "moved", "dropped", "live", "candidate", "declared")
        if isinstance(found, Verdict):
            return found
        say, facts = speaker(self, found), found.facts
        moved = facts["moved"]
        unseen = [name for name in moved if not facts["candidate"].get(name)]
        if unseen:
            return say.doubts(f"no columns of {', '.join(unseen)} were seen")
        changes = {name: _changes(name, facts) for name in moved}
        broken = [(name, change) for name in moved for change in self._refused(changes[name], _declared(name, facts))]
        if "table_dropped" not in self._allow:
            gone = "is no longer published"
            broken += [(name, ColumnChange("table_dropped", "", gone)) for name in facts["dropped"]]
        told = tuple({"table": name, "change": c.text, "what": c.what} for name in moved for c in changes[name])
        if broken:
            first = "; ".join(f"{name}: {change.text}" if change.column else f"{name} {change.text}"
                              for name, change in broken[:3])  # fmt: skip
            more = f"; and {len(broken) - 3} more" if len(broken) > 3 else ""
            kinds = ", ".join(sorted({change.what for _, change in broken}))
            hint = f"declare it under the table's `changes` in lanewise.yaml, or allow {kinds} for this environment"
            return say.fails(f"readers would break: {first}{more}", hint, told)
        return say.passes(_summary(facts, told), told)

    def _refused(self, changes: tuple[ColumnChange, ...], declared: tuple[DeclaredChange, ...]) -> list[ColumnChange]:
        return [change for change in undeclared(changes, declared) if change.what not in self._allow]


def _changes(table: str, facts: Mapping[str, Any]) -> tuple[ColumnChange, ...]:
    live = facts["live"].get(table)
    return column_changes(_columns(live), _columns(facts["candidate"][table])) if live else ()


def _declared(table: str, facts: Mapping[str, Any]) -> tuple[DeclaredChange, ...]:
    found = facts["declared"].get(table, ())
    return tuple(DeclaredChange(d["what"], d["reason"], tuple(d["columns"]), d["limit"]) for d in found)


def _columns(found: list[Mapping[str, Any]]) -> tuple[Column, ...]:
    return tuple(Column(c["name"], c["type"], c["nullable"]) for c in found)


def _summary(facts: Mapping[str, Any], told: tuple[Mapping[str, Any], ...]) -> str:
    if not facts["moved"]:
        return "no table is computed anew: the published columns stay as they are"
    new = [name for name in facts["moved"] if name not in facts["live"]]
    if len(new) == len(facts["moved"]):
        return f"nothing of {', '.join(new)} is live yet: there are no columns to compare with"
    if not told:
        return f"the columns of {counted(len(facts['moved']), 'table')} are as they were"
    return "; ".join(f"{t['table']}: {t['change']}" for t in told[:3]) + ("; …" if len(told) > 3 else "")
