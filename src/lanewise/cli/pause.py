"""``lane pause``."""

from __future__ import annotations

from typing import Annotated

import typer

from lanewise.cli.completion import environments
from lanewise.cli.output import Format, FormatOption, print_json
from lanewise.cli.project import workshop
from lanewise.service.hold import pause

app = typer.Typer(rich_markup_mode=None)


@app.command()
def stop(
    environment: Annotated[str, typer.Argument(help="The environment.", autocompletion=environments)],
    reason: Annotated[str, typer.Option("--reason", help="Why, for whoever finds the lane closed.")],
    format_: FormatOption = Format.TEXT,
) -> None:
    """Let no promotion into an environment until `lane resume`. Scheduled runs go on; so may a rollback."""
    lane = pause(workshop(), environment, reason)
    if format_ is Format.JSON:
        print_json(lane)
    else:
        typer.echo(f"{environment} is paused: {reason}")
        typer.echo(f"scheduled runs and rollbacks go on; to let promotions in again: lane resume {environment}")
