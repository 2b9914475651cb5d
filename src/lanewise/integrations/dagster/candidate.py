"""The code location of the builds beside the live one: ``python_module: lanewise.integrations.dagster.candidate``.

Each is a repository of its own, ``build_3f9a2c71``, with neither schedules nor sensors, and with asset keys of its own,
so that nothing of the live build takes notice. A build that does not load is one too: it has the one job
``does_not_load``, whose description says why, so that it keeps no other candidate from loading.
"""

from __future__ import annotations

from typing import Any

from lanewise.errors import NotFound
from lanewise.integrations.dagster.loading import CANDIDATE, NOTHING, attribute, load
from lanewise.runtime.sign import read_sign


def __dir__() -> list[str]:
    try:
        sign = read_sign()
    except NotFound:
        return [NOTHING]
    return [attribute(one["build"]) for one in sign.candidates] or [NOTHING]


def __getattr__(name: str) -> Any:
    return load(CANDIDATE, name)
