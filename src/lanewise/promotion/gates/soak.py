"""Time to show itself: the build must have run well in the environment before.

## What it does

Counts the scheduled runs and reruns of this very build in the previous environment, from the moment it was
released there. `runs` asks for so many good ones, `intervals` for so many distinct partitions among them, `for`
for so much time. A failed run starts all three anew, and while it is the last one the gate fails: a later
failure takes back an earlier pass. No run at all is inconclusive, however much time has gone by, and so is a
build that is no longer live there. The runs of a promotion, a canary or a test don't count. In the first
environment of the order there is nowhere to soak: the gate is an error there, not a pass.

Arguments: `runs` (default 1 when nothing else is asked for), `for` (such as `12h`, `7d`), `intervals`.
When several are given, all must hold.

## Why it matters

Some faults need a night, a month's end or the third retry to show. A build that has met them in stage need not
meet them first in prod.

## Example

```yaml
promotion:
  prod:
    gates:
      - soak: {runs: 3, for: 2d, intervals: 2}
```

## When to switch it off

For a hotfix, by break-glass and with a reason, rather than in the file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from lanewise.domain.canonical import plain
from lanewise.domain.evidence import Evidence, Moment, Verdict
from lanewise.domain.gate import Look
from lanewise.domain.run import Purpose
from lanewise.domain.words import counted
from lanewise.promotion.gates.arguments import Arguments
from lanewise.promotion.gates.evidence import Speaker, fresh, moment_of, speaker

_COUNTED = {Purpose.SCHEDULED.value, Purpose.RERUN.value}
_NONE = timedelta(0)


class SoakGate:
    """The gate ``soak``."""

    name: str = "soak"
    moments: tuple[Moment, ...] = (Moment.BEFORE,)

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        given = Arguments(self.name, arguments, ("runs", "for", "intervals"))
        self._runs = given.count("runs", 1)
        self._for = given.duration("for", _NONE)
        self._intervals = given.count("intervals", 0)

    def measure(self, look: Look) -> Mapping[str, Any]:
        """The build's runs in the environment before, and since when it is live there."""
        if look.previous is None:
            return {"target": look.target.name, "previous": None, "released_at": None, "runs": []}
        where = look.previous.name
        since = look.released_at(where)
        return {
            "target": look.target.name,
            "previous": where,
            "released_at": since.isoformat() if since else None,
            "runs": [plain(run) for run in look.runs(where)] if since else [],
        }

    def judge(self, evidence: Evidence | None, now: datetime) -> Verdict:
        """Enough good runs, time and intervals since the release and since the last failure."""
        found = fresh(self, evidence, now, "target", "previous", "released_at", "runs")
        if isinstance(found, Verdict):
            return found
        say, facts = speaker(self, found), found.facts
        where = facts["previous"]
        if not where:
            return say.errs(f"{facts['target']} is the first environment: there is none to soak in",
                            f"take soak out of the gates of {facts['target']}")  # fmt: skip
        since = moment_of(facts["released_at"])
        if since is None:
            return say.doubts(f"this build is not live in {where}", f"lane promote BUILD --to {where}")
        return self._weigh(say, found, since)

    def _weigh(self, say: Speaker, found: Evidence, since: datetime) -> Verdict:
        where, runs = found.facts["previous"], _counted(found.facts["runs"], since)
        if not runs:
            return say.doubts(f"no run of this build in {where} since it was released there", f"lane run {where}")
        if not runs[-1]["ok"]:
            return say.fails(f"the last run in {where}, {runs[-1]['id']}, failed", f"see it, then: lane run {where}")
        good, start = _since_the_last_failure(runs, since)
        lacking = self._lacking(good, _elapsed(start, found))
        if lacking:
            return say.doubts(f"in {where} since {start:%Y-%m-%d %H:%M} UTC: {', '.join(lacking)}")
        return say.passes(f"{counted(len(good), 'good run')} over {counted(_partitions(good), 'partition')} in {where}")

    def _lacking(self, good: Sequence[Mapping[str, Any]], elapsed: timedelta) -> list[str]:
        intervals = _partitions(good)
        wants = (
            (len(good) < self._runs, f"{len(good)} of {self._runs} good runs"),
            (intervals < self._intervals, f"{intervals} of {self._intervals} distinct partitions"),
            (elapsed < self._for, f"{_told(elapsed)} of {_told(self._for)}"),
        )
        return [text for lacks, text in wants if lacks]


def _counted(runs: Sequence[Mapping[str, Any]], since: datetime) -> list[Mapping[str, Any]]:
    """Those that count, oldest first. A run that doesn't say when it ended is no evidence of a good one."""
    dated = [(moment_of(run["finished_at"]), run) for run in runs if run["purpose"] in _COUNTED]
    return [run for _, run in sorted(((at, run) for at, run in dated if at and at >= since), key=lambda pair: pair[0])]


def _since_the_last_failure(
    runs: Sequence[Mapping[str, Any]], since: datetime
) -> tuple[Sequence[Mapping[str, Any]], datetime]:
    failed = [at for at, run in enumerate(runs) if not run["ok"]]
    if not failed:
        return runs, since
    return runs[failed[-1] + 1 :], moment_of(runs[failed[-1]]["finished_at"]) or since


def _elapsed(start: datetime, evidence: Evidence) -> timedelta:
    """Up to the measurement, not up to now: what went wrong since then was not seen."""
    measured = moment_of(evidence.measured_at)
    return measured - start if measured else _NONE


def _partitions(runs: Sequence[Mapping[str, Any]]) -> int:
    return len({partition for run in runs for partition in run["partitions"]})


def _told(span: timedelta) -> str:
    return str(span - timedelta(microseconds=span.microseconds))
