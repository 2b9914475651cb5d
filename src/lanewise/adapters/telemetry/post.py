"""Send a body to whoever is told, once."""

from __future__ import annotations

from collections.abc import Mapping
from http.client import HTTPException, HTTPMessage
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, Request, build_opener

TIMEOUT = 5.0
"""Seconds for one request. At a command's end nobody waits that long."""

_TRY_AGAIN = {408, 429, 500, 502, 503, 504}


class Away(Exception):
    """Nobody answered, or not now: it may be tried again."""


class Rejected(Exception):
    """It was understood and is not wanted."""


class _StayHere(HTTPRedirectHandler):
    """The headers prove who sends: they go to the address in the config and nowhere else."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> None:
        """None."""


_OPENER = build_opener(_StayHere)


def post(url: str, body: bytes, headers: Mapping[str, str]) -> None:
    """POST it. ``Away`` or ``Rejected`` when it did not arrive; neither shows more than the status or the system's own
    words."""
    request = Request(url, data=body, method="POST", headers=dict(headers))  # noqa: S310 - the config's pattern says http
    try:
        with _OPENER.open(request, timeout=TIMEOUT) as answer:
            answer.read(64 * 1024)
    except HTTPError as error:
        error.close()
        kind = Away if error.code in _TRY_AGAIN else Rejected
        raise kind(f"it answers with status {error.code}") from None
    except (URLError, HTTPException, OSError) as error:
        why = getattr(error, "reason", error)
        raise Away(getattr(why, "strerror", None) or str(why) or type(error).__name__) from None
