"""The comments of a pull request of GitHub and of a merge request of GitLab, served over HTTP as those sites do: pages,
logins, and the right to change what is one's own."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "ghs_of_one_job"
GITHUB = re.compile(r"/repos/shop/pipeline/issues/(?:7/comments|comments/(\d+))")
GITLAB = re.compile(r"/projects/42/merge_requests/7/notes(?:/(\d+))?")


@dataclass
class Forge:
    """``comments``: (who, text) by number. ``failures``: statuses that the next requests get instead of an answer;
    those of ``lost`` are carried out first."""

    url: str
    comments: dict[int, tuple[str, str]] = field(default_factory=dict)
    failures: list[int] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def add(self, who: str, text: str) -> int:
        number = len(self.comments) + 1
        self.comments[number] = (who, text)
        return number

    @property
    def texts(self) -> list[str]:
        return [text for _, text in self.comments.values()]

    def github(self) -> dict[str, str]:
        """The variables of a job of a pull request there."""
        return {"GITHUB_ACTIONS": "true", "GITHUB_API_URL": self.url, "GITHUB_REPOSITORY": "shop/pipeline",
                "GITHUB_REF": "refs/pull/7/merge", "GITHUB_TOKEN": TOKEN}  # fmt: skip

    def gitlab(self) -> dict[str, str]:
        """The variables of a job of a merge request there."""
        return {"GITLAB_CI": "true", "CI_API_V4_URL": self.url, "CI_PROJECT_ID": "42", "CI_MERGE_REQUEST_IID": "7",
                "GITLAB_TOKEN": TOKEN}  # fmt: skip


@contextmanager
def forge() -> Iterator[Forge]:
    """Serve it until the block ends."""

    class Handler(_Handler):
        pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Handler.forge = Forge(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield Handler.forge
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    forge: Forge

    def do_GET(self) -> None:
        self._answer()

    do_POST = do_PATCH = do_PUT = do_GET  # noqa: N815 - as http.server calls them

    def log_message(self, *_: Any) -> None:
        pass

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        self.forge.asked.append(f"{self.command} {self.path}")
        status, answer = self._failure() or self._judged(body)
        if self.forge.lost and self.command != "GET":
            status, answer = self.forge.lost.pop(0), None
        content = json.dumps(answer).encode()
        self.send_response(status)
        if status == 302:
            self.send_header("Location", f"{self.forge.url}/elsewhere")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _failure(self) -> tuple[int, Any] | None:
        return (self.forge.failures.pop(0), None) if self.forge.failures else None

    def _judged(self, body: Any) -> tuple[int, Any]:
        address = urlsplit(self.path)
        if TOKEN not in (self.headers.get("Authorization") or self.headers.get("PRIVATE-TOKEN") or ""):
            return 401, None
        if address.path == "/user":  # a job's token of GitHub is nobody's
            return (403, None) if self.headers.get("Authorization") else (200, {"id": 9})
        found = GITHUB.fullmatch(address.path) or GITLAB.fullmatch(address.path)
        if found is None:
            return 404, None
        if found[1]:
            return self._changed(int(found[1]), body)
        if self.command == "POST":
            return 201, {"id": self.forge.add("us", body["body"])}
        return 200, self._page(parse_qs(address.query))

    def _changed(self, number: int, body: Any) -> tuple[int, Any]:
        wanted = "PATCH" if self.path.startswith("/repos") else "PUT"
        who, _ = self.forge.comments[number]
        if self.command != wanted or who != "us":
            return 403, None
        self.forge.comments[number] = (who, body["body"])
        return 200, {"id": number}

    def _page(self, query: dict[str, list[str]]) -> list[dict[str, Any]]:
        size, page = int(query["per_page"][0]), int(query["page"][0])
        every = [
            {"id": number, "body": text, "user": {"login": "github-actions[bot]" if who == "us" else who},
             "author": {"id": 9 if who == "us" else 1}}
            for number, (who, text) in self.forge.comments.items()
        ]  # fmt: skip
        return every[size * (page - 1) : size * page]
