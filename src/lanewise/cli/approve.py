"""``lane approve``: a second person's yes."""

from __future__ import annotations

from typing import Annotated

import typer

from lanewise.cli.output import Format, FormatOption, note, print_json
from lanewise.cli.project import workshop
from lanewise.domain.canonical import short
from lanewise.service.approve import approve
from lanewise.service.promote import drive

app = typer.Typer(rich_markup_mode=None)


@app.command()
def give(
    promotion: Annotated[str, typer.Argument(help="The promotion, e.g. prod-12.", metavar="ID")],
    reason: Annotated[str, typer.Option("--reason", help="Why, for the history.")] = "",
    go: Annotated[bool, typer.Option("--go", help="Carry the promotion out once enough have approved.")] = False,
    format_: FormatOption = Format.TEXT,
) -> None:
    """Approve a promotion: this build, this config, this evidence. Any change to them voids the approval.

    A config that awaits approval is approved by its digest.
    """
    ctx = workshop()
    done = approve(ctx, promotion, reason)
    note(f"approved by {done.by} ({_proof(done.proved_by)})")
    after = drive(ctx, promotion) if go and not done.missing else done.promotion
    if format_ is Format.JSON:
        print_json({"promotion": after, "approved_by": done.by, "proved_by": done.proved_by, "missing": done.missing})
    elif done.missing:
        typer.echo(f"{after.id} needs {done.missing} more")
    elif not go:
        typer.echo(
            f"{after.id} has its approvals; go on with: lane promote {short(after.build)} --to {after.environment}"
        )
    else:
        typer.echo(f"{after.id}  {after.state.value}  {after.reason}")


def _proof(proved_by: str) -> str:
    return "by their word alone: identity is `declared`" if proved_by == "declared" else "the user of this machine"
