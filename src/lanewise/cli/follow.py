"""``lane follow``: keep this machine's road sign up to date, for an orchestrator that runs here."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from lanewise.cli.completion import environments
from lanewise.cli.output import Format, FormatOption, note, print_json
from lanewise.cli.project import workshop
from lanewise.domain.canonical import short
from lanewise.errors import LaneError
from lanewise.service.serving import Followed, follow

app = typer.Typer(rich_markup_mode=None)


@app.command(name="follow")
def keep(
    environment: Annotated[str, typer.Argument(metavar="ENV", help="The environment.", autocompletion=environments)],
    once: Annotated[bool, typer.Option("--once", help="Look once, and end.")] = False,
    every: Annotated[float, typer.Option("--every", metavar="SECONDS", min=0.1, help="Look so often.")] = 5.0,
    format_: FormatOption = Format.TEXT,
) -> None:
    """Unpack what is live in an environment on this machine, verified, and point its orchestrator to it.

    Promotions and rollbacks do so on the machine they are started on. Where the orchestrator runs on another one, this
    runs beside it. While the ledger or the store is away, what stands on the sign stands.
    """
    ctx = workshop(steady=True)
    told = ""
    while True:
        try:
            done = follow(ctx, environment)
        except LaneError as error:
            if once:
                raise
            if error.message != told:
                note(f"{error.message}; the sign stays as it is")
            told = error.message
        else:
            told = ""
            if done.changed or once:
                _tell(done, environment, format_)
        if once:
            return
        time.sleep(every)


def _tell(done: Followed, environment: str, format_: Format) -> None:
    if format_ is Format.JSON:
        print_json(done)
        return
    shown = f"build {short(done.live)}" if done.live else "nothing"
    beside = f", beside it {', '.join(short(one) for one in done.candidates)}" if done.candidates else ""
    typer.echo(f"{environment} runs {shown}{beside}")
    if done.unsettled:
        typer.echo(f"  its orchestrator does not yet: {done.unsettled}")
