"""What pipeline code imports in a worker. Standard library only, and little of it: orchestrators re-parse files
all day, so ``import lanewise; lanewise.current()`` must stay within 20 ms of a bare interpreter.

Read in this order: ``place`` (which environment, which compiled file), ``compiled`` (that file), ``lane``,
``connection``, then ``run``, ``relations`` and ``engine``, which load when a run begins.
"""

from __future__ import annotations

import sys

from lanewise.runtime.lane import Lane, open_lane

__all__ = ["Lane", "current"]


def current(environment: str | None = None) -> Lane:
    """The lane this process drives in.

    Inside a run that is the run's own; elsewhere the environment is ``environment``, else what ``LANEWISE_ENV`` or
    the project's own variable says, else ``dev`` on a laptop and an error inside an orchestrator. The build is the
    one that the calling file lies in. Raises ``ConfigError`` or ``NotFound`` with the command that helps, and
    ``BuildTampered`` when the compiled file belongs to another build than the code.
    """
    caller = sys._getframe(1).f_code.co_filename  # noqa: SLF001 - `inspect` would cost more than all the rest
    return open_lane(environment, caller)
