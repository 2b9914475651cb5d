from __future__ import annotations

from pathlib import Path

import pytest
from tests.contract.warehouses.postgres_harness import PostgresHarness

from lanewise.testing.postgres import Server
from lanewise.testing.warehouse import Harness, PublicationContract
from lanewise.testing.warehouse_engine import ComputationContract


class TestPostgresWarehouse(PublicationContract, ComputationContract):
    @pytest.fixture
    def harness(self, tmp_path: Path, server: Server) -> Harness:
        return PostgresHarness(tmp_path, server)
