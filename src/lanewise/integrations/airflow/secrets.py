"""A secrets backend: the connections and settings of this environment, under the names that pipelines use anywhere.

::

    [secrets]  backend = lanewise.integrations.airflow.LanewiseSecrets
    [workers]  secrets_backend = lanewise.integrations.airflow.LanewiseSecrets

The connection ``src`` is what ``src_conn`` names here; ``postgres_prod`` is itself. A setting is a variable. Another
environment's name is refused for good, so that no other backend is asked for it. Values are resolved when they are
asked for, in the process that asks, and kept nowhere.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from typing import Any

from airflow.sdk.exceptions import AirflowSecretsBackendAccessDenied
from airflow.secrets.base_secrets import BaseSecretsBackend

from lanewise.errors import LaneError
from lanewise.integrations.airflow.names import of_another
from lanewise.runtime.compiled import read
from lanewise.runtime.connection import Connection
from lanewise.runtime.place import COMPILED
from lanewise.runtime.sign import Sign, read_sign

log = logging.getLogger(__name__)

_OWN = {"host": "host", "port": "port", "user": "login", "login": "login", "password": "password",
        "database": "schema", "dbname": "schema", "schema": "schema"}  # fmt: skip


class LanewiseSecrets(BaseSecretsBackend):  # type: ignore[misc]  # Airflow is not installed where types are checked
    """Serves one environment, that of ``home`` and ``environment``, else of ``LANEWISE_HOME`` and ``LANEWISE_ENV``."""

    def __init__(self, home: str = "", environment: str = "", **_: Any) -> None:
        super().__init__()
        self._home, self._environment = home, environment

    def get_conn_value(self, conn_id: str, team_name: str | None = None) -> str | None:  # noqa: ARG002 - Airflow's
        """The connection as JSON, its secrets resolved; None for a name that nobody here knows."""
        sign, document = self._sign(), None
        self._demand_own("connection", conn_id, sign)
        document = self._document(sign)
        if document is None:
            return None
        name = document["settings"].get(f"{conn_id}_conn", conn_id)
        if name not in document["connections"]:
            return None
        try:
            return as_airflow(Connection(name, document), document["connections"][name]["secrets"])
        except LaneError as error:
            # Another backend may hold a connection of this name, and it would not be this environment's.
            log.error("connection %s: %s; %s", conn_id, error.message, error.hint)  # noqa: TRY400 - the line is for people
            raise AirflowSecretsBackendAccessDenied(f"connection {conn_id}: {error.message}") from None

    def get_variable(self, key: str, team_name: str | None = None) -> str | None:  # noqa: ARG002 - Airflow's
        """The setting of that name: text as it is, anything else as JSON; None where there is none."""
        sign = self._sign()
        self._demand_own("variable", key, sign)
        document = self._document(sign)
        if document is None or key not in document["settings"]:
            return None
        found = document["settings"][key]
        return found if isinstance(found, str) else json.dumps(found)

    def get_config(self, key: str) -> str | None:  # noqa: ARG002 - Airflow's
        """None: Airflow's own configuration is not an environment's matter."""
        return None

    def _sign(self) -> Sign | None:
        try:
            return read_sign(self._home, self._environment)
        except LaneError as error:
            log.debug("nothing is known here: %s", error.message)
            return None

    def _document(self, sign: Sign | None) -> dict[str, Any] | None:
        """What is told of the environment: to the run whose task this is, else to the live build."""
        run = os.environ.get(COMPILED, "")
        try:
            if run:
                return read(run)
            return read(sign.compiled(sign.live["build"])) if sign and sign.live else None
        except LaneError as error:
            log.warning("nothing is known here: %s", error.message)
            return None

    @staticmethod
    def _demand_own(kind: str, name: str, sign: Sign | None) -> None:
        other = of_another(name, sign.environment, sign.environments) if sign else ""
        if sign and other:
            said = f"{kind} {name} is of {other}, and this is {sign.environment}"
            log.error("refused: %s", said)
            raise AirflowSecretsBackendAccessDenied(said)


def as_airflow(found: Connection, secrets: Mapping[str, Any]) -> str:
    """A connection as Airflow's JSON: what it has no word for is in ``extra``."""
    told: dict[str, Any] = {"conn_type": found.type}
    extra: dict[str, Any] = {}
    for name in [*found.fields, *secrets]:
        own = _OWN.get(name)
        if own and own not in told:
            told[own] = found[name]
        else:
            extra[name] = found[name]
    return json.dumps({**told, "extra": extra} if extra else told)
