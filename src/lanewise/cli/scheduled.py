"""``lane scheduled``: what an orchestrator's glue asks for around a run that its own clock has started."""

from __future__ import annotations

from typing import Annotated

import typer

from lanewise.cli.output import Format, FormatOption, print_json
from lanewise.cli.patience import Patience, outlast
from lanewise.cli.project import workshop
from lanewise.domain.canonical import short
from lanewise.service import scheduled

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="Begin, publish or abandon a scheduled run.")

Environment = Annotated[str, typer.Argument(metavar="ENV", help="The environment.")]
Run = Annotated[str, typer.Option("--id", metavar="RUN", help="The run's name, `live-…`; the same in every call.")]


@app.command()
def begin(
    environment: Environment,
    run: Run,
    build: Annotated[str, typer.Option("--build", metavar="DIGEST", help="The build that is about to run.")],
    partition: Annotated[list[str] | None, typer.Option("--partition", "-p", metavar="P", help="Repeatable.")] = None,
    patience: Patience = 600,
    format_: FormatOption = Format.TEXT,
) -> None:
    """Open a room for a run of the live build, and say where its tasks write."""
    ctx = workshop()
    chosen = partition or ()
    found = outlast(patience, lambda _: scheduled.begin(ctx, environment, run, ctx.builds.resolve(build), chosen))
    if format_ is Format.JSON:
        print_json({"run": found.run, "build": found.build, "compiled": str(found.compiled),
                    "partitions": found.partitions, "outputs": found.outputs})  # fmt: skip
        return
    typer.echo(f"{found.run} may write: LANEWISE_COMPILED={found.compiled}")


@app.command()
def publish(environment: Environment, run: Run, patience: Patience = 600, format_: FormatOption = Format.TEXT) -> None:
    """Audit what the run's tasks wrote, and publish it."""
    ctx = workshop()
    done = outlast(patience, lambda _: scheduled.publish(ctx, environment, run))
    request = done.run.request
    data = {
        "run": request.id, "environment": environment, "build": request.build, "map": done.map,
        "partitions": request.partitions, "rows": done.run.rows, "checks": done.checks,
    }  # fmt: skip
    if format_ is Format.JSON:
        print_json(data)
        return
    typer.echo(f"published as map {done.map}: {environment}  build {short(request.build)}  {request.id}")


@app.command()
def abandon(
    environment: Environment,
    run: Run,
    reason: Annotated[str, typer.Option("--reason", help="Why, for the history.")] = "",
    patience: Patience = 600,
    format_: FormatOption = Format.TEXT,
) -> None:
    """Throw away what the run wrote: one of its tasks failed."""
    ctx = workshop()
    gone = outlast(patience, lambda _: scheduled.abandon(ctx, environment, run, reason))
    if format_ is Format.JSON:
        print_json({"run": run, "environment": environment, "abandoned": gone})
        return
    typer.echo(f"{run} is given up" if gone else f"{run} was not under way")
