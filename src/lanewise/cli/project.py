"""The project that a command works on, and how its progress is told: on standard error, beside the data."""

from __future__ import annotations

import sys

import typer

from lanewise.bootstrap import Workshop, open_context


class Spoken:
    """Progress for people: one line a step, a count rewritten in place while a long step lasts."""

    def __init__(self) -> None:
        self._counting = False

    def say(self, line: str) -> None:
        """A step is done or begun."""
        self._end_count()
        typer.echo("  " + line, err=True)

    def advance(self, what: str, done: int, total: int) -> None:
        """``done`` of ``total``; rewritten in place on a terminal, said once at the end otherwise."""
        if sys.stderr.isatty():
            typer.echo(f"\r  {what}  {done} of {total}", err=True, nl=False)
            self._counting = True
            if done >= total:
                self._end_count()
        elif done >= total:
            typer.echo(f"  {what}  {done} of {total}", err=True)

    def _end_count(self) -> None:
        if self._counting:
            typer.echo("", err=True)
            self._counting = False


def workshop() -> Workshop:
    """The project around the current folder, telling its progress to the terminal."""
    return open_context(progress=Spoken())
