"""Any command: a linter, `dbt build`, a script of yours.

## What it does

Runs a command inside the verified build, with the target's settings, and reads what it says. With
`report: exit` that is the exit code alone: 0 passes. With `report: junit` or `report: sarif` it is the report
the command leaves in the folder that `LANEWISE_REPORTS` names; no report, or one without results, is
inconclusive. SARIF lists complaints only, so there a tool's finished run counts as the result: a report with
no run in it is the empty one. A report never outvotes a bad exit code.

The command is split into words as a shell would, and each `$NAME` in it replaced by the command's own variable.
There is no shell, so a pipe needs a script.

Arguments: `run`, the command (required); `name`, which tells several command gates apart in verdicts and in the
ledger; `timeout` (default `10m`); `moment`, `before` (default), `candidate` or `after`; `report`, `exit`
(default), `junit` or `sarif`.

## Why it matters

Every team has one check more than the built-in ones. Here it runs on the very bytes that are to be promoted,
and its result is evidence like any other: recorded, bound to the approval, and gone when it expires.

## Example

```yaml
promotion:
  stage:
    gates:
      - command: {name: lint, run: ruff check pipelines}
      - command: {name: models, run: 'dbt build --target "$LANEWISE_ENV"', timeout: 30m}
      - command: {name: sql, run: 'ruff check --output-format junit -o "$LANEWISE_REPORTS/ruff.xml"', report: junit}
```

## When to switch it off

When CI has run the same command on the same commit and you trust that record. Don't use it to publish anything:
gates look, and may look twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from lanewise.domain.evidence import Evidence, Moment, Verdict
from lanewise.domain.gate import Look
from lanewise.promotion.gates.arguments import Arguments
from lanewise.promotion.gates.evidence import fresh, speaker
from lanewise.promotion.gates.outcome import judge_cases, outcome_facts, shown


class CommandGate:
    """The gate ``command``, called ``command:NAME`` when its arguments name it."""

    name: str = "command"
    moments: tuple[Moment, ...] = (Moment.BEFORE,)

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        given = Arguments(self.name, arguments, ("run", "name", "timeout", "moment", "report"))
        if "run" not in given:
            given.refuse("run", "the command to run")
        self._run = given.text("run")
        self._timeout = given.duration("timeout", timedelta(minutes=10))
        self._report = given.choice("report", ("exit", "junit", "sarif"), "exit")
        self.moments = (Moment(given.choice("moment", tuple(m.value for m in Moment), Moment.BEFORE.value)),)
        if "name" in given:
            self.name = f"command:{given.text('name')}"

    def measure(self, look: Look) -> Mapping[str, Any]:
        """Run it."""
        return outcome_facts(self._run, look.command(self._run, timeout=self._timeout.total_seconds()))

    def judge(self, evidence: Evidence | None, now: datetime) -> Verdict:
        """By the report that was asked for, or by the exit code."""
        found = fresh(self, evidence, now, "command", "exit_code")
        if isinstance(found, Verdict):
            return found
        say = speaker(self, found)
        if found.facts["command"] != self._run:
            return say.doubts("the evidence is that of another command", "promote again: the gate then looks anew")
        if self._report != "exit":
            return judge_cases(say, found.facts, 1, "cases" if self._report == "junit" else "results")
        exit_code, told = found.facts["exit_code"], " ".join(self._run.split())
        if exit_code != 0:
            return say.fails(f"`{told}` exited with {exit_code}", details=shown(found.facts))
        return say.passes(f"`{told}` exited with 0 ({found.facts.get('seconds')} s)")
