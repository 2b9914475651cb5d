"""Nobody approves their own work: whose work a promotion brings, from the ledger and from git."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from lanewise.domain.promotion import Promotion
from lanewise.errors import ApprovalRefused
from lanewise.service.approve import approve
from lanewise.service.authors import authors_of
from lanewise.service.build import make_build

from .lanes import APPROVED, SCRIPT, Lanes

BEN, CLEO, ANA = "Ben <ben@orders.example>", "Cleo <cleo@orders.example>", "Ana <ana@orders.example>"


def git(root: Path, who: str, *words: str) -> None:
    name, _, mail = who.removesuffix(">").partition(" <")
    subprocess.run(["git", "-c", f"user.name={name}", "-c", f"user.email={mail}", *words], cwd=root, check=True,
                   capture_output=True)  # fmt: skip


class Shared:
    """A project in a repository, in which several people commit and one builds."""

    def __init__(self, root: Path) -> None:
        self.lanes = Lanes(root, APPROVED)
        (root / ".gitignore").write_text(".lanewise\n")
        git(root, ANA, "init", "-q", "-b", "main")

    def commit(self, who: str, text: str, *more: str) -> None:
        (self.lanes.root / "pipelines" / "orders.sh").write_text(SCRIPT.replace("@BUILD@", text))
        git(self.lanes.root, who, "add", ".")
        git(self.lanes.root, who, "commit", "-q", "-m", text, *more)

    def build(self, by: str = "dan") -> str:
        return make_build(self.lanes.ctx(by)).digest

    def release(self, build: str, by: str) -> None:
        waiting = self.lanes.promote(build)
        self.lanes.approve(waiting.id, by, go=True)

    def authors(self, build: str) -> set[str]:
        return set(authors_of(self.lanes.ctx(), self.lanes.promote(build)))


@pytest.fixture
def shared(tmp_path: Path) -> Shared:
    return Shared(tmp_path / "orders")


def test_without_git_whoever_built_it_is_its_author(tmp_path: Path) -> None:
    lanes = Lanes(tmp_path / "orders", APPROVED)
    (lanes.root / "pipelines" / "orders.sh").write_text(SCRIPT)
    build = make_build(lanes.ctx("ben")).digest
    assert authors_of(lanes.ctx(), lanes.promote(build)) == ("ben",)
    with pytest.raises(ApprovalRefused, match="ben wrote"):
        approve(lanes.ctx("ben"), "prod-1")
    assert approve(lanes.ctx("cleo"), "prod-1").missing == 0


def test_without_git_those_who_built_since_the_live_build_count_too(tmp_path: Path) -> None:
    lanes = Lanes(tmp_path / "orders", APPROVED)
    v1 = lanes.build("v1")
    lanes.promote(v1)
    lanes.approve("prod-1", go=True)
    (lanes.root / "pipelines" / "orders.sh").write_text(SCRIPT.replace("@BUILD@", "v2"))
    make_build(lanes.ctx("ben"))
    assert authors_of(lanes.ctx(), lanes.promote(lanes.build("v3"))) == ("ben", "dan")


def test_an_edited_provenance_changes_nothing(shared: Shared) -> None:
    shared.commit(BEN, "v1")
    build = shared.build()
    file = shared.lanes.root / ".lanewise" / "builds" / build[7:] / "provenance.json"
    document = json.loads(file.read_text())
    file.write_text(json.dumps({**document, "authors": [ANA], "dirty": False, "built_by": "ana"}))
    assert shared.authors(build) == {BEN}
    with pytest.raises(ApprovalRefused, match="ben wrote"):
        approve(shared.lanes.ctx("ben"), "prod-1")


def test_a_build_that_the_ledger_does_not_know_has_the_authors_of_its_provenance_and_its_builder(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared.commit(BEN, "v1")
    waiting = shared.lanes.promote(shared.build())
    read = shared.lanes.ledger.read
    monkeypatch.setattr(shared.lanes.ledger, "read", lambda s, **more: () if s == "build/orders" else read(s, **more))
    assert set(authors_of(shared.lanes.ctx(), waiting)) == {BEN, "dan"}


def test_all_commits_since_the_live_build_count_and_not_the_last_alone(shared: Shared) -> None:
    shared.commit(BEN, "v1")
    shared.release(shared.build(), "cleo")
    shared.commit(CLEO, "hidden")
    shared.build()
    shared.commit(CLEO, "never built")
    shared.commit(ANA, "v3")
    assert shared.authors(shared.build()) == {CLEO, ANA}


def test_a_merged_branch_brings_its_authors(shared: Shared) -> None:
    shared.commit(BEN, "v1")
    shared.release(shared.build(), "cleo")
    root = shared.lanes.root
    git(root, CLEO, "checkout", "-q", "-b", "side")
    shared.commit(CLEO, "v2")
    git(root, ANA, "checkout", "-q", "main")
    git(root, ANA, "merge", "-q", "--no-ff", "-m", "merge", "side")
    assert shared.authors(shared.build()) == {CLEO, ANA}


def test_before_the_first_release_whatever_was_built_counts(shared: Shared) -> None:
    shared.commit(BEN, "v1")
    shared.build()
    shared.commit(ANA, "v2", "-m", "Co-authored-by: Cleo <cleo@orders.example>")
    assert shared.authors(shared.build()) == {BEN, ANA, CLEO}


def test_history_that_was_rewritten_is_looked_at_back_to_a_build_that_is_known(shared: Shared) -> None:
    shared.commit(BEN, "v1")
    shared.release(shared.build(), "cleo")
    shutil.rmtree(shared.lanes.root / ".git")
    git(shared.lanes.root, CLEO, "init", "-q", "-b", "main")
    shared.commit(CLEO, "squashed")
    shared.commit(ANA, "v2")
    assert shared.authors(shared.build()) == {CLEO, ANA}


def test_an_older_build_that_goes_back_in_brings_its_own_authors(shared: Shared) -> None:
    shared.commit(BEN, "v1")
    old = shared.build()
    shared.commit(ANA, "v2")
    shared.release(shared.build(), "cleo")
    promotion: Promotion = shared.lanes.promote(old)
    assert set(authors_of(shared.lanes.ctx(), promotion)) == {BEN}
