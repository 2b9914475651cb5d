"""``lane promote``: move a build, or a changed config, into an environment."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from lanewise.bootstrap import Workshop
from lanewise.cli.completion import builds, environments
from lanewise.cli.outcome import tell_outcome
from lanewise.cli.output import Format, FormatOption
from lanewise.cli.patience import Patience, outlast
from lanewise.cli.plan import BUILD_HELP, draw_plan
from lanewise.cli.project import workshop
from lanewise.domain.plan import Plan
from lanewise.domain.promotion import Promotion
from lanewise.errors import WrongInput
from lanewise.promotion.breakglass import Waiver
from lanewise.service.build import make_build
from lanewise.service.configure import in_force
from lanewise.service.ground import plan_build, read_plan
from lanewise.service.promote import Asked, promote

app = typer.Typer(rich_markup_mode=None)

_TO = "The environment to move it into."
_GLASS = "Skip this gate; needs --reason, and --second or --until."


@app.command()
def move(
    build: Annotated[str | None, typer.Argument(help=BUILD_HELP, autocompletion=builds)] = None,
    to: Annotated[str | None, typer.Option("--to", metavar="ENV", help=_TO, autocompletion=environments)] = None,
    plan: Annotated[Path | None, typer.Option("--plan", metavar="FILE", help="Apply a saved plan exactly.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and stop.")] = False,
    wait: Annotated[
        int, typer.Option("--wait", min=0, metavar="SECONDS", help="Wait for whoever is at work there.")
    ] = 0,
    patience: Patience = 0,
    break_glass: Annotated[list[str] | None, typer.Option("--break-glass", metavar="GATE", help=_GLASS)] = None,
    reason: Annotated[str, typer.Option("--reason", help="Why the glass is broken.")] = "",
    second: Annotated[str, typer.Option("--second", metavar="PERSON", help="Who stands by it.")] = "",
    until: Annotated[
        int, typer.Option("--until", min=0, metavar="HOURS", help="The skip ends after so many hours.")
    ] = 0,
    format_: FormatOption = Format.TEXT,
) -> None:
    """Move a build into an environment: gates, approvals, then the rollout.

    Run it again to go on after an approval, a freeze or a crash. Exit code 0: live; 1: refused, reverted or waiting.
    """
    ctx = workshop()
    saved = read_plan(plan) if plan else None
    target = to or (saved.environment if saved else None)
    if target is None:
        raise WrongInput("promote needs to know where to", hint="add --to ENV, or --plan FILE")
    if saved is not None and target != saved.environment:
        raise WrongInput(f"{plan} is a plan for {saved.environment}, not {target}")
    name = outlast(patience, lambda _: _wanted(ctx, build, target, saved))
    if dry_run:
        draw_plan(saved or plan_build(ctx, name, target), format_)
        return
    waiver = _waiver(ctx, reason, second, until) if break_glass else None
    asked = Asked(plan=saved, skip=tuple(break_glass or ()), waiver=waiver, wait=timedelta(seconds=wait))

    def go(again: bool) -> Promotion:
        return promote(ctx, name, target, _once_more(asked) if again else asked)

    tell_outcome(ctx, outlast(patience, go), format_)


def _wanted(ctx: Workshop, build: str | None, target: str, saved: Plan | None) -> str:
    """The build that is meant; made of the working tree where none is named."""
    in_force(ctx).environment(target)  # a wrong name is told before anything is built
    name = build or (saved.build if saved else make_build(ctx).digest)
    if saved is not None and ctx.builds.resolve(name) != saved.build:
        raise WrongInput(f"this is a plan for build {saved.build[7:15]}, not {name}")
    return name


def _once_more(asked: Asked) -> Asked:
    """The glass is broken once."""
    return replace(asked, skip=(), waiver=None)


def _waiver(ctx: Workshop, reason: str, second: str, hours: int) -> Waiver:
    expires = ctx.ledger.now() + timedelta(hours=hours) if hours else None
    return Waiver(ctx.actor.name, reason, second, expires)
