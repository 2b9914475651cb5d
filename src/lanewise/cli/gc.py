"""``lane gc``: say, then drop, what nothing needs any more."""

from __future__ import annotations

from typing import Annotated

import typer

from lanewise.cli.output import Format, FormatOption, few, note, print_json
from lanewise.cli.project import workshop
from lanewise.domain.canonical import short
from lanewise.domain.words import counted
from lanewise.service.gc import Garbage, LaneGarbage, collect
from lanewise.service.leftovers import Leftover

app = typer.Typer(rich_markup_mode=None, add_completion=False)

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
_WORDS = {"map": ("map", "maps"), "slice": ("file", "files"), "run": ("run's room", "runs' rooms")}


@app.command()
def gc(
    environment: Annotated[
        str | None, typer.Argument(help="Only this environment; builds are then left alone.")
    ] = None,
    apply: Annotated[bool, typer.Option("--apply", help="Drop it. Without this, nothing is touched.")] = False,
    format_: FormatOption = Format.TEXT,
) -> None:
    """Say what no map, no rollback window and no open promotion needs any more; with --apply, drop it."""
    found = collect(workshop(), environment, apply=apply)
    if format_ is Format.JSON:
        print_json(found)
        return
    for lane in found.lanes:
        typer.echo(_line(lane))
        if lane.compacted:
            typer.echo(f"{lane.environment}  reads plainly again: {few(lane.compacted)}")
    if found.builds:
        typer.echo(f"builds  {' '.join(short(digest) for digest in found.builds)}")
    if found.files:
        typer.echo(f"here  {_counts(found.files)}  {_size(sum(one.bytes for one in found.files))}")
    if found.applied:
        typer.echo(f"{_size(found.bytes)} freed")
    else:
        typer.echo(f"{_size(found.bytes)} can be freed")
        if _anything(found):
            note("nothing was touched: `lane gc --apply` drops it")


def _anything(found: Garbage) -> bool:
    return bool(found.builds or found.files) or any(lane.holdings for lane in found.lanes)


def _line(lane: LaneGarbage) -> str:
    parts = []
    for kind, (one, several) in _WORDS.items():
        count = sum(h.kind == kind for h in lane.holdings)
        if count:
            parts.append(f"{count:,} {one if count == 1 else several}")
    return f"{lane.environment}  {', '.join(parts) or 'nothing to drop'}  {_size(lane.bytes)}"


def _counts(files: tuple[Leftover, ...]) -> str:
    """What lies on this machine, by kind."""
    kinds = {"build": "unpacked folder", "log": "log", "run": "run leftover"}
    counts = {noun: sum(one.kind == kind for one in files) for kind, noun in kinds.items()}
    return ", ".join(counted(count, noun) for noun, count in counts.items() if count)


def _size(count: int) -> str:
    size, unit = float(count), _UNITS[0]
    for unit in _UNITS:
        if size < 1024 or unit == _UNITS[-1]:
            break
        size /= 1024
    return f"{count} B" if unit == "B" else f"{size:.1f} {unit}"
