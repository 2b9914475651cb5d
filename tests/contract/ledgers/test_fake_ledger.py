from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from lanewise.domain.event import Draft
from lanewise.domain.ports import Ledger
from lanewise.testing.fake_ledger import FakeLedger
from lanewise.testing.ledger import LedgerContract


class TestFakeLedger(LedgerContract):
    @pytest.fixture
    def open_again(self) -> Callable[[], Ledger]:
        ledger = FakeLedger()
        return lambda: ledger


def test_the_fakes_clock_stands_still_until_it_is_moved():
    noon = datetime(2026, 5, 1, 12, tzinfo=UTC)
    ledger = FakeLedger(noon)
    lease = ledger.acquire("s", "ana", timedelta(minutes=5))
    assert ledger.append("a", [Draft("t")], actor="x")[0].at == "2026-05-01T12:00:00.000000+00:00"
    ledger.advance(timedelta(minutes=4))
    assert ledger.holder("s") == lease
    ledger.advance(timedelta(minutes=1))
    assert ledger.holder("s") is None
