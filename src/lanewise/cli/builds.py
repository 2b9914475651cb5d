"""``lane builds``: list the builds."""

from __future__ import annotations

import typer

from lanewise.bootstrap import open_context
from lanewise.cli.build import summary
from lanewise.cli.output import Format, FormatOption, print_json

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def builds(format: FormatOption = Format.TEXT) -> None:  # noqa: A002 - the option's name
    """List the builds, newest first."""
    found = open_context().builds.list()
    if format is Format.JSON:
        print_json([summary(build) for build in found])
        return
    if not found:
        typer.echo("no builds yet: `lane build` makes one")
    for build in found:
        origin = build.provenance
        commit = (origin.commit or "no commit")[:12] + ("*" if origin.dirty else "")
        typer.echo(
            f"{build.short}  {origin.built_at}  {commit:13}  {build.size:>14,} B  {' '.join(build.tags)}".rstrip()
        )
