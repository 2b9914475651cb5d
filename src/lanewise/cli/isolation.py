"""``lane isolation``: is each environment walled off from the others?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated

import typer

from lanewise.bootstrap import find_probe
from lanewise.cli.output import Format, FormatOption, counted, paint, print_json
from lanewise.cli.project import workshop
from lanewise.domain.isolation import Attempt, Cell, Identity, Measurement, Outcome
from lanewise.service.isolation import measure

app = typer.Typer(rich_markup_mode=None)

_COLOURS = {Outcome.ALLOWED: "red", Outcome.DENIED: "green", Outcome.UNREACHABLE: "yellow"}
_SHOWN = 40
"""So many holes, and so many doubts, are told in words; ``--verbose`` tells all."""


@app.command()
def isolation(
    format_: FormatOption = Format.TEXT,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="List every single try.")] = False,
) -> None:
    """Try every identity of every environment on what the others have, and record what came of it.

    Nothing is changed: tries are explained and rolled back, or made on conditions that can't hold. Exits 0 when every
    try was refused, 1 when one was allowed or could not be made, 3 when nothing could be reached.
    """
    found = measure(workshop(), find_probe)
    if format_ is Format.JSON:
        print_json({**vars(found), "cells": found.cells, "whole": found.whole})
    else:
        for line in _lines(found, verbose=verbose):
            typer.echo(line)
    if not found.whole:
        reached = any(attempt.outcome is not Outcome.UNREACHABLE for attempt in found.attempts)
        raise typer.Exit(3 if found.attempts and not reached else 1)


def _lines(found: Measurement, *, verbose: bool) -> Iterable[str]:
    if found.attempts:
        yield from _matrix(found)
    for environment, reason in found.unseparated.items():
        yield f"{paint('not separated', fg='yellow')}  {environment}: {reason}"
    yield from _told(found.of(Outcome.ALLOWED), verbose=verbose)
    yield from _told(found.of(Outcome.UNREACHABLE), verbose=verbose)
    if verbose:
        yield from _told(found.of(Outcome.DENIED), verbose=True)
    yield _summary(found)
    owners = dict.fromkeys(attempt.target.environment for attempt in found.of(Outcome.ALLOWED))
    for environment in owners:
        yield f"  → lane provision {environment} --apply"


def _matrix(found: Measurement) -> Iterable[str]:
    """Identities down, environments across."""
    cells = {(cell.identity, cell.environment): cell for cell in found.cells}
    rows = sorted(set(found.identities), key=lambda one: (found.environments.index(one.environment), one))
    heads = [_head(one) for one in rows]
    texts = [[_cell(found, one, cells.get((one, name))) for name in found.environments] for one in rows]
    first = max(map(len, heads), default=0)
    widths = [max(len(name), *(len(row[at]) for row in texts)) for at, name in enumerate(found.environments)]
    yield _row(" " * first, list(found.environments), widths)
    for one, head, row in zip(rows, heads, texts, strict=True):
        padded = [
            _painted(text.ljust(width), cells.get((one, name)))
            for text, width, name in zip(row, widths, found.environments, strict=True)
        ]
        yield f"{head:<{first}}  {'  '.join(padded)}".rstrip()


def _row(head: str, texts: Sequence[str], widths: Sequence[int]) -> str:
    return f"{head}  {'  '.join(text.ljust(width) for text, width in zip(texts, widths, strict=True))}".rstrip()


def _head(one: Identity) -> str:
    return f"{one.environment} {one.connection} {one.role} {one.user}".rstrip()


def _cell(found: Measurement, one: Identity, cell: Cell | None) -> str:
    if cell is None:
        return "·"
    if cell.outcome is Outcome.DENIED:
        return f"denied ({'1 try' if cell.tries == 1 else f'{cell.tries:,} tries'})"
    if cell.outcome is Outcome.UNREACHABLE:
        return "unreachable"
    holes = [a for a in found.of(Outcome.ALLOWED) if (a.identity, a.target.environment) == (one, cell.environment)]
    more = f" and {len(holes) - 1:,} more" if len(holes) > 1 else ""
    return f"ALLOWED ({holes[0].action} {holes[0].target.name}{more})"


def _painted(text: str, cell: Cell | None) -> str:
    return text if cell is None else paint(text, fg=_COLOURS[cell.outcome])


def _told(attempts: Sequence[Attempt], *, verbose: bool) -> Iterable[str]:
    """Each with what was sent and what came back."""
    shown = attempts if verbose else attempts[:_SHOWN]
    for attempt in shown:
        word = paint(f"{attempt.outcome.value:<11}", fg=_COLOURS[attempt.outcome], bold=True)
        yield f"{word}  {attempt.identity}: {attempt.action} {attempt.target} of {attempt.target.environment}"
        if attempt.statement:
            yield f"{'':<11}    {attempt.statement}"
        yield f"{'':<11}    → {attempt.answer}"
    if len(attempts) > len(shown):
        yield f"{'':<11}  and {len(attempts) - len(shown):,} more: see them with --verbose"


def _summary(found: Measurement) -> str:
    if not found.attempts:
        return "nothing could be tried: no environment has a login of its own"
    counts = {outcome: len(found.of(outcome)) for outcome in Outcome}
    parts = [f"{counts[Outcome.DENIED]:,} denied", f"{counts[Outcome.ALLOWED]:,} allowed",
             f"{counts[Outcome.UNREACHABLE]:,} unreachable"]  # fmt: skip
    tries = counted(len(found.attempts), "attempt")
    who = "1 identity" if len(set(found.identities)) == 1 else f"{len(set(found.identities))} identities"
    verdict = "walled off" if found.whole else "not walled off" if found.of(Outcome.ALLOWED) else "inconclusive"
    return f"{tries} by {who}: {', '.join(parts)}; {verdict}"
