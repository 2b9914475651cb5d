"""Where the record is kept is remembered outside of the working copy; what must work, works whatever that is like."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from lanewise.bootstrap import open_context
from lanewise.domain.promotion import State
from lanewise.errors import LedgerTampered, Refused
from lanewise.service.promote import promote

from .road import build, into_prod, lane, seen, write_project

APPROVED = """\
identity: declared
people: {ana: {}, ben: {groups: [leads]}}
environments:
  prod: {data: {from: 2013-01-01, to: 2013-01-02}}
promotion:
  prod: {gates: [quality, retained], approvals: {count: 1, from: [leads]}}
"""
OPEN = APPROVED.replace(", approvals: {count: 1, from: [leads]}", "")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """v1 is live; what comes next must be approved."""
    root = write_project(tmp_path / "orders", OPEN)
    into_prod(root, build(root, "v1"))
    (root / "environments.yaml").write_text(APPROVED)
    assert lane(root, "config", "apply", "--yes").code == 0
    return root


@pytest.fixture
def twice(tmp_path: Path) -> Path:
    """v1, then v2 is live."""
    root = write_project(tmp_path / "orders", OPEN)
    into_prod(root, build(root, "v1"))
    into_prod(root, build(root, "v2"))
    return root


def rewrite(root: Path, old: str, new: str) -> None:
    file = root / "environments.yaml"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new, 1))


class TestAnotherRecord:
    def test_the_first_event_fixes_where_it_is_kept(self, root: Path) -> None:
        kept = json.loads((root / ".lanewise" / "home.json").read_text())
        first = next(iter(open_context(root).ledger.events(limit=1)))
        assert kept == {
            "project": "orders", "ledger": "sqlite:///.lanewise/ledger.db", "builds": ".lanewise/builds",
            "checkpoints": ".lanewise/checkpoints", "first_event": first.hash,
        }  # fmt: skip

    @pytest.mark.parametrize("place", ["ledger: sqlite:///fresh.db", "builds: elsewhere", "checkpoints: elsewhere"])
    def test_an_edited_file_puts_no_other_one_in_its_place(self, root: Path, place: str) -> None:
        v2 = build(root, "v2")
        (root / "environments.yaml").write_text(f"{place}\n{OPEN}")
        said = lane(root, "promote", v2[7:15], "--to", "prod")
        assert said.code == 1
        assert f"environments.yaml moves {place.partition(':')[0]}" in said.err
        assert set(seen(root).values()) == {"v1"}
        assert not (root / "fresh.db").exists()

    def test_a_fresh_ledger_beside_a_warehouse_in_use_is_refused(self, root: Path) -> None:
        v2 = build(root, "v2")
        (root / "environments.yaml").write_text(f"ledger: sqlite:///fresh.db\n{OPEN}")
        (root / ".lanewise" / "home.json").unlink()
        with pytest.raises(Refused, match="the warehouse of prod has releases that this ledger does not know"):
            promote(open_context(root), v2, "prod")
        with pytest.raises(Refused, match="does not know"):
            promote(open_context(root), v2, "prod")
        assert set(seen(root).values()) == {"v1"}

    def test_a_ledger_put_in_place_of_ours_is_known_for_another(self, root: Path, tmp_path: Path) -> None:
        other = write_project(tmp_path / "other", OPEN)
        into_prod(other, build(other, "v9"))
        for ours in root.glob(".lanewise/ledger.db*"):
            ours.unlink()
        for theirs in other.glob(".lanewise/ledger.db*"):
            shutil.copy(theirs, root / ".lanewise")
        said = lane(root, "status")
        assert said.code == 1
        assert "the ledger is another one than the one that this project began with" in said.err

    def test_a_ledger_that_is_gone_is_not_begun_anew(self, root: Path) -> None:
        for left in root.glob(".lanewise/ledger.db*"):
            left.unlink()
        with pytest.raises(LedgerTampered, match="is empty or gone"):
            build(root, "v2")

    def test_another_projects_name_is_refused(self, root: Path) -> None:
        file = root / "lanewise.yaml"
        file.write_text(file.read_text().replace("project: orders", "project: refunds"))
        said = lane(root, "status")
        assert said.code == 1
        assert "the record kept here is of the project orders, not of refunds" in said.err

    def test_moving_the_ledger_takes_the_approvals_and_a_hand(self, root: Path) -> None:
        rewrite(root, "identity:", "ledger: sqlite:///kept/ledger.db\nidentity:")
        digest = json.loads(lane(root, "config", "apply", "--yes", "--format", "json").out)["digest"]
        assert lane(root, "approve", digest[7:15], actor="ben").code == 0
        shutil.copytree(root / ".lanewise", root / "kept", ignore=lambda _, names: [
            name for name in names if not name.startswith("ledger.db")])  # fmt: skip
        (root / ".lanewise" / "home.json").unlink()
        assert open_context(root).ledger.head()[0] > 0
        assert json.loads((root / ".lanewise" / "home.json").read_text())["ledger"] == "sqlite:///kept/ledger.db"
        assert lane(root, "status").code == 0

    def test_a_file_that_is_not_what_was_remembered_is_told(self, root: Path) -> None:
        (root / ".lanewise" / "home.json").write_text('{"project": 3}')
        said = lane(root, "status")
        assert said.code == 2
        assert "home.json" in said.err


class TestWhatReadersSee:
    """Somebody has moved the pointer past the ledger."""

    @pytest.fixture
    def astray(self, twice: Path) -> Path:
        ctx = open_context(twice)
        warehouse = ctx.warehouse(ctx.config.environment("prod"))
        warehouse.revert(1, base=2, fence=warehouse.pointer().fence)
        return twice

    def test_is_said_by_status_when_it_is_not_the_release(self, astray: Path) -> None:
        said = lane(astray, "status")
        assert said.code == 0
        assert "✕ prod's warehouse shows build" in said.out
        assert lane(astray, "status", "--format", "json").data["lanes"][0]["astray"]

    def test_is_refused_by_verify_when_it_is_not_the_release(self, astray: Path) -> None:
        said = lane(astray, "verify")
        assert said.code == 1
        assert "prod's warehouse shows build" in said.err

    def test_is_no_alarm_when_it_is_the_release(self, twice: Path) -> None:
        assert lane(twice, "status", "--format", "json").data["lanes"][0]["astray"] == ""
        assert lane(twice, "verify").code == 0

    def test_of_a_warehouse_that_is_away_is_said_to_be_unknown(self, twice: Path) -> None:
        (twice / ".lanewise" / "warehouse" / "prod.duckdb").unlink()
        (twice / ".lanewise" / "warehouse" / "prod.duckdb").write_text("no link")
        said = lane(twice, "status")
        assert said.code == 0
        assert "what readers see can't be told" in said.out


class TestTheWorkingCopy:
    @pytest.fixture
    def broken(self, twice: Path) -> Path:
        (twice / "environments.yaml").write_text("\tno: yaml\n")
        return twice

    def test_when_broken_stops_no_rollback(self, broken: Path) -> None:
        said = lane(broken, "rollback", "prod")
        assert said.code == 0, said.err
        assert "environments.yaml is broken: " in said.err
        assert "the pinned config is in force" in said.err
        assert set(seen(broken).values()) == {"v1"}

    @pytest.mark.parametrize("command", [["status"], ["verify"], ["history", "-e", "prod"], ["why", "prod-2"]])
    def test_when_broken_keeps_nobody_from_looking(self, broken: Path, command: list[str]) -> None:
        said = lane(broken, *command)
        assert said.code == 0, said.err

    def test_when_broken_before_anything_was_done_is_told_as_such(self, tmp_path: Path) -> None:
        root = write_project(tmp_path / "orders", "\tno: yaml\n")
        said = lane(root, "status")
        assert said.code == 2
        assert "environments.yaml:1" in said.err

    @pytest.mark.parametrize("command", [["rollback", "prod"], ["status"], ["verify"]])
    def test_a_stray_variable_stops_none_of_these(
        self, twice: Path, command: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("LANEWISE__TYPO", "1")
        said = lane(twice, *command)
        assert said.code == 0, said.err

    def test_that_moves_the_record_stops_no_rollback(self, twice: Path) -> None:
        rewrite(twice, "identity:", "checkpoints: elsewhere\nledger: sqlite:///fresh.db\nidentity:")
        said = lane(twice, "rollback", "prod")
        assert said.code == 0, said.err
        assert "the remembered places are used" in said.err
        assert not (twice / "elsewhere").exists()
        assert set(seen(twice).values()) == {"v1"}


def test_a_first_promotion_that_was_interrupted_is_finished_by_the_next_command(tmp_path: Path) -> None:
    """Its release is published and not yet told: the ledger knows of it all the same."""
    root = write_project(tmp_path / "orders", OPEN)
    v1 = build(root, "v1")
    ctx = open_context(root)
    append = ctx.ledger.append

    def stopped(stream: str, drafts: list, **how: object) -> object:  # type: ignore[type-arg] - a test's own words
        if any(draft.type == "release.changed" for draft in drafts):
            raise KeyboardInterrupt
        return append(stream, drafts, **how)  # type: ignore[arg-type] - as above

    ctx.ledger.append = stopped  # type: ignore[method-assign, assignment] - as above
    with pytest.raises(KeyboardInterrupt):
        promote(ctx, v1, "prod")
    assert into_prod(root, v1).state is State.SUCCEEDED
