"""``lane history``: read the ledger."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from lanewise.cli.output import Format, FormatOption, note, print_json
from lanewise.cli.project import workshop
from lanewise.domain.canonical import short
from lanewise.domain.event import Event
from lanewise.service.history import history as read_history
from lanewise.service.history import where

app = typer.Typer()

_SCREEN = 50
_DETAIL = 100


@app.command()
def history(
    environment: Annotated[str, typer.Option("--environment", "-e", metavar="ENV", help="Only this lane.")] = "",
    stream: Annotated[str, typer.Option(metavar="NAME", help="Only this stream, e.g. promotion/shop/prod/12.")] = "",
    since: Annotated[int, typer.Option(metavar="SEQ", min=0, help="Only events after this number.")] = 0,
    limit: Annotated[int | None, typer.Option(metavar="N", min=1, help="Only the newest N (text: 50).")] = None,
    format: FormatOption = Format.TEXT,  # noqa: A002 - the option's name
) -> None:
    """Show who did what, where and when; newest last."""
    as_json = format is Format.JSON
    shown = limit if limit or as_json else _SCREEN
    events = read_history(workshop(steady=True), environment=environment, stream=stream, since=since, limit=shown)
    if as_json:
        print_json(events)
        return
    rows = [_cells(event) for event in events]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for event, row in zip(events, rows, strict=True):
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        typer.echo("  ".join([*cells, _detail(event.data)]).rstrip())
    if not events:
        note("no events")
    elif limit is None and len(events) == _SCREEN:
        note(f"the newest {_SCREEN}; --limit N shows more")


def _detail(data: Any) -> str:
    """The plain facts of an event, shortened; anything that could steer a terminal is made visible."""
    facts = [f"{name}={_fact(value)}" for name, value in data.items() if isinstance(value, str | int) and value != ""]
    text = "".join(each if each.isprintable() else "?" for each in "  ".join(facts))
    return text if len(text) <= _DETAIL else text[: _DETAIL - 1] + "…"


def _fact(value: str | int) -> str:
    return short(value) if isinstance(value, str) and value.startswith("sha256:") else str(value)


def _cells(event: Event) -> tuple[str, ...]:
    time = event.at[:19].replace("T", " ") + "Z"
    return (str(event.seq), time, event.actor, event.type, where(event.stream))
