"""A tiny project on the real embedded store, warehouse and runner, with a ledger whose clock can be moved.

Its pipeline is a shell script whose rows say which build wrote them. A promotion takes a fraction of a second.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.e2e.road import PROJECT, SCRIPT, seen, write_project

from lanewise.bootstrap import Workshop, open_context
from lanewise.domain.evidence import Evidence, Moment, Result, Verdict
from lanewise.domain.gate import Gate, Look
from lanewise.domain.plan import Plan
from lanewise.domain.promotion import Promotion, State
from lanewise.domain.publication import PartitionMap
from lanewise.service import approve as decisions
from lanewise.service import gating, promotions
from lanewise.service.build import make_build
from lanewise.service.context import Actor
from lanewise.service.ground import plan_build
from lanewise.service.promote import Asked, drive, promote
from lanewise.service.releases import Release, releases
from lanewise.testing.fake_ledger import FakeLedger

DAYS = tuple(f"2013-01-0{day}" for day in range(1, 5))
MONDAY = datetime(2026, 1, 5, 12, tzinfo=UTC)

PEOPLE = """\
identity: declared
people:
  ana: {groups: [dev], emails: [ana@orders.example]}
  ben: {groups: [leads], emails: [ben@orders.example]}
  cleo: {groups: [leads]}
  dan: {groups: [dev]}
defaults: {data: {from: 2013-01-01, to: 2013-01-04}, threshold: 1}
"""
ONE = (
    PEOPLE
    + """\
environments: {prod: {}}
promotion:
  prod: {gates: [quality, schema, retained]}
"""
)
CANARY = ONE.replace("retained]", "retained], rollout: {canary: [25%, 50%, 100%]}")
BLUE_GREEN = ONE.replace("retained]", "retained], rollout: blue-green")
APPROVED = ONE.replace("retained]", "retained], approvals: {count: 1, from: [leads]}")
TWO = (
    PEOPLE
    + """\
environments: {stage: {}, prod: {threshold: 3}}
promotion:
  stage: {gates: [quality]}
  prod: {gates: [quality, retained]}
"""
)
TWO_APPROVED = TWO.replace("retained]", "retained], approvals: {count: 1, from: [leads]}")


@dataclass
class Told:
    """What the progress was told. ``on_move`` is called with each state just before it is written."""

    lines: list[str] = field(default_factory=list)
    moves: list[tuple[str, State]] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    on_move: Callable[[str, State], None] = lambda promotion, state: None

    def say(self, line: str) -> None:
        self.lines.append(line)

    def advance(self, what: str, done: int, total: int) -> None:
        pass

    def moved(self, promotion: str, state: State, reason: str) -> None:
        self.moves.append((promotion, state))
        self.on_move(promotion, state)

    def judged(self, verdict: Verdict) -> None:
        self.verdicts.append(verdict)


class Lanes:
    """One project; every call is a command of its own, by the person named."""

    def __init__(self, root: Path, environments: str = ONE, project: str = PROJECT) -> None:
        self.root = write_project(root, environments, project)
        self.ledger = FakeLedger(MONDAY)
        self.told = Told()

    def ctx(self, actor: str = "ana") -> Workshop:
        found = open_context(self.root, progress=self.told)
        found.__dict__["ledger"] = self.ledger
        found.__dict__["actor"] = Actor(actor, "declared")
        return found

    def environments(self, text: str) -> None:
        (self.root / "environments.yaml").write_text(text)

    def project(self, text: str) -> None:
        (self.root / "lanewise.yaml").write_text(text)

    def build(self, name: str, script: str = SCRIPT) -> str:
        (self.root / "pipelines" / "orders.sh").write_text(script.replace("@BUILD@", name))
        return make_build(self.ctx("dan")).digest

    def promote(self, build: str, to: str = "prod", actor: str = "ana", **asked: Any) -> Promotion:
        return promote(self.ctx(actor), build, to, Asked(**asked))

    def plan(self, build: str, to: str = "prod") -> Plan:
        return plan_build(self.ctx(), build, to)

    def approve(self, promotion: str, actor: str = "ben", go: bool = False) -> Promotion:
        done = decisions.approve(self.ctx(actor), promotion)
        return drive(self.ctx(actor), promotion) if go else done.promotion

    def through(self, build: str, *environments: str) -> Promotion:
        """Promote it where nobody has to approve; it must succeed."""
        for name in environments or ("prod",):
            done = self.promote(build, name)
            assert done.state is State.SUCCEEDED, done.reason
        return done

    def get(self, promotion: str) -> Promotion:
        return promotions.load(self.ctx(), promotion)

    def live(self, environment: str = "prod") -> PartitionMap:
        ctx = self.ctx()
        return ctx.warehouse(ctx.config.environment(environment)).live()

    def map_at(self, number: int, environment: str = "prod") -> PartitionMap:
        ctx = self.ctx()
        return ctx.warehouse(ctx.config.environment(environment)).map_at(number)

    def seen(self, environment: str = "prod") -> dict[str, str]:
        return seen(self.root, environment)

    def releases(self, environment: str = "prod") -> tuple[Release, ...]:
        return releases(self.ctx(), environment)

    def runs(self, environment: str = "prod") -> list[tuple[str, str, list[str]]]:
        """Purpose, build and partitions of every run that was begun."""
        return [
            (e.data["purpose"], e.data["build"], list(e.data["partitions"]))
            for stream in self.ledger.streams(f"run/orders/{environment}/")
            for e in self.ledger.read(stream)
            if e.type == "run.intended"
        ]

    def wait(self, **time: float) -> None:
        self.ledger.advance(timedelta(**time))


class SayingGate:
    """A plug-in gate that says what the test wants."""

    name: str = "oracle"
    moments: tuple[Moment, ...] = (Moment.BEFORE,)
    says: Result | Exception = Result.PASS

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        pass

    def measure(self, look: Look) -> Mapping[str, Any]:
        if isinstance(self.says, Exception):
            raise self.says
        return {"says": self.says.value}

    def judge(self, evidence: Evidence | None, now: datetime) -> Verdict:
        if evidence is None or datetime.fromisoformat(evidence.expires_at) <= now:
            return Verdict(self.name, self.moments[0], Result.INCONCLUSIVE, "the evidence is missing or old")
        return Verdict(self.name, evidence.moment, Result(evidence.facts["says"]), "so says the oracle")


class _Point:
    def __init__(self, gate: type[Gate]) -> None:
        self.name, self._gate = gate.name, gate

    def load(self) -> type[Gate]:
        return self._gate


def plug_in(monkeypatch: Any, gate: type[Gate]) -> None:
    """Install a gate beside the built-in ones, as an entry point would."""
    installed = {**gating._installed(), gate.name: _Point(gate)}
    monkeypatch.setattr(gating, "_installed", lambda: installed)
