"""What a benchmark says: one figure, what it is compared with, and the target it is held to."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Figure:
    """``value`` and ``limit`` are in ``unit``; ``ratio`` is the value over what ``against`` took in the same run.
    A figure without a limit is there to be looked at."""

    what: str
    value: float
    limit: float | None
    unit: str
    ratio: float
    against: str
    cpu: float | None = None  # seconds of processor time, where the value is seconds by the clock

    @property
    def met(self) -> bool:
        """Whether the target holds."""
        return self.limit is None or self.value <= self.limit

    def document(self) -> dict[str, Any]:
        """As JSON data."""
        return {**asdict(self), "met": self.met}


def table(figures: list[Figure]) -> str:
    """The figures as a Markdown table, which is readable as plain text too."""
    rows = [("what", "target", "figure", "processor", "ratio", "met")]
    for one in figures:
        limit, met = (
            ("", "") if one.limit is None else (f"≤ {_number(one.limit, one.unit)}", "yes" if one.met else "NO")
        )
        cpu = "" if one.cpu is None else f"{one.cpu:.2f} s"
        ratio = f"{one.ratio:.3g} × {one.against}"
        rows.append((one.what, limit, _number(one.value, one.unit), cpu, ratio, met))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    padded = [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in rows]
    lines = ["| " + " | ".join(row) + " |" for row in padded]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def _number(value: float, unit: str) -> str:
    return f"{value:.3g} {unit}"
