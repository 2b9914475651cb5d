from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanewise.domain.event import Draft, Event
from lanewise.errors import WrongInput
from lanewise.ledger.chain import EMPTY, Broken, Fault, Head, has_its_hash, seal, verify_chain

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def chain(*streams: str, head: Head = EMPTY, salt: str = "") -> list[Event]:
    written: list[Event] = []
    for stream in streams:
        version = 1 + sum(event.stream == stream for event in written)
        draft = Draft("t", {"n": version, "salt": salt})
        written.append(seal(draft, head=head, stream=stream, version=version, at=f"day {len(written)}", actor="ana"))
        head = (written[-1].seq, written[-1].hash)
    return written


def fault(events: list[Event]) -> tuple[int, Fault] | None:
    broken = verify_chain(events)
    return None if broken is None else (broken.seq, broken.fault)


def test_a_chain_as_written_holds():
    assert verify_chain(chain("a", "b", "a", "c")) is None
    assert verify_chain([]) is None


def test_a_chain_can_be_checked_from_the_middle():
    events = chain("a", "b", "a", "a")
    assert verify_chain(events[2:], after=(2, events[1].hash)) is None
    assert verify_chain(events[2:], after=(2, events[0].hash)) is not None


EDITS: dict[str, Any] = {
    "stream": "z", "version": 7, "type": "u", "at": "another day", "actor": "eve", "data": {"n": 99},
    "previous": "sha256:00", "hash": "sha256:00",
}  # fmt: skip


@pytest.mark.parametrize("name", EDITS)
@pytest.mark.parametrize("at", [0, 1, 3])
def test_an_edit_of_any_field_is_found_where_it_is(name: str, at: int):
    events = chain("a", "b", "a", "c")
    events[at] = replace(events[at], **{name: EDITS[name]})
    assert fault(events) == (at + 1, Fault.EDITED)


@pytest.mark.parametrize("value", [b"bytes", float("nan"), "\ud800"], ids=["bytes", "nan", "surrogate"])
def test_an_edit_into_what_no_event_can_hold_is_an_edit(value: Any):
    events = chain("a", "b")
    events[0] = replace(events[0], data={"n": value})
    assert fault(events) == (1, Fault.EDITED)


@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_dropped_event_is_missing(at: int):
    events = chain("a", "b", "a", "c")
    del events[at]
    assert fault(events) == (at + 1, Fault.MISSING)


def test_several_dropped_events_are_named():
    events = chain(*"abcdef")
    assert verify_chain(events[:1] + events[4:]) == Broken(2, Fault.MISSING, "events 2 to 4 missing before event 5")


def test_a_dropped_event_whose_followers_were_renumbered_is_found():
    events = chain("a", "b", "c", "d")
    del events[1]
    events[1:] = [replace(event, seq=event.seq - 1) for event in events[1:]]
    assert fault(events) == (2, Fault.EDITED)


def test_a_swapped_pair_is_reordered():
    events = chain("a", "b", "c", "d")
    events[1], events[2] = replace(events[2], seq=2), replace(events[1], seq=3)
    assert fault(events) == (2, Fault.REORDERED)


def test_an_event_twice_is_reordered():
    events = chain("a", "b", "c")
    assert fault([*events[:2], events[1], events[2]]) == (2, Fault.REORDERED)


def test_an_event_of_another_ledger_is_foreign():
    events = chain("a", "b", "c")
    events[1] = chain("a", "b", "c", salt="another")[1]
    assert fault(events) == (2, Fault.FOREIGN)


def test_an_event_edited_and_sealed_anew_shows_in_the_next_one():
    events = chain("a", "b", "c")
    events[1] = seal(Draft("t", {"n": 9}), head=(1, events[0].hash), stream="b", version=1, at="d", actor="eve")
    assert fault(events) == (3, Fault.FOREIGN)


def test_a_stream_that_skips_a_number_lacks_an_event():
    events = chain("a")
    head = (1, events[0].hash)
    assert fault([*events, seal(Draft("t"), head=head, stream="a", version=3, at="d", actor="x")]) == (2, Fault.MISSING)
    again = seal(Draft("t"), head=head, stream="a", version=1, at="d", actor="x")
    assert fault([*events, again]) == (2, Fault.REORDERED)


@given(st.dictionaries(st.text(), json_values, max_size=4))
def test_any_json_is_sealed_as_a_reader_gets_it(data: dict[str, Any]):
    event = seal(Draft("t", data), head=EMPTY, stream="s", version=1, at="now", actor="ana")
    assert has_its_hash(event)
    assert event.data == data


@pytest.mark.parametrize("data", [{"x": float("inf")}, {"x": object()}, {"x": "\udcff"}, {"\udcff": 1}])
def test_what_json_can_not_hold_is_refused_without_showing_it(data: dict[str, Any]):
    with pytest.raises(WrongInput) as caught:
        seal(Draft("t", data), head=EMPTY, stream="s", version=1, at="now", actor="ana")
    assert "udcff" not in caught.value.message


@pytest.mark.parametrize("part", ["stream", "actor", "type"])
@pytest.mark.parametrize("name", ["", "a\x1b[2J", "a\nb", "\ud800"])
def test_names_must_be_printable(part: str, name: str):
    names = {"stream": "s", "actor": "ana", "type": "t", part: name}
    with pytest.raises(WrongInput, match=part):
        seal(Draft(names["type"]), head=EMPTY, stream=names["stream"], version=1, at="now", actor=names["actor"])


def test_the_hash_is_of_canonical_json_so_that_anybody_can_recompute_it():
    event = seal(Draft("t", {"b": 1, "a": "é"}), head=EMPTY, stream="s", version=1, at="now", actor="ana")
    import hashlib

    text = '{"actor":"ana","at":"now","data":{"a":"é","b":1},"previous":"","seq":1,"stream":"s","type":"t","version":1}'
    assert event.hash == "sha256:" + hashlib.sha256(text.encode()).hexdigest()
