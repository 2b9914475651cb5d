"""The code location of the live build: ``python_module: lanewise.integrations.dagster.live``.

Dagster tells the processes of a run where its code is by the name of an attribute of this module. The name holds the
build's digest, so that they all load the build that the run was begun with, even when another one is live by then.
"""

from __future__ import annotations

from typing import Any

from lanewise.errors import NotFound
from lanewise.integrations.dagster.loading import LIVE, NOTHING, attribute, load
from lanewise.runtime.sign import read_sign


def __dir__() -> list[str]:
    try:
        live = read_sign().live
    except NotFound:  # nothing was ever promoted into this environment
        live = None
    return [attribute(live["build"]) if live else NOTHING]


def __getattr__(name: str) -> Any:
    return load(LIVE, name)
