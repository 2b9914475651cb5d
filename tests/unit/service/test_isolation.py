"""What a measurement makes of what its probes say, and what it leaves in the ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.contract.probes.walls import Shop
from tests.unit.service.lanes import ONE, Lanes

from lanewise.bootstrap import find_probe
from lanewise.domain.environment import Connection, Environment, SecretRef
from lanewise.domain.event import Draft
from lanewise.domain.isolation import Attempt, Holder, Identity, Outcome, Probe, Target
from lanewise.domain.promotion import Promotion, State
from lanewise.service.isolation import MEASURED, FindProbe, measure, recorded

DENIED, ALLOWED, UNREACHABLE = Outcome.DENIED, Outcome.ALLOWED, Outcome.UNREACHABLE


class Words:
    """Secrets whose one value is ``hunter2``."""

    def resolve(self, reference: SecretRef, *, previous: bool = False) -> str:
        return "hunter2"

    def age(self, reference: SecretRef) -> None:
        return None

    def concerns(self, reference: SecretRef) -> tuple[str, ...]:
        return ()

    def redact(self, text: str) -> str:
        return text.replace("hunter2", "***")


@dataclass
class FakeProbe:
    """Answers with ``outcomes``, one attempt each, then raises ``breaks`` if there is any."""

    outcomes: tuple[Outcome, ...] = (DENIED,)
    unproved: str = ""
    breaks: Exception | None = None
    answer: str = "no"
    tried: list[tuple[str, str]] = field(default_factory=list)

    def holders(self, lane: Environment, connection: Connection) -> tuple[Holder, ...]:
        return (Holder(Identity(lane.name, connection.name, "runner", f"run_{lane.name}"), lane, connection),)

    def prove(self, holder: Holder) -> str:
        return self.unproved

    def attempts(self, holder: Holder, other: Environment) -> Iterator[Attempt]:
        self.tried.append((holder.lane.name, other.name))
        for nth, outcome in enumerate(self.outcomes):
            target = Target(other.name, "table", f"t{nth}")
            yield Attempt(holder.identity, target, "select", "select 1", outcome, self.answer)
        if self.breaks:
            raise self.breaks

    def overreach(self, holder: Holder) -> tuple[Attempt, ...]:
        return ()


def lane(name: str, type_: str = "server", **secrets: str) -> Environment:
    references = {key: SecretRef(text) for key, text in secrets.items()}
    connection = Connection(f"warehouse_{name}", type_, {}, references)
    return Environment(name, 0, {"dst_conn": connection.name}, {connection.name: connection})


def shop(*lanes: Environment) -> Shop:
    return Shop({one.name: one for one in lanes}, Words())


def finding(probe: Probe) -> FindProbe:
    def opener(**_: Any) -> Probe:
        return probe

    return lambda type_: opener if type_ == "server" else None


TWO = (lane("dev"), lane("prod"))


def test_each_identity_is_tried_on_every_other_environment():
    probe = FakeProbe()
    found = shop(lane("dev"), lane("stage"), lane("prod")).measure(finding(probe))
    assert found.whole
    assert sorted(probe.tried) == [("dev", "prod"), ("dev", "stage"), ("prod", "dev"), ("prod", "stage"),
                                   ("stage", "dev"), ("stage", "prod")]  # fmt: skip


def test_one_try_that_is_allowed_makes_a_hole():
    found = shop(*TWO).measure(finding(FakeProbe((DENIED, ALLOWED, UNREACHABLE))))
    assert not found.whole
    assert {cell.outcome for cell in found.cells} == {ALLOWED}


def test_no_answer_is_no_proof():
    found = shop(*TWO).measure(finding(FakeProbe((DENIED, UNREACHABLE))))
    assert not found.whole
    assert {cell.outcome for cell in found.cells} == {UNREACHABLE}


def test_what_was_tried_before_a_probe_broke_still_counts():
    found = shop(*TWO).measure(finding(FakeProbe((ALLOWED,), breaks=KeyError("hunter2"))))
    assert [(c.allowed, c.unreachable) for c in found.cells] == [(1, 1), (1, 1)]
    assert {a.answer for a in found.of(UNREACHABLE)} == {"the try broke off: KeyError"}


def test_a_login_that_fails_at_home_is_tried_nowhere():
    probe = FakeProbe(unproved="password authentication failed")
    found = shop(*TWO).measure(finding(probe))
    assert probe.tried == []
    assert {a.outcome for a in found.attempts} == {UNREACHABLE}
    assert "password authentication failed" in found.attempts[0].answer


def test_a_login_of_a_type_that_nothing_can_try_is_doubt():
    lanes = [lane("dev", "kafka", password="env:DEV"), lane("prod", "kafka", password="env:PROD")]
    found = shop(*lanes).measure(lambda type_: None)
    assert [a.outcome for a in found.attempts] == [UNREACHABLE, UNREACHABLE]
    assert "nothing installed can try connections of type kafka" in found.attempts[0].answer


def test_files_of_one_user_are_told_as_what_they_are():
    found = shop(lane("dev", "duckdb"), lane("prod", "duckdb")).measure(lambda type_: None)
    assert found.attempts == ()
    assert not found.whole
    assert set(found.unseparated) == {"dev", "prod"}
    assert "one OS user" in found.unseparated["dev"]


def test_an_answer_that_quotes_a_secret_is_blotted_out():
    place = shop(*TWO)
    found = place.measure(finding(FakeProbe((ALLOWED,), answer="you sent hunter2")))
    assert {a.answer for a in found.attempts} == {"you sent ***"}
    assert "hunter2" not in str([event.data for event in place.ledger.events()])


def test_the_ledger_keeps_when_under_which_walls_and_what_was_found():
    place = shop(*TWO)
    found = place.measure(finding(FakeProbe((DENIED, ALLOWED))))
    kept = recorded(place)  # type: ignore[arg-type]
    assert kept["walls"] == kept["walls_now"] == found.walls
    assert kept["at"]
    assert (kept["tries"], kept["allowed"], kept["unreachable"]) == (4, 2, 0)
    assert [one["against"] for one in kept["identities"]] == [["prod"], ["dev"]]
    assert kept["holes"][0]["statement"] == "select 1"


def changed(how: Callable[[Environment], Environment]) -> tuple[str, str]:
    """The walls of a measurement, and those of the same lanes after a change of prod."""
    place = shop(*TWO)
    place.measure(finding(FakeProbe()))
    place.environments = {**place.environments, "prod": how(place.environments["prod"])}
    kept: Mapping[str, Any] = recorded(place)  # type: ignore[arg-type]
    return kept["walls"], kept["walls_now"]


def test_another_connection_voids_a_measurement_and_another_rule_does_not():
    def moved(prod: Environment) -> Environment:
        connection = replace(prod.connection("dst"), fields={"host": "elsewhere"})
        return replace(prod, connections={connection.name: connection})

    before, after = changed(moved)
    assert before != after
    before, after = changed(lambda prod: replace(prod, rules=replace(prod.rules, opens_next=False)))
    assert before == after


def test_before_the_first_measurement_there_is_none():
    assert set(recorded(shop(*TWO))) == {"walls_now"}  # type: ignore[arg-type]


def said(done: Promotion) -> str:
    return "; ".join(verdict.reason for verdict in done.verdicts)


def test_a_promotion_that_asks_for_isolation_waits_for_a_measurement(tmp_path: Path):
    lanes = Lanes(tmp_path / "orders", ONE.replace("gates: [quality, schema, retained]", "gates: [isolation]"))
    done = lanes.promote(lanes.build("v1"))
    assert done.state is not State.SUCCEEDED
    assert "isolation was never measured" in said(done)
    measure(lanes.ctx(), find_probe)
    done = lanes.promote(lanes.build("v1"))
    assert done.state is not State.SUCCEEDED
    assert "not separated: prod: its warehouse is files of one OS user" in said(done)


def test_a_promotion_goes_on_after_a_whole_measurement_until_a_connection_changes(tmp_path: Path):
    rules = ONE.replace("gates: [quality, schema, retained]", "gates: [isolation: {without: [prod, dev]}]")
    text = rules.replace("environments: {prod: {}}", "environments: {dev: {}, stage: {}, prod: {}}")
    lanes = Lanes(tmp_path / "orders", text)
    build = lanes.build("v1")
    lanes.through(build, "dev", "stage")
    place = lanes.ctx()
    identity = {"connection": "warehouse_stage", "role": "runner", "user": "run"}
    walls = recorded(place)["walls_now"]
    lanes.ledger.append("isolation/orders", [Draft(MEASURED, {
        "walls": walls, "environments": ["stage", "qa"], "unseparated": {}, "holes": [], "doubts": [],
        "identities": [{**identity, "environment": "stage", "against": ["qa"]}],
        "cells": [{"identity": {**identity, "environment": "stage"}, "environment": "qa", "tries": 3, "allowed": 0,
                   "unreachable": 0}],
    })], actor="ana")  # fmt: skip
    assert lanes.promote(build).state is State.SUCCEEDED
    lanes.environments(text.replace("stage: {}", "stage: {bucket: elsewhere}"))
    newer = lanes.build("v2")
    lanes.through(newer, "dev", "stage")
    done = lanes.promote(newer)
    assert done.state is not State.SUCCEEDED
    assert "have changed since isolation was measured" in said(done)
