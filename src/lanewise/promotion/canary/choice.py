"""Which partitions a canary looks at: the telling ones first, then by lot, and the same ones each time."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from decimal import ROUND_CEILING, Decimal

from lanewise.errors import WrongInput


def choose(sizes: Mapping[str, int], share: Decimal, *, key: str) -> tuple[str, ...]:
    """``ceil(share * n)`` of the partitions, at least one, sorted; none of none.

    ``sizes`` maps each partition to its rows (or bytes: only their order counts). First come the strata: the
    newest, the largest, the smallest, the newest month end (where partitions are days or hours), the first. Then
    by a hash of ``key`` and the partition's name, so that the choice is fair, repeatable, and nested: what 5%
    chooses is among what 25% chooses. Raises ``WrongInput`` for a share that is not above 0 and at most 1.
    """
    if not 0 < share <= 1:
        raise WrongInput(f"a canary's share is above 0 and at most 100%, not {share * 100:f}%")
    order = dict.fromkeys((*_strata(sizes), *sorted(sizes, key=lambda name: _lot(key, name))))
    wanted = int((share * len(sizes)).to_integral_value(ROUND_CEILING))
    return tuple(sorted(list(order)[:wanted]))


def _strata(sizes: Mapping[str, int]) -> Iterable[str]:
    if not sizes:
        return ()
    newest, first = max(sizes), min(sizes)
    largest = max(sizes, key=lambda name: (sizes[name], name))
    smallest = min(sizes, key=lambda name: (sizes[name], name))
    month_ends = sorted(name for name in sizes if _ends_a_month(name))
    return (newest, largest, smallest, *month_ends[-1:], first)


def _lot(key: str, partition: str) -> bytes:
    return hashlib.sha256(f"{key}\0{partition}".encode("utf-8", "surrogatepass")).digest()


def _ends_a_month(partition: str) -> bool:
    """For a day or an hour of a month's last day; names that are no dates end nothing."""
    if len(partition) not in {10, 13}:
        return False
    try:
        day = date.fromisoformat(partition[:10])
    except ValueError:
        return False
    return day != date.max and (day + timedelta(days=1)).day == 1
