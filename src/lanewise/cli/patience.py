"""Wait while something that a command needs is away: the ledger, a store, a warehouse, an orchestrator."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Annotated, TypeVar

import typer

from lanewise.cli.output import note
from lanewise.errors import OutsideBroke

T = TypeVar("T")

PATIENCE_HELP = "While the ledger, a store or a server is away, wait for it this long, and go on."
Patience = Annotated[float, typer.Option("--patience", min=0, metavar="SECONDS", help=PATIENCE_HELP)]

_FIRST, _LONGEST = 1.0, 10.0  # seconds between two tries


def outlast(patience: float, work: Callable[[bool], T]) -> T:
    """``work``'s answer. While it raises ``OutsideBroke`` it is done again, for at most ``patience`` seconds after the
    first time; so it must be safe to repeat. It is told whether this is a repetition."""
    deadline, pause, said, again = time.monotonic() + patience, _FIRST, "", False
    while True:
        try:
            found = work(again)
        except OutsideBroke as error:
            left = deadline - time.monotonic()
            if left <= 0:
                raise
            if error.message != said:
                note(f"waiting: {error.message}")
                said = error.message
            time.sleep(min(left, pause * random.uniform(0.75, 1.25)))  # noqa: S311 - no secret hangs on it
            pause, again = min(pause * 1.5, _LONGEST), True
        else:
            if said:
                note("it is back: going on")
            return found
