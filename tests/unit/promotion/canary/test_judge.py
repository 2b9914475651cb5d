"""What a canary's judge makes of old against new."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lanewise.domain.canonical import canonical_json
from lanewise.domain.comparison import ColumnDifference, PartitionComparison, TableComparison
from lanewise.domain.environment import Rollout
from lanewise.domain.evidence import Result
from lanewise.domain.project import Column, DeclaredChange, Table
from lanewise.promotion.canary.judge import judge
from lanewise.promotion.gates.quality import CheckVerdict

COLUMNS = (Column("flight_id", "BIGINT"), Column("delay", "DOUBLE"), Column("loaded_at", "TIMESTAMP"))
SEVERITY = {Result.PASS: 0, Result.INCONCLUSIVE: 1, Result.ERROR: 2, Result.FAIL: 3}


def part(name="2013-01-01", rows=1000, *, added=0, removed=0, columns=(), keyed=True, **more):
    """A partition of ``rows`` old rows; ``columns``: (name, changed keys)."""
    changed = max((n for _, n in columns), default=0)
    differs = bool(added or removed or columns or more)
    given = {
        "partition": name,
        "rows_old": rows,
        "rows_new": rows + added - removed,
        "keyed": keyed,
        "same": not differs,
        "keys_added": added if keyed else 0,
        "keys_removed": removed if keyed else 0,
        "keys_changed": changed,
        "columns": tuple(ColumnDifference(c, n, 0, 0) for c, n in columns),
    }
    return PartitionComparison(**{**given, **more})


def of(*partitions, table="flights_daily", new=COLUMNS, **more):
    return TableComparison(table, COLUMNS, new, partitions, **more)


def verdict(*partitions, noise=(), changes=(), max_bad="0", **more):
    """Judge one table's partitions."""
    return judge(
        {"flights_daily": Table("flights_daily", key=("flight_id",), changes=tuple(changes))},
        [of(*partitions, **more)],
        [of(*noise)] if noise else [],
        rollout=Rollout(max_bad=Decimal(max_bad)),
    )


def days(count, **more):
    return [part(f"2013-01-{day:02}", **more) for day in range(1, count + 1)]


# what passes


def test_identical_sides_pass_and_say_what_that_proves():
    judgement = judge({}, [of(*days(18))], [], rollout=Rollout(), population=365)
    assert judgement.result is Result.PASS
    assert judgement.reason == (
        "18 partitions of 1 table are identical; "
        "0 bad of 18 partitions: the share of bad ones is below 15% (95% confidence)"
    )
    assert judgement.bad_partitions == ()


def test_differences_within_the_tolerance_are_none():
    assert verdict(part(same=False)).result is Result.PASS


def test_a_column_that_changes_by_itself_is_noise_and_is_told():
    stamped = [("loaded_at", 1000)]
    judgement = verdict(part(columns=stamped), noise=[part(columns=stamped)])
    assert judgement.result is Result.PASS
    assert judgement.rows[0]["declared"] == "noise"
    assert "loaded_at differ by themselves" in judgement.warnings[0]


def test_a_declared_change_of_values_is_expected_and_shown_as_such():
    change = DeclaredChange("values", "rounded", columns=("delay",), limit="0.01")
    judgement = verdict(part(columns=[("delay", 10)]), changes=[change])
    assert judgement.result is Result.PASS
    assert judgement.rows[0]["declared"] == "yes"
    assert judgement.warnings == ()


def test_declared_rows_and_columns_are_expected():
    gone = DeclaredChange("rows_removed", "test flights")
    assert verdict(part(removed=400), changes=[gone]).result is Result.PASS
    more = DeclaredChange("rows_added", "late data")
    assert verdict(part(added=400), changes=[more]).result is Result.PASS
    dropped = DeclaredChange("column_dropped", "unused", columns=("loaded_at",))
    assert verdict(part(), new=COLUMNS[:2], changes=[dropped]).result is Result.PASS


