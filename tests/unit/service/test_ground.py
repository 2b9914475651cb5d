"""The ground that a plan stands on, and plans as files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.e2e.road import PROJECT

from lanewise.domain.plan import Move
from lanewise.errors import GroundMoved, NotFound, WrongInput
from lanewise.service.ground import decode_plan, read_plan, recorded_plan, write_plan
from lanewise.service.promotions import request

from .lanes import CANARY, DAYS, ONE, Lanes


@pytest.fixture
def lanes(tmp_path: Path) -> Lanes:
    found = Lanes(tmp_path / "orders", CANARY)
    found.through(found.build("v1"))
    return found


def test_planning_twice_gives_the_same_and_does_nothing(lanes: Lanes) -> None:
    v2, length = lanes.build("v2"), None
    one = lanes.plan(v2)
    length = lanes.ledger.head()[0]
    assert lanes.plan(v2).digest == one.digest
    assert lanes.ledger.head()[0] == length
    assert lanes.live().number == 1


def test_it_tells_rows_partitions_and_bytes_a_table(lanes: Lanes) -> None:
    by_table = {t.table: t for t in lanes.plan(lanes.build("v2")).tables}
    orders = by_table["orders_daily"]
    assert (orders.move, orders.partitions, orders.rows) == (Move.REBUILD, DAYS, 12)
    assert by_table["totals_daily"].rows == 4
    assert orders.bytes == sum(s.bytes for found in lanes.live().tables["orders_daily"].slices.values() for s in found)


def test_a_config_change_is_told_key_by_key(lanes: Lanes) -> None:
    lanes.environments(CANARY.replace("threshold: 1", "threshold: 2"))
    plan = lanes.plan(lanes.live().build)
    assert plan.config_changes["settings.threshold"] == ("1", "2")


def test_what_readers_would_notice_is_told(lanes: Lanes) -> None:
    lanes.project(PROJECT.replace("orders: BIGINT, ", ""))
    plan = lanes.plan(lanes.build("v2"))
    assert any("orders" in line for t in plan.tables for line in t.breaking)


@pytest.mark.parametrize(("build", "environment"), [("v9", "prod"), ("v1", "prd")])
def test_wrong_names_are_told(lanes: Lanes, build: str, environment: str) -> None:
    name = lanes.build("v1") if build == "v1" else build
    with pytest.raises(NotFound):
        lanes.plan(name, environment)


def test_a_plan_comes_back_from_its_file_as_it_was(lanes: Lanes, tmp_path: Path) -> None:
    plan = lanes.plan(lanes.build("v2"))
    write_plan(plan, tmp_path / "plan.json")
    assert read_plan(tmp_path / "plan.json") == plan
    assert not (tmp_path / "plan.json.part").exists()


def test_a_promotion_follows_the_plan_that_it_recorded(lanes: Lanes) -> None:
    v2 = lanes.build("v2")
    plan = lanes.plan(v2)
    lanes.through(v2)
    assert recorded_plan(lanes.ctx(), lanes.get("prod-2")) == plan


def test_a_promotion_without_a_plan_says_how_it_gets_one(lanes: Lanes) -> None:
    asked = request(lanes.ctx(), "prod", {"build": "sha256:ab", "config": "c", "requester": "ana"})
    with pytest.raises(GroundMoved) as caught:
        recorded_plan(lanes.ctx(), asked)
    assert "lane promote ab --to prod" in caught.value.hint


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"plan": {}, "digest": ""}', "not json", '{"plan": 3}'])
def test_what_is_no_plan_is_wrong_input(tmp_path: Path, text: str) -> None:
    (tmp_path / "plan.json").write_text(text)
    with pytest.raises(WrongInput, match="is no saved plan"):
        read_plan(tmp_path / "plan.json")


def test_a_file_that_is_not_there_or_is_binary_is_wrong_input(tmp_path: Path) -> None:
    with pytest.raises(WrongInput, match="can't be read"):
        read_plan(tmp_path / "nowhere.json")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(WrongInput):
        read_plan(tmp_path / "binary")


def test_a_folder_that_is_not_there_takes_no_plan(lanes: Lanes, tmp_path: Path) -> None:
    with pytest.raises(WrongInput, match="can't be saved"):
        write_plan(lanes.plan(lanes.build("v2")), tmp_path / "nowhere" / "plan.json")


def test_a_changed_plan_is_told_from_the_saved_one(lanes: Lanes, tmp_path: Path) -> None:
    write_plan(lanes.plan(lanes.build("v2")), tmp_path / "plan.json")
    document = json.loads((tmp_path / "plan.json").read_text())
    document["plan"]["approvals"]["count"] = 0
    document["plan"]["gates"] = []
    (tmp_path / "plan.json").write_text(json.dumps(document))
    with pytest.raises(GroundMoved, match="was changed after it was saved"):
        read_plan(tmp_path / "plan.json")
    assert decode_plan(document["plan"]).gates == ()


def test_the_first_plan_of_an_environment_has_no_base(tmp_path: Path) -> None:
    lanes = Lanes(tmp_path / "orders", ONE)
    plan = lanes.plan(lanes.build("v1"))
    assert plan.first_release
    assert {t.move for t in plan.tables} == {Move.NEW}
