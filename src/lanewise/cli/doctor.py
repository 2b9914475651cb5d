"""``lane doctor``: does this environment have what it needs?"""

from __future__ import annotations

from typing import Annotated

import typer

from lanewise.bootstrap import find_login, open_context
from lanewise.cli.output import Format, FormatOption, print_json
from lanewise.service.doctor import Diagnosis, Finding, State, examine

app = typer.Typer()

_MARKS = {State.OK: ("ok", "green"), State.WARNING: ("warning", "yellow"), State.FAILED: ("failed", "red")}


@app.command()
def doctor(
    environment: Annotated[str, typer.Argument(metavar="ENV", help="The environment to examine.")],
    format: FormatOption = Format.TEXT,  # noqa: A002 - the option's name
) -> None:
    """Resolve every secret of ENV (values stay hidden), try its connections, the build store and the ledger.

    Exits 1 when something fails; warnings alone are no failure.
    """
    diagnosis = examine(open_context(), environment, find_login)
    if format is Format.JSON:
        print_json({"environment": environment, "well": diagnosis.well, "findings": diagnosis.findings})
    else:
        _print(diagnosis)
    if not diagnosis.well:
        raise typer.Exit(1)


def _print(diagnosis: Diagnosis) -> None:
    width = max((len(finding.subject) for finding in diagnosis.findings), default=0)
    for finding in diagnosis.findings:
        _print_finding(finding, width)
    counts = [sum(f.state is state for f in diagnosis.findings) for state in State]
    typer.echo(f"{diagnosis.environment}: {counts[0]} ok, {counts[1]} to watch, {counts[2]} failed")


def _print_finding(finding: Finding, width: int) -> None:
    word, colour = _MARKS[finding.state]
    mark = typer.style(f"{word:<7}", fg=colour, bold=finding.state is not State.OK)
    unsaid = finding.reference and finding.reference not in finding.said
    typer.echo(f"{mark}  {finding.subject:<{width}}  {finding.said}{f'  ({finding.reference})' if unsaid else ''}")
    if finding.hint:
        typer.echo(f"{'':<7}  {'':<{width}}  → {finding.hint}")
