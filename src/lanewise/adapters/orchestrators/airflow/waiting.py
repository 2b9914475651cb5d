"""Look again until Airflow is where it should be, and say now and then what is waited for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

FIRST, LONGEST = 0.5, 5.0
"""Seconds between two looks: the first pause, and the longest."""

_REMINDER = 60.0


class Watch:
    """Paces a loop. ``say`` is told ``waiting for …`` once it takes longer than ``quiet`` seconds, then each minute."""

    def __init__(self, say: Callable[[str], None], *, longest: float = LONGEST, quiet: float = 5.0) -> None:
        self._say = say
        self._longest = longest
        self._next = quiet
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """How long this has been going on."""
        return time.monotonic() - self._began

    def looks(self) -> Iterator[float]:
        """One turn a look, with the seconds since the first; a pause between two. Has no end of its own."""
        pause = FIRST
        while True:
            yield self.seconds
            time.sleep(pause)
            pause = min(pause * 1.3, self._longest)

    def waits_for(self, what: str) -> None:
        """Tell what is waited for, if it is time to."""
        if self.seconds >= self._next:
            self._say(f"waiting for {what} ({self.seconds:.0f} s)")
            self._next = self.seconds + _REMINDER
