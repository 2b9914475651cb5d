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
from lanewise.service.gc import collect
from lanewise.testing.fake_builds import FakeBuildStore
from lanewise.testing.fake_ledger import FakeLedger
from lanewise.testing.warehouse import D1, D2, ORDERS, order, published, request, staged

NAMES = ("stage", "prod")


class Shop:
    """Two environments, fourteen days of window, a clock that the test moves."""

    def __init__(self, root: Path) -> None:
        self.root, self.harness = root, EmbeddedHarness(root)
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
