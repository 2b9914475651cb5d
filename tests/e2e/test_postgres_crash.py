"""``kill -9`` of a promotion, a rollback or ``lane gc``, with the warehouse and the ledger on PostgreSQL: at each
journal step, and inside the changes.

Readers see the old map, an exposed step of the canary, or the new one, whole, and never an error; the next command
finishes, with a history that verifies and nothing left behind.
"""

from __future__ import annotations

from typing import Any

import pytest

from lanewise.adapters.warehouses.postgres import carrying, compaction, holdings, loading
from lanewise.testing.postgres import Server

from .disasters import Point, killed, looking_on, terminated
from .road import in_child, lane, seen
from .stricken import (
    Lanes,
    check_promoted,
    collect_at_last,
    collecting,
    far,
    halfway,
    inside,
    is_a_step,
    kill,
    made_on,
    promoting,
    recorded,
    roll_back_at_last,
    rolling_back,
    spread,
    steps,
    struck,
)

pytestmark = pytest.mark.crash

SHARDS = 6


@pytest.fixture(scope="module")
def lanes(postgres15: Server, tmp_path_factory: pytest.TempPathFactory) -> Lanes:
    return made_on(postgres15, tmp_path_factory.mktemp("lanes"))


@pytest.mark.slow
@pytest.mark.parametrize("shard", range(SHARDS))
def test_a_promotion_killed_at_any_step_is_finished_by_the_next_command(lanes: Lanes, shard: int) -> None:
    made = recorded(lanes, "v1", promoting)
    assert {"acquire", "raise_fence", "open_run", "stage", "discard", "prepare", "publish", "release"} <= {
        point.change for point in made
    }
    points = [(at, False) for at in steps(made)] + [(at, True) for at in inside(made)]
    points += [(Point("publish", time, 1), True) for time in (1, 2)]  # the second step is shown, and everything
    with looking_on(lanes.root, lanes.server, lanes.database) as reader:
        for at, under_way in points[shard::SHARDS]:
            what = f"killed at {at}{', under way' if under_way else ''}"
            lanes.put_back("v1")
            kill(lanes, promoting, at, under_way=under_way)
            assert is_a_step(seen(lanes.root)), what
            said = lane(lanes.root, "promote", lanes.v2, "--to", "prod")
            assert said.code == 0, f"{what}: {said.err}"
            check_promoted(lanes, what)
    assert not reader.wrong
    assert reader.reads > 100


@pytest.mark.parametrize("shard", range(2))
def test_a_rollback_killed_at_any_step_leaves_one_map_and_is_finished(lanes: Lanes, shard: int) -> None:
    made = recorded(lanes, "v2", rolling_back)
    assert {"acquire", "raise_fence", "revert", "append rollback.intended"} <= {point.change for point in made}
    points = [(at, False) for at in steps(made)] + [(at, True) for at in inside(made)]
    with looking_on(lanes.root, lanes.server, lanes.database) as reader:
        for at, under_way in points[shard::2]:
            what = f"killed at {at}{', under way' if under_way else ''}"
            lanes.put_back("v2")
            kill(lanes, rolling_back, at, under_way=under_way)
            roll_back_at_last(lanes, what)
    assert not reader.wrong
    assert reader.reads > 20


@pytest.mark.parametrize("done", [0, 1])
@pytest.mark.parametrize("how", ["killed", "ended"])
def test_a_preparation_that_is_cut_off_between_two_views_is_repeated(
    lanes: Lanes, monkeypatch: pytest.MonkeyPatch, how: str, done: int
) -> None:
    lanes.put_back("v1")
    with looking_on(lanes.root, lanes.server, lanes.database) as reader:
        with monkeypatch.context() as cut:
            halfway(cut, carrying, done, killed if how == "killed" else terminated(lanes.server, lanes.database))
            if how == "killed":
                assert in_child(lambda: promoting(lanes)) == 9
            else:
                assert lane(lanes.root, "promote", lanes.v2, "--to", "prod").code == 3
        assert is_a_step(seen(lanes.root))
        assert lane(lanes.root, "promote", lanes.v2, "--to", "prod").code == 0
        check_promoted(lanes, f"{how} after {done} views")
    assert not reader.wrong


@pytest.mark.parametrize("how", ["killed", "ended"])
def test_a_table_that_is_half_loaded_when_its_session_ends_is_loaded_again(
    lanes: Lanes, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """The bulk loader has a connection of its own: it is cut off when rows are in, and the table is not finished."""
    lanes.put_back("v1")
    original, disaster = loading._finished, killed if how == "killed" else terminated(lanes.server, lanes.database)

    def finished(*arguments: Any) -> Any:
        disaster(None)
        return original(*arguments)

    with looking_on(lanes.root, lanes.server, lanes.database) as reader:
        with monkeypatch.context() as cut:
            cut.setattr(loading, "_finished", finished)
            if how == "killed":
                assert in_child(lambda: promoting(lanes)) == 9
            else:
                said = lane(lanes.root, "promote", lanes.v2, "--to", "prod")
                assert said.code == 3, said.err
        assert set(seen(lanes.root).values()) == {"v1"}
        assert lane(lanes.root, "promote", lanes.v2, "--to", "prod").code == 0
        check_promoted(lanes, how)
    assert not reader.wrong


@pytest.mark.parametrize("how", ["killed", "ended"])
def test_garbage_whose_collection_is_cut_off_is_collected_the_next_time(lanes: Lanes, how: str) -> None:
    made = recorded(lanes, "v2", collecting)
    assert {"drop", "compact"} <= {point.change for point in made}
    points = [p for p in made if p.change in {"drop", "compact"}]
    with looking_on(lanes.root, lanes.server, lanes.database) as reader:
        for at in spread(points, 12):
            lanes.put_back("v2")
            if how == "killed":
                kill(lanes, collecting, at, under_way=True)
            else:
                ended = terminated(lanes.server, lanes.database)
                struck(lanes, ["gc", "--apply"], at, ended, under_way=True, clock=far)
            assert set(seen(lanes.root).values()) == {"v2"}, str(at)
            collect_at_last(lanes, f"{how} at {at}")
    assert not reader.wrong


@pytest.mark.parametrize("module", [holdings, compaction], ids=["taken-out-of-views", "made-plain"])
def test_views_that_were_to_be_compacted_and_were_cut_off_after_the_first_are_compacted_the_next_time(
    lanes: Lanes, monkeypatch: pytest.MonkeyPatch, module: Any
) -> None:
    lanes.put_back("v2")
    with looking_on(lanes.root, lanes.server, lanes.database) as reader:
        with monkeypatch.context() as cut:
            halfway(cut, module, 1, killed)
            assert in_child(lambda: collecting(lanes)) == 9
        assert set(seen(lanes.root).values()) == {"v2"}
        collect_at_last(lanes, "halfway")
    assert not reader.wrong
