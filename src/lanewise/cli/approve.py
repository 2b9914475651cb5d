"""``lane approve``: a second person's yes."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from lanewise.bootstrap import Workshop
from lanewise.cli.completion import promotions
from lanewise.cli.outcome import say_next, tell_outcome
from lanewise.cli.output import Format, FormatOption, note, print_json
from lanewise.cli.project import workshop
from lanewise.domain.canonical import plain, short
from lanewise.service.approve import approve
from lanewise.service.configure import Applied, approve_config
from lanewise.service.promote import drive
from lanewise.service.why import why

app = typer.Typer(rich_markup_mode=None)

_DIGEST = re.compile(r"(sha256:)?[0-9a-f]{4,64}")
"""A promotion is named like ``prod-12``: with a dash, which no digest has."""


@app.command()
def give(
    name: Annotated[
        str,
        typer.Argument(
            help="A promotion (prod-12), or a proposed config's digest.", metavar="ID", autocompletion=promotions
        ),
    ],
    reason: Annotated[str, typer.Option("--reason", help="Why, for the history.")] = "",
    go: Annotated[bool, typer.Option("--go", help="Carry the promotion out once enough have approved.")] = False,
    format_: FormatOption = Format.TEXT,
) -> None:
    """Approve a promotion: this build, this config, this evidence. Any change to them voids the approval.

    A config that was proposed with `lane config apply` is approved by its digest.
    """  # fmt: skip
    ctx = workshop()
    if _DIGEST.fullmatch(name):
        _approve_config(ctx, name, format_)
        return
    done = approve(ctx, name, reason)
    note(f"approved by {done.by} ({_proof(done.proved_by)})")
    going = go and not done.missing
    after = drive(ctx, name) if going else done.promotion
    document = {"promotion": after, "approved_by": done.by, "proved_by": done.proved_by, "missing": done.missing}
    if going:
        tell_outcome(ctx, after, format_, document=document)
    elif format_ is Format.JSON:
        print_json(document)
    else:
        say_next(why(ctx, name))


def _approve_config(ctx: Workshop, digest: str, format_: Format) -> None:
    outcome = approve_config(ctx, digest)
    note(f"approved by {ctx.actor.name} ({_proof(ctx.actor.proved_by)})")
    applied = isinstance(outcome, Applied)
    if format_ is Format.JSON:
        print_json({"state": "applied" if applied else "awaiting approval", **plain(outcome)})
    elif isinstance(outcome, Applied):
        typer.echo(f"config {short(outcome.digest)} is in force: it changes {', '.join(outcome.environments)}")
        for environment in outcome.environments:
            typer.echo(f"next: lane promote BUILD --to {environment}  (the build that is live, to give it this config)")
    else:
        for environment, rule in outcome.needed.items():
            whom = f" from {' or '.join(rule.groups)}" if rule.groups else ""
            typer.echo(f"{environment} waits for {rule.count} more{whom}")


def _proof(proved_by: str) -> str:
    return "by their word alone: identity is `declared`" if proved_by == "declared" else "the user of this machine"
