"""An environment's connections as variables for a dbt project: ``env_var('LANEWISE_SRC_HOST')``.

``LANEWISE_ROLE_FIELD`` is the field of the connection that the setting ``role_conn`` names, with the runner's login.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress

from lanewise.domain.environment import Connection, Environment, SecretRef
from lanewise.errors import SecretUnavailable

_OURS = "orchestrator"


def variables_of(lane: Environment, resolve: Callable[[SecretRef], str]) -> dict[str, str]:
    """Every plain field, and every secret that ``resolve`` gives a value; dbt names one that is missing when a model
    asks for it."""
    found: dict[str, str] = {}
    for role, connection in _roles(lane.for_runs()):
        for field, value in connection.fields.items():
            if isinstance(value, str | int | float):
                found[_variable(role, field)] = str(value)
        for field, reference in connection.secrets.items():
            with suppress(SecretUnavailable):
                found[_variable(role, field)] = resolve(reference)
    return found


def _roles(lane: Environment) -> Iterator[tuple[str, Connection]]:
    for name, value in lane.settings.items():
        role = name.removesuffix("_conn")
        if role not in {name, _OURS} and isinstance(value, str) and value in lane.connections:
            yield role, lane.connections[value]


def _variable(role: str, field: str) -> str:
    return re.sub(r"\W", "_", f"LANEWISE_{role}_{field}".upper())
