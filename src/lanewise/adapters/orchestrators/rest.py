"""JSON over HTTP with an orchestrator's server: waits while it is away, and says so."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from lanewise.errors import ConfigError, OrchestratorUnavailable

TIMEOUT = 30.0
"""Seconds, to connect and again to read."""

PATIENCE = 600.0
"""Seconds that a server may be away before it is given up."""

_AWAY = frozenset({429, 502, 503, 504})  # the server, or what stands before it, says that it will be back


class _SameServer(HTTPRedirectHandler):
    """Follows a server's word to another place of its own, and to nobody else's: the login goes with the request."""

    def redirect_request(self, req: Request, *given: Any) -> Request | None:
        """None where it leads elsewhere: then the redirection itself is the answer."""
        here, there = urlsplit(req.full_url), urlsplit(str(given[-1]))
        same = (here.scheme, here.netloc) == (there.scheme, there.netloc) and req.get_method() == "GET"
        return super().redirect_request(req, *given) if same else None


_OPENER = build_opener(_SameServer)


@dataclass(frozen=True)
class Answer:
    """What came back: the status, and the JSON body (None where it had none)."""

    status: int
    body: Any

    @property
    def ok(self) -> bool:
        """Whether the status is a success."""
        return 200 <= self.status < 300


@dataclass
class Rest:
    """One server. ``name`` is for people (``Airflow at http://…``); ``headers`` gives those of the login, anew for each
    request; ``say`` tells a person why this waits. Every request may be sent again, so each must be safe to repeat."""

    name: str
    url: str
    say: Callable[[str], None]
    headers: Callable[[], Mapping[str, str]] = dict
    patience: float = PATIENCE
    _waiting: bool = field(default=False, init=False)

    def get(self, path: str) -> Answer:
        """GET; ``path`` starts with a slash."""
        return self.send("GET", path)

    def post(self, path: str, body: object) -> Answer:
        """POST of JSON. Only what the server takes for the same when it comes twice."""
        return self.send("POST", path, body)

    def patch(self, path: str, body: object) -> Answer:
        """PATCH of JSON."""
        return self.send("PATCH", path, body)

    def delete(self, path: str) -> Answer:
        """DELETE."""
        return self.send("DELETE", path)

    def send(self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None) -> Answer:
        """One request, repeated while the server is away. ``headers`` instead of the login's own (to log in).
        ``OrchestratorUnavailable`` when it stays away; any other status is an answer."""
        deadline, pause = time.monotonic() + self.patience, 0.5
        while True:
            reason = ""
            try:
                found = self._once(method, path, body, self.headers() if headers is None else headers)
                if found.status not in _AWAY:
                    self._back()
                    return found
                reason = f"status {found.status}"
            except (URLError, HTTPException, OSError) as error:
                reason = str(getattr(error, "reason", error)) or type(error).__name__
            if time.monotonic() >= deadline:
                hint = "do the same again when it is back: it goes on from here"
                raise OrchestratorUnavailable(f"{self.name} does not answer ({reason})", hint=hint)
            if not self._waiting:
                self.say(f"waiting for {self.name}: {reason}")
                self._waiting = True
            time.sleep(min(pause, max(0.0, deadline - time.monotonic())))
            pause = min(pause * 1.5, 5.0)

    def _back(self) -> None:
        if self._waiting:
            self.say(f"{self.name} answers again")
            self._waiting = False

    def _once(self, method: str, path: str, body: object, headers: Mapping[str, str]) -> Answer:
        if not self.url.startswith(("http://", "https://")):
            raise ConfigError(f"the url of {self.name} does not start with http:// or https://")
        data = None if body is None else json.dumps(body).encode()
        sent = {"Accept": "application/json", **headers, **({"Content-Type": "application/json"} if data else {})}
        request = Request(f"{self.url.rstrip('/')}{path}", data=data, method=method, headers=sent)  # noqa: S310 - checked
        try:
            with _OPENER.open(request, timeout=TIMEOUT) as response:
                return Answer(int(response.status), _json(response.read()))
        except HTTPError as error:
            with error:
                return Answer(error.code, _json(error.read()))


def _json(content: bytes) -> Any:
    try:
        return json.loads(content) if content else None
    except ValueError:
        return None
