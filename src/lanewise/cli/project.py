"""The project that a command works on, and how its progress is told: on standard error, beside the data."""

from __future__ import annotations

from lanewise.bootstrap import Workshop, open_context
from lanewise.cli.narration import Narration


def workshop(*, steady: bool = False) -> Workshop:
    """The project around the current folder, telling its progress to the terminal. ``steady``: see ``Workshop``."""
    return open_context(progress=Narration(), steady=steady)
