"""A stream of events, folded."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lanewise.domain.event import Event
from lanewise.domain.evidence import Moment, Result
from lanewise.domain.promotion import State
from lanewise.errors import LedgerTampered
from lanewise.promotion.fold import fold
from lanewise.promotion.states import FINAL, IllegalMove, check_move

REQUEST = {"id": "prod-7", "project": "orders", "environment": "prod", "build": "sha256:b", "config": "sha256:c",
           "requester": "ann", "opened_by": "stage-3"}  # fmt: skip


def stream(*drafts: tuple[str, dict[str, Any]], request: bool = True) -> list[Event]:
    told = [("promotion.requested", REQUEST), *drafts] if request else list(drafts)
    return [
        Event(seq=40 + n, stream="promotion/orders/prod/7", version=n, type=type_, at=f"2026-11-02T10:00:{n:02}+00:00",
              actor="ann", data=data, previous="", hash="")
        for n, (type_, data) in enumerate(told, start=1)
    ]  # fmt: skip


def moved(state: State, **data: Any) -> tuple[str, dict[str, Any]]:
    return "promotion.moved", {"state": state.value, "reason": f"into {state.value}", **data}


def judged(gate: str, result: str, moment: str = "before", facts: Any = None) -> tuple[str, dict[str, Any]]:
    verdict = {"gate": gate, "moment": moment, "result": result, "reason": "so", "hint": "", "details": []}
    return "gate.judged", {"verdict": verdict, "evidence": facts}


@st.composite
def legal_moves(draw: st.DrawFn) -> list[State]:
    at, came_from, moves = State.REQUESTED, None, []
    for _ in range(draw(st.integers(0, 20))):
        options = []
        for after in State:
            try:
                check_move(at, after, came_from=came_from)
            except IllegalMove:
                continue
            options.append(after)
        if not options:
            break
        after = draw(st.sampled_from(options))
        came_from = came_from if after is at else at
        at = after
        moves.append(after)
    return moves


@given(legal_moves(), st.data())
@settings(deadline=None)
def test_any_legal_sequence_stands_where_its_last_move_led(moves, data):
    noise = [("step.intended", {"step": 0}), ("from.the.future", {"x": 1}), judged("tests", "pass"),
             ("promotion.acquired", {"fence": 3, "base_map": 9}), ("step.done", {})]  # fmt: skip
    told = []
    for state in moves:
        told += data.draw(st.lists(st.sampled_from(noise), max_size=2))
        told.append(moved(state))
        if state in FINAL:
            told.append(("promotion.finished", {"state": state.value, "reason": f"into {state.value}"}))
    promotion = fold(stream(*told))
    assert promotion.state is (moves[-1] if moves else State.REQUESTED)
    assert promotion.reason == (f"into {moves[-1].value}" if moves else "")
    assert promotion.version == len(told) + 1
    changes = [a for a, b in zip([State.REQUESTED, *moves], moves, strict=False) if a is not b]
    assert promotion.came_from is (changes[-1] if changes else None)


def test_a_request_alone_tells_who_asked_for_what_and_when():
    promotion = fold(stream())
    assert (promotion.id, promotion.build, promotion.config) == ("prod-7", "sha256:b", "sha256:c")
    assert (promotion.requester, promotion.opened_by) == ("ann", "stage-3")
    assert promotion.requested_at == "2026-11-02T10:00:01+00:00"
    assert (promotion.state, promotion.base_map, promotion.version) == (State.REQUESTED, -1, 1)


def test_step_and_exposure_stay_until_a_move_changes_them():
    promotion = fold(stream(moved(State.CANARY, step=2, exposed=1), moved(State.JUDGING)))
    assert (promotion.step, promotion.exposed) == (2, 1)


def test_a_freeze_is_forgotten_once_it_is_over():
    frozen = [moved(State.READY), moved(State.FROZEN, until="2026-11-06T00:00:00+00:00")]
    assert fold(stream(*frozen)).until == "2026-11-06T00:00:00+00:00"
    assert fold(stream(*frozen, moved(State.READY))).until == ""


def test_a_longer_freeze_still_goes_on_where_the_first_one_began():
    promotion = fold(stream(moved(State.JUDGING), moved(State.FROZEN, until="a"), moved(State.FROZEN, until="b")))
    assert (promotion.came_from, promotion.until) == (State.JUDGING, "b")


def test_a_later_verdict_of_a_gate_revokes_the_earlier_one():
    promotion = fold(stream(judged("tests", "pass"), judged("soak", "pass"), judged("tests", "fail")))
    assert [(v.gate, v.result) for v in promotion.verdicts] == [("soak", Result.PASS), ("tests", Result.FAIL)]


def test_the_same_gate_at_another_moment_is_another_verdict():
    promotion = fold(stream(judged("quality", "pass"), judged("quality", "inconclusive", "candidate")))
    assert [v.moment for v in promotion.verdicts] == [Moment.BEFORE, Moment.CANDIDATE]


def test_the_digest_of_evidence_follows_what_was_measured():
    one, two, same = (fold(stream(judged("tests", "pass", facts={"n": n}))).evidence for n in (1, 2, 1))
    assert set(one) == {"tests@before"}
    assert one == same
    assert one != two


def test_approvals_and_broken_glass_keep_who_when_and_why():
    promotion = fold(stream(
        ("approval.given", {"actor": "dana", "bound_to": "sha256:x", "proved_by": "declared", "reason": "seen"}),
        ("glass.broken", {"gates": ["tests"], "reason": "outage", "second": "eve"}),
        ("glass.broken", {"gates": ["tests", "soak"], "reason": "still", "expires": "2026-11-03T00:00:00+00:00"}),
    ))  # fmt: skip
    (approval,) = promotion.approvals
    assert (approval.actor, approval.bound_to, approval.proved_by, approval.reason) == (
        "dana", "sha256:x", "declared", "seen")  # fmt: skip
    assert promotion.broken_glass == ("tests", "soak")
    assert [(g.second, g.expires) for g in promotion.glass] == [("eve", ""), ("", "2026-11-03T00:00:00+00:00")]


def test_what_was_acquired_is_where_a_revert_goes_back_to():
    promotion = fold(stream(("promotion.planned", {"plan": "sha256:p", "document": {}}),
                            ("promotion.acquired", {"fence": 12, "base_map": 41})))  # fmt: skip
    assert (promotion.plan, promotion.fence, promotion.base_map) == ("sha256:p", 12, 41)


@pytest.mark.parametrize("events", [[], stream(moved(State.GATING), request=False)])
def test_a_stream_without_its_request_does_not_verify(events):
    with pytest.raises(LedgerTampered, match=r"begins with promotion\.requested"):
        fold(events)


@pytest.mark.parametrize(
    "bad",
    [
        ("promotion.moved", {"state": "FLYING"}),
        ("promotion.moved", {}),
        ("gate.judged", {"verdict": {"gate": "tests"}}),
        ("glass.broken", {"gates": None}),
    ],
)
def test_an_event_that_lacks_what_its_type_says_is_named(bad):
    with pytest.raises(LedgerTampered, match=f"event 42 is no {bad[0]}"):
        fold(stream(bad))
