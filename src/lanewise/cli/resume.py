"""``lane resume``."""

from __future__ import annotations

from typing import Annotated

import typer

from lanewise.cli.completion import builds, environments
from lanewise.cli.output import Format, FormatOption, print_json
from lanewise.cli.project import workshop
from lanewise.domain.canonical import short
from lanewise.service.hold import Lane, resume

app = typer.Typer(rich_markup_mode=None)

_BUILD = "Lift this build's quarantine too."


@app.command()
def go_on(
    environment: Annotated[str, typer.Argument(help="The environment.", autocompletion=environments)],
    build: Annotated[str | None, typer.Option("--build", help=_BUILD, autocompletion=builds)] = None,
    reason: Annotated[str, typer.Option("--reason", help="Why, for the history.")] = "",
    format_: FormatOption = Format.TEXT,
) -> None:
    """Let promotions into a paused environment again; with --build, lift that build's quarantine."""
    lane = resume(workshop(), environment, build=build, reason=reason)
    if format_ is Format.JSON:
        print_json(lane)
    else:
        _tell(lane)


def _tell(lane: Lane) -> None:
    typer.echo(f"promotions may enter {lane.environment} again")
    for build in lane.quarantined:
        name = short(build)
        typer.echo(f"build {name} stays in quarantine; to lift it: lane resume {lane.environment} --build {name}")
