"""How things are timed: whole processes by wall clock and by the processor time of all they started, side by side.

A figure is compared within one run: the contenders take turns, so that a busy machine slows all of them alike, and
medians are taken.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

LANE = str(Path(sys.executable).with_name("lane"))
BARE = (sys.executable, "-c", "pass")


@dataclass(frozen=True)
class Spent:
    """Seconds by the clock, and seconds of processor time of a process and of everything that it waited for."""

    wall: float
    cpu: float


def spend(command: Sequence[str], folder: Path, *, codes: Sequence[int] = (0,)) -> Spent:
    """Run a command in a folder, its output thrown away. ``SystemExit`` with its last words when it ends otherwise
    than with one of ``codes``."""
    with (folder / ".last-words").open("w+b") as words:
        started = time.perf_counter()
        child = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=words, stderr=words)
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - started
        child.returncode = os.waitstatus_to_exitcode(status)  # it is reaped: Popen must not wait for it again
        words.seek(0)
        if child.returncode not in codes:
            said = words.read().decode(errors="replace")[-2_000:]
            raise SystemExit(f"{' '.join(command)} ended with {child.returncode}:\n{said}")
    return Spent(wall, usage.ru_utime + usage.ru_stime)


def by_turns(contenders: Mapping[str, Callable[[], Spent]], rounds: int) -> dict[str, Spent]:
    """The median of each contender over interleaved rounds; one round before them only warms caches."""
    found: dict[str, list[Spent]] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        for name, run in contenders.items():
            spent = run()
            if number:
                found[name].append(spent)
    return {name: median(each) for name, each in found.items()}


def median(each: Sequence[Spent]) -> Spent:
    """By the clock and by the processor, each for itself."""
    return Spent(statistics.median(s.wall for s in each), statistics.median(s.cpu for s in each))
