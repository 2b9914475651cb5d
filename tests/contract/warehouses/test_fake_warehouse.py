from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from lanewise.domain.ports import Warehouse
from lanewise.domain.project import Table
from lanewise.domain.publication import Slice
from lanewise.domain.run import Space
from lanewise.testing.fake_warehouse import FakeWarehouse, Row
from lanewise.testing.warehouse import Harness, PublicationContract


class FakeHarness:
    def __init__(self) -> None:
        self.lanes: dict[str, FakeWarehouse] = {}

    def open(self, environment: str = "prod") -> Warehouse:
        return self.lanes.setdefault(environment, FakeWarehouse())

    def write(self, space: Space, table: Table, rows: Sequence[Row]) -> None:
        self.lanes["prod"].write(space.run, table.name, rows)

    def lose(self, one: Slice) -> None:
        for fake in self.lanes.values():
            fake.slices = [s for s in fake.slices if s.location != one.location]

    def read(self, table: str, environment: str = "prod") -> list[tuple[Any, ...]]:
        fake = self.lanes[environment]
        held = fake.live().tables[table]
        return sorted(tuple(row.values()) for part in held.slices.values() for s in part for row in fake.rows(s))


class TestFakeWarehouse(PublicationContract):
    @pytest.fixture
    def harness(self) -> Harness:
        return FakeHarness()
