"""What may be dropped: the pure half of ``lane gc``."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from lanewise.domain.publication import Holding

GRACE = timedelta(days=1)
"""How long leftovers are kept: a run or a publication under way looks like one."""


def maps_in_window(holdings: Sequence[Holding], live: int, since: datetime) -> frozenset[int]:
    """The maps that were live at some time since ``since``, the one that is live now included.

    A map stops being live when the next one is published, so the newest map from before ``since`` counts too:
    going back to the state of that moment needs it.
    """
    published = sorted((number, _moment(h)) for h in holdings if h.kind == "map" for number in h.maps if number <= live)
    kept = {live}
    for (number, _), (_, superseded) in itertools.pairwise(published):
        if superseded >= since:
            kept.add(number)
    return frozenset(kept)


def disposable(
    holdings: Sequence[Holding], live: int, keep: Collection[int], now: datetime, grace: timedelta = GRACE
) -> tuple[Holding, ...]:
    """The holdings that nothing needs: no map of ``keep`` (nor the live one), no run or publication under way.

    What no published map names is a leftover once it is older than ``grace``: a run's room, a slice that was staged
    and never published, a map above the live one (prepared, not yet published) with what only that map names.
    """
    since = now - grace
    coming = {n for h in holdings if h.kind == "map" and _modified_after(h, since) for n in h.maps if n > live}
    needed = {live, *keep, *coming}
    return tuple(h for h in holdings if needed.isdisjoint(h.maps) and not _leftover_under_way(h, live, since))


def _leftover_under_way(holding: Holding, live: int, since: datetime) -> bool:
    published = any(number <= live for number in holding.maps)
    return not published and _modified_after(holding, since)


def _modified_after(holding: Holding, since: datetime) -> bool:
    return not holding.modified or _moment(holding) > since


def _moment(holding: Holding) -> datetime:
    return datetime.fromisoformat(holding.modified)
