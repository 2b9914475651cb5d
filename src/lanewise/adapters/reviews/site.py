"""A site's REST interface with one login: JSON, no redirects (a login follows none), no waiting for long."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from lanewise.errors import OutsideBroke, WrongInput

_TIMEOUT = 30.0  # seconds, to connect and again to read
_PAGE = 100
_PAGES = 100  # ten thousand comments: whoever looks further looks for ever


class Unanswered(OutsideBroke):
    """The site was not reached, or says that it is busy: worth another try."""


class _Stay(HTTPRedirectHandler):
    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        """Nowhere: the answer is then the redirect itself, which is an error."""


@dataclass(frozen=True)
class Site:
    """``name`` is for people; ``url`` begins every address; ``headers`` are the login."""

    name: str
    url: str
    headers: Mapping[str, str]

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """What the site answers. ``Unanswered`` while it is away; ``OutsideBroke`` with the status when it says no."""
        status, answer = self._once(method, path, body)
        if status in {429, 500, 502, 503, 504}:
            raise Unanswered(f"{self.name} answers with status {status}")
        if not 200 <= status < 300:
            hint = "the job's token may not write comments, see docs/how-to/promote-from-ci.md"
            raise OutsideBroke(f"{self.name} answers {method} {path} with status {status}",
                               hint=hint if status in {401, 403, 404} else "")  # fmt: skip
        return answer

    def allows(self, path: str) -> Any:
        """As ``ask("GET", …)``, or None where this login may not look."""
        status, answer = self._once("GET", path, None)
        return answer if 200 <= status < 300 else None

    def every(self, path: str) -> Iterator[Any]:
        """All items of a list, page by page."""
        for page in range(1, _PAGES + 1):
            items = self.ask("GET", f"{path}?per_page={_PAGE}&page={page}")
            yield from items
            if len(items) < _PAGE:
                return

    def _once(self, method: str, path: str, body: object) -> tuple[int, Any]:
        if not self.url.startswith(("https://", "http://")):
            raise WrongInput(f"the address of {self.name} does not start with https://")
        data = None if body is None else json.dumps(body).encode()
        headers = {"Accept": "application/json", "Content-Type": "application/json", "User-Agent": "lanewise"}
        request = Request(self.url.rstrip("/") + path, data, {**headers, **self.headers}, method=method)  # noqa: S310 - checked
        try:
            with build_opener(_Stay).open(request, timeout=_TIMEOUT) as response:
                return int(response.status), json.loads(response.read() or b"null")
        except HTTPError as error:
            with error:
                return error.code, None
        except (URLError, HTTPException, OSError) as error:
            raise Unanswered(f"{self.name} can't be reached ({type(error).__name__})") from error
        except ValueError as error:
            raise OutsideBroke(f"{self.name} does not answer with JSON") from error
