from __future__ import annotations

from pathlib import Path

import pytest
from tests.contract.warehouses.embedded_harness import EmbeddedHarness

from lanewise.testing.warehouse import Harness, PublicationContract
from lanewise.testing.warehouse_engine import ComputationContract


class TestEmbeddedWarehouse(PublicationContract, ComputationContract):
    @pytest.fixture
    def harness(self, tmp_path: Path) -> Harness:
        return EmbeddedHarness(tmp_path)