def test_an_appended_nullable_column_passes_and_is_told():
    judgement = verdict(part(), new=(*COLUMNS, Column("origin", "VARCHAR")))
    assert judgement.result is Result.PASS
    assert judgement.warnings == ("flights_daily: origin is added",)


@pytest.mark.parametrize(
    "change",
    [
        DeclaredChange("values", "r", columns=("delay",)),
        DeclaredChange("values", "r"),
        DeclaredChange("rows_removed", "r"),
        DeclaredChange("column_dropped", "r", columns=("delay",)),
        DeclaredChange("column_retyped", "r"),
    ],
)
def test_a_declared_change_that_did_not_happen_passes_with_a_warning(change):
    judgement = verdict(part(), changes=[change])
    assert judgement.result is Result.PASS
    assert "did not happen here" in judgement.warnings[0]


# what fails


def test_lost_keys_fail_and_the_largest_offender_is_named():
    judgement = verdict(*[part(f"d{n:02}", rows=923, removed=139 + (n < 10)) for n in range(18)])
    assert judgement.result is Result.FAIL
    assert judgement.reason == "flights_daily: 2,512 keys removed in 18 of 18 partitions"
    assert len(judgement.bad_partitions) == 18


def test_the_largest_offender_comes_first_and_the_others_are_counted():
    judgement = judge(
        {}, [of(part(removed=3, columns=[("delay", 7)])), of(part(added=500), table="carriers")], [], rollout=Rollout()
    )
    assert judgement.reason == "carriers: 500 keys added in 1 of 1 partitions (and 2 more)"


def test_a_change_beyond_its_declared_limit_fails_exactly_from_there_on():
    change = DeclaredChange("values", "rounded", columns=("delay",), limit="0.29")
    assert verdict(part(rows=100, columns=[("delay", 29)]), changes=[change]).result is Result.PASS
    judgement = verdict(part(rows=100, columns=[("delay", 30)]), changes=[change])
    assert judgement.result is Result.FAIL
    assert "delay changed for 30 keys, beyond the declared 29% in 1 of 1 partitions" in judgement.reason


def test_a_limit_binds_the_keys_that_all_its_columns_touch_together():
    change = DeclaredChange("values", "rounded", limit="0.01")
    spread = part(columns=[("delay", 10), ("loaded_at", 10)], keys_changed=20)
    assert verdict(spread, changes=[change]).result is Result.FAIL
    same_keys = part(columns=[("delay", 10), ("loaded_at", 10)], keys_changed=10)
    assert verdict(same_keys, changes=[change]).result is Result.PASS


def test_a_limit_binds_each_partition_by_itself():
    change = DeclaredChange("rows_removed", "test flights", limit="0.1")
    assert verdict(part("a", removed=150), part("b"), changes=[change]).result is Result.FAIL


def test_a_declared_column_does_not_excuse_another():
    change = DeclaredChange("values", "rounded", columns=("delay",))
    judgement = verdict(part(columns=[("delay", 900), ("loaded_at", 3)]), changes=[change])
    assert judgement.result is Result.FAIL
    assert judgement.reason.startswith("flights_daily: loaded_at changed for 3 keys")
    assert judgement.rows[0]["declared"] == "partly"


def test_more_than_the_noise_fails():
    noise = [part(columns=[("delay", 10)])]
    assert verdict(part(columns=[("delay", 20)]), noise=noise).result is Result.PASS
    assert verdict(part(columns=[("delay", 21)]), noise=noise).result is Result.FAIL
    assert verdict(part(columns=[("loaded_at", 1)]), noise=noise).result is Result.FAIL


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ({"duplicate_keys_new": 2}, "2 duplicate keys that the old build has not"),
        ({"null_keys_old": 1, "null_keys_new": 3}, "2 NULL keys that the old build has not"),
    ],
)
def test_keys_that_stop_being_keys_fail_whatever_is_tolerated(broken, words):
    everything = [DeclaredChange(what, "any") for what in ("values", "rows_added", "rows_removed")]
    judgement = verdict(part(**broken), changes=everything, max_bad="1")
    assert judgement.result is Result.FAIL
    assert words in judgement.reason


