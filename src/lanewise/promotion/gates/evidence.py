"""Whether evidence may be judged at all. Doubt never passes: none, empty or stale evidence is inconclusive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from lanewise.domain.evidence import Evidence, Moment, Result, Verdict
from lanewise.domain.gate import Gate

_SKEW = timedelta(minutes=1)
"""A caller may have read the clock a little before it measured; evidence from further ahead is not believed."""


@dataclass(frozen=True)
class Speaker:
    """Gives one gate's verdicts at one moment."""

    gate: str
    moment: Moment

    def passes(self, reason: str, details: Sequence[Mapping[str, Any]] = ()) -> Verdict:
        """The condition holds."""
        return Verdict(self.gate, self.moment, Result.PASS, reason, details=tuple(details))

    def fails(self, reason: str, hint: str = "", details: Sequence[Mapping[str, Any]] = ()) -> Verdict:
        """It does not."""
        return Verdict(self.gate, self.moment, Result.FAIL, reason, hint, tuple(details))

    def doubts(self, reason: str, hint: str = "", details: Sequence[Mapping[str, Any]] = ()) -> Verdict:
        """Nobody can tell."""
        return Verdict(self.gate, self.moment, Result.INCONCLUSIVE, reason, hint, tuple(details))

    def errs(self, reason: str, hint: str = "") -> Verdict:
        """The gate was asked something that makes no sense here."""
        return Verdict(self.gate, self.moment, Result.ERROR, reason, hint)


def speaker(gate: Gate, evidence: Evidence | None) -> Speaker:
    """Who speaks, and about which moment; without evidence, the gate's first."""
    return Speaker(gate.name, evidence.moment if evidence else gate.moments[0])


def stale(  # noqa: PLR0911 - one return a reason reads best
    gate: Gate, evidence: Evidence | None, now: datetime
) -> Verdict | None:
    """Why this evidence can't be judged, as an inconclusive verdict; None when it can. ``now`` is aware, UTC."""
    say = speaker(gate, evidence)
    if evidence is None:
        return say.doubts("nothing was measured", "promote again: the gate then looks")
    if not evidence.facts:
        return say.doubts("the measurement is empty")
    if evidence.gate != gate.name or evidence.moment not in gate.moments:
        return say.doubts(f"the evidence is that of {evidence.gate} at {evidence.moment.value}")
    measured, expires = moment_of(evidence.measured_at), moment_of(evidence.expires_at)
    if measured is None or expires is None:
        return say.doubts("the evidence does not say when it was measured and until when it holds")
    if measured > now + _SKEW:
        return say.doubts(f"the evidence says that it was measured in the future, at {evidence.measured_at}")
    if now >= expires:
        return say.doubts(f"the evidence expired at {evidence.expires_at}", "promote again: the gate then looks anew")
    return None


def fresh(gate: Gate, evidence: Evidence | None, now: datetime, *needs: str) -> Evidence | Verdict:
    """The evidence when it may be judged and has all the facts that the gate ``needs``; else the verdict that says
    why not."""
    doubt = stale(gate, evidence, now)
    if doubt is not None or evidence is None:
        return doubt or speaker(gate, None).doubts("nothing was measured")
    lacking = [name for name in needs if name not in evidence.facts]
    if lacking:
        return speaker(gate, evidence).doubts(f"the evidence says nothing of {', '.join(lacking)}")
    return evidence


def moment_of(text: object) -> datetime | None:
    """ISO 8601 text as an aware moment; None when it isn't that. Text without an offset is UTC."""
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
