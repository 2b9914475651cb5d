"""Ask the gates of one moment, write down what each measured, and say whether the promotion may go on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from lanewise.domain.canonical import plain
from lanewise.domain.environment import Environment, GateSpec
from lanewise.domain.evidence import Evidence, Moment, Result, Verdict
from lanewise.domain.gate import Gate
from lanewise.domain.promotion import Promotion, State
from lanewise.domain.words import counted
from lanewise.errors import LaneError, NotFound
from lanewise.promotion.breakglass import FREEZE, skips
from lanewise.promotion.freeze import open_window
from lanewise.promotion.gates.quality import judge_checks
from lanewise.service.look import Eyes
from lanewise.service.promotions import Journal

AUDIT = "audit"
CANARY = "canary"
VIEWS = "views"
"""The verdicts of the audit, of the canary's judge and about views that others build upon stand in the ledger beside
the gates', under these names."""


@dataclass(frozen=True)
class Measured:
    """One gate's verdict with what it rests on."""

    verdict: Verdict
    evidence: Evidence


def open_gate(spec: GateSpec) -> Gate:
    """The gate of that name, built from its arguments; ``NotFound`` with the nearest names."""
    known = _installed()
    if spec.name not in known:
        raise NotFound("gate", spec.name, known=known)
    gate: Gate = known[spec.name].load()(spec.arguments)
    return gate


@cache
def _installed() -> Mapping[str, EntryPoint]:
    return {point.name: point for point in entry_points(group="lanewise.gates")}


def judge_gates(journal: Journal, eyes: Eyes) -> tuple[Verdict, ...]:
    """Measure and judge every gate that looks at ``eyes.moment``; each verdict is written as it falls."""
    return tuple(_judge(journal, eyes, gate).verdict for gate in _asked(journal.promotion, eyes))


def audit(journal: Journal, eyes: Eyes) -> Verdict:
    """The tables' checks on what was computed, where the gate ``quality`` has not looked already: whatever the config
    asks for or a break-glass skips, rows that were not audited are never visible."""
    verdicts = judge_checks({t.name: t for t in eyes.candidate.tables(tuple(eyes.slices))}, eyes.checks())
    worst = [v for v in verdicts if v.result is Result.FAIL] or [v for v in verdicts if v.result is not Result.PASS]
    result = worst[0].result if worst else Result.PASS
    reason = "; ".join(v.reason for v in worst) or f"{counted(len(verdicts), 'check')} passed"
    verdict = Verdict(AUDIT, eyes.moment, result, reason)
    journal.write("gate.judged", verdict=verdict, evidence=None)
    eyes.ctx.progress.judged(verdict)
    return verdict


def reasons(verdicts: Sequence[Verdict]) -> str:
    """Verdicts in one line: each gate and what it says."""
    return "; ".join(f"{v.gate}: {v.reason}" for v in verdicts)


def stopped_by_freeze(journal: Journal, target: Environment) -> bool:
    """Whether a freeze is open and not skipped: then the promotion goes to FROZEN, and stays until it ends."""
    now = journal.ctx.ledger.now()
    freeze = open_window(target.rules.freeze, now)
    if freeze is None or skips(journal.promotion, FREEZE, now):
        return False
    until = freeze.until.isoformat()
    journal.move(State.FROZEN, f"{freeze.reason or 'a freeze'} until {until}", until=until)
    return True


def still_stands(journal: Journal, eyes: Eyes) -> tuple[Verdict, ...]:
    """Look again, just before the lane is locked: a later fail revokes an earlier pass.

    What a command showed stands until it expires (running the tests twice proves nothing new); everything else
    is measured afresh. Only verdicts that do not pass are written, because a fresh pass would void approvals
    that were given on the recorded one.
    """
    now = eyes.ctx.ledger.now()
    verdicts = []
    for gate in _asked(journal.promotion, eyes):
        recorded = evidence_of(journal, gate.name, eyes.moment)
        if recorded is not None and "exit_code" in recorded.facts:
            verdict = gate.judge(recorded, now)
        else:
            verdict = _measure(eyes, gate, now).verdict
        if not verdict.passes:
            journal.write("gate.judged", verdict=verdict, evidence=plain(recorded) if recorded else None)
        verdicts.append(verdict)
    return tuple(verdicts)


def evidence_of(journal: Journal, gate: str, moment: Moment) -> Evidence | None:
    """The newest recorded evidence of a gate at a moment."""
    for data in reversed(_judged(journal)):
        found = data.get("evidence")
        if found and found["gate"] == gate and found["moment"] == moment.value:
            return Evidence(**{**found, "moment": Moment(found["moment"])})
    return None


def _asked(promotion: Promotion, eyes: Eyes) -> tuple[Gate, ...]:
    now = eyes.ctx.ledger.now()
    gates = map(open_gate, eyes.plan.gates)
    return tuple(gate for gate in gates if eyes.moment in gate.moments and not skips(promotion, gate.name, now))


def _judge(journal: Journal, eyes: Eyes, gate: Gate) -> Measured:
    measured = _measure(eyes, gate, eyes.ctx.ledger.now())
    journal.write("gate.judged", verdict=measured.verdict, evidence=measured.evidence)
    eyes.ctx.progress.judged(measured.verdict)
    return measured


def _measure(eyes: Eyes, gate: Gate, now: datetime) -> Measured:
    """Doubt never passes: a gate that breaks while it looks has the verdict ``error``, with the reason."""
    try:
        facts = plain(gate.measure(eyes))
    except LaneError as error:
        evidence = _evidence(eyes, gate, {}, now)
        return Measured(Verdict(gate.name, eyes.moment, Result.ERROR, error.message, error.hint), evidence)
    except Exception as error:  # noqa: BLE001 - a plug-in's bug must stop a promotion, not crash it
        evidence = _evidence(eyes, gate, {}, now)
        return Measured(
            Verdict(gate.name, eyes.moment, Result.ERROR, f"the gate broke: {type(error).__name__}"), evidence
        )
    evidence = _evidence(eyes, gate, facts, now)
    return Measured(gate.judge(evidence, now), evidence)


def _evidence(eyes: Eyes, gate: Gate, facts: Mapping[str, Any], now: datetime) -> Evidence:
    subject = {"build": eyes.plan.build, "config": eyes.plan.config, "environment": eyes.target.name,
               "base_map": eyes.plan.base_map}  # fmt: skip
    expires = now + eyes.target.rules.evidence_expires
    return Evidence(gate.name, eyes.moment, subject, facts, now.isoformat(), expires.isoformat())


def _judged(journal: Journal) -> list[Mapping[str, Any]]:
    return [event.data for event in journal.events() if event.type == "gate.judged"]
