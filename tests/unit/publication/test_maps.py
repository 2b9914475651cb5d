from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanewise.domain.environment import ApprovalRule
from lanewise.domain.plan import CanaryStep, Move, Plan, TablePlan
from lanewise.domain.project import Column, PartitionSpec, Project, Source, Table, TableKind
from lanewise.domain.publication import PartitionMap, Slice, TableMap
from lanewise.errors import NotFound, WrongInput
from lanewise.publication.maps import by_partition, cut_over, differing, gap, give_back, overlay, uncovered

ID, NOTE = Column("id", "BIGINT"), Column("note", "VARCHAR")
NAMES = ("orders", "totals")
PROJECT = Project(
    "shop",
    Source(("**",)),
    "run",
    tables={name: Table(name, TableKind.PARTITION, PartitionSpec("day"), columns=(ID,)) for name in NAMES},
)


def one(table: str, partition: str, run: str) -> Slice:
    return Slice(table, partition, "sha256:v", f"{table}/{partition}/{run}", 1, 10, run, "sha256:b")


def published(run: str, days: dict[str, list[str]], number: int = 1) -> PartitionMap:
    tables = {
        name: TableMap(
            name, TableKind.PARTITION, (ID,), {d: (one(name, d, run),) for d in sorted(found)}, PartitionSpec("day")
        )
        for name, found in sorted(days.items())
    }
    return PartitionMap("shop", number, "sha256:old", "sha256:c", tables)


def plan(**moves: Move) -> Plan:
    tables = tuple(TablePlan(name, TableKind.PARTITION, move, "sha256:v") for name, move in moves.items())
    return Plan("shop", "prod", "sha256:new", "sha256:d", 1, "sha256:old", "sha256:c", tables,
                (CanaryStep(1, ()),), "canary", (), ApprovalRule())  # fmt: skip


days = st.lists(st.sampled_from([f"2024-01-{n:02}" for n in range(1, 13)]), unique=True)
tables = st.dictionaries(st.sampled_from(NAMES), days)


def candidate(found: dict[str, list[str]]) -> dict[str, tuple[Slice, ...]]:
    return {name: tuple(one(name, d, "new") for d in parts) for name, parts in found.items()}


@given(tables, tables)
def test_an_overlay_serves_every_partition_from_exactly_one_side(live_days, step_days):
    live = published("old", live_days)
    shown = overlay(live, candidate(step_days), PROJECT)
    for name in {*live_days, *step_days}:
        expected = dict.fromkeys(live_days.get(name, []), "old") | dict.fromkeys(step_days.get(name, []), "new")
        assert {p: [s.run for s in found] for p, found in shown.tables[name].slices.items()} == {
            p: [run] for p, run in expected.items()
        }
        assert list(shown.tables[name].slices) == sorted(expected)


@given(tables, tables)
def test_giving_back_an_overlay_is_the_map_before_it(live_days, step_days):
    live = published("old", live_days)
    assert give_back(overlay(live, candidate(step_days), PROJECT), live, {"new"}).tables == live.tables


@given(tables, days)
def test_giving_back_keeps_what_others_have_published_since(step_days, later):
    live = published("old", {"orders": ["2024-01-01"]})
    shown = overlay(live, candidate(step_days), PROJECT)
    since = overlay(shown, {"orders": tuple(one("orders", d, "scheduled") for d in later)}, PROJECT)
    back = give_back(since, live, {"new"})
    runs = {s.run for table in back.tables.values() for found in table.slices.values() for s in found}
    assert "new" not in runs
    assert {d for d, (s,) in back.tables["orders"].slices.items() if s.run == "scheduled"} == set(later)


@given(tables, tables)
def test_the_gap_is_what_only_the_newer_map_has(older, newer):
    found = gap(published("b", newer), published("a", older))
    for name in NAMES:
        assert set(found.get(name, ())) == set(newer.get(name, [])) - set(older.get(name, []))


@given(tables)
def test_a_map_does_not_differ_from_itself(found):
    live = published("a", found)
    assert differing(live, live) == {}
    other = differing(live, published("b", found))
    assert other == {name: tuple(sorted(parts)) for name, parts in found.items() if parts}


def test_a_full_cut_over_drops_days_that_the_new_build_did_not_compute():
    live = published("old", {"orders": ["2024-01-01", "2024-01-02"], "totals": ["2024-01-01"]})
    after = cut_over(live, plan(orders=Move.REBUILD, totals=Move.DROP), candidate({"orders": ["2024-01-02"]}), PROJECT)
    assert after.partitions("orders") == ("2024-01-02",)
    assert list(after.tables) == ["orders"]
    assert (after.build, after.config) == ("sha256:new", "sha256:d")


def test_inherited_history_stays_with_the_old_build_and_reused_tables_do_not_move():
    live = published("old", {"orders": ["2024-01-01", "2024-01-02"], "totals": ["2024-01-01"]})
    after = cut_over(live, plan(orders=Move.INHERIT, totals=Move.REUSE), candidate({"orders": ["2024-01-03"]}), PROJECT)
    assert [found[0].run for found in after.tables["orders"].slices.values()] == ["old", "old", "new"]
    assert after.tables["totals"] == live.tables["totals"]


def test_days_that_somebody_published_since_have_to_be_computed_again():
    base = published("old", {"orders": ["2024-01-01", "2024-01-02"]})
    mine = candidate({"orders": ["2024-01-01", "2024-01-02"]})
    late = {"orders": (one("orders", "2024-01-02", "late"), one("orders", "2024-01-03", "late"))}
    live = overlay(base, late, PROJECT)
    assert uncovered(base, plan(orders=Move.REBUILD), mine, base, PROJECT) == {}
    assert uncovered(live, plan(orders=Move.REBUILD), mine, base, PROJECT) == {"orders": ("2024-01-02", "2024-01-03")}
    assert uncovered(live, plan(orders=Move.INHERIT), mine, base, PROJECT) == {}
    assert cut_over(live, plan(orders=Move.INHERIT), mine, PROJECT).tables == live.tables


def test_what_the_candidate_itself_has_exposed_needs_no_second_computation():
    base = published("old", {"orders": ["2024-01-01", "2024-01-02"]})
    mine = candidate({"orders": ["2024-01-01", "2024-01-02"]})
    exposed = overlay(base, {"orders": mine["orders"][:1]}, PROJECT)
    assert uncovered(exposed, plan(orders=Move.REBUILD), mine, base, PROJECT) == {}


def test_undeclared_columns_are_appended_to_the_live_ones_in_their_order():
    project = replace(PROJECT, tables={"orders": replace(PROJECT.tables["orders"], columns=())})
    live = published("old", {"orders": ["2024-01-01"]})
    slices = candidate({"orders": ["2024-01-02"]})
    shown = overlay(live, slices, project, {"orders": (NOTE, ID)})
    assert shown.tables["orders"].columns == (ID, NOTE)
    assert overlay(live, slices, project).tables["orders"].columns == (ID,)


def test_a_table_that_the_project_does_not_have_is_an_error():
    with pytest.raises(NotFound, match="order"):
        overlay(published("old", {}), {"order": (one("order", "2024-01-01", "new"),)}, PROJECT)


def test_a_slice_without_a_partition_is_refused():
    with pytest.raises(WrongInput):
        by_partition([replace(one("orders", "x", "new"), partition=None)])
