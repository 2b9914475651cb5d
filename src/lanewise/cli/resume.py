"""``lane resume``."""

from __future__ import annotations

from typing import Annotated

import typer

from lanewise.cli.output import Format, FormatOption, print_json
from lanewise.cli.project import workshop
from lanewise.service.hold import resume

app = typer.Typer(rich_markup_mode=None)


@app.command()
def go_on(
    environment: Annotated[str, typer.Argument(help="The environment.")],
    build: Annotated[str | None, typer.Option("--build", help="Lift this build's quarantine too.")] = None,
    reason: Annotated[str, typer.Option("--reason", help="Why, for the history.")] = "",
    format_: FormatOption = Format.TEXT,
) -> None:
    """Let promotions into a paused environment again; with --build, lift that build's quarantine."""
    lane = resume(workshop(), environment, build=build, reason=reason)
    if format_ is Format.JSON:
        print_json(lane)
    else:
        typer.echo(f"{environment} is open" if lane.paused is None else f"{environment} stays paused: {lane.paused}")
