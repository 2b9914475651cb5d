"""What a step computes: the candidate, the old build beside it where it must, and the noise floor once."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.e2e.road import PROJECT

from lanewise.domain.publication import Slice
from lanewise.service.compute import Computed, _spread, all_recorded, merged, recorded, runs_of
from lanewise.service.promotions import Journal

from .lanes import BLUE_GREEN, CANARY, DAYS, Lanes


def one(partition: str, run: str, table: str = "orders", location: str = "") -> Slice:
    return Slice(table, partition, "sha256:v", location or f"{partition}/{run}", 1, 1, run, "sha256:b")


def test_of_a_partition_computed_twice_the_later_one_counts() -> None:
    found = merged([{"orders": (one("1", "a"), one("2", "a"))}, {"orders": (one("1", "b"),)}])
    assert [(s.partition, s.run) for s in found["orders"]] == [("1", "b"), ("2", "a")]


def test_several_slices_of_one_partition_stay_together() -> None:
    found = merged([{"orders": (one("1", "a", location="x"), one("1", "a", location="y"))}])
    assert [s.location for s in found["orders"]] == ["x", "y"]


def test_nothing_computed_is_nothing() -> None:
    assert merged([]) == {}
    assert Computed().slices == {}


@pytest.mark.parametrize(
    ("count", "expected"), [(0, []), (1, [0]), (3, [0, 1, 2]), (4, [0, 1, 3]), (365, [0, 182, 364])]
)
def test_the_noise_is_looked_for_in_a_few_partitions_from_end_to_end(count: int, expected: list[int]) -> None:
    names = tuple(f"{n:03}" for n in range(count))
    assert _spread(names) == tuple(names[n] for n in expected)


@pytest.fixture
def lanes(tmp_path: Path) -> Lanes:
    """v1 is live, v2 was released by a canary of three steps."""
    found = Lanes(tmp_path / "orders", CANARY)
    found.through(found.build("v1"))
    found.through(found.build("v2"))
    return found


def test_what_the_old_build_published_from_the_same_input_is_its_side_of_the_comparison(lanes: Lanes) -> None:
    purposes = [purpose for purpose, _, _ in lanes.runs()]
    assert purposes[:2] == ["promotion", "canary"]
    assert purposes.count("baseline") == 4, "without declared inputs nobody knows what it was computed from"


def test_each_step_is_recorded_and_found_again(lanes: Lanes) -> None:
    journal = Journal(lanes.ctx(), lanes.get("prod-2"))
    steps = [recorded(journal, step) for step in range(3)]
    assert all(steps)
    partitions = [s.partition for step in steps if step for s in step.slices["orders_daily"]]
    assert sorted(partitions) == list(DAYS)
    assert recorded(journal, 3) is None
    assert len(all_recorded(journal)) == 3
    assert runs_of(journal) == {run.run for step in steps if step for run in step.slices["orders_daily"]}


def test_only_the_first_step_measures_noise(lanes: Lanes) -> None:
    journal = Journal(lanes.ctx(), lanes.get("prod-2"))
    first, second = recorded(journal, 0), recorded(journal, 1)
    assert first is not None
    assert second is not None
    assert first.noise
    assert not second.noise


def test_a_table_that_is_new_has_no_old_side(tmp_path: Path) -> None:
    alone = PROJECT[: PROJECT.index("  totals_daily:")]
    lanes = Lanes(tmp_path / "orders", BLUE_GREEN, alone)
    lanes.through(lanes.build("v1"))
    lanes.project(PROJECT)
    lanes.through(lanes.build("v2"))
    computed = recorded(Journal(lanes.ctx(), lanes.get("prod-2")), 0)
    assert computed is not None
    assert set(computed.slices) == {"orders_daily", "totals_daily"}
    assert set(computed.baseline) == {"orders_daily"}
