"""How commands print: tables for people, one JSON document for programs. Data goes to standard output,
everything else to standard error."""

from __future__ import annotations

import json
import os
import shutil
import sys
import textwrap
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lanewise.domain.canonical import plain

if TYPE_CHECKING:
    from rich.console import Console

_NARROWEST = 30
"""Columns below which folding a text makes it no easier to read."""

_PIPED = 120
"""Columns of a table that is drawn into a file."""


class Format(StrEnum):
    """``--format``."""

    TEXT = "text"
    JSON = "json"


FormatOption = Annotated[Format, typer.Option("--format", help="text for people, json for programs.")]


def print_json(data: object) -> None:
    """One JSON document on standard output; dataclasses, tuples and dates are made plain."""
    unicode = (getattr(sys.stdout, "encoding", None) or "utf-8").lower().startswith("utf")
    typer.echo(json.dumps(plain(data), indent=2, ensure_ascii=not unicode))


@cache
def console() -> Console:
    """Rich's console on standard output. Rich is imported when something is drawn."""
    from rich.console import Console  # noqa: PLC0415 - 100 ms that `--format json` need not pay

    piped = not sys.stdout.isatty()
    return Console(highlight=False, soft_wrap=piped, width=_PIPED if piped and not os.environ.get("COLUMNS") else None)


def note(line: str) -> None:
    """A line for people on standard error, beside the data."""
    typer.echo(line, err=True)


def paint(text: str, **style: Any) -> str:
    """Coloured for a terminal, unless ``NO_COLOR`` is set; what is piped is plain all the same."""
    return text if os.environ.get("NO_COLOR") else typer.style(text, **style)


def hanging(text: str, indent: int, *, terminal: bool) -> str:
    """Fold a text that begins in column ``indent`` so that it stays there; only for a terminal, so that what is
    piped can be searched line by line."""
    room = shutil.get_terminal_size().columns - indent
    if not terminal or room < _NARROWEST:
        return text
    lines = textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False)
    return ("\n" + " " * indent).join(lines)


def counted(number: int, noun: str) -> str:
    """``1 partition``, ``1,200 partitions``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def bytes_of(number: int) -> str:
    """``812 B``, ``1.4 MB``: powers of a thousand, as disks are sold and bills are written."""
    size, unit = float(number), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if size < 999.5:
            break
        size, unit = size / 1000, larger
    return f"{number} B" if unit == "B" else f"{size:.3g} {unit}"


def few(names: tuple[str, ...], most: int = 4) -> str:
    """The first names, and the last one of a longer list."""
    return ", ".join(names[:most]) + (f" … {names[-1]}" if len(names) > most else "")