def test_rows_that_vanish_behind_equal_keys_are_lost():
    judgement = verdict(part(same=False, rows_new=990, duplicate_keys_old=5, duplicate_keys_new=5))
    assert judgement.result is Result.FAIL
    assert "10 keys removed" in judgement.reason


@pytest.mark.parametrize(
    ("new", "words"),
    [
        (COLUMNS[:2], "loaded_at is dropped"),
        ((COLUMNS[0], Column("delay", "BIGINT"), COLUMNS[2]), "delay turns from DOUBLE into BIGINT"),
        ((COLUMNS[0], COLUMNS[2], COLUMNS[1]), "changes its place"),
    ],
)
def test_a_breaking_column_fails_even_where_all_rows_agree(new, words):
    judgement = verdict(part(), new=new, max_bad="1")
    assert judgement.result is Result.FAIL
    assert words in judgement.reason


def test_a_type_that_only_the_comparison_saw_change_fails():
    assert verdict(part(), retyped={"delay": ("DOUBLE", "FLOAT")}).result is Result.FAIL


def test_a_change_without_a_named_column_is_still_a_change():
    assert verdict(part(keys_changed=4)).result is Result.FAIL


def test_a_broken_check_fails_and_a_doubtful_one_holds():
    for result in (Result.FAIL, Result.INCONCLUSIVE):
        checks = [CheckVerdict("flights_daily", "unique", result, "flights_daily: unique: 12 of 20 rows break it")]
        judgement = judge({}, [of(part())], [], checks=checks, rollout=Rollout())
        assert (judgement.result, judgement.reason) == (result, checks[0].reason)


# what is tolerated


def test_a_tolerated_share_of_bad_partitions_passes_with_a_warning_and_counts_in_the_bound():
    bad = part("2013-02-01", removed=5)
    judgement = verdict(*days(9), bad, max_bad="0.1")
    assert judgement.result is Result.PASS
    assert judgement.bad_partitions == ("2013-02-01",)
    assert judgement.warnings == ("tolerated: flights_daily: 5 keys removed in 1 of 10 partitions",)
    assert judgement.bound.startswith("1 bad of 10 partitions")
    assert verdict(*days(8), bad, max_bad="0.1").result is Result.FAIL


# what nobody can tell


def test_nothing_compared_is_inconclusive():
    for comparisons in ([], [of()]):
        judgement = judge({}, comparisons, [], rollout=Rollout())
        assert (judgement.result, judgement.reason) == (Result.INCONCLUSIVE, "nothing was compared")


def test_no_rows_on_either_side_anywhere_is_inconclusive():
    assert verdict(part("a", rows=0), part("b", rows=0)).result is Result.INCONCLUSIVE
    assert verdict(part("a", rows=0), part("b", rows=1)).result is Result.PASS


def test_where_the_old_build_gives_other_keys_the_second_time_nobody_can_tell():
    noise = [part(removed=10, added=10)]
    judgement = verdict(part(removed=12, added=3), noise=noise)
    assert judgement.result is Result.INCONCLUSIVE
    assert "the pipeline is not reproducible" in judgement.reason
    assert verdict(part(), noise=noise).result is Result.PASS


def test_far_more_lost_keys_than_by_itself_fail_all_the_same():
    assert verdict(part(removed=21), noise=[part(removed=10, added=10)]).result is Result.FAIL


def test_rows_that_cannot_be_paired_leave_doubt():
    judgement = verdict(part(same=False, null_keys_old=5, null_keys_new=5))
    assert judgement.result is Result.INCONCLUSIVE
    assert "5 rows whose key is NULL can't be paired" in judgement.reason
    assert verdict(part(same=True, null_keys_old=5, null_keys_new=5)).result is Result.PASS
    assert verdict(part(same=False, duplicate_keys_old=5, duplicate_keys_new=5)).result is Result.PASS


