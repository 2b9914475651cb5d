"""``lane status``: the lanes, as a road."""

from __future__ import annotations

from typing import Annotated

import typer

from lanewise.cli.output import Format, FormatOption, console, print_json
from lanewise.cli.project import workshop
from lanewise.domain.canonical import short
from lanewise.service.status import LaneStatus, Status, status

app = typer.Typer(rich_markup_mode=None)


@app.command()
def show(
    environment: Annotated[str | None, typer.Argument(help="Only this environment.")] = None,
    format_: FormatOption = Format.TEXT,
) -> None:
    """Show the lanes: what is live in each environment, and what is on its way into it."""
    found = status(workshop(), environment)
    if format_ is Format.JSON:
        print_json(found)
    else:
        _draw(found)


def _draw(found: Status) -> None:
    from rich.markup import escape  # noqa: PLC0415 - drawn for people only
    from rich.rule import Rule  # noqa: PLC0415

    out = console()
    width = max(len(lane.environment) for lane in found.lanes)
    out.print(Rule(f" {found.project} ", characters="═", style="dim"))
    for at, lane in enumerate(found.lanes):
        if at:
            out.print(Rule(characters="╌", style="dim"))
        out.print(f" [bold]{escape(lane.environment):<{width}}[/]  {_live(lane)}")
        for line in _signs(lane):
            out.print(f" {'':<{width}}  {escape(line)}")
    out.print(Rule(characters="═", style="dim"))


def _live(lane: LaneStatus) -> str:
    if lane.live is None:
        return "[dim]· nothing released yet[/]"
    tags = " ".join(lane.tags)
    how = "" if lane.live.kind == "promotion" else f"  ({lane.live.kind})"
    since = lane.live.at[:16].replace("T", " ")
    return (f"[green]▶ {short(lane.live.build)}[/]{' ' + tags if tags else ''}  "
            f"config {short(lane.live.config)}  since {since} UTC{how}")  # fmt: skip


def _signs(lane: LaneStatus) -> list[str]:
    lines = [f"◌ {p.id}  build {short(p.build)}  {p.state}: {p.reason}" for p in lane.coming]
    if lane.paused is not None:
        lines.append(f"‖ paused: {lane.paused}  (`lane resume {lane.environment}`)")
    lines += [f"✕ build {short(build)} is in quarantine" for build in lane.quarantined]
    return lines
