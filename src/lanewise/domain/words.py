"""Numbers in sentences."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """``1 partition``, ``1,204 partitions``: a regular noun after its number."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
