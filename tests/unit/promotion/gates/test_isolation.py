"""The gate `isolation`."""

from datetime import timedelta
from typing import Any, ClassVar

import pytest

from lanewise.domain.evidence import Result
from lanewise.errors import ConfigError
from lanewise.promotion.gates.isolation import IsolationGate
from lanewise.testing.gate import NOW, FakeLook, GateContract, judged

DEV, PROD = (
    {"environment": name, "connection": f"warehouse_{name}", "role": "runner", "user": f"run_{name}"}
    for name in ("dev", "prod")
)


def cell(identity: dict[str, str], environment: str, **counts: int) -> dict[str, Any]:
    return {"identity": identity, "environment": environment, "tries": 12, "allowed": 0, "unreachable": 0, **counts}


def attempt(outcome: str) -> dict[str, Any]:
    return {"identity": DEV, "target": {"environment": "prod", "kind": "table", "name": "analytics.orders"},
            "action": "insert", "statement": "explain insert …", "outcome": outcome, "answer": "accepted"}  # fmt: skip


def measured(**facts: Any) -> dict[str, Any]:
    whole = {
        "at": (NOW - timedelta(hours=2)).isoformat(), "walls": "sha256:w", "walls_now": "sha256:w",
        "environments": ["dev", "prod"], "holes": [], "doubts": [], "unseparated": {},
        "identities": [{**DEV, "against": ["prod"]}, {**PROD, "against": ["dev"]}],
        "cells": [cell(DEV, "prod"), cell(PROD, "dev")],
    }  # fmt: skip
    return {**whole, **facts}


def verdict(arguments: dict[str, Any] | None = None, **facts: Any):
    return judged(IsolationGate(arguments or {}), FakeLook(measured=measured(**facts)))


class TestContract(GateContract):
    gate_class = IsolationGate
    arguments: ClassVar[dict[str, str]] = {"max_age": "7d"}

    def passing_look(self):
        return FakeLook(measured=measured())


def test_a_whole_measurement_passes_and_says_of_what():
    found = verdict()
    assert found.passes
    assert found.reason.startswith("24 tries of 2 identities, all refused, at 2026-03-01T10:00")


def test_a_try_that_was_allowed_fails_and_is_named_with_what_mends_it():
    found = verdict(cells=[cell(DEV, "prod", allowed=1), cell(PROD, "dev")], holes=[attempt("allowed")])
    assert found.result is Result.FAIL
    assert "dev's runner run_dev may insert table analytics.orders" in found.reason
    assert found.hint.startswith("lane provision prod --apply")


def test_isolation_that_was_never_measured_is_in_doubt():
    found = judged(IsolationGate({}), FakeLook(measured={"walls_now": "sha256:w"}))
    assert found.result is Result.INCONCLUSIVE
    assert "never measured" in found.reason
    assert "lane isolation" in found.hint


def test_an_old_measurement_is_in_doubt_by_the_arguments_age_or_the_rules():
    assert verdict({"max_age": "1h"}).result is Result.INCONCLUSIVE
    assert verdict({"max_age": "3h"}).passes
    assert verdict(at=(NOW - timedelta(hours=24)).isoformat()).result is Result.INCONCLUSIVE  # evidence_expires


def test_a_measurement_of_other_connections_is_in_doubt():
    found = verdict(walls_now="sha256:other")
    assert found.result is Result.INCONCLUSIVE
    assert "have changed since" in found.reason


def test_an_identity_that_was_not_tried_is_in_doubt():
    found = verdict(cells=[cell(DEV, "prod")])
    assert found.result is Result.INCONCLUSIVE
    assert found.reason == "prod's runner run_prod was not tried on dev"


def test_a_server_that_did_not_answer_is_in_doubt():
    found = verdict(cells=[cell(DEV, "prod", unreachable=1), cell(PROD, "dev")], doubts=[attempt("unreachable")])
    assert found.result is Result.INCONCLUSIVE
    assert found.reason == "dev's runner run_dev could not be tried on all of prod"


def test_files_of_one_user_are_in_doubt_unless_they_are_knowingly_left_out():
    files = {"dev": "its warehouse is files of one OS user: nothing walls it off"}
    stage = [{**PROD, "environment": "stage"}, {**PROD, "environment": "prod"}]
    facts: dict[str, Any] = {
        "unseparated": files,
        "identities": [{**stage[0], "against": ["prod"]}, {**stage[1], "against": ["stage"]}],
        "cells": [cell(stage[0], "prod"), cell(stage[1], "stage")],
    }
    found = verdict(**facts)
    assert found.result is Result.INCONCLUSIVE
    assert found.reason.startswith("not separated: dev: its warehouse is files of one OS user")
    assert verdict({"without": ["dev"]}, **facts).passes


def test_nothing_left_to_look_at_is_in_doubt():
    assert verdict({"without": ["dev"]}).result is Result.INCONCLUSIVE
    assert verdict(identities=[], cells=[]).result is Result.INCONCLUSIVE


@pytest.mark.parametrize("arguments", [{"max_age": "soon"}, {"max_age": 0}, {"without": []}, {"without": [3]}])
def test_wrong_arguments_are_refused(arguments: dict[str, Any]):
    with pytest.raises(ConfigError):
        IsolationGate(arguments)
