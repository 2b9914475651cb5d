"""Whether everything that a rollback would need is still there.

## What it does

Before a promotion, looks for each thing that going back would take: the live build, the config of its release,
the map that is live now and what it points to. One thing missing fails, and is named. On a first release there
is nothing to go back to, and the gate passes saying so; on any other release an empty list is inconclusive.

It takes no arguments.

## Why it matters

A rollback flips pointers and recomputes nothing. That is quick because everything was kept; the moment to learn
that something wasn't is before the release, not in the night after.

## Example

```yaml
promotion:
  prod: {gates: [tests, quality, retained]}
```

## When to switch it off

Where a rollback is worth nothing to you, as in a dev environment that is refilled every night.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from lanewise.domain.canonical import plain
from lanewise.domain.evidence import Evidence, Moment, Verdict
from lanewise.domain.gate import Look
from lanewise.promotion.gates.arguments import Arguments
from lanewise.promotion.gates.evidence import fresh, speaker


class RetainedGate:
    """The gate ``retained``."""

    name: str = "retained"
    moments: tuple[Moment, ...] = (Moment.BEFORE,)

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        Arguments(self.name, arguments, ())

    def measure(self, look: Look) -> Mapping[str, Any]:
        """What a rollback would need, and whether it is there."""
        return {"first_release": look.plan.first_release, "needed": [plain(item) for item in look.retained()]}

    def judge(self, evidence: Evidence | None, now: datetime) -> Verdict:
        """Nothing is missing."""
        found = fresh(self, evidence, now, "first_release", "needed")
        if isinstance(found, Verdict):
            return found
        say, needed = speaker(self, found), found.facts["needed"]
        missing = [str(item["what"]) for item in needed if item["present"] is not True]
        if missing:
            return say.fails(f"a rollback would miss {', '.join(missing)}",
                             "bring it back, or break glass knowing that there is no way back", needed)  # fmt: skip
        if needed:
            return say.passes(f"a rollback finds all it needs: {', '.join(str(i['what']) for i in needed)}", needed)
        if found.facts["first_release"] is True:
            return say.passes("first release: there is nothing to go back to yet")
        return say.doubts("nobody could say what a rollback would need")
