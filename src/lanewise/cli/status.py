"""``lane status``: the lanes, as a road."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from lanewise.cli.completion import environments
from lanewise.cli.output import Format, FormatOption, console, hanging, print_json
from lanewise.cli.project import workshop
from lanewise.domain.canonical import short
from lanewise.domain.serving import Standing
from lanewise.service.status import LaneStatus, OnItsWay, Status, status

app = typer.Typer(rich_markup_mode=None)


@app.command()
def show(
    environment: Annotated[
        str | None, typer.Argument(help="Only this environment.", autocompletion=environments)
    ] = None,
    ask: Annotated[
        bool, typer.Option("--orchestrator", help="Ask each environment's orchestrator what it runs.")
    ] = False,
    format_: FormatOption = Format.TEXT,
) -> None:
    """Show the lanes: what is live in each environment, and what is on its way into it."""
    found = status(workshop(steady=True), environment, ask=ask)
    if format_ is Format.JSON:
        print_json(found)
    else:
        _draw(found)


def _draw(found: Status) -> None:
    from rich.markup import escape  # noqa: PLC0415 - drawn for people only
    from rich.rule import Rule  # noqa: PLC0415

    out = console()
    width = max(len(lane.environment) for lane in found.lanes)
    out.print(Rule(f" {escape(found.project)} ", characters="═", style="dim"))
    for at, lane in enumerate(found.lanes):
        if at:
            out.print(Rule(characters="╌", style="dim"))
        out.print(f" [bold]{escape(lane.environment):<{width}}[/]  {_live(lane)}", soft_wrap=True)
        for mark, colour, line in _signs(lane):
            folded = hanging(line, width + 5, terminal=sys.stdout.isatty())
            out.print(f" {'':<{width}}  [{colour}]{mark}[/] {escape(folded)}", soft_wrap=True)
    out.print(Rule(characters="═", style="dim"))


def _live(lane: LaneStatus) -> str:
    if lane.live is None:
        return "[dim]· nothing released yet[/]"
    tags = " ".join(lane.tags)
    how = "" if lane.live.kind == "promotion" else f"  ({lane.live.kind})"
    since = lane.live.at[:16].replace("T", " ")
    return (f"[green]▶ {short(lane.live.build)}[/]{' ' + tags if tags else ''}  "
            f"config {short(lane.live.config)}  map {lane.live.map}  since {since} UTC{how}")  # fmt: skip


def _signs(lane: LaneStatus) -> list[tuple[str, str, str]]:
    """What stands beside the road: a mark, its colour, a line that ends in what to type."""
    name = lane.environment
    lines = [("✕", "red", lane.astray)] if lane.astray else []
    lines += _standing(lane, lane.standing) if lane.standing else []
    lines += [("◌", "yellow", _coming(p)) for p in lane.coming]
    if lane.paused is not None:
        lines.append(("‖", "yellow", f"paused: {lane.paused} → lane resume {name}"))
    lines += [("!", "yellow", f"owed: {what}") for what in lane.owed]
    return lines + [
        ("✕", "red", f"build {short(build)} is in quarantine → lane resume {name} --build {short(build)}")
        for build in lane.quarantined
    ]


def _standing(lane: LaneStatus, said: Standing) -> list[tuple[str, str, str]]:
    """What the orchestrator says, beside what readers see."""
    agrees = said.live == (lane.live.build if lane.live else "")
    clock = "its schedules start" if said.scheduled else "nothing is scheduled; runs are of"
    lines = [("⚙", "green" if agrees else "red", f"orchestrator: {clock} {short(said.live) or 'nothing'}")]
    if not agrees:
        lines.append(("✕", "red", f"readers see another build → lane follow {lane.environment} --once"))
    if said.candidates:
        lines.append(("◌", "yellow", f"beside it: {', '.join(short(build) for build in said.candidates)}"))
    return lines


def _coming(one: OnItsWay) -> str:
    reason = f": {one.reason}" if one.reason else ""
    return f"{one.id}  build {short(one.build)}  {one.state}{reason} → lane why {one.id}"
