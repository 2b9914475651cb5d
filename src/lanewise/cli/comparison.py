"""The canary's comparison as a table."""

from __future__ import annotations

from lanewise.cli.narration import COLOURS, MARKS
from lanewise.cli.output import console
from lanewise.domain.evidence import Result
from lanewise.domain.promotion import Promotion
from lanewise.promotion.canary.report import canary_table

_NUMBERS = frozenset({"partitions", "identical", "rows", "keys"})


def draw_comparison(promotion: Promotion) -> None:
    """Print old against new as the judge last saw it, where there was a canary."""
    verdict = next((v for v in promotion.verdicts if v.gate == "canary"), None)
    if verdict is None or not verdict.details:
        return
    from rich.markup import escape  # noqa: PLC0415 - drawn for people only
    from rich.table import Table  # noqa: PLC0415

    found = canary_table(verdict.details)
    grid = Table(
        box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0), title_justify="left", title_style="bold",
        title=f"old → new, as judged in step {promotion.step + 1}",
    )  # fmt: skip
    for key, title in found.titles.items():
        grid.add_column(title, justify="right" if key in _NUMBERS else "left")
    for row in found.cells():
        *cells, result = row
        grid.add_row(*map(escape, cells), _painted(result))
    console().print()
    console().print(grid)
    console().print()


def _painted(word: str) -> str:
    if word not in set(Result):
        return word
    result = Result(word)
    colour = COLOURS.get(result, "yellow")
    return f"[{colour}]{MARKS[result]} {word}[/]"
