"""The canary's comparison as a table."""

from __future__ import annotations

from lanewise.cli.narration import COLOURS, MARKS
from lanewise.cli.output import console
from lanewise.domain.evidence import Result
from lanewise.domain.promotion import Promotion
from lanewise.promotion.canary.report import canary_table

_COLUMNS = (
    ("table", "left"), ("identical", "right"), ("rows", "right"), ("keys + − ~", "right"), ("worst column", "left"),
    ("declared", "left"), ("verdict", "left"),
)  # fmt: skip
"""Narrow enough for 80 columns."""


def draw_comparison(promotion: Promotion) -> None:
    """Print old against new as the judge last saw it, where there was a canary."""
    verdict = next((v for v in promotion.verdicts if v.gate == "canary"), None)
    if verdict is None or not verdict.details:
        return
    from rich.markup import escape  # noqa: PLC0415 - drawn for people only
    from rich.table import Table  # noqa: PLC0415

    title = f"old → new, as judged in step {promotion.step + 1}"
    grid = Table(
        box=None, pad_edge=False, header_style="dim", title=title, title_justify="left", title_style="bold"
    )  # fmt: skip
    for heading, side in _COLUMNS:
        grid.add_column(heading, justify="right" if side == "right" else "left")
    for row in canary_table(verdict.details).rows:
        identical = f"{row['identical']:,} of {row['partitions']:,}"
        cells = (row["table"], identical, row["rows"], row["keys"], row["worst"], row["declared"])
        grid.add_row(*(escape(str(cell)) for cell in cells), _painted(str(row["verdict"])))
    console().print()
    console().print(grid)
    console().print()


def _painted(word: str) -> str:
    if word not in set(Result):
        return word
    result = Result(word)
    colour = COLOURS.get(result, "yellow")
    return f"[{colour}]{MARKS[result]} {word}[/]"
