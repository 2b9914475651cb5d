"""Ask ``lane``, and wait while what it needs is away: a schedule goes on when the ledger is back."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from lanewise.errors import OutsideBroke

PATIENCE = 600.0
"""Seconds that the ledger, the store or the warehouse may be away."""

PAUSE = 5.0
"""Seconds between two tries."""

Answer = TypeVar("Answer")


def patiently(ask: Callable[[], Answer]) -> Answer:
    """Its answer. Only for what may be asked twice; a refusal is an answer, and is raised at once."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return ask()
        except OutsideBroke as error:
            if time.monotonic() > deadline:
                raise
            print(f"waiting: {error.message}", flush=True)  # noqa: T201 - the worker's own log
        time.sleep(PAUSE)
