"""``lane rollback``: flip an environment back."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Annotated

import typer

from lanewise.cli.completion import builds, environments
from lanewise.cli.output import Format, FormatOption, counted, few, hanging, note, paint, print_json
from lanewise.cli.project import workshop
from lanewise.domain.canonical import short
from lanewise.domain.partition import partition_range
from lanewise.domain.project import Grain
from lanewise.errors import OutsideBroke, WrongInput
from lanewise.service.rollback import RolledBack, rerun_missing, roll_back

app = typer.Typer(rich_markup_mode=None)

_BUILD = "Go back to this build; else to the one before."
_RERUN = "Then let the old build compute what only the new one had, or had newer."


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
    ctx = workshop(steady=True)
    done = roll_back(ctx, environment, build=build, reason=reason, dry_run=dry_run)
    if format_ is Format.JSON:
        print_json(done)
    else:
        _tell(done, dry_run=dry_run)
    if done.unsettled:
        hint = f"readers are back already; `lane follow {environment} --once` asks the orchestrator again"
        raise OutsideBroke(f"the orchestrator of {environment} does not run it yet: {done.unsettled}", hint=hint)
    missing = _missing(done)
    if not missing or dry_run:
        return
    if rerun:
        rerun_missing(ctx, environment, done.missing, done.stale)
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
    for line in _consequences(done, dry_run=dry_run):
        typer.echo("  " + hanging(line, 2, terminal=sys.stdout.isatty()))


def _consequences(done: RolledBack, *, dry_run: bool) -> list[str]:
    left, goal, lane = short(done.left), short(done.back), done.environment
    lines = [
        f"{table}: {goal} has not computed {counted(len(names), 'partition')}, which {left} had: {few(names)}"
        for table, names in done.missing.items()
    ]
    lines += [
        f"{table}: {left} had brought {counted(len(names), 'partition')} up to date, older again: {few(names)}"
        for table, names in done.stale.items()
    ]
    if done.taken_over:
        lines.insert(0, f"{done.taken_over} was under way and {'would be' if dry_run else 'has been'} ended")
    elif not dry_run:
        if done.left != done.back:
            lines.append(f"build {left} is in quarantine: lane resume {lane} --build {left} lifts it")
        lines.append(f"promotions into {lane} are paused: lane resume {lane} lets them in again")
    return lines


def _missing(done: RolledBack) -> tuple[str, ...]:
    """What to compute again: all that is missing or stale."""
    found = (*done.missing.values(), *done.stale.values())
    return tuple(sorted({name for names in found for name in names}))


def _run(environment: str, partitions: tuple[str, ...]) -> str:
    """The command that computes them: a range where they are one."""
    for grain in (Grain.HOUR, Grain.DAY, Grain.MONTH, Grain.YEAR):
        with suppress(WrongInput):
            if len(partitions) > 2 and partition_range(partitions[0], partitions[-1], grain) == partitions:
                return f"lane run {environment} --from {partitions[0]} --to {partitions[-1]}"
    return " ".join([f"lane run {environment}", *(f"--partition {name}" for name in partitions)])
