"""``lane decide``: what a person makes of a held promotion."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from lanewise.cli.output import Format, FormatOption, print_json
from lanewise.cli.project import workshop
from lanewise.domain.promotion import State
from lanewise.errors import GateRefused
from lanewise.service.approve import abort, accept, retry
from lanewise.service.promote import drive

app = typer.Typer(rich_markup_mode=None)


class Decision(StrEnum):
    """What may be decided."""

    RETRY = "retry"
    ACCEPT = "accept"
    ABORT = "abort"


@app.command()
def decide(
    promotion: Annotated[str, typer.Argument(help="The promotion, e.g. prod-12.", metavar="ID")],
    decision: Annotated[Decision, typer.Argument(help="retry the step, accept the doubt, or abort.")],
    reason: Annotated[str, typer.Option("--reason", help="Why, for the history; accepting needs one.")] = "",
    format_: FormatOption = Format.TEXT,
) -> None:
    """Decide about a promotion that is held because its evidence is inconclusive; then carry it on."""
    ctx = workshop()
    if decision is Decision.RETRY:
        retry(ctx, promotion)
    elif decision is Decision.ACCEPT:
        accept(ctx, promotion, reason)
    else:
        abort(ctx, promotion, reason)
    after = drive(ctx, promotion)
    if format_ is Format.JSON:
        print_json(after)
    else:
        typer.echo(f"{after.id}  {after.state.value}  {after.reason}")
    aborted = decision is Decision.ABORT and after.state in {State.ABORTED, State.REVERTED}
    if after.state is not State.SUCCEEDED and not aborted:
        raise GateRefused(f"{after.id} is {after.state.value}", hint=f"`lane why {after.id}`")
