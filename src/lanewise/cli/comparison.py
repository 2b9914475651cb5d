"""The canary's comparison as a table."""

from __future__ import annotations

from lanewise.cli.output import console
from lanewise.domain.promotion import Promotion


def draw_comparison(promotion: Promotion) -> None:
    """Print old against new as the judge saw it, where there was a canary."""
    verdict = next((v for v in promotion.verdicts if v.gate == "canary"), None)
    if verdict is None or not verdict.details:
        return
    from rich.markup import escape  # noqa: PLC0415 - drawn for people only
    from rich.table import Table  # noqa: PLC0415

    colour = {"pass": "green", "fail": "red"}.get(verdict.result.value, "yellow")
    grid = Table(box=None, pad_edge=False, header_style="dim", title=None)
    titles = list(verdict.details[0])
    for title in titles:
        grid.add_column(title.replace("_", " "))
    for row in verdict.details:
        grid.add_row(*(escape(str(row.get(title, ""))) for title in titles))
    out = console()
    out.print(grid)
    out.print(f"canary: [{colour}]{verdict.result.value}[/]  {escape(verdict.reason)}")
