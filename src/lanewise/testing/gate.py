"""What every gate must do. A plug-in's author subclasses ``GateContract`` and says when the gate passes::

class TestOurGate(GateContract):
    gate_class = OurGate
    arguments = {"runs": 3}

    def passing_look(self):
        return FakeLook(runs_of={"stage": (...)})

``FakeLook`` is a gate's eyes made by hand: it answers what it was given.
"""

# ruff: noqa: S101 - a conformance suite is made of assertions
from __future__ import annotations

import copy
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest

from lanewise.domain.canonical import canonical_json
from lanewise.domain.environment import ApprovalRule, Environment
from lanewise.domain.evidence import CheckResult, CommandReport, Evidence, Moment, Result, Verdict
from lanewise.domain.gate import Gate, Retained, RunRecord
from lanewise.domain.plan import Move, Plan, TablePlan
from lanewise.domain.project import Column, Project, Source, TableKind
from lanewise.errors import ConfigError

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
"""The time at which the contract judges; ``evidence`` is measured then and holds for a day."""

Published = Mapping[str, tuple[tuple[Column, ...], Mapping[str, int]]]


@dataclass(frozen=True)
class FakeLook:
    """Satisfies ``domain.gate.Look``. A field ending in ``_of`` maps an environment (or a side) to the answer."""

    moment: Moment = Moment.BEFORE
    project: Project = field(default_factory=lambda: Project("orders", Source(("**",)), "python -m orders"))
    target: Environment = field(default_factory=lambda: Environment("prod", 2, {}, {}))
    previous: Environment | None = field(default_factory=lambda: Environment("stage", 1, {}, {}))
    environments: tuple[str, ...] = ("dev", "stage", "prod")
    moved: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    first_release: bool = False
    report: CommandReport = field(default_factory=lambda: CommandReport(0, 0.1))
    results: tuple[CheckResult, ...] = ()
    columns_of: Mapping[str, Mapping[str, tuple[Column, ...]]] = field(default_factory=dict)
    published_of: Mapping[str, Published] = field(default_factory=dict)
    runs_of: Mapping[str, tuple[RunRecord, ...]] = field(default_factory=dict)
    released_of: Mapping[str, datetime] = field(default_factory=dict)
    needed: tuple[Retained, ...] = ()
    measured: Mapping[str, Any] = field(default_factory=dict)

    @property
    def plan(self) -> Plan:
        """A plan that moves ``moved``, drops ``dropped`` and leaves the rest."""
        tables = (
            *(TablePlan(name, TableKind.PARTITION, Move.REBUILD, "sha256:new") for name in self.moved),
            *(TablePlan(name, TableKind.PARTITION, Move.DROP, "") for name in self.dropped),
        )
        return Plan(
            self.project.name, self.target.name, "sha256:new", "sha256:config", 4,
            "" if self.first_release else "sha256:old", "sha256:config", tables, (), "all-at-once", (), ApprovalRule(),
        )  # fmt: skip

    def command(self, command: str, *, timeout: float) -> CommandReport:  # noqa: ARG002 - the port's signature
        """``report``, whatever the command."""
        return self.report

    def checks(self) -> Sequence[CheckResult]:
        """``results``."""
        return self.results

    def columns(self, side: str) -> Mapping[str, tuple[Column, ...]]:
        """Of ``live`` or ``candidate``."""
        return self.columns_of.get(side, {})

    def published(self, environment: str) -> Published:
        """Nothing, where nothing was given."""
        return self.published_of.get(environment, {})

    def runs(self, environment: str) -> Sequence[RunRecord]:
        """As given, oldest first."""
        return self.runs_of.get(environment, ())

    def released_at(self, environment: str) -> datetime | None:
        """None where the build is not live."""
        return self.released_of.get(environment)

    def retained(self) -> Sequence[Retained]:
        """``needed``."""
        return self.needed

    def isolation(self) -> Mapping[str, Any]:
        """``measured``."""
        return self.measured


def evidence(gate: Gate, look: FakeLook) -> Evidence:
    """What the gate measures through ``look``, through JSON and back as the ledger keeps it."""
    facts = json.loads(canonical_json(gate.measure(look)))
    expires = NOW + timedelta(days=1)
    return Evidence(gate.name, look.moment, {"build": "sha256:new"}, facts, NOW.isoformat(), expires.isoformat())


def judged(gate: Gate, look: FakeLook) -> Verdict:
    """Measure, then judge at once."""
    return gate.judge(evidence(gate, look), NOW)


class GateContract(ABC):
    """The conformance suite of the ``Gate`` port."""

    gate_class: ClassVar[type[Gate]]
    arguments: ClassVar[Mapping[str, Any]] = {}

    @abstractmethod
    def passing_look(self) -> FakeLook:
        """A look at something that the gate passes; the contract sets its moment."""

    @pytest.fixture
    def gate(self) -> Gate:
        """The gate under test, at its first moment."""
        return self.gate_class(self.arguments)

    @pytest.fixture
    def good(self, gate: Gate) -> Evidence:
        """Evidence that passes."""
        return evidence(gate, replace(self.passing_look(), moment=gate.moments[0]))

    def test_it_passes_what_is_good(self, gate: Gate, good: Evidence) -> None:
        """Or else the rest would prove nothing."""
        verdict = gate.judge(good, NOW)
        assert verdict.passes, verdict.reason

    def test_a_verdict_names_gate_and_moment_and_gives_one_line_of_reason(self, gate: Gate, good: Evidence) -> None:
        """People read the reason alone."""
        for seen in (good, None):
            verdict = gate.judge(seen, NOW)
            assert (verdict.gate, verdict.moment) == (gate.name, gate.moments[0])
            assert verdict.reason.strip()
            assert "\n" not in verdict.reason

    def test_no_evidence_is_inconclusive(self, gate: Gate) -> None:
        """Doubt never passes."""
        assert gate.judge(None, NOW).result is Result.INCONCLUSIVE

    def test_empty_evidence_is_inconclusive(self, gate: Gate, good: Evidence) -> None:
        """A measurement of nothing is none."""
        assert gate.judge(replace(good, facts={}), NOW).result is Result.INCONCLUSIVE

    def test_expired_evidence_is_inconclusive(self, gate: Gate, good: Evidence) -> None:
        """From the very moment on that it names."""
        expires = datetime.fromisoformat(good.expires_at)
        assert gate.judge(good, expires - timedelta(seconds=1)).passes
        assert gate.judge(good, expires).result is Result.INCONCLUSIVE

    def test_a_missing_fact_never_crashes_it(self, gate: Gate, good: Evidence) -> None:
        """Evidence may have been recorded by an older version of the gate."""
        for name in good.facts:
            facts = {key: value for key, value in good.facts.items() if key != name}
            assert isinstance(gate.judge(replace(good, facts=facts), NOW), Verdict)

    def test_judging_is_pure(self, gate: Gate, good: Evidence) -> None:
        """The same evidence, the same verdict, and the evidence untouched."""
        before = copy.deepcopy(good)
        assert gate.judge(good, NOW) == gate.judge(good, NOW)
        assert good == before

    def test_a_verdict_can_be_kept_in_the_ledger(self, gate: Gate, good: Evidence) -> None:
        """Its details are plain data."""
        assert json.loads(canonical_json(gate.judge(good, NOW)))["gate"] == gate.name

    def test_an_unknown_argument_is_refused(self) -> None:
        """A misspelt limit must not mean no limit."""
        with pytest.raises(ConfigError):
            self.gate_class({**self.arguments, "no_such_argument": 1})
