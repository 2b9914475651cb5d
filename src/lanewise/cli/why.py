"""``lane why``: what a promotion waits for, and what to type next."""

from __future__ import annotations

from typing import Annotated

import typer

from lanewise.cli.output import Format, FormatOption, print_json
from lanewise.cli.project import workshop
from lanewise.service.why import why

app = typer.Typer(rich_markup_mode=None)


@app.command()
def ask(
    promotion: Annotated[str, typer.Argument(help="The promotion, e.g. prod-12.", metavar="ID")],
    format_: FormatOption = Format.TEXT,
) -> None:
    """Say what a promotion waits for, who can do something about it, and the command to type."""
    told = why(workshop(), promotion)
    if format_ is Format.JSON:
        print_json(told)
        return
    typer.echo(told.sentence)
    for line in told.details:
        typer.echo(f"  {line}")
    typer.echo(f"next: {told.command}" if told.command else "nothing to do")
