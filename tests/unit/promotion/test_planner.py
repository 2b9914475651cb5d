"""What a promotion would do to each table, in which steps, and when a saved plan still stands."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lanewise.domain.environment import ApprovalRule, DataPolicy, Environment, FreezeWindow, Rollout, Rules
from lanewise.domain.partition import partition_range
from lanewise.domain.plan import Move, Plan
from lanewise.domain.project import Column, Grain, History, PartitionSpec, Project, Source, Table, TableKind
from lanewise.domain.publication import InputPin, PartitionMap, Slice, TableMap
from lanewise.errors import Quarantined
from lanewise.promotion.ground import Ground
from lanewise.promotion.planner import ground_moved, make_plan

DAYS = partition_range("2013-01-01", "2013-04-10", Grain.DAY)  # 100 of them
BY_DAY = PartitionSpec("ds")
CANARY = Rollout("canary", (Decimal("0.05"), Decimal("0.25"), Decimal(1)))
AT_ONCE, NO_POLICY = Rollout(), DataPolicy()
COLUMNS = (Column("ds", "DATE"), Column("n", "BIGINT"))


def published(name: str, version: str = "v1", days=DAYS, spec=BY_DAY, size: int = 1000, rows: int = 10) -> TableMap:
    slices = {
        day: (Slice(name, day, version, f"{name}/{day}", rows + at, size, "run-1", "sha256:old"),)
        for at, day in enumerate(days)
    }
    return TableMap(name, TableKind.PARTITION if spec else TableKind.FULL, COLUMNS, slices, spec)


def live(*tables: TableMap) -> PartitionMap:
    return PartitionMap("orders", 7, "sha256:old", "sha256:cfg", {t.name: t for t in tables})


def table(name: str, **more) -> Table:
    return Table(name, **{"kind": TableKind.PARTITION, "partition": BY_DAY, **more})


def ground(*tables: Table, live=None, rollout=AT_ONCE, data=NO_POLICY, versions=None, **more) -> Ground:
    rules = Rules(rollout=rollout, approvals=more.pop("approvals", ApprovalRule(count=1)))
    project = Project("orders", Source(("**",)), "run", tables={t.name: t for t in tables})
    return Ground(
        project, Environment("prod", 2, {}, {}, rules, data), live or PartitionMap("orders"), "sha256:new",
        {t.name: (versions or {}).get(t.name, "v2") for t in tables}, datetime(2013, 4, 11, 8, tzinfo=UTC), **more,
    )  # fmt: skip


def only(plan: Plan):
    (found,) = plan.tables
    return found


def test_a_first_release_computes_what_the_data_policy_gives_in_one_step():
    plan = make_plan(ground(table("t"), rollout=CANARY, data=DataPolicy(first="2013-01-01", last="2013-01-31")))
    assert (only(plan).move, len(only(plan).partitions), plan.first_release) == (Move.NEW, 31, True)
    assert [(s.share, s.partitions) for s in plan.steps] == [(1, only(plan).partitions)]
    assert plan.strategy == "all-at-once"
    assert "first release into prod" in plan.warnings[0]


def test_a_first_release_that_nobody_is_asked_to_approve_says_so():
    plan = make_plan(ground(table("t"), approvals=ApprovalRule(), data=DataPolicy(first="2013", last="2013")))
    assert "asks nobody to approve it" in plan.warnings[0]


def test_an_unchanged_table_is_reused_and_computes_nothing():
    plan = make_plan(ground(table("t"), live=live(published("t", "v2")), rollout=CANARY))
    assert (only(plan).move, only(plan).partitions, plan.moved, plan.bytes) == (Move.REUSE, (), (), 0)
    assert [s.partitions for s in plan.steps] == [()]


def test_an_unchanged_table_with_days_missing_computes_those_alone():
    data = DataPolicy(first="2013-01-01", last="2013-04-12")
    plan = make_plan(ground(table("t"), live=live(published("t", "v2")), rollout=CANARY, data=data))
    assert (only(plan).move, only(plan).partitions) == (Move.INHERIT, ("2013-04-11", "2013-04-12"))
    assert plan.strategy == "all-at-once"  # there is no other version to compare with


def test_a_changed_table_is_rebuilt_over_what_is_live_and_what_is_wanted():
    data = DataPolicy(first="2013-04-01", last="yesterday")
    plan = make_plan(ground(table("t"), live=live(published("t", days=DAYS[:-3])), data=data))
    assert (only(plan).move, only(plan).partitions) == (Move.REBUILD, DAYS)
    assert (only(plan).version, only(plan).live_version, only(plan).exposed) == ("v2", "v1", True)


def test_one_slice_of_another_version_is_enough_to_rebuild():
    mixed = published("t", "v2")
    mixed = replace(mixed, slices={**mixed.slices, **published("t", "v1", DAYS[:1]).slices})
    assert only(make_plan(ground(table("t"), live=live(mixed)))).move is Move.REBUILD


def test_inherited_history_computes_new_days_and_those_that_are_judged():
    data = DataPolicy(first="2013-01-01", last="2013-04-12")
    inherit = table("t", history=History.INHERIT)
    plan = make_plan(ground(inherit, live=live(published("t")), rollout=CANARY, data=data))
    new, judged = {"2013-04-11", "2013-04-12"}, {p for s in plan.steps[:-1] for p in s.partitions}
    assert (only(plan).move, only(plan).exposed) == (Move.INHERIT, False)
    assert judged
    assert judged <= set(DAYS)
    assert set(only(plan).partitions) == judged | new
    assert set(plan.steps[-1].partitions) == new


def test_inherited_history_without_a_canary_is_judged_on_its_newest_day():
    plan = make_plan(ground(table("t", history=History.INHERIT), live=live(published("t"))))
    assert (only(plan).move, only(plan).partitions) == (Move.INHERIT, (DAYS[-1],))


def test_inherited_history_whose_newest_day_is_of_this_version_is_reused():
    mixed = published("t")
    mixed = replace(mixed, slices={**mixed.slices, **published("t", "v2", DAYS[-2:]).slices})
    plan = make_plan(ground(table("t", history=History.INHERIT), live=live(mixed)))
    assert (only(plan).move, only(plan).partitions) == (Move.REUSE, ())


def test_a_table_that_left_is_dropped_and_its_readers_are_told():
    plan = make_plan(ground(live=live(published("gone"))))
    assert (only(plan).move, only(plan).partitions) == (Move.DROP, ())
    assert only(plan).breaking == ("gone: the table is no longer published",)


def test_a_new_table_beside_live_ones_takes_their_partitions_where_no_policy_speaks():
    plan = make_plan(ground(table("old"), table("new"), live=live(published("old", "v2"))))
    assert {t.table: (t.move, len(t.partitions)) for t in plan.tables} == {
        "old": (Move.REUSE, 0), "new": (Move.NEW, 100)}  # fmt: skip


def test_a_new_table_of_which_no_partition_is_known_is_warned_of():
    plan = make_plan(ground(table("new", partition=PartitionSpec("region", Grain.VALUE)), live=live()))
    assert only(plan).partitions == ()
    assert any("no partition of new is known" in w for w in plan.warnings)


def test_a_table_cut_by_month_from_now_on_is_rebuilt_in_months():
    plan = make_plan(ground(table("t", partition=PartitionSpec("ds", Grain.MONTH), history=History.INHERIT),
                            live=live(published("t")), rollout=CANARY))  # fmt: skip
    assert (only(plan).move, only(plan).partitions) == (Move.REBUILD, ("2013-01", "2013-02", "2013-03", "2013-04"))
    assert len(plan.steps) == 1
    assert any("cut into other partitions" in w for w in plan.warnings)


def test_an_unpartitioned_table_under_a_canary_is_released_blue_green_and_the_plan_says_so():
    plan = make_plan(ground(table("t", kind=TableKind.FULL, partition=None),
                            live=live(published("t", days=("all",), spec=None)), rollout=CANARY))  # fmt: skip
    assert (only(plan).partitions, len(plan.steps), plan.strategy) == (("all",), 1, "blue-green")
    assert any("blue-green" in w and "sample of its keys" in w for w in plan.warnings)


def test_an_unpartitioned_table_beside_a_partitioned_one_comes_with_the_last_step():
    plan = make_plan(ground(table("t"), table("u", partition=None), rollout=CANARY,
                            live=live(published("t"), published("u", days=("all",), spec=None))))  # fmt: skip
    assert "all" in plan.steps[-1].partitions
    assert all("all" not in s.partitions for s in plan.steps[:-1])
    assert plan.strategy == "canary"


def test_each_grain_has_a_canary_of_its_own():
    months = published("m", days=("2013-01", "2013-02", "2013-03"), spec=PartitionSpec("ds", Grain.MONTH))
    plan = make_plan(ground(table("t"), table("m", partition=PartitionSpec("ds", Grain.MONTH)), rollout=CANARY,
                            live=live(published("t"), months)))  # fmt: skip
    first = plan.steps[0].partitions
    assert {len(name) for name in first} == {7, 10}
    assert sum(len(name) == 10 for name in first) == 5


@given(
    st.integers(1, 60),
    st.lists(st.decimals("0.01", "0.99", places=2), max_size=4, unique=True),
    st.lists(st.sampled_from(["v1", "v2"]), min_size=1, max_size=3),
    st.booleans(),
)
@settings(deadline=None)
def test_the_steps_together_are_every_partition_to_compute_once(count, shares, versions, inherit):
    names = [f"t{n}" for n in range(len(versions))]
    history = History.INHERIT if inherit else History.REBUILD
    rollout = Rollout("canary", (*sorted(shares), Decimal(1)))
    maps = [published(n, v, DAYS[:count]) for n, v in zip(names, versions, strict=True)]
    scene = ground(*(table(n, history=history) for n in names), live=live(*maps), rollout=rollout,
                   data=DataPolicy(first="2013-01-01", last="2013-01-20"))  # fmt: skip
    plan = make_plan(scene)
    taken = [p for step in plan.steps for p in step.partitions]
    assert len(taken) == len(set(taken))
    assert set(taken) == {p for t in plan.tables for p in t.partitions}
    assert plan.steps[-1].share == 1
    assert all(step.partitions for step in plan.steps[:-1])
    assert make_plan(scene).digest == plan.digest
    assert ground_moved(plan, make_plan(scene)) == ()


def test_a_fix_of_a_bad_build_is_tried_on_the_same_days():
    scene = ground(table("t"), live=live(published("t")), rollout=CANARY)
    fixed = replace(scene, build="sha256:fixed", fingerprints={"t": "v3"})
    assert make_plan(scene).steps == make_plan(fixed).steps


def test_bytes_come_from_what_is_live_and_missing_days_count_as_average_ones():
    data = DataPolicy(first="2013-01-01", last="2013-04-12")
    plan = make_plan(ground(table("t"), live=live(published("t")), data=data))
    assert only(plan).bytes == 102 * 1000 == plan.bytes


def test_rows_of_unknown_size_are_never_taken_to_hold_nothing():
    plan = make_plan(ground(table("t"), live=live(published("t", size=0))))
    assert only(plan).bytes > 0


def test_a_quarantined_build_is_not_planned():
    with pytest.raises(Quarantined) as caught:
        make_plan(ground(table("t"), quarantined=frozenset({"sha256:new"})))
    assert "lane resume prod --build new" in caught.value.hint


@pytest.mark.parametrize(
    ("kind", "told"), [(TableKind.APPEND, "from the beginning"), (TableKind.MERGE, "as the old one left them")]
)
def test_history_that_a_rebuild_does_not_make_anew_is_warned_of(kind, told):
    plan = make_plan(ground(table("t", kind=kind), live=live(published("t"))))
    assert any(told in w for w in plan.warnings)
    kept = make_plan(ground(table("t", kind=kind, history=History.INHERIT), live=live(published("t"))))
    assert not any(told in w for w in kept.warnings)


def test_unmasked_refreshes_and_upstream_doubts_are_warned_of():
    plan = make_plan(ground(table("t"), data=DataPolicy(refresh_from="prod"), upstream=("raw was rolled back",)))
    assert any("without masking" in w for w in plan.warnings)
    assert plan.warnings[-1] == "raw was rolled back"
    masked = make_plan(ground(table("t"), data=DataPolicy(refresh_from="prod", masked=True)))
    assert not any("masking" in w for w in masked.warnings)


def test_a_promotion_that_would_change_nothing_says_so():
    scene = ground(table("t"), live=live(published("t", "v2")))
    same = replace(scene, build="sha256:old", live=replace(scene.live, config=scene.environment.digest))
    assert any("nothing would change" in w for w in make_plan(same).warnings)
    assert not any("nothing would change" in w for w in make_plan(scene).warnings)


def test_a_new_config_for_the_same_build_is_a_plan_of_its_own():
    scene = ground(table("t"), live=live(published("t", "v2")))
    before = replace(scene.environment, settings={"retries": 1})
    after = replace(scene.environment, settings={"retries": 3})
    plan = make_plan(replace(scene, build="sha256:old", environment=after, live_environment=before))
    assert plan.config_only
    assert plan.config_changes == {"settings.retries": ("1", "3")}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda g: replace(g, live=replace(g.live, number=8)), "number 7 when the plan was made and is number 8 now"),
        (lambda g: replace(g, live=replace(g.live, build="sha256:other")), "the build live in prod"),
        (lambda g: replace(g, live=replace(g.live, config="sha256:other")), "the config live in prod"),
        (lambda g: replace(g, build="sha256:newer"), "the build to promote"),
        (lambda g: replace(g, environment=replace(g.environment, settings={"x": 1})), "the config to promote"),
        (lambda g: replace(g, inputs=(InputPin("raw", "sha256:2"),)), "input raw has changed"),
        (lambda g: replace(g, inputs=()), "input raw has changed"),
        (lambda g: replace(g, fingerprints={"t": "v9"}), "table t would be rebuild to v9, not rebuild to v2"),
        (lambda g: replace(g, now=g.now + timedelta(days=1)), "table t would compute other partitions"),
        (lambda g: replace(g, live=live(published("t"), published("u"))), "table u is not in the plan"),
    ],
)
def test_a_saved_plan_is_refused_once_its_ground_has_moved(change, told):
    scene = ground(table("t"), live=live(published("t")), inputs=(InputPin("raw", "sha256:1"),),
                   data=DataPolicy(first="2013-01-01", last="today"))  # fmt: skip
    saved = make_plan(scene)
    assert ground_moved(saved, make_plan(scene)) == ()
    assert any(told in sentence for sentence in ground_moved(saved, make_plan(change(scene))))


def test_warnings_alone_do_not_move_the_ground():
    scene = ground(table("t"), live=live(published("t")))
    later = make_plan(replace(scene, upstream=("a reader has joined",)))
    assert ground_moved(make_plan(scene), later) == ()


def test_a_freeze_that_is_near_is_told():
    near = FreezeWindow(start="2026-03-04", end="2026-03-06")
    for now, told in ((datetime(2026, 3, 3, 12, tzinfo=UTC), True), (datetime(2026, 3, 1, tzinfo=UTC), False)):
        one = replace(ground(), now=now)
        frozen = replace(one.environment, rules=replace(one.environment.rules, freeze=(near,)))
        warnings = make_plan(replace(one, environment=frozen)).warnings
        assert any("a freeze begins at 2026-03-04 00:00 UTC" in line for line in warnings) is told
