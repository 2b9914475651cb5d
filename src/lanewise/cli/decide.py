"""``lane decide``: what a person makes of a held promotion."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from lanewise.cli.completion import promotions
from lanewise.cli.outcome import tell_outcome
from lanewise.cli.output import Format, FormatOption
from lanewise.cli.project import workshop
from lanewise.domain.promotion import State
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
    promotion: Annotated[
        str, typer.Argument(help="The promotion, e.g. prod-12.", metavar="ID", autocompletion=promotions)
    ],
    decision: Annotated[Decision, typer.Argument(help="retry the step, accept the doubt, or abort.")],
    reason: Annotated[str, typer.Option("--reason", help="Why, for the history; accepting needs one.")] = "",
    format_: FormatOption = Format.TEXT,
) -> None:
    """Decide about a promotion that is held because its evidence is inconclusive; then carry it on.

    Abort ends any promotion that is not finished yet, and gives back what readers see of it.
    """
    ctx = workshop()
    if decision is Decision.RETRY:
        retry(ctx, promotion)
    elif decision is Decision.ACCEPT:
        accept(ctx, promotion, reason)
    else:
        abort(ctx, promotion, reason)
    aborted = decision is Decision.ABORT
    wanted = {State.ABORTED, State.REVERTED} if aborted else {State.SUCCEEDED}
    tell_outcome(ctx, drive(ctx, promotion), format_, wanted=wanted)
