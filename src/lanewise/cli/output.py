"""How commands print: tables for people, one JSON document for programs. Data goes to standard output,
everything else to standard error."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Annotated

import typer

from lanewise.domain.canonical import plain

if TYPE_CHECKING:
    from rich.console import Console


class Format(StrEnum):
    """``--format``."""

    TEXT = "text"
    JSON = "json"


FormatOption = Annotated[Format, typer.Option("--format", help="text for people, json for programs.")]


def print_json(data: object) -> None:
    """One JSON document on standard output; dataclasses, tuples and dates are made plain."""
    typer.echo(json.dumps(plain(data), indent=2, ensure_ascii=False))


@cache
def console() -> Console:
    """Rich's console on standard output. Rich is imported when something is drawn."""
    from rich.console import Console  # noqa: PLC0415 - 100 ms that `--format json` need not pay

    return Console(highlight=False, soft_wrap=not sys.stdout.isatty())


def note(line: str) -> None:
    """A line for people on standard error, beside the data."""
    typer.echo(line, err=True)
