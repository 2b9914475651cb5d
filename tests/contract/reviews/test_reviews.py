"""One comment a project on a review, on either site: written once, then written over."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.e2e.forge import TOKEN, Forge, forge

from lanewise.adapters.reviews import review as waiting
from lanewise.adapters.reviews.review import Review
from lanewise.bootstrap import find_review
from lanewise.errors import LaneError, OutsideBroke, WrongInput

MARKER = "<!-- lanewise plan-of orders -->"


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Forge]:
    monkeypatch.setattr(waiting, "_PAUSE", 0.01)
    with forge() as found:
        yield found


@pytest.fixture(params=["github", "gitlab"])
def review(request: pytest.FixtureRequest, site: Forge) -> Review:
    return find_review(getattr(site, request.param)())


def test_the_second_comment_is_written_over_the_first(site: Forge, review: Review):
    assert "commented" in review.write(f"{MARKER}\none", MARKER)
    assert "up to date" in review.write(f"{MARKER}\ntwo", MARKER)
    assert "already" in review.write(f"{MARKER}\ntwo", MARKER)
    assert site.texts == [f"{MARKER}\ntwo"]


def test_its_own_is_found_beyond_the_first_page(site: Forge, review: Review):
    for number in range(130):
        site.add("ana", f"thought {number}")
    site.add("us", f"{MARKER}\none")
    review.write(f"{MARKER}\ntwo", MARKER)
    assert len(site.texts) == 131
    assert site.texts[-1] == f"{MARKER}\ntwo"


def test_somebody_elses_comment_and_another_projects_stay(site: Forge, review: Review):
    site.add("eve", f"{MARKER}\nmine now")
    site.add("us", "<!-- lanewise plan-of shipments -->\nother")
    site.add("us", f"as said: {MARKER}")
    before = site.texts
    review.write(f"{MARKER}\none", MARKER)
    assert site.texts == [*before, f"{MARKER}\none"]


def test_a_site_that_is_busy_is_asked_again(site: Forge, review: Review):
    site.failures += [502, 429]
    review.write(f"{MARKER}\none", MARKER)
    assert site.texts == [f"{MARKER}\none"]


def test_an_answer_that_got_lost_makes_no_second_comment(site: Forge, review: Review):
    site.lost += [502]
    review.write(f"{MARKER}\none", MARKER)
    assert site.texts == [f"{MARKER}\none"]


@pytest.mark.parametrize("status", [401, 403, 404, 302])
def test_a_no_is_told_without_the_token(site: Forge, review: Review, status: int):
    site.failures += [status] * 3
    with pytest.raises(OutsideBroke, match=rf"status {status}") as refused:
        review.write(f"{MARKER}\none", MARKER)
    assert TOKEN not in f"{refused.value.message} {refused.value.hint} {refused.value.__cause__}"
    assert not any("elsewhere" in asked for asked in site.asked), "a redirect carries the token away"


def test_a_site_that_stays_away_is_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(waiting, "_PAUSE", 0.01)
    with forge() as gone:
        variables = gone.gitlab()
    with pytest.raises(OutsideBroke, match="can't be reached"):
        find_review(variables).write(MARKER, MARKER)


@pytest.mark.parametrize(
    ("site_name", "missing", "told"),
    [("github", "GITHUB_TOKEN", "GITHUB_TOKEN"), ("github", "GITHUB_REF", "no pull request"),
     ("gitlab", "GITLAB_TOKEN", "GITLAB_TOKEN"), ("gitlab", "CI_MERGE_REQUEST_IID", "no merge request")],
)  # fmt: skip
def test_a_job_that_can_not_comment_says_what_is_missing(site: Forge, site_name: str, missing: str, told: str):
    variables = getattr(site, site_name)()
    del variables[missing]
    with pytest.raises(WrongInput, match=told):
        find_review(variables)


def test_elsewhere_there_is_no_review():
    with pytest.raises(LaneError, match="no job of GitHub Actions or GitLab CI"):
        find_review({})
