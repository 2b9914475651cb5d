"""`lane isolation`: the matrix, the holes, and the exit codes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from lanewise.cli import isolation as command
from lanewise.domain.isolation import Attempt, Identity, Measurement, Outcome, Target

DEV, PROD = (Identity(name, f"warehouse_{name}", "runner", f"run_{name}") for name in ("dev", "prod"))
NO = "42501 permission denied for table orders"


def attempt(who: Identity, where: str, outcome: Outcome = Outcome.DENIED, action: str = "select") -> Attempt:
    target = Target(where, "table", f"analytics_{where}.orders")
    return Attempt(who, target, action, "explain select 1 …", outcome, NO if outcome is Outcome.DENIED else "accepted")


def measurement(*attempts: Attempt, **more: Any) -> Measurement:
    return Measurement(("dev", "prod"), "sha256:w", "2026-03-01T12:00:00+00:00", (DEV, PROD), attempts, **more)


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(command, "workshop", lambda: None)

    def type_(found: Measurement, *arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(command, "measure", lambda ctx, find: found)
        done = CliRunner().invoke(command.app, list(arguments), env={"NO_COLOR": "1"})
        return done.exit_code, done.output

    return type_


def test_all_denied_is_a_matrix_of_denials_and_ends_well(typed):
    code, out = typed(measurement(attempt(DEV, "prod"), attempt(DEV, "prod", action="insert"), attempt(PROD, "dev")))
    assert code == 0
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert lines[0] == "dev prod"
    assert lines[1] == "dev warehouse_dev runner run_dev · denied (2 tries)"
    assert lines[2] == "prod warehouse_prod runner run_prod denied (1 try) ·"
    assert lines[-1] == "3 attempts by 2 identities: 3 denied, 0 allowed, 0 unreachable; walled off"


def test_a_hole_is_told_with_its_statement_its_answer_and_what_mends_it(typed):
    code, out = typed(measurement(attempt(DEV, "prod", Outcome.ALLOWED), attempt(PROD, "dev")))
    assert code == 1
    assert "ALLOWED (select analytics_prod.orders)" in out
    assert "dev's runner run_dev: select table analytics_prod.orders of prod" in out
    assert "explain select 1 …" in out
    assert "→ accepted" in out
    assert "→ lane provision prod --apply" in out


def test_doubt_is_no_success_and_nothing_reached_is_somebody_elses_fault(typed):
    silent = attempt(DEV, "prod", Outcome.UNREACHABLE)
    code, out = typed(measurement(silent, attempt(PROD, "dev")))
    assert (code, "inconclusive" in out) == (1, True)
    code, out = typed(measurement(silent))
    assert (code, "inconclusive" in out) == (3, True)


def test_files_of_one_user_are_told_plainly(typed):
    code, out = typed(measurement(unseparated={"dev": "its warehouse is files of one OS user"}))
    assert code == 1
    assert "not separated  dev: its warehouse is files of one OS user" in out
    assert "nothing could be tried" in out


def test_every_single_try_is_told_when_asked_for(typed):
    found = measurement(attempt(DEV, "prod"), attempt(PROD, "dev"))
    assert NO not in typed(found)[1]
    assert typed(found, "-v")[1].count(NO) == 2


def test_programs_get_all_attempts(typed):
    code, out = typed(measurement(attempt(DEV, "prod"), attempt(PROD, "dev")), "--format", "json")
    assert code == 0
    told = json.loads(out)
    assert told["whole"] is True
    assert told["attempts"][0] == {
        "identity": {"environment": "dev", "connection": "warehouse_dev", "role": "runner", "user": "run_dev"},
        "target": {"environment": "prod", "kind": "table", "name": "analytics_prod.orders"},
        "action": "select", "statement": "explain select 1 …", "outcome": "denied", "answer": NO,
    }  # fmt: skip
    assert [cell["tries"] for cell in told["cells"]] == [1, 1]
