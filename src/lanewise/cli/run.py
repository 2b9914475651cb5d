"""``lane run``: the live build over some partitions, written, audited and published."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

import typer

from lanewise.adapters.telemetry.logs import configure_logs
from lanewise.bootstrap import Workshop
from lanewise.cli.output import Format, FormatOption, print_json
from lanewise.cli.project import workshop
from lanewise.domain.canonical import short
from lanewise.domain.partition import partition_range
from lanewise.errors import WrongInput
from lanewise.service.live import Published, Wanted, carry_through, grain_of, want

app = typer.Typer(rich_markup_mode=None)

_SHOWN = 4  # partitions named in full; of more, the first and the last

Command = Annotated[
    list[str] | None, typer.Argument(metavar="[-- COMMAND ...]", help="Run this in place of the build's own command.")
]
Wait = Annotated[
    int, typer.Option("--wait", metavar="SECONDS", help="Wait so long for a run that works on the same partitions.")
]


@app.command()
def run(
    environment: Annotated[str, typer.Argument(metavar="ENV", help="The environment whose live build is run.")],
    command: Command = None,
    partition: Annotated[list[str] | None, typer.Option("--partition", "-p", metavar="P", help="Repeatable.")] = None,
    first: Annotated[str, typer.Option("--from", metavar="P", help="The first partition of a range.")] = "",
    last: Annotated[str, typer.Option("--to", metavar="P", help="The last one, included.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would run, and stop.")] = False,
    wait: Wait = 600,
    format_: FormatOption = Format.TEXT,
) -> None:
    """Run the live build over partitions: write, audit, publish.

    Readers see the new rows when every check has passed, and not before. Any command gets the same treatment:
    `lane run prod --partition 2013-01-05 -- ./load.sh` leaves TABLE.parquet or TABLE.csv in $LANEWISE_OUTPUTS.
    """
    ctx = workshop()
    labels = {"environment": environment, "project": ctx.project.name}
    configure_logs(ctx.config.log_format, labels, redact=ctx.secrets.redact)
    partitions = (*(partition or ()), *_range(ctx, first, last))
    wanted = want(ctx, environment, partitions, command or ())
    labels |= {"build": short(wanted.build.digest), "purpose": wanted.purpose.value}
    configure_logs(ctx.config.log_format, labels, redact=ctx.secrets.redact)
    if dry_run:
        _show_wanted(wanted, format_)
        return
    _show_published(carry_through(ctx, wanted, timedelta(seconds=wait)), format_)


def _range(ctx: Workshop, first: str, last: str) -> tuple[str, ...]:
    if not (first or last):
        return ()
    if not (first and last):
        raise WrongInput("--from and --to go together", hint="name a single partition with --partition")
    return partition_range(first, last, grain_of(ctx.project))


def _show_wanted(wanted: Wanted, format_: Format) -> None:
    data: dict[str, Any] = {
        "environment": wanted.lane.name,
        "build": wanted.build.digest,
        "purpose": wanted.purpose,
        "partitions": wanted.partitions,
        "command": wanted.command or wanted.build.project.run,
        "tables": list(wanted.build.project.tables),
    }
    if format_ is Format.JSON:
        print_json(data)
        return
    command = " ".join(wanted.command) or wanted.build.project.run
    typer.echo(f"would run build {short(wanted.build.digest)} in {wanted.lane.name} ({wanted.purpose.value})")
    typer.echo(f"  command     {command}")
    typer.echo(f"  partitions  {_named(wanted.partitions)}")
    typer.echo(f"  tables      {', '.join(wanted.build.project.tables)}")


def _show_published(done: Published, format_: Format) -> None:
    request = done.run.request
    data: dict[str, Any] = {
        "run": request.id,
        "environment": request.environment,
        "build": request.build,
        "purpose": request.purpose,
        "partitions": request.partitions,
        "map": done.map,
        "rows": done.run.rows,
        "seconds": round(done.run.seconds, 3),
        "late": done.run.late,
        "checks": done.checks,
        "log": done.run.log,
    }
    if format_ is Format.JSON:
        print_json(data)
        return
    where = f"{request.environment}  build {short(request.build)}  {request.purpose.value}"
    typer.echo(f"published as map {done.map}: {where}  {_named(request.partitions)}  {done.run.seconds:.1f} s")
    for table, rows in done.run.rows.items():
        passed = sum(1 for check in done.checks if check.table == table)
        typer.echo(f"  {table}  {rows:,} rows  {passed} checks passed")


def _named(partitions: tuple[str, ...]) -> str:
    if len(partitions) <= _SHOWN:
        return ", ".join(partitions)
    return f"{partitions[0]} … {partitions[-1]} ({len(partitions)} partitions)"
