"""What may go, and what an environment, a rollback window or an open promotion still needs."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.contract.warehouses.embedded_harness import EmbeddedHarness

from lanewise.domain.build import Build, BuildFile, Manifest, Provenance
from lanewise.domain.environment import Config, Environment, Rules
from lanewise.domain.event import Draft
from lanewise.domain.project import Project, Source
from lanewise.errors import NotFound
from lanewise.service.configure import propose
from lanewise.service.context import Actor
from lanewise.service.gc import collect
from lanewise.testing.fake_builds import FakeBuildStore
from lanewise.testing.fake_ledger import FakeLedger
from lanewise.testing.fake_warehouse import FakeWarehouse
from lanewise.testing.warehouse import D1, D2, ORDERS, order, published, request, staged

from .lanes import ONE, Lanes

NAMES = ("stage", "prod")


class Shop:
    """Two environments, fourteen days of window, a clock that the test moves."""

    def __init__(self, root: Path) -> None:
        self.root, self.home, self.harness = root, root / ".lanewise", EmbeddedHarness(root)
        self.actor, self.overrides = Actor("ana", "declared"), {}
        self.ledger = FakeLedger(datetime.now(UTC))
        self.builds = FakeBuildStore()
        self.project = Project("shop", Source(("**",)), "true")
        environments = {n: Environment(n, at, {}, {}, Rules()) for at, n in enumerate(NAMES)}
        self.config = Config(environments, {})

    def warehouse(self, environment: Environment):
        return self.harness.open(environment.name)

    def later(self, days: float) -> None:
        self.ledger.advance(timedelta(days=days))

    def publish(self, number: int, build: str = "a") -> None:
        published(self.harness, request([ORDERS], [D1], build=build), [(ORDERS, [order(D1, number)])])

    def built(self, root: Path, text: str, tag: str = "") -> str:
        from lanewise.builds.stored import digest_of

        (root / "x.py").write_text(text)
        files = (BuildFile("x.py", len(text), digest_of(text.encode())),)
        build = Build(Manifest("shop", files, "cpython-3.11"), Provenance(built_at=self.ledger.now().isoformat()))
        self.builds.put(build, root)
        if tag:
            self.builds.tag(build.digest, tag)
        return build.digest


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def kinds(found) -> list[str]:
    return sorted(h.kind for lane in found.lanes for h in lane.holdings)


def test_nothing_at_all_needs_nothing_dropped(shop):
    found = collect(shop)
    assert (kinds(found), found.builds, found.bytes) == ([], (), 0)


def test_a_dry_run_touches_nothing_and_apply_drops_exactly_what_it_said(shop):
    shop.publish(1)
    shop.publish(2)
    shop.later(15)
    before = shop.harness.open().holdings()
    said = collect(shop, "prod")
    assert said.lanes[0].kept_maps == (2,)
    assert kinds(said) == ["map", "run", "run", "slice"]
    assert shop.harness.open().holdings() == before
    done = collect(shop, "prod", apply=True)
    assert done == replace(said, applied=True)
    assert kinds(collect(shop, "prod")) == []
    assert [row[1] for row in shop.harness.read("orders")] == [2]


class Slow(FakeWarehouse):
    """Some tables are read through their maps."""

    opened: tuple[str, ...] = ("orders", "totals")

    def compact(self) -> tuple[str, ...]:
        done, self.opened = self.opened, ()
        return done


def test_tables_read_plainly_again_after_apply_alone(shop, monkeypatch):
    slow = {name: Slow("shop") for name in NAMES}
    monkeypatch.setattr(shop, "warehouse", lambda environment: slow[environment.name])
    assert [lane.compacted for lane in collect(shop).lanes] == [(), ()]
    done = collect(shop, "prod", apply=True)
    assert done.lanes[0].compacted == ("orders", "totals")
    event = shop.ledger.last("environment/shop/prod", "gc.applied")
    assert event.data == {"dropped": 0, "bytes": 0, "compacted": ["orders", "totals"]}
    assert slow["stage"].opened
    assert [lane.compacted for lane in collect(shop, apply=True).lanes] == [("orders", "totals"), ()]


def test_a_promotion_at_work_keeps_its_tables_open(shop, monkeypatch):
    slow = Slow("shop")
    monkeypatch.setattr(shop, "warehouse", lambda environment: slow)
    lease = shop.ledger.acquire("shop/prod", "elsewhere", timedelta(minutes=1))
    assert collect(shop, "prod", apply=True).lanes[0].compacted == ()
    shop.ledger.release(lease)
    assert collect(shop, "prod", apply=True).lanes[0].compacted == ("orders", "totals")


def test_maps_of_the_window_and_their_files_are_kept(shop):
    shop.publish(1)
    shop.publish(2)
    shop.later(13)
    assert collect(shop).lanes[1].kept_maps == (1, 2)
    assert [h for h in collect(shop).lanes[1].holdings if h.kind != "run"] == []
    shop.harness.open().revert(1, base=2, fence=1)
    assert [row[1] for row in shop.harness.read("orders")] == [1]


def test_young_leftovers_are_kept_and_old_ones_are_not(shop):
    shop.publish(1)
    staged(shop.harness, request([ORDERS], [D2], build="c"), [(ORDERS, [order(D2, 9)])])
    assert kinds(collect(shop)) == []
    shop.later(2)
    assert kinds(collect(shop)) == ["run", "run", "slice"]


def test_what_an_open_promotion_staged_is_kept_until_it_ends(shop):
    shop.publish(1)
    stream = "promotion/shop/prod/7"
    shop.ledger.append(stream, [Draft("promotion.requested", {"build": "sha256:" + "c" * 64})], actor="ana")
    staged(shop.harness, request([ORDERS], [D2], build="c"), [(ORDERS, [order(D2, 9)])])
    shop.later(40)
    shop.publish(2)
    assert kinds(collect(shop)) == []
    assert collect(shop, "prod").lanes[0].kept_maps == (1, 2)
    shop.ledger.append(stream, [Draft("promotion.finished", {})], actor="ana")
    shop.later(40)
    assert {"map", "run", "slice"} == set(kinds(collect(shop)))
    collect(shop, apply=True)
    assert [row[1] for row in shop.harness.read("orders")] == [2]


def test_slices_that_an_open_promotion_names_are_kept_even_when_they_are_older_than_it(shop):
    staged(shop.harness, request([ORDERS], [D2], build="c"), [(ORDERS, [order(D2, 9)])])
    shop.later(5)
    plan = {"tables": [{"version": "sha256:" + "c" * 64}]}
    shop.ledger.append("promotion/shop/prod/1", [Draft("promotion.planned", plan)], actor="ana")
    assert "slice" not in kinds(collect(shop))


def test_builds_go_when_no_map_tag_promotion_or_window_needs_them(shop, tmp_path):
    old, tagged, spoken = (shop.built(tmp_path, text, tag) for text, tag in (("1", ""), ("2", "v1"), ("3", "")))
    shop.later(20)
    young = shop.built(tmp_path, "4")
    shop.ledger.append("promotion/shop/stage/1", [Draft("promotion.requested", {"build": spoken})], actor="ana")
    assert collect(shop, "prod").builds == ()
    assert collect(shop).builds == (old,)
    collect(shop, apply=True)
    assert {b.digest for b in shop.builds.list()} == {tagged, spoken, young}


def test_an_unknown_environment_is_told_with_the_nearest(shop):
    with pytest.raises(NotFound, match="prd"):
        collect(shop, "prd")


def test_what_was_dropped_is_told_to_the_ledger_and_a_dry_run_is_not(shop):
    shop.publish(1)
    shop.publish(2)
    shop.later(15)
    collect(shop)
    assert shop.ledger.streams("environment/") == ()
    done = collect(shop, apply=True)
    prod = next(lane for lane in done.lanes if lane.environment == "prod")
    assert [(e.type, dict(e.data), e.actor) for e in shop.ledger.read("environment/shop/prod")] == [
        ("gc.applied", {"dropped": len(prod.holdings), "bytes": prod.bytes}, "ana")
    ]
    assert shop.ledger.streams("environment/") == ("environment/shop/prod",), "in stage there was nothing to drop"


def test_a_build_takes_its_unpacked_and_compiled_folders_with_it(shop, tmp_path):
    old, tagged = shop.built(tmp_path, "1"), shop.built(tmp_path, "2", "v1")
    for digest in (old, tagged, "sha256:" + "0" * 64):
        for folder in ("unpacked", "compiled"):
            file = shop.home / folder / digest[7:] / "prod.json"
            file.parent.mkdir(parents=True)
            file.write_text("{}")
    (shop.home / "compiled" / "prod.json").write_text("{}")
    assert {one.name[-64:] for one in collect(shop).files} == {"0" * 64}, "its build is in no store any more"
    shop.later(20)
    said = collect(shop)
    assert {one.name for one in said.files} == {
        f"{folder}/{hexes}" for folder in ("unpacked", "compiled") for hexes in (old[7:], "0" * 64)
    }
    assert collect(shop, apply=True).bytes == said.bytes
    assert [path.name for path in (shop.home / "unpacked").iterdir()] == [tagged[7:]]
    assert {path.name for path in (shop.home / "compiled").iterdir()} == {tagged[7:], "prod.json"}
    assert collect(shop).files == ()


def test_old_logs_and_what_killed_runs_left_go_and_what_is_at_work_stays(shop):
    for name in ("logs/r1.log", "runs/r1.json", "runs/.r1.json.x", "runs/r1-abc/unpacked/file", "runs/live-7-0-x/file"):
        file = shop.home / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("12345")
    shop.ledger.append("run/shop/prod/live-7", [Draft("run.intended", {})], actor="ana")
    assert collect(shop).files == ()
    shop.later(2)
    assert {one.name for one in collect(shop).files} == {"runs/r1.json", "runs/.r1.json.x", "runs/r1-abc"}
    shop.later(13)
    done = collect(shop, apply=True)
    assert ("log", "logs/r1.log", 5) in {(one.kind, one.name, one.bytes) for one in done.files}
    assert list((shop.home / "runs").iterdir()) == []
    assert collect(shop, "prod").files == ()


def test_a_pinned_config_that_moves_the_warehouse_makes_nothing_live_look_unneeded(tmp_path):
    lanes = Lanes(tmp_path / "orders", ONE)
    v1 = lanes.build("v1")
    lanes.through(v1)
    v2 = lanes.build("v2")
    moved = ONE.replace(
        "threshold: 1}", "threshold: 1, dst_conn: new}\nconnections: {new: {type: duckdb, path: elsewhere}}"
    )
    lanes.environments(moved)
    propose(lanes.ctx())
    lanes.wait(days=800)
    found = collect(lanes.ctx(), apply=True)
    assert found.lanes[0].kept_maps == (1,)
    assert found.builds == (v2,)
    assert [b.digest for b in lanes.ctx().builds.list()] == [v1]


def test_an_environment_that_the_config_has_lost_keeps_what_is_live_there(tmp_path):
    lanes = Lanes(tmp_path / "orders", ONE.replace("environments: {prod: {}}", "environments: {old: {}, prod: {}}"))
    v1 = lanes.build("v1")
    lanes.through(v1, "old")
    lanes.environments(ONE)
    propose(lanes.ctx())
    lanes.wait(days=800)
    found = collect(lanes.ctx())
    assert found.builds == ()
    assert {lane.environment: lane.kept_maps for lane in found.lanes} == {"prod": (0,), "old": (1,)}


def test_a_build_that_was_live_within_the_window_is_kept_wherever_its_map_is(shop, tmp_path):
    first, second = shop.built(tmp_path, "1"), shop.built(tmp_path, "2")
    release = {"config": "c", "document": "d", "map": 1, "base_map": 0, "kind": "promotion", "promotion": "p"}
    config = {"digest": "d", "document": {"environments": {"stage": {}, "prod": {}}}}
    shop.ledger.append("config/shop", [Draft("config.applied", config)], actor="ana")
    for build in (first, second):
        shop.later(20)
        shop.ledger.append(
            "environment/shop/prod", [Draft("release.changed", {**release, "build": build})], actor="ana"
        )
    shop.later(10)
    assert collect(shop).builds == ()
    shop.later(10)
    assert collect(shop).builds == (first,)
