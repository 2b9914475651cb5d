"""``lane reject``: a person's no."""

from __future__ import annotations

from typing import Annotated

import typer

from lanewise.cli.completion import promotions
from lanewise.cli.output import Format, FormatOption, print_json
from lanewise.cli.project import workshop
from lanewise.service.approve import reject

app = typer.Typer(rich_markup_mode=None)


@app.command()
def refuse(
    promotion: Annotated[
        str, typer.Argument(help="The promotion, e.g. prod-12.", metavar="ID", autocompletion=promotions)
    ],
    reason: Annotated[str, typer.Option("--reason", help="Why, for the history.")],
    format_: FormatOption = Format.TEXT,
) -> None:
    """Refuse a promotion that has not begun."""
    after = reject(workshop(), promotion, reason)
    if format_ is Format.JSON:
        print_json(after)
    else:
        typer.echo(f"{after.id} is rejected; nothing was changed in {after.environment}")
