"""The last words of a command that took a promotion on: what is live now, or what it waits for and what to type."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping
from typing import Any

import typer

from lanewise.bootstrap import Workshop
from lanewise.cli.comparison import draw_comparison
from lanewise.cli.output import Format, hanging, note, paint, print_json
from lanewise.domain.canonical import plain, short
from lanewise.domain.promotion import Promotion, State
from lanewise.errors import GateRefused
from lanewise.promotion.explain import Explanation
from lanewise.promotion.states import FINAL
from lanewise.service.status import status
from lanewise.service.why import what_next, why

_LIVE = frozenset({State.SUCCEEDED})


def tell_outcome(
    ctx: Workshop,
    done: Promotion,
    format_: Format,
    *,
    wanted: Collection[State] = _LIVE,
    document: Mapping[str, Any] | None = None,
) -> None:
    """Print it and exit: 0 when it came to what was ``wanted``, 1 when it was refused, taken back or waits.

    ``document`` is the JSON to print in place of the promotion.
    """
    told = why(ctx, done.id)
    if format_ is Format.JSON:
        print_json(document or {**plain(done), "explanation": told})
    else:
        draw_comparison(done)
    if done.state in wanted:
        if format_ is Format.TEXT:
            _tell_good(ctx, done, told)
    elif done.state in FINAL:
        raise GateRefused(told.sentence, hint=_further(done, told))
    else:
        _tell_waiting(told, format_)
        raise typer.Exit(1)


def say_next(told: Explanation) -> None:
    """A sentence, who can do what, and the command to type, on standard output."""
    typer.echo(hanging(told.sentence, 0, terminal=sys.stdout.isatty()))
    for line in told.details:
        typer.echo("  " + hanging(line, 2, terminal=sys.stdout.isatty()))
    if told.command:
        typer.echo(f"next: {paint(told.command, bold=True)}")


def _tell_good(ctx: Workshop, done: Promotion, told: Explanation) -> None:
    if done.state is not State.SUCCEEDED:
        say_next(told)
        return
    live = status(ctx, done.environment).lanes[0].live
    if live is not None and live.build == done.build:
        name = " ".join([short(done.build), *ctx.builds.get(done.build).tags])
        words = f"{done.environment} is on build {name}, config {short(live.config)}, map {live.map} ({done.id})"
        typer.echo(paint(words, fg="green"))
    say_next(what_next(ctx, done))


def _tell_waiting(told: Explanation, format_: Format) -> None:
    if format_ is Format.TEXT:
        say_next(told)
        return
    note(told.sentence)
    if told.command:
        note(f"next: {told.command}")


def _further(done: Promotion, told: Explanation) -> str:
    return f"next: {told.command}" if told.command else f"`lane why {done.id}` shows what was measured"
