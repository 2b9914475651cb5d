"""What every ledger must do. A plug-in's author subclasses ``LedgerContract`` and gives it a ledger::

class TestOurLedger(LedgerContract):
    @pytest.fixture
    def open_again(self, tmp_path):
        return lambda: OurLedger(tmp_path / "ledger")
"""

# ruff: noqa: S101 - a conformance suite is made of assertions
from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lanewise.domain.event import Draft
from lanewise.domain.ports import Ledger
from lanewise.errors import GroundMoved, LaneError, LeaseHeld
from lanewise.ledger.chain import verify_chain

HOUR = timedelta(hours=1)
BLINK = timedelta(milliseconds=20)

HOSTILE = (
    "a%",
    "a%b",
    "a&",
    "a_",
    "a_b",
    "ab",
    "a'b",
    'a"b',
    "a\\b",
    "A%",
    "aé",
    "aê",
    "a😀",
    "a/b",
    "a0",
    "a",
    "b",
    "bb",
)


class LedgerContract:
    """The conformance suite of the ``Ledger`` port."""

    @pytest.fixture
    def open_again(self) -> Callable[[], Ledger]:
        """Gives another handle on the same ledger, empty at the test's start: the one thing to override."""
        raise NotImplementedError

    @pytest.fixture
    def ledger(self, open_again: Callable[[], Ledger]) -> Ledger:
        """The ledger under test."""
        return open_again()

    def test_an_empty_ledger_answers_everything_with_nothing(self, ledger: Ledger) -> None:
        """Reading needs no writing first."""
        assert ledger.head() == (0, "")
        assert ledger.read("a") == ()
        assert ledger.last("a") is None
        assert ledger.last("a", "t") is None
        assert ledger.streams("") == ()
        assert list(ledger.events()) == []
        assert ledger.holder("shop/prod") is None

    def test_what_is_appended_is_read_back_the_same(self, ledger: Ledger, open_again: Callable[[], Ledger]) -> None:
        """By this handle and by another one, with odd text and nested data."""
        data: dict[str, Any] = {
            "text": "naïve 😀 'x' \"y\" \x00 \n",
            "n": [1, 2.5, None, True, {"k": {}}],
            "big": 10**30,
        }
        written = ledger.append("a", [Draft("t", data), Draft("u")], actor="ana")
        assert ledger.read("a") == open_again().read("a") == written
        assert written[0].data == data
        assert [(e.seq, e.version, e.type, e.actor) for e in written] == [(1, 1, "t", "ana"), (2, 2, "u", "ana")]

    def test_data_comes_back_as_json_types(self, ledger: Ledger) -> None:
        """The event that ``append`` returns is the one that a reader gets."""
        (written,) = ledger.append("a", [Draft("t", {"pair": (1, 2), "whole": 1.0})], actor="x")
        assert written.data == {"pair": [1, 2], "whole": 1.0}
        assert ledger.read("a") == (written,)

    def test_times_are_the_ledgers_clock_in_utc_with_microseconds(self, ledger: Ledger) -> None:
        """Whoever appends, wherever they are."""
        before = ledger.now()
        (event,) = ledger.append("a", [Draft("t")], actor="x")
        at = datetime.fromisoformat(event.at)
        assert before <= at <= ledger.now()
        assert at.utcoffset() == before.utcoffset() == timedelta(0)
        assert event.at == at.astimezone(UTC).isoformat(timespec="microseconds")

    def test_the_chain_runs_through_all_streams(self, ledger: Ledger) -> None:
        """``previous`` is the hash of the event before, whatever its stream."""
        for stream in ("a", "b", "a", "c"):
            ledger.append(stream, [Draft("t"), Draft("u")], actor="x")
        events = list(ledger.events())
        assert [e.seq for e in events] == list(range(1, 9))
        assert verify_chain(events) is None
        assert ledger.head() == (8, events[-1].hash)
        assert [e.version for e in ledger.read("a")] == [1, 2, 3, 4]

    @pytest.mark.parametrize("expect", [0, 1, 3])
    def test_a_wrong_expectation_writes_nothing(self, ledger: Ledger, expect: int) -> None:
        """The ground has moved since the caller looked."""
        ledger.append("a", [Draft("t"), Draft("t")], actor="x")
        with pytest.raises(GroundMoved):
            ledger.append("a", [Draft("u")], actor="x", expect=expect)
        assert ledger.head()[0] == 2

    def test_a_right_expectation_counts_its_own_stream_alone(self, ledger: Ledger) -> None:
        """Other streams may grow meanwhile."""
        ledger.append("b", [Draft("t")] * 5, actor="x")
        ledger.append("a", [Draft("t")], actor="x", expect=0)
        (event,) = ledger.append("a", [Draft("t")], actor="x", expect=1)
        assert event.version == 2

    def test_no_drafts_write_nothing_and_still_check_the_expectation(self, ledger: Ledger) -> None:
        """So a caller can ask whether the ground moved."""
        assert ledger.append("a", [], actor="x", expect=0) == ()
        with pytest.raises(GroundMoved):
            ledger.append("a", [], actor="x", expect=1)
        assert ledger.streams("") == ()

    @pytest.mark.parametrize(
        "bad", [float("nan"), object(), "\ud800", float("inf")], ids=["nan", "type", "text", "inf"]
    )
    def test_one_bad_draft_writes_none_of_its_batch(self, ledger: Ledger, bad: object) -> None:
        """Data that JSON can't hold is refused before anything is written."""
        with pytest.raises(LaneError):
            ledger.append("a", [Draft("t"), Draft("u", {"x": bad})], actor="x")
        assert ledger.head() == (0, "")

    @pytest.mark.parametrize("stream", ["", "a\x00b", "a\nb", "\ud800"])
    def test_an_unprintable_stream_is_refused(self, ledger: Ledger, stream: str) -> None:
        """It could not be shown, or not be stored, everywhere."""
        with pytest.raises(LaneError):
            ledger.append(stream, [Draft("t")], actor="x")

    def test_asking_for_what_no_event_can_hold_finds_nothing(self, ledger: Ledger) -> None:
        """Command lines carry bytes that aren't Unicode."""
        ledger.append("a", [Draft("t")], actor="x")
        assert ledger.read("\udcff") == ()
        assert ledger.streams("\udcff") == ()
        assert ledger.last("a", "\udcff") is None

    def test_read_starts_after_a_version(self, ledger: Ledger) -> None:
        """``after`` is the version that the caller has seen."""
        written = ledger.append("a", [Draft("t")] * 4, actor="x")
        assert ledger.read("a", after=2) == written[2:]
        assert ledger.read("a", after=9) == ()

    def test_read_picks_the_named_types_in_order(self, ledger: Ledger) -> None:
        """However often and in whatever order they are named."""
        one, two, three, four = ledger.append("a", [Draft("t"), Draft("u"), Draft("v"), Draft("t")], actor="x")
        ledger.append("ab", [Draft("t")], actor="x")
        assert ledger.read("a", types=["v", "t", "v"]) == (one, three, four)
        assert ledger.read("a", types=["t", "u"], after=1) == (two, four)
        assert ledger.read("a", types=["nothing"]) == ()

    def test_last_picks_the_newest_of_the_named_types(self, ledger: Ledger) -> None:
        """All types where none is named."""
        one, two, three = ledger.append("a", [Draft("t"), Draft("u"), Draft("v")], actor="x")
        ledger.append("ab", [Draft("t")], actor="x")
        assert ledger.last("a") == three
        assert ledger.last("a", "t") == one
        assert ledger.last("a", "u", "t") == ledger.last("a", "t", "u") == two
        assert ledger.last("a", "nothing") is None

    def test_streams_come_oldest_first(self, ledger: Ledger) -> None:
        """By their first event."""
        for stream in ("p/b", "q", "p/a", "p/b", "p/c"):
            ledger.append(stream, [Draft("t")], actor="x")
        assert ledger.streams("p/") == ("p/b", "p/a", "p/c")
        assert ledger.streams("") == ("p/b", "q", "p/a", "p/c")

    def test_streams_without_an_event_type_are_the_open_ones(self, ledger: Ledger) -> None:
        """However early or late in the stream the event stands."""
        ledger.append("p/1", [Draft("asked"), Draft("finished"), Draft("noted")], actor="x")
        ledger.append("p/2", [Draft("asked")], actor="x")
        ledger.append("p/3", [Draft("voided")], actor="x")
        ledger.append("q/1", [Draft("finished")], actor="x")
        assert ledger.streams("p/", without=["finished"]) == ("p/2", "p/3")
        assert ledger.streams("p/", without=["finished", "voided"]) == ("p/2",)

    @pytest.mark.parametrize("prefix", [*HOSTILE, "", "%", "_", "c", "a\U0010ffff", "a\ud7ff"])
    def test_a_prefix_is_matched_literally(self, ledger: Ledger, prefix: str) -> None:
        """``%`` and ``_`` are themselves, and so are upper case and the ends of Unicode."""
        for name in HOSTILE:
            ledger.append(name, [Draft("t")], actor="x")
        assert ledger.streams(prefix) == tuple(name for name in HOSTILE if name.startswith(prefix))

    def test_events_page_through_the_ledger_both_ways(self, ledger: Ledger) -> None:
        """``after`` and ``limit`` count in ``seq``."""
        for stream in ("a", "b", "a", "b", "a"):
            ledger.append(stream, [Draft("t")], actor="x")

        def seqs(**options: Any) -> list[int]:
            return [event.seq for event in ledger.events(**options)]

        assert seqs(after=2) == [3, 4, 5]
        assert seqs(after=1, limit=2) == [2, 3]
        assert seqs(newest_first=True, limit=2) == [5, 4]
        assert seqs(newest_first=True, after=3) == [5, 4]
        assert seqs(limit=0) == []

    def test_a_long_ledger_pages_like_a_short_one(self, ledger: Ledger) -> None:
        """Whatever page a ledger reads by."""
        ledger.append("a", [Draft("t", {"n": n}) for n in range(2500)], actor="x")
        assert [e.seq for e in ledger.events(after=100)] == list(range(101, 2501))
        assert [e.seq for e in ledger.events(limit=1500)] == list(range(1, 1501))
        assert [e.seq for e in ledger.events(after=50, limit=2200, newest_first=True)] == list(range(2500, 300, -1))

    def test_appending_while_reading_events_neither_blocks_nor_breaks(self, ledger: Ledger) -> None:
        """A reader in the middle of the ledger holds nobody up."""
        ledger.append("a", [Draft("t")] * 3, actor="x")
        reader = ledger.events()
        assert next(reader).seq == 1
        ledger.append("a", [Draft("t")], actor="x")
        assert [event.seq for event in reader][:2] == [2, 3]

    def test_a_lease_has_one_holder(self, ledger: Ledger, open_again: Callable[[], Ledger]) -> None:
        """The second comer is told who holds it."""
        lease = ledger.acquire("shop/prod", "ana", HOUR)
        assert ledger.holder("shop/prod") == open_again().holder("shop/prod") == lease
        with pytest.raises(LeaseHeld, match="ana"):
            open_again().acquire("shop/prod", "bob", HOUR)
        assert ledger.acquire("shop/stage", "bob", HOUR).holder == "bob"

    def test_fences_grow_with_every_grant(self, ledger: Ledger) -> None:
        """After release, expiry and take-over alike; each scope counts for itself."""
        first = ledger.acquire("s", "ana", HOUR)
        ledger.release(first)
        second = ledger.acquire("s", "bob", BLINK)
        time.sleep(3 * BLINK.total_seconds())
        third = ledger.acquire("s", "cyd", HOUR)
        fourth = ledger.acquire("s", "dan", HOUR, take_over=True)
        fifth = ledger.acquire("s", "dan", HOUR)
        assert first.fence < second.fence < third.fence < fourth.fence < fifth.fence
        assert ledger.acquire("other", "ana", HOUR).fence == first.fence

    def test_a_lease_runs_out_by_the_ledgers_clock(self, ledger: Ledger) -> None:
        """Nobody holds it then."""
        lease = ledger.acquire("s", "ana", BLINK)
        assert lease.until > ledger.now() - HOUR
        time.sleep(3 * BLINK.total_seconds())
        assert ledger.holder("s") is None

    def test_renewing_extends_and_keeps_the_fence(self, ledger: Ledger) -> None:
        """Even a lease that ran out, while nobody else took it."""
        lease = ledger.acquire("s", "ana", BLINK)
        time.sleep(3 * BLINK.total_seconds())
        renewed = ledger.renew(lease, HOUR)
        assert (renewed.holder, renewed.fence) == (lease.holder, lease.fence)
        assert renewed.until > lease.until
        assert ledger.holder("s") == renewed

    def test_a_lost_lease_is_neither_renewed_nor_released(self, ledger: Ledger) -> None:
        """The one who took over keeps it, even under the same name."""
        old = ledger.acquire("s", "ana", HOUR)
        new = ledger.acquire("s", "ana", HOUR, take_over=True)
        with pytest.raises(LeaseHeld):
            ledger.renew(old, HOUR)
        ledger.release(old)
        assert ledger.holder("s") == new

    def test_a_released_lease_can_not_be_renewed(self, ledger: Ledger) -> None:
        """It has to be acquired anew, with a new fence."""
        lease = ledger.acquire("s", "ana", HOUR)
        ledger.release(lease)
        ledger.release(lease)
        assert ledger.holder("s") is None
        with pytest.raises(LeaseHeld):
            ledger.renew(lease, HOUR)
