from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lanewise.adapters.ledgers.sql import SqlLedger, open_ledger
from lanewise.domain.environment import Config, Environment
from lanewise.domain.event import Draft
from lanewise.service.context import Actor
from lanewise.testing.fake_warehouse import FakeWarehouse


@dataclass
class Room:
    """As much of a Context as the ledger's stories ask for, on a real file."""

    root: Path
    ledger: SqlLedger
    config: Config = field(default_factory=lambda: Config(environments={}, document={}))
    actor: Actor = field(default_factory=lambda: Actor("ana", "os-user"))
    project: Any = field(default_factory=lambda: SimpleNamespace(name="shop"))

    @property
    def home(self) -> Path:
        return self.root / ".lanewise"

    @property
    def folder(self) -> Path:
        return self.root / self.config.checkpoints

    def warehouse(self, environment: Environment) -> FakeWarehouse:
        return FakeWarehouse()  # nothing is live in it

    def write(self, count: int, stream: str = "promotion/shop/prod/1") -> None:
        for number in range(count):
            self.ledger.append(stream, [Draft("step.done", {"n": number})], actor="ana")

    def edit(self, *statements: str) -> None:
        """What somebody with the file and the sqlite3 command can do."""
        with sqlite3.connect(self.home / "ledger.db") as connection:
            for (trigger,) in connection.execute("select name from sqlite_master where type = 'trigger'").fetchall():
                connection.execute(f"drop trigger {trigger}")
            for statement in statements:
                connection.execute(statement)
        connection.close()


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path, open_ledger("sqlite:///.lanewise/ledger.db", base=tmp_path))
