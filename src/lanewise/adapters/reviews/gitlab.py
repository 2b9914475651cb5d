"""The merge request of a GitLab CI job, from the variables that it has there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lanewise.adapters.reviews.review import Review
from lanewise.adapters.reviews.site import Site
from lanewise.errors import WrongInput


def merge_request(environ: Mapping[str, str]) -> Review:
    """``WrongInput`` where the job has no token or runs for no merge request. A job's own token may not comment."""
    token = environ.get("GITLAB_TOKEN")
    if not token:
        hint = "a project access token with scope `api`, as a masked variable; CI_JOB_TOKEN may not comment"
        raise WrongInput("GITLAB_TOKEN is not set", hint=hint)
    number = environ.get("CI_MERGE_REQUEST_IID")
    if not number:
        hint = "comment in a job with a rule for `merge_request_event`"
        raise WrongInput("this job runs for no merge request", hint=hint)
    site = Site("GitLab", environ.get("CI_API_V4_URL") or "https://gitlab.com/api/v4", {"PRIVATE-TOKEN": token})
    notes = f"/projects/{environ.get('CI_PROJECT_ID', '')}/merge_requests/{number}/notes"
    return Review(site, notes, lambda at: f"{notes}/{at}", "PUT", lambda: _mine(site))


def _mine(site: Site) -> Callable[[Any], bool]:
    me = site.ask("GET", "/user")["id"]
    return lambda one: bool((one.get("author") or {}).get("id") == me)
