"""``lane why``: what a promotion waits for, and what to type next."""

from __future__ import annotations

from typing import Annotated

import typer

from lanewise.cli.comparison import draw_comparison
from lanewise.cli.completion import promotions
from lanewise.cli.outcome import say_next
from lanewise.cli.output import Format, FormatOption, print_json
from lanewise.cli.project import workshop
from lanewise.domain.canonical import plain
from lanewise.service.promotions import load
from lanewise.service.why import why

app = typer.Typer(rich_markup_mode=None)


@app.command()
def ask(
    promotion: Annotated[
        str, typer.Argument(help="The promotion, e.g. prod-12.", metavar="ID", autocompletion=promotions)
    ],
    format_: FormatOption = Format.TEXT,
) -> None:
    """Say what a promotion waits for, who can do something about it, and the command to type."""
    ctx = workshop(steady=True)
    told, found = why(ctx, promotion), load(ctx, promotion)
    if format_ is Format.JSON:
        print_json({"id": found.id, "state": found.state, **plain(told)})
        return
    draw_comparison(found)
    say_next(told)
