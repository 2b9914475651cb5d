"""A judgement laid out as a table: the same rows for the terminal and for ``--format json``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_TITLES = {
    "table": "table",
    "partitions": "partitions",
    "identical": "identical",
    "rows": "rows old → new",
    "keys": "keys + / − / ~",
    "worst": "worst column",
    "declared": "declared?",
    "verdict": "verdict",
}


@dataclass(frozen=True)
class CanaryTable:
    """``titles``: key -> heading, in order. ``rows``: plain values under those keys."""

    titles: Mapping[str, str]
    rows: tuple[Mapping[str, str | int], ...]

    def cells(self) -> tuple[tuple[str, ...], ...]:
        """The rows as text in the titles' order, for a printed table."""
        return tuple(tuple(_text(row[key]) for key in self.titles) for row in self.rows)


def canary_table(findings: Sequence[Mapping[str, Any]]) -> CanaryTable:
    """Lay out ``Judgement.rows``, or the same rows as the ledger gives them back."""
    return CanaryTable(_TITLES, tuple(_row(found) for found in findings))


def _row(found: Mapping[str, Any]) -> Mapping[str, str | int]:
    return {
        "table": found["table"],
        "partitions": found["partitions"],
        "identical": found["identical"],
        "rows": f"{found['rows_old']:,} → {found['rows_new']:,}",
        "keys": f"{found['keys_added']:,} / {found['keys_removed']:,} / {found['keys_changed']:,}",
        "worst": found["worst"],
        "declared": found["declared"],
        "verdict": found["verdict"],
    }


def _text(value: str | int) -> str:
    return f"{value:,}" if isinstance(value, int) else value
