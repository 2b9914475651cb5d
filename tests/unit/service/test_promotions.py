"""Promotions as the ledger tells them."""

from __future__ import annotations

from pathlib import Path

import pytest

from lanewise.domain.promotion import State
from lanewise.errors import GroundMoved, NotFound
from lanewise.promotion.states import IllegalMove
from lanewise.service.promotions import Journal, load, open_promotions, request, stream_of, under_way

from .lanes import Lanes

FACTS = {"build": "sha256:b", "config": "sha256:c", "requester": "ana", "document": "", "overrides": {}}


@pytest.fixture
def lanes(tmp_path: Path) -> Lanes:
    return Lanes(tmp_path / "orders")


def test_an_environment_may_have_dashes() -> None:
    assert stream_of("orders", "prod-eu-12") == "promotion/orders/prod-eu/12"


@pytest.mark.parametrize("name", ["prod", "prod-", "-3", "prod-x", "", "prod12", "12"])
def test_what_is_no_promotions_name_is_told_how_one_looks(name: str) -> None:
    with pytest.raises(NotFound) as caught:
        stream_of("orders", name)
    assert "prod-12" in caught.value.hint


def test_numbers_go_up_by_environment(lanes: Lanes) -> None:
    names = [request(lanes.ctx(), env, FACTS).id for env in ("prod", "stage", "prod")]
    assert names == ["prod-1", "stage-1", "prod-2"]


def test_two_at_once_get_two_numbers(lanes: Lanes, monkeypatch: pytest.MonkeyPatch) -> None:
    streams = lanes.ledger.streams
    request(lanes.ctx(), "prod", FACTS)
    monkeypatch.setattr(lanes.ledger, "streams", lambda prefix, without=(): ())  # as before the other one wrote
    second = request(lanes.ctx(), "prod", FACTS)
    monkeypatch.setattr(lanes.ledger, "streams", streams)
    assert second.id == "prod-2"


def test_an_unknown_promotion_lists_what_there_is(lanes: Lanes) -> None:
    with pytest.raises(NotFound) as caught:
        load(lanes.ctx(), "prod-1")
    assert caught.value.hint == "nothing was ever promoted here"
    request(lanes.ctx(), "prod", FACTS)
    with pytest.raises(NotFound) as caught:
        load(lanes.ctx(), "prod-2")
    assert "prod-1" in caught.value.hint


def test_an_end_closes_it(lanes: Lanes) -> None:
    journal = Journal(lanes.ctx(), request(lanes.ctx(), "prod", FACTS))
    assert [p.id for p in open_promotions(lanes.ctx(), "prod")] == ["prod-1"]
    journal.move(State.ABORTED, "enough")
    assert open_promotions(lanes.ctx(), "prod") == ()
    assert [e.type for e in journal.events()] == ["promotion.requested", "promotion.moved", "promotion.finished"]


def test_a_move_that_the_diagram_does_not_have_writes_nothing(lanes: Lanes) -> None:
    journal = Journal(lanes.ctx(), request(lanes.ctx(), "prod", FACTS))
    with pytest.raises(IllegalMove):
        journal.move(State.SUCCEEDED, "by magic")
    assert len(journal.events()) == 1


def test_who_writes_after_somebody_else_is_told(lanes: Lanes) -> None:
    one = Journal(lanes.ctx(), request(lanes.ctx(), "prod", FACTS))
    other = Journal(lanes.ctx("ben"), load(lanes.ctx("ben"), "prod-1"))
    other.move(State.ABORTED, "enough")
    with pytest.raises(GroundMoved):
        one.move(State.GATING, "2 gates to pass")
    assert one.refresh().state is State.ABORTED


def test_only_what_has_the_lane_is_under_way(lanes: Lanes) -> None:
    journal = Journal(lanes.ctx(), request(lanes.ctx(), "prod", FACTS))
    for state in (State.GATING, State.READY):
        journal.move(state, "")
        assert under_way(lanes.ctx(), "prod") is None
    journal.move(State.ACQUIRING, "")
    assert under_way(lanes.ctx(), "prod") is not None
    journal.move(State.PREPARING, "")
    journal.move(State.FROZEN, "stocktaking", until="2026-01-06T00:00:00+00:00")
    assert under_way(lanes.ctx(), "prod") is not None, "half done, and frozen"


def test_a_request_keeps_the_variables_that_it_was_asked_with(lanes: Lanes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANEWISE__THRESHOLD", "5")
    lanes.through(lanes.build("v1"))
    (asked, *_) = lanes.ledger.read("promotion/orders/prod/1")
    assert asked.data["overrides"] == {"LANEWISE__THRESHOLD": "5"}
