"""The seam between the ledger and a database: reading rows, and one kind of write. The rest is the same SQL."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol, TypeVar

Row = Sequence[Any]
Result = TypeVar("Result")


class Writing(Protocol):
    """An open transaction that has the ledger to itself: no other writer is between its looks and its words."""

    def ask(self, statement: str, parameters: Mapping[str, Any]) -> Row | None:
        """The statement's one row, or None."""

    def tell(self, statement: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run a statement that gives no rows, once for each of ``rows``."""


class Database(Protocol):
    """Where a ledger's tables are. Every method raises ``LedgerUnavailable`` for what the database can't do."""

    clock: str
    """The database's expression for the time now: ISO 8601 UTC with microseconds, as text."""

    def rows(self, statement: str, parameters: Mapping[str, Any] | None = None) -> list[Any]:
        """Read. Nothing while there is no ledger yet, and for what no event can hold (text that isn't Unicode)."""

    def write(self, work: Callable[[Writing], Result]) -> Result:
        """Do ``work`` in one durable transaction that begins by taking the write lock; what ``work`` returns.

        Where the connection is lost, it is done again on a new one: ``work`` has to see by itself whether its first
        try was written after all. When ``work`` raises, nothing is written."""

    def now(self) -> datetime:
        """The database's clock, UTC; also where there is no ledger yet."""

    def schema(self) -> str | None:
        """The migration that the ledger was brought to; None before the first. ``LedgerUnavailable`` for one that a
        newer Lanewise made."""

    def migrate(self) -> None:
        """Bring the schema up to date, all or nothing; many may try at once."""
