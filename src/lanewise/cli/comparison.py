"""The canary's comparison as a table."""

from __future__ import annotations

from lanewise.cli.output import console
from lanewise.domain.promotion import Promotion
from lanewise.promotion.canary.report import canary_table


def draw_comparison(promotion: Promotion) -> None:
    """Print old against new as the judge last saw it, where there was a canary."""
    verdict = next((v for v in promotion.verdicts if v.gate == "canary"), None)
    if verdict is None or not verdict.details:
        return
    from rich.markup import escape  # noqa: PLC0415 - drawn for people only
    from rich.table import Table  # noqa: PLC0415

    found = canary_table(verdict.details)
    grid = Table(box=None, pad_edge=False, header_style="dim")
    for key, title in found.titles.items():
        grid.add_column(title, justify="right" if key in {"partitions", "identical", "rows", "keys"} else "left")
    for row in found.cells():
        grid.add_row(*map(escape, row))
    colour = {"pass": "green", "fail": "red"}.get(verdict.result.value, "yellow")
    out = console()
    out.print()
    out.print(grid)
    out.print(f"canary [{colour}]{verdict.result.value}[/]: {escape(verdict.reason)}")
    out.print()
