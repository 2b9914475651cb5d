"""The story of provisioning, on a provisioner that only remembers what it was asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.road import write_project

from lanewise.bootstrap import Workshop, open_context
from lanewise.domain.environment import Environment
from lanewise.domain.provision import Change, Difference, Kind, PolicyFile
from lanewise.errors import NotFound, OutsideBroke, Refused
from lanewise.service.history import history
from lanewise.service.provision import Tools, provision, write_files

GRANT = Change(Kind.GRANT, 'grant usage on schema "raw" to "run"', "the runner reads it")
REVOKE = Change(Kind.REVOKE, 'revoke all on "x" from public', "everybody had it", drift=True)
LEFT = replace(GRANT, administrator=True)
DIFFERENT = Difference("db", (GRANT, REVOKE))
ENVIRONMENTS = "identity: declared\nenvironments: {stage: {}, prod: {}}\n"


@dataclass
class Server:
    """Says what it is told to, and is settled once it was applied to."""

    found: Difference = DIFFERENT
    applied: int = 0
    asked: dict[str, Any] | None = None

    def look(self) -> Difference:
        return self.found

    def apply(self) -> Difference:
        self.applied += 1
        done, self.found = self.found, Difference("db", tuple(one for one in self.found.changes if one.administrator))
        return done

    def tools(self, *policies: Any) -> Tools:
        def opened(**asked: Any) -> Server:
            self.asked = asked
            return self

        return Tools(lambda _: opened, policies)


@pytest.fixture
def ctx(tmp_path: Path) -> Workshop:
    return open_context(write_project(tmp_path / "orders", ENVIRONMENTS))


def test_looking_makes_nothing_and_tells_the_ledger_nothing(ctx: Workshop) -> None:
    server = Server()
    found = provision(ctx, "prod", server.tools())
    assert (found.changes, found.left, found.settled, found.applied) == ((GRANT, REVOKE), (GRANT, REVOKE), False, False)
    assert server.applied == 0
    assert ctx.ledger.head() == (0, "")


def test_the_provisioner_is_told_of_the_other_environments_and_the_inputs(ctx: Workshop) -> None:
    server = Server()
    provision(ctx, "prod", server.tools())
    assert server.asked is not None
    assert server.asked["lane"].name == "prod"
    assert [other.name for other in server.asked["others"]] == ["stage"]
    assert server.asked["inputs"] == ctx.project.inputs


def test_what_was_made_is_in_the_history_and_a_second_time_there_is_nothing(ctx: Workshop) -> None:
    server = Server()
    found = provision(ctx, "prod", server.tools(), apply=True)
    assert found.settled
    again = provision(ctx, "prod", server.tools(), apply=True)
    assert (again.changes, again.settled, server.applied) == ((), True, 1)
    (event,) = (event for event in history(ctx, environment="prod") if event.type == "environment.provisioned")
    assert event.data["statements"] == [GRANT.statement, REVOKE.statement]
    assert event.data["drift"] == [REVOKE.why]


def test_what_an_administrator_has_to_do_is_left_and_not_told_as_done(ctx: Workshop) -> None:
    found = provision(ctx, "prod", Server(Difference("db", (LEFT, REVOKE))).tools(), apply=True)
    assert (found.left, found.settled) == ((LEFT,), False)
    (event,) = (event for event in history(ctx, environment="prod") if event.type == "environment.provisioned")
    assert event.data["statements"] == [REVOKE.statement]
    provision(ctx, "prod", Server(Difference("db", (LEFT,))).tools(), apply=True)
    assert len(history(ctx, environment="prod")) == 1


def test_a_problem_stops_applying_and_not_looking(ctx: Workshop) -> None:
    server = Server(Difference("db", (GRANT,), ("run is a login of stage too",)))
    assert not provision(ctx, "prod", server.tools()).settled
    with pytest.raises(Refused, match="run is a login of stage too"):
        provision(ctx, "prod", server.tools(), apply=True)
    assert server.applied == 0


def test_a_warehouse_without_logins_has_nothing_to_do(ctx: Workshop) -> None:
    found = provision(ctx, "prod", Tools(lambda _: None), apply=True)
    assert (found.place, found.changes, found.settled) == ("", (), True)
    assert "whoever may write its folder may write prod" in found.warnings[0]


def test_an_unknown_environment_is_told_with_the_known_ones(ctx: Workshop) -> None:
    with pytest.raises(NotFound, match="prd"):
        provision(ctx, "prd", Server().tools())


def test_policies_are_rendered_beside_and_written_where_asked(ctx: Workshop, tmp_path: Path) -> None:
    def policy(lane: Environment, others: Sequence[Environment]) -> Sequence[PolicyFile]:
        return [PolicyFile(f"vault/{lane.name}.hcl", others[0].name, "write it")]

    found = provision(ctx, "prod", Server().tools(policy))
    (written,) = write_files(found.files, tmp_path / "out")
    assert written == tmp_path / "out" / "vault" / "prod.hcl"
    assert written.read_text() == "stage"
    (tmp_path / "file").write_text("")
    with pytest.raises(OutsideBroke, match="can't be written"):
        write_files(found.files, tmp_path / "file")
