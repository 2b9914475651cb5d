"""Rollouts of the shapes that real projects have: tables without partitions beside partitioned ones, builds that read
more than the one before, days that nobody has published yet, and config that asks for no gate at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.e2e.road import PROJECT, SCRIPT

from lanewise.domain.promotion import State
from lanewise.errors import Refused
from lanewise.service.configure import in_force, propose
from lanewise.service.live import run_live

from .lanes import APPROVED, CANARY, DAYS, PEOPLE, Lanes

WHOLE = """\
  whole:
    columns: {orders: BIGINT}
    checks: [{row_count: {min: 1}}]
"""
WRITES_WHOLE = SCRIPT + '\nprintf "orders\\n12\\n" > "$LANEWISE_OUTPUTS/whole.csv"\n'
TWICE = "for id in 1 2 3; do"


def test_a_table_without_partitions_rides_along_in_a_canary_and_is_judged_in_the_last_step(tmp_path: Path) -> None:
    lanes = Lanes(tmp_path / "orders", CANARY, PROJECT + WHOLE)
    lanes.through(lanes.build("v1", WRITES_WHOLE))
    done = lanes.through(lanes.build("v2", WRITES_WHOLE))
    assert done.exposed == 2
    assert lanes.live().tables["whole"].slices["all"][0].build == done.build
    assert lanes.seen() == dict.fromkeys(DAYS, "v2")


def test_a_table_without_partitions_that_breaks_a_check_is_stopped_in_the_last_step(tmp_path: Path) -> None:
    lanes = Lanes(tmp_path / "orders", CANARY, PROJECT + WHOLE)
    lanes.through(lanes.build("v1", WRITES_WHOLE))
    done = lanes.promote(lanes.build("v2", SCRIPT + '\necho orders > "$LANEWISE_OUTPUTS/whole.csv"\n'))
    assert done.state is State.REVERTED
    assert lanes.seen() == dict.fromkeys(DAYS, "v1")


def with_input(root: Path, name: str) -> None:
    (root / "raw" / "raw").mkdir(parents=True, exist_ok=True)
    (root / "raw" / "raw" / f"{name}.csv").write_text("id\n1\n")


SOURCES = CANARY + 'connections: {"source_{env}": {type: files, path: raw}, "warehouse_{env}": {type: duckdb}}\n'


def test_a_build_that_reads_one_more_input_is_compared_all_the_same(tmp_path: Path) -> None:
    lanes = Lanes(tmp_path / "orders", SOURCES, PROJECT + "inputs: [raw.orders]\n")
    for name in ("orders", "customers"):
        with_input(lanes.root, name)
    lanes.through(lanes.build("v1"))
    lanes.project(PROJECT + "inputs: [raw.orders, raw.customers]\n")
    done = lanes.through(lanes.build("v2"))
    assert [v.result.value for v in done.verdicts if v.gate == "canary"] == ["pass"]


def test_the_published_side_serves_while_the_old_builds_own_inputs_are_as_they_were(tmp_path: Path) -> None:
    lanes = Lanes(tmp_path / "orders", SOURCES, PROJECT + "inputs: [raw.orders]\n")
    with_input(lanes.root, "orders")
    lanes.through(lanes.build("v1"))
    lanes.through(lanes.build("v2"))
    purposes = [purpose for purpose, _, _ in lanes.runs()]
    assert purposes.count("baseline") == 1, "the noise floor alone has to be computed"
    (lanes.root / "raw" / "raw" / "orders.csv").write_text("id\n1\n2\n")
    lanes.through(lanes.build("v3"))
    assert [purpose for purpose, _, _ in lanes.runs()].count("baseline") == 1 + 4


def test_a_day_that_nobody_has_published_yet_is_no_difference(tmp_path: Path) -> None:
    lanes = Lanes(tmp_path / "orders", CANARY)
    lanes.through(lanes.build("v1"))
    lanes.environments(CANARY.replace("to: 2013-01-04", "to: 2013-01-06"))
    lanes.through(lanes.build("v2"))
    assert lanes.seen() == dict.fromkeys([*DAYS, "2013-01-05", "2013-01-06"], "v2")


def test_a_late_day_that_breaks_a_check_is_never_shown(tmp_path: Path) -> None:
    lanes = Lanes(tmp_path / "orders", CANARY)
    lanes.through(lanes.build("v1"))
    fault = SCRIPT.replace(TWICE, 'for id in 1 2 3; do [ "$day$id" = 053 ] && id=2;')
    ran: list[Any] = []

    def meanwhile(promotion: str, state: State) -> None:
        if state is State.JUDGING and not ran:
            ran.append(run_live(lanes.ctx(), "prod", ["2013-01-05"]))
        if state is State.VERIFYING:
            ran.append("released")

    lanes.told.on_move = meanwhile
    done = lanes.promote(lanes.build("v2", fault))
    assert done.state is State.REVERTED
    assert "audit" in done.reason
    assert "released" not in ran, "it was to be stopped before any reader saw it"
    assert lanes.seen() == dict.fromkeys([*DAYS, "2013-01-05"], "v1")


@pytest.mark.parametrize("rules", ["{}", "{gates: [schema]}"])
def test_what_was_not_audited_is_never_visible_whatever_gates_are_asked_for(tmp_path: Path, rules: str) -> None:
    lanes = Lanes(tmp_path / "orders", PEOPLE + f"environments: {{prod: {{}}}}\npromotion: {{prod: {rules}}}\n")
    fault = SCRIPT.replace(TWICE, "for id in 1 2 2; do")
    done = lanes.promote(lanes.build("v1", fault))
    assert done.state is State.REVERTED
    assert "unique" in done.reason
    assert lanes.seen() == {}


def test_a_variable_of_ones_own_shell_does_not_reach_where_people_have_to_approve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lanes = Lanes(tmp_path / "orders", APPROVED)
    before = in_force(lanes.ctx()).environment("prod").digest
    lanes.environments(APPROVED.replace("prod: {}", "prod: {bucket: stolen}"))
    monkeypatch.setenv("LANEWISE__PROD__BUCKET", "stolen")
    assert in_force(lanes.ctx()).environment("prod").digest == before
    assert propose(lanes.ctx()).environments == ("prod",)
    assert lanes.ledger.last("config/orders", "config.applied").version == 1


def test_a_config_that_moves_the_warehouse_is_refused(tmp_path: Path) -> None:
    lanes = Lanes(tmp_path / "orders", CANARY)
    v1 = lanes.build("v1")
    lanes.through(v1)
    lanes.environments(CANARY + 'connections: {"warehouse_{env}": {type: duckdb, path: elsewhere}}\n')
    with pytest.raises(Refused, match="moves the warehouse of prod"):
        lanes.promote(v1)
    assert lanes.seen() == dict.fromkeys(DAYS, "v1")


def test_what_a_rollback_could_not_bring_back_is_not_promoted_over_whatever_gates_are_asked_for(tmp_path: Path) -> None:
    lanes = Lanes(tmp_path / "orders", PEOPLE + "environments: {prod: {}}\n")
    lanes.through(lanes.build("v1"))
    v2 = lanes.build("v2")
    next((lanes.root / ".lanewise" / "warehouse" / "prod" / "versions").rglob("*.parquet")).unlink()
    with pytest.raises(Refused, match="a rollback out of prod would miss"):
        lanes.promote(v2)
    assert lanes.get("prod-2").state is State.READY
