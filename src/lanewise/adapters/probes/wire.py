"""One HTTP request, of which nothing but the status is kept. Redirects are not followed: they could carry a login
away."""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, HTTPSHandler, Request, build_opener

TIMEOUT = 5.0  # seconds, to connect and again to read
_LONGEST = 1 << 16


class Unanswered(Exception):
    """No status came back; the message says why, without address or login."""


@dataclass(frozen=True)
class Wire:
    """How servers are reached: with the certificates of ``authority`` (a file or folder; "": the system's)."""

    authority: str = ""

    def status(self, method: str, url: str, headers: Mapping[str, str], body: object = None) -> int:
        """The answer's status. ``Unanswered`` when there is none."""
        return self._send(method, url, headers, body)[0]

    def answer(self, method: str, url: str, headers: Mapping[str, str], body: object = None) -> tuple[int, Any]:
        """The status, and the JSON that came with it (None for anything else)."""
        status, text = self._send(method, url, headers, body)
        try:
            return status, json.loads(text)
        except ValueError:
            return status, None

    def _send(self, method: str, url: str, headers: Mapping[str, str], body: object) -> tuple[int, bytes]:
        if not url.startswith(("http://", "https://")):
            raise Unanswered("its address does not start with http:// or https://")
        data = None if body is None else json.dumps(body).encode()
        sent = {**headers, **({"Content-Type": "application/json"} if data else {})}
        request = Request(url, data=data, method=method, headers=sent)  # noqa: S310 - checked above
        try:
            with self._opener().open(request, timeout=TIMEOUT) as response:
                return int(response.status), response.read(_LONGEST)
        except HTTPError as error:
            with error:
                return error.code, b""
        except (URLError, HTTPException, OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            raise Unanswered(f"no answer ({type(reason).__name__})") from None

    def _opener(self) -> Any:
        file = self.authority if Path(self.authority).is_file() else None
        context = ssl.create_default_context(cafile=file, capath=None if file else self.authority or None)
        return build_opener(HTTPSHandler(context=context), _Stay())


class _Stay(HTTPRedirectHandler):
    """An answer that sends us elsewhere is an answer."""

    def redirect_request(self, *_: Any) -> None:
        """Nowhere."""
        return
