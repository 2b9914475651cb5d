"""``lane --help`` against a bare interpreter: how long somebody waits who only wants to know what there is."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.figure import Figure
from benchmarks.timing import BARE, LANE, by_turns, spend

LIMIT = 0.25


def figures(*, quick: bool) -> list[Figure]:
    """One figure: seconds of ``lane --help``."""
    with tempfile.TemporaryDirectory(prefix="lane-bench-") as name:
        folder = Path(name)
        found = by_turns(
            {"bare": lambda: spend(BARE, folder), "help": lambda: spend([LANE, "--help"], folder)}, 5 if quick else 20
        )
    ratio = found["help"].wall / found["bare"].wall
    return [Figure("`lane --help`", found["help"].wall, LIMIT, "s", ratio, "bare interpreter", found["help"].cpu)]
