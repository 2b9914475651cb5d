"""``lane rollback``: flip an environment back."""

from __future__ import annotations

from typing import Annotated

import typer

from lanewise.cli.output import Format, FormatOption, note, print_json
from lanewise.cli.project import workshop
from lanewise.domain.canonical import short
from lanewise.service.rollback import RolledBack, rerun_missing, roll_back

app = typer.Typer(rich_markup_mode=None)


@app.command()
def back(
    environment: Annotated[str, typer.Argument(help="The environment.")],
    build: Annotated[str | None, typer.Option("--build", help="Go back to this build; else to the one before.")] = None,
    reason: Annotated[str, typer.Option("--reason", help="Why, for the history and the quarantine.")] = "",
    rerun: Annotated[
        bool, typer.Option("--rerun", help="Then let the old build compute what only the new one had.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would go back to; do nothing.")] = False,
    format_: FormatOption = Format.TEXT,
) -> None:
    """Flip an environment back: code, config and data together. Recomputes nothing and waits for no freeze."""
    ctx = workshop()
    done = roll_back(ctx, environment, build=build, reason=reason, dry_run=dry_run)
    if rerun and not dry_run and any(done.missing.values()):
        rerun_missing(ctx, environment, done.missing)
    if format_ is Format.JSON:
        print_json(done)
    else:
        _tell(done, rerun=rerun, dry_run=dry_run)


def _tell(done: RolledBack, *, rerun: bool, dry_run: bool) -> None:
    verb = "would go back" if dry_run else "is back"
    typer.echo(f"{done.environment} {verb} from {short(done.left)} to {short(done.back)} (map {done.map})"
               + ("" if dry_run else f" in {done.seconds * 1000:.0f} ms"))  # fmt: skip
    if done.taken_over:
        note(f"  {done.taken_over} was under way and has been ended; run it again to go back further")
    for table, partitions in done.missing.items():
        if partitions:
            few = ", ".join(partitions[:5]) + (" …" if len(partitions) > 5 else "")
            note(f"  {table}: {len(partitions)} partitions only the other build had: {few}")
    if any(done.missing.values()) and not rerun:
        note(f"  compute them with the old build: lane run {done.environment} --partition …, or add --rerun")
    if not dry_run and done.left != done.back and not done.taken_over:
        note(
            f"  {short(done.left)} is in quarantine and {done.environment} is paused: `lane resume {done.environment}`"
        )
