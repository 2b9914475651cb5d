"""The probe of types ``airflow``, ``dagster``, ``prefect`` (orchestrators) and ``rabbitmq`` (a queue): one GET with
each environment's login at what the others have.

Such a connection names an address that wants a login, as ``url``, and the login: ``user`` with a reference
``password``, or a reference ``token``. For ``rabbitmq`` the ``url`` is that of its management, and ``queue`` (with
``vhost``, default
``/``) is looked at. Nothing is sent to a queue or taken from it: neither could be taken back.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from lanewise.adapters.probes.wire import Unanswered, Wire
from lanewise.domain.environment import Connection, Environment
from lanewise.domain.isolation import Attempt, Holder, Identity, Outcome, Target
from lanewise.domain.ports import Secrets
from lanewise.domain.project import Project

_QUEUE = "rabbitmq"


def open_probe(*, secrets: Secrets, project: Project, lanes: Mapping[str, Environment], root: Path) -> HttpProbe:
    """See ``ProbeOpener``."""
    del project, lanes, root  # an address says all
    return HttpProbe(secrets, Wire())


@dataclass(frozen=True)
class HttpProbe:
    """Satisfies ``domain.isolation.Probe``."""

    secrets: Secrets
    wire: Wire

    def holders(self, lane: Environment, connection: Connection) -> tuple[Holder, ...]:
        """The connection's login."""
        token = connection.secrets.get("token")
        user = str(connection.fields.get("user") or (token.text if token else ""))
        return (Holder(Identity(lane.name, connection.name, "login", user), lane, connection),)

    def prove(self, holder: Holder) -> str:
        """Is let in at home."""
        if not holder.connection.secrets:
            return "the connection names neither a token nor user and password"
        try:
            status = self._status(holder.connection, holder.connection)
        except Unanswered as error:
            return str(error)
        return "" if 200 <= status < 300 else f"status {status}"

    def attempts(self, holder: Holder, other: Environment) -> Iterator[Attempt]:
        """One GET at each of the other's connections of the same type."""
        for place in other.connections.values():
            if place.type != holder.connection.type:
                continue
            name = str(place.fields.get("queue") or place.name)
            target = Target(other.name, "queue" if place.type == _QUEUE else "orchestrator", name)
            try:
                status = self._status(place, holder.connection)
            except Unanswered as error:
                outcome, answer = Outcome.UNREACHABLE, str(error)
            else:
                outcome, answer = _outcome(status), f"status {status}"
            yield Attempt(holder.identity, target, "look", f"GET {_url(place)}", outcome, answer)

    def overreach(self, holder: Holder) -> tuple[Attempt, ...]:
        """Nothing is forbidden at home."""
        del holder
        return ()

    def _status(self, place: Connection, login: Connection) -> int:
        return self.wire.status("GET", _url(place), self._login(login))

    def _login(self, connection: Connection) -> dict[str, str]:
        values = {name: self.secrets.resolve(ref) for name, ref in connection.secrets.items()}
        if "token" in values:
            return {"Authorization": f"Bearer {values['token']}"}
        pair = f"{connection.fields.get('user') or ''}:{values.get('password', '')}"
        return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}


def _outcome(status: int) -> Outcome:
    """What was found is not said by a redirect, nor by an absent page."""
    if status in {401, 403}:
        return Outcome.DENIED
    return Outcome.ALLOWED if 200 <= status < 300 else Outcome.UNREACHABLE


def _url(place: Connection) -> str:
    url = str(place.fields.get("url") or "")
    if place.type != _QUEUE:
        return url
    vhost, queue = (quote(str(place.fields.get(k) or d), safe="") for k, d in (("vhost", "/"), ("queue", "")))
    return f"{url.rstrip('/')}/api/queues/{vhost}/{queue}"
