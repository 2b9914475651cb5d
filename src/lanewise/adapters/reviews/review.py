"""One comment on a review, written over the one before: found by its marker, and by who wrote it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from lanewise.adapters.reviews.site import Site, Unanswered

_TRIES = 4
_PAUSE = 2.0  # seconds before the second try; twice as many before each further one


@dataclass(frozen=True)
class Review:
    """Where comments go. ``collection`` is their address below the site's; ``single`` gives that of one; ``change`` is
    the method that changes one. ``mine`` says whether a comment is this login's own, which is asked once."""

    site: Site
    collection: str
    single: Callable[[int], str]
    change: str
    mine: Callable[[], Callable[[Any], bool]]

    def write(self, text: str, marker: str) -> str:
        """Write the comment, or write it over the one that begins with ``marker``; a sentence about it.

        Safe to repeat: an answer that got lost is looked for before anything is written again."""
        pause = _PAUSE
        for left in reversed(range(_TRIES)):
            try:
                return self._written(text, marker)
            except Unanswered:
                if not left:
                    raise
            time.sleep(pause)
            pause *= 2
        raise AssertionError("unreachable")

    def _written(self, text: str, marker: str) -> str:
        for one in self._own(marker):
            if str(one["body"]).rstrip() == text.rstrip():
                return f"the comment on {self.site.name} says so already"
            self.site.ask(self.change, self.single(int(one["id"])), {"body": text})
            return f"the comment on {self.site.name} is up to date"
        self.site.ask("POST", self.collection, {"body": text})
        return f"commented on {self.site.name}"

    def _own(self, marker: str) -> Iterator[Any]:
        """Somebody else's comment may quote the marker: it is left alone."""
        mine = self.mine()
        return (one for one in self.site.every(self.collection)
                if str(one.get("body", "")).startswith(marker) and mine(one))  # fmt: skip
