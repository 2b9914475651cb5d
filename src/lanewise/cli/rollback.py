"""``lane rollback``: flip an environment back."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated

import typer

from lanewise.cli.completion import builds, environments
from lanewise.cli.output import Format, FormatOption, counted, few, note, paint, print_json
from lanewise.cli.project import workshop
from lanewise.domain.canonical import short
from lanewise.domain.partition import partition_range
from lanewise.domain.project import Grain
from lanewise.errors import WrongInput
from lanewise.service.rollback import RolledBack, rerun_missing, roll_back

app = typer.Typer(rich_markup_mode=None)

_BUILD = "Go back to this build; else to the one before."
_RERUN = "Then let the old build compute what only the new one had."


@app.command()
def back(
    environment: Annotated[str, typer.Argument(help="The environment.", autocompletion=environments)],
    build: Annotated[str | None, typer.Option("--build", help=_BUILD, autocompletion=builds)] = None,
    reason: Annotated[str, typer.Option("--reason", help="Why, for the history and the quarantine.")] = "",
    rerun: Annotated[bool, typer.Option("--rerun", help=_RERUN)] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would go back to; do nothing.")] = False,
    format_: FormatOption = Format.TEXT,
) -> None:
    """Flip an environment back: code, config and data together. Recomputes nothing and waits for no freeze."""
    ctx = workshop()
    done = roll_back(ctx, environment, build=build, reason=reason, dry_run=dry_run)
    if format_ is Format.JSON:
        print_json(done)
    else:
        _tell(done, dry_run=dry_run)
    missing = _missing(done)
    if not missing or dry_run:
        return
    if rerun:
        rerun_missing(ctx, environment, done.missing)
        note(f"computed by {short(done.back)}: {counted(len(missing), 'partition')}, {few(missing)}")
    else:
        note(f"next, let {short(done.back)} compute them: {_run(environment, missing)}")


def _tell(done: RolledBack, *, dry_run: bool) -> None:
    left, goal = short(done.left), short(done.back)
    same = "with its earlier config" if done.left == done.back else f"from {left}"
    if dry_run:
        typer.echo(f"{done.environment} would go back to build {goal}, {same}, to what map {done.map} shows")
    else:
        words = f"{done.environment} is back on build {goal}, {same}: map {done.map}, in {done.seconds * 1000:.0f} ms"
        typer.echo(paint(words, fg="green"))
    if done.taken_over:
        typer.echo(f"  {done.taken_over} was under way and {'would be' if dry_run else 'has been'} ended")
    for table, partitions in done.missing.items():
        count = counted(len(partitions), "partition")
        typer.echo(f"  {table}: {goal} has not computed {count}, which {left} had: {few(partitions)}")
    if not dry_run and not done.taken_over:
        typer.echo("  " + _closed(done.environment, left if done.left != done.back else ""))


def _closed(environment: str, left: str) -> str:
    if not left:
        return f"promotions into {environment} are paused: lane resume {environment} lets them in again"
    return (f"{left} is in quarantine and promotions into {environment} are paused: lane resume {environment} "
            f"lets others in, with --build {left} it too")  # fmt: skip


def _missing(done: RolledBack) -> tuple[str, ...]:
    return tuple(sorted({name for names in done.missing.values() for name in names}))


def _run(environment: str, partitions: tuple[str, ...]) -> str:
    """The command that computes them: a range where they are one."""
    for grain in (Grain.HOUR, Grain.DAY, Grain.MONTH, Grain.YEAR):
        with suppress(WrongInput):
            if len(partitions) > 2 and partition_range(partitions[0], partitions[-1], grain) == partitions:
                return f"lane run {environment} --from {partitions[0]} --to {partitions[-1]}"
    return " ".join([f"lane run {environment}", *(f"--partition {name}" for name in partitions)])
