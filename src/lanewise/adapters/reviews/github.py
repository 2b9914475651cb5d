"""The pull request of a GitHub Actions job, from the variables that it has there."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lanewise.adapters.reviews.review import Review
from lanewise.adapters.reviews.site import Site
from lanewise.errors import WrongInput

_BOT = "github-actions[bot]"
"""Who a job's own token is; it may not ask for its name."""


def pull_request(environ: Mapping[str, str]) -> Review:
    """``WrongInput`` where the job has no token or runs for no pull request."""
    token = environ.get("GITHUB_TOKEN") or environ.get("GH_TOKEN")
    if not token:
        raise WrongInput("GITHUB_TOKEN is not set", hint="give the step `env: {GITHUB_TOKEN: ${{ github.token }}}`")
    number, repository = _number(environ), environ.get("GITHUB_REPOSITORY", "")
    headers = {"Authorization": f"Bearer {token}", "X-GitHub-Api-Version": "2022-11-28"}
    site = Site("GitHub", environ.get("GITHUB_API_URL") or "https://api.github.com", headers)
    issues = f"/repos/{repository}/issues"
    collection, single = f"{issues}/{number}/comments", lambda at: f"{issues}/comments/{at}"
    return Review(site, collection, single, "PATCH", lambda: _mine(site))


def _mine(site: Site) -> Callable[[Any], bool]:
    found = site.allows("/user")
    login = found["login"] if isinstance(found, dict) and "login" in found else _BOT
    return lambda one: bool((one.get("user") or {}).get("login") == login)


def _number(environ: Mapping[str, str]) -> int:
    """Of the event that started the job, or else of the ref that it checks out."""
    event = _event(environ.get("GITHUB_EVENT_PATH", ""))
    number = (event.get("pull_request") or {}).get("number")
    if number is None:
        ref = re.fullmatch(r"refs/pull/(\d+)/(merge|head)", environ.get("GITHUB_REF", ""))
        number = ref[1] if ref else None
    if number is None:
        raise WrongInput("this job runs for no pull request", hint="comment in a job with `on: pull_request`")
    return int(number)


def _event(path: str) -> Mapping[str, Any]:
    if not path:
        return {}
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
