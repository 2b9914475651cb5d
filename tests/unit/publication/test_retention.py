from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from lanewise.domain.publication import Holding
from lanewise.publication.retention import disposable, maps_in_window

NOW = datetime(2026, 3, 31, tzinfo=UTC)


def held(kind: str, name: str, *maps: int, age: float = 30.0) -> Holding:
    return Holding(kind, name, 1, maps, (NOW - timedelta(days=age)).isoformat())


def test_a_map_is_in_the_window_while_it_was_live_inside_of_it():
    maps = [held("map", "1", 1, age=90), held("map", "2", 2, age=60), held("map", "3", 3, age=10), held("map", "4", 4)]
    maps[3] = held("map", "4", 4, age=1)
    assert maps_in_window(maps, 4, NOW - timedelta(days=14)) == {2, 3, 4}
    assert maps_in_window(maps, 4, NOW - timedelta(days=5)) == {3, 4}
    assert maps_in_window(maps, 4, NOW) == {4}


def test_what_no_kept_map_names_may_go_and_the_live_one_never():
    holdings = [held("map", "1", 1), held("map", "2", 2), held("slice", "a", 1), held("slice", "b", 1, 2)]
    assert disposable(holdings, 2, (), NOW) == (holdings[0], holdings[2])
    assert disposable(holdings, 2, {1}, NOW) == ()


def test_leftovers_go_when_they_are_older_than_the_grace():
    young, old = held("run", "young", age=0.5), held("run", "old", age=1.5)
    unseen = held("slice", "never published", age=2)
    assert disposable([young, old, unseen], 1, (), NOW) == (old, unseen)
    assert disposable([young], 1, (), NOW, timedelta(hours=1)) == (young,)


def test_a_prepared_map_keeps_its_slices_while_it_is_young():
    slices = held("slice", "a", 3, age=30)
    assert disposable([held("map", "p", 3, age=0.1), slices], 2, (), NOW) == ()
    stale = held("map", "p", 3, age=3)
    assert disposable([stale, slices], 2, (), NOW) == (stale, slices)


def test_what_has_no_age_is_kept():
    assert disposable([Holding("run", "r", 1)], 0, (), NOW) == ()


@given(st.lists(st.tuples(st.sets(st.integers(1, 9), max_size=4), st.floats(0, 60))), st.sets(st.integers(1, 9)))
def test_nothing_that_a_kept_map_needs_is_ever_disposable(found, keep):
    holdings = [held("slice", str(n), *sorted(maps), age=age) for n, (maps, age) in enumerate(found)]
    live = 5
    for holding in disposable(holdings, live, keep, NOW):
        assert not set(holding.maps) & {live, *keep}
