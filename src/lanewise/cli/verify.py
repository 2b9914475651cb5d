"""``lane verify``: is the history whole and unedited?"""

from __future__ import annotations

from typing import Annotated

import typer

from lanewise.cli.output import Format, FormatOption, print_json
from lanewise.cli.project import workshop
from lanewise.service.verify import Verified
from lanewise.service.verify import verify as verify_history

app = typer.Typer()


@app.command()
def verify(
    format: FormatOption = Format.TEXT,  # noqa: A002 - the option's name
    key: Annotated[str, typer.Option(metavar="ID", help="Fail unless the checkpoints are signed by this key.")] = "",
) -> None:
    """Check the hash chain, every signed checkpoint, and that nothing is cut off. Exits 1 at the first bad place."""
    verified = verify_history(workshop(steady=True), key=key)
    if format is Format.JSON:
        print_json(verified)
        return
    for line in _lines(verified):
        typer.echo(line)


def _lines(verified: Verified) -> list[str]:
    if not verified.events:
        return ["the ledger is empty"]
    lines = [f"{_count(verified.events, 'event')}: whole, in order, unedited"]
    if verified.checkpoints:
        lines.append(f"{_count(verified.checkpoints, 'checkpoint')}: all genuine, signed by {verified.key}")
    if verified.unsigned:
        lines.append(f"{_count(verified.unsigned, 'event')} since the last checkpoint: a cut there would not show")
    return lines


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
