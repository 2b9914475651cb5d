"""``lane provision``: show, then write, who may do what in an environment."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lanewise.bootstrap import find_provisioner, policies
from lanewise.cli.completion import environments
from lanewise.cli.output import Format, FormatOption, counted, note, paint, print_json
from lanewise.cli.project import workshop
from lanewise.domain.canonical import plain
from lanewise.domain.provision import Change, Kind
from lanewise.service.provision import Provisioning, Tools, provision, write_files

app = typer.Typer(rich_markup_mode=None)

_COLOURS = {Kind.CREATE: "green", Kind.GRANT: "green", Kind.ALTER: "yellow", Kind.REVOKE: "red"}


@app.command()
def show(
    environment: Annotated[str, typer.Argument(metavar="ENV", help="The environment.", autocompletion=environments)],
    apply: Annotated[bool, typer.Option("--apply", help="Make the changes, in one transaction.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Exit 1 where anything differs; changes nothing.")] = False,
    script: Annotated[bool, typer.Option("--sql", help="Print a psql script for a database administrator.")] = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Write the policies of buckets, queues and secrets there."),
    ] = None,
    format_: FormatOption = Format.TEXT,
) -> None:
    """Show who may do what in ENV against what config declares; with --apply, make it so.

    Logs in as the connection's `admin`. Exits 1 when something stands in the way, or is left to an administrator.
    """
    if apply and (check or script):
        raise typer.BadParameter("--apply makes the changes; --check and --sql only look")
    found = provision(workshop(), environment, Tools(find_provisioner, policies()), apply=apply)
    written = write_files(found.files, out) if out is not None else ()
    if format_ is Format.JSON:
        print_json({**plain(found), "settled": found.settled, "left": found.left})
    elif script:
        typer.echo(found.script, nl=False)
        _cautions(found)
    else:
        _print(found, written)
    if found.problems or (check and not found.settled) or (apply and found.left):
        raise typer.Exit(1)


def _print(found: Provisioning, written: tuple[Path, ...]) -> None:
    name = found.environment
    typer.echo(f"{name}: {found.place or 'its warehouse has no logins to give rights to'}")
    for change in found.changes:
        _print_change(change)
    _print_files(found, written)
    _cautions(found)
    typer.echo(_summary(found))
    if found.changes and not found.applied and not found.problems:
        note(f"nothing was touched: `lane provision {name} --apply` makes them, `--sql` prints a script")


def _print_change(change: Change) -> None:
    mark = paint(f"{change.kind:<7}", fg=_COLOURS[change.kind])
    said = ("drift: " if change.drift else "") + change.why
    tail = " (left to a database administrator)" if change.administrator else ""
    typer.echo(f"{mark} {change.statement}\n        {paint(said + tail, dim=True)}")


def _print_files(found: Provisioning, written: tuple[Path, ...]) -> None:
    for number, file in enumerate(found.files):
        typer.echo(f"{'file':<7} {written[number] if written else file.name}\n        {paint(file.about, dim=True)}")
    if found.files and not written:
        note("`--out DIR` writes the files")


def _cautions(found: Provisioning) -> None:
    for problem in found.problems:
        note(f"{paint('problem', fg='red', bold=True)} {problem}")
    for warning in found.warnings:
        note(f"{paint('warning', fg='yellow')} {warning}")


def _summary(found: Provisioning) -> str:
    if not found.changes:
        return "nothing to do"
    drift = sum(change.drift for change in found.changes)
    tail = f", {drift} of drift" if drift else ""
    if not found.applied:
        return f"{counted(len(found.changes), 'change')} to make{tail}"
    done = f"{counted(len(found.changes) - len(found.left), 'change')} made{tail}"
    return f"{done}, {len(found.left)} left to a database administrator" if found.left else done
