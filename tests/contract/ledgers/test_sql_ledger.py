from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lanewise.adapters.ledgers.sql import open_ledger
from lanewise.domain.ports import Ledger
from lanewise.testing.ledger import LedgerContract


class TestSqliteLedger(LedgerContract):
    @pytest.fixture
    def open_again(self, tmp_path: Path) -> Callable[[], Ledger]:
        return lambda: open_ledger("sqlite:///.lanewise/ledger.db", base=tmp_path)
