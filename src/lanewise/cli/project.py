"""The project that a command works on, and how its progress is told: on standard error, beside the data."""

from __future__ import annotations

from typer._click.globals import get_current_context  # of the parser that typer ships

from lanewise.bootstrap import Workshop, open_context
from lanewise.cli.narration import Narration


def workshop(*, steady: bool = False) -> Workshop:
    """The project around the current folder, telling its progress to the terminal. ``steady``: see ``Workshop``."""
    found = open_context(progress=Narration(), steady=steady)
    command = get_current_context(silent=True)
    if command is not None:
        command.call_on_close(found.close)  # however the command ends
    return found
