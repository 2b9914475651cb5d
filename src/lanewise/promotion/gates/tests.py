"""The build's own tests, run in the target's environment.

## What it does

Runs the command that `lanewise.yaml` gives under `tests:` inside the verified build, with the settings of the
environment the build is to enter, and reads the JUnit report it leaves (pytest writes one by itself). It passes
when at least one test ran, none failed and the command ended well. No test command, no report, no tests
collected, or all of them skipped is inconclusive, which stops a promotion like a failure does.

Arguments: `timeout` (default `10m`); `min`, how many tests must have run (default 1).

## Why it matters

The tests ran on a laptop, against the laptop's settings and whatever was installed there. What enters the lane
is the build, under other settings. And a test suite that quietly collects nothing is green for ever.

## Example

```yaml
promotion:
  stage:
    gates:
      - tests: {timeout: 5m, min: 20}
```

## When to switch it off

When the build has no tests of its own, and `quality` or a `command` covers it. Don't leave it on with a
command that always says yes.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from lanewise.domain.evidence import Evidence, Moment, Verdict
from lanewise.domain.gate import Look
from lanewise.promotion.gates.arguments import Arguments
from lanewise.promotion.gates.evidence import fresh, speaker
from lanewise.promotion.gates.outcome import judge_cases, outcome_facts


class TestsGate:
    """The gate ``tests``."""

    __test__ = False  # for pytest, which takes the name for a test class
    name: str = "tests"
    moments: tuple[Moment, ...] = (Moment.BEFORE,)

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        given = Arguments(self.name, arguments, ("timeout", "min"))
        self._timeout = given.duration("timeout", timedelta(minutes=10))
        self._least = given.count("min", 1)

    def measure(self, look: Look) -> Mapping[str, Any]:
        """Run the build's test command, if it has one."""
        command = look.project.tests
        if not command:
            return {"command": None}
        return outcome_facts(command, look.command(command, timeout=self._timeout.total_seconds()))

    def judge(self, evidence: Evidence | None, now: datetime) -> Verdict:
        """At least ``min`` ran, none failed."""
        found = fresh(self, evidence, now, "command")
        if isinstance(found, Verdict):
            return found
        say = speaker(self, found)
        if not found.facts["command"]:
            return say.doubts("the project names no test command", "give it under `tests:` in lanewise.yaml")
        return judge_cases(say, found.facts, self._least)