# without a key


def keyless(rows_new=1000, **distances):
    return part(keyed=False, same=False, rows_new=rows_new, distances=distances)


def test_without_a_key_distances_count_beyond_the_noise_and_the_floor():
    assert verdict(keyless(delay=0.02)).result is Result.PASS
    assert verdict(keyless(delay=0.021)).result is Result.FAIL
    noise = [keyless(delay=0.1)]
    assert verdict(keyless(delay=0.29), noise=noise).result is Result.PASS
    judgement = verdict(keyless(delay=0.31), noise=noise)
    assert judgement.reason == "flights_daily: delay is distributed differently over 1,000 rows in 1 of 1 partitions"
    assert judgement.rows[0]["worst"] == "delay (0.31)"


def test_a_distance_that_is_not_a_number_fails():
    assert verdict(keyless(delay=float("nan"))).result is Result.FAIL


def test_without_a_key_rows_count_themselves():
    assert verdict(keyless(rows_new=990, delay=0.0)).reason == "flights_daily: 10 rows removed in 1 of 1 partitions"
    assert verdict(keyless(rows_new=990, delay=0.0), noise=[keyless(rows_new=995, delay=0.0)]).result is Result.PASS
    assert verdict(keyless(rows_new=980, delay=0.0), noise=[keyless(rows_new=995, delay=0.0)]).result is Result.FAIL


def test_without_a_key_a_declared_limit_can_not_be_checked():
    assert verdict(keyless(delay=0.5), changes=[DeclaredChange("values", "r")]).result is Result.PASS
    judgement = verdict(keyless(delay=0.5), changes=[DeclaredChange("values", "r", limit="0.5")])
    assert judgement.result is Result.FAIL
    assert "can't be checked without a key" in judgement.reason


def test_without_a_key_and_without_distances_nobody_can_tell():
    assert verdict(keyless()).result is Result.INCONCLUSIVE


# properties

COUNTS = st.integers(0, 500)
PARTS = st.builds(
    lambda name, rows, removed, added, delay, stamped: part(
        f"d{name:02}", rows=rows, removed=min(removed, rows), added=added,
        columns=[c for c in (("delay", min(delay, rows)), ("loaded_at", min(stamped, rows))) if c[1]],
    ),
    st.integers(0, 30), st.integers(0, 500), *([st.just(0) | COUNTS] * 4),
)  # fmt: skip
UNIQUE = st.lists(PARTS, min_size=1, max_size=5, unique_by=lambda p: p.partition)
LIMITS = st.none() | st.sampled_from(["0", "0.01", "0.2", "1"])
CHANGES = st.lists(
    st.builds(
        DeclaredChange, st.sampled_from(["values", "rows_added", "rows_removed", "column_added"]), st.just("r"),
        st.sampled_from([(), ("delay",), ("loaded_at",), ("delay", "loaded_at")]), LIMITS,
    ), max_size=3,
)  # fmt: skip
MAX_BAD = st.sampled_from(["0", "0.2", "0.5"])
QUICK = settings(max_examples=80, deadline=None)


@QUICK
@given(st.lists(st.integers(1, 500), min_size=1, max_size=5), UNIQUE, CHANGES)
def test_identical_sides_always_pass(sizes, noise, changes):
    same = [part(f"d{n}", rows=rows) for n, rows in enumerate(sizes)]
    assert verdict(*same, noise=noise, changes=changes).result is Result.PASS


@QUICK
@given(UNIQUE, st.integers(1, 50), CHANGES)
def test_any_undeclared_loss_of_keys_fails(partitions, lost, changes):
    first = replace(partitions[0], rows_old=partitions[0].rows_old + lost, same=False,
                    keys_removed=partitions[0].keys_removed + lost)  # fmt: skip
    undeclared = [c for c in changes if c.what != "rows_removed"]
    assert verdict(first, *partitions[1:], changes=undeclared).result is Result.FAIL


@QUICK
@given(UNIQUE, UNIQUE, st.integers(1, 50))
def test_no_noise_turns_lost_keys_into_a_pass(partitions, noise, lost):
    first = replace(partitions[0], rows_old=partitions[0].rows_old + lost, same=False,
                    keys_removed=partitions[0].keys_removed + lost)  # fmt: skip
    assert verdict(first, *partitions[1:], noise=noise).result is not Result.PASS


@st.composite
def worsened(draw):
    """Partitions, and the same with more of some difference in one of them; the old side stays as it is."""
    before = draw(UNIQUE)
    at = draw(st.integers(0, len(before) - 1))
    p, more = before[at], draw(st.integers(1, 50))
    kind = draw(st.sampled_from(["removed", "added", "changed", "duplicates", "nulls"]))
    room = p.rows_old - p.keys_removed
    columns = {c.column: c.changed for c in p.columns}
    if kind == "removed":
        more = min(more, room)
        worse = replace(p, keys_removed=p.keys_removed + more, rows_new=p.rows_new - more)
    elif kind == "added":
        worse = replace(p, keys_added=p.keys_added + more, rows_new=p.rows_new + more)
    elif kind == "changed":
        columns["delay"] = columns.get("delay", 0) + more
        found = tuple(ColumnDifference(c, n, 0, 0) for c, n in columns.items())
        worse = replace(p, columns=found, keys_changed=max(p.keys_changed, *columns.values()))
    elif kind == "duplicates":
        worse = replace(p, duplicate_keys_new=p.duplicate_keys_new + more)
    else:
        worse = replace(p, null_keys_new=p.null_keys_new + more)
    return before, [*before[:at], replace(worse, same=False), *before[at + 1 :]]


@QUICK
@given(worsened(), st.just([]) | UNIQUE, CHANGES, MAX_BAD)
def test_more_difference_never_improves_the_result(pair, noise, changes, max_bad):
    before, after = (verdict(*p, noise=noise, changes=changes, max_bad=max_bad) for p in pair)
    if before.reason != "there are no rows on either side, in any partition":
        assert SEVERITY[after.result] >= SEVERITY[before.result]
    assert set(before.bad_partitions) <= set(after.bad_partitions)


@QUICK
@given(UNIQUE, UNIQUE, UNIQUE, CHANGES, st.randoms(use_true_random=False))
def test_the_order_of_what_is_given_does_not_matter(one, other, noise, changes, random):
    tables = {name: Table(name, changes=tuple(changes)) for name in ("a", "b")}
    checks = [CheckVerdict("a", str(n), result, f"a: {n}") for n, result in enumerate(Result)]

    def judged(shuffled):
        mixed = [list(x) for x in (one, other, noise, checks, ["a", "b"])]
        if shuffled:
            for x in mixed:
                random.shuffle(x)
        pairs = {"a": of(*mixed[0], table="a"), "b": of(*mixed[1], table="b")}
        names = mixed[4]
        return judge(
            {n: tables[n] for n in names}, [pairs[n] for n in names], [of(*mixed[2], table=n) for n in names],
            checks=mixed[3], rollout=Rollout(),
        )  # fmt: skip

    assert canonical_json(judged(shuffled=True)) == canonical_json(judged(shuffled=False))


@QUICK
@given(UNIQUE, UNIQUE, CHANGES, MAX_BAD)
def test_a_pass_never_rests_on_an_undeclared_difference_that_noise_and_tolerance_do_not_cover(
    partitions, noise, changes, max_bad
):
    judgement = verdict(*partitions, noise=noise, changes=changes, max_bad=max_bad)
    if judgement.result is Result.PASS:
        assert len(judgement.bad_partitions) <= Decimal(max_bad) * len(partitions)
        assert judgement.rows[0]["verdict"] == "pass"
