"""``lanewise.service.build``: with real files, a real git, a ledger and a store in memory."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from threading import Barrier, Thread
from types import SimpleNamespace
from typing import Any

import pytest

from lanewise.adapters.builds.fsspec_store import FsspecBuildStore
from lanewise.bootstrap import Quiet
from lanewise.domain.environment import Config
from lanewise.domain.event import Draft, Event
from lanewise.domain.ports import BuildStore
from lanewise.errors import BuildTampered, GroundMoved, NotFound, OutsideBroke, Refused, WrongInput
from lanewise.service.build import checkout, find_build, lay_out, make, make_build
from lanewise.service.context import Actor
from lanewise.service.provenance import look_at_git
from lanewise.testing.fake_builds import FakeBuildStore
from lanewise.testing.fake_ledger import FakeLedger

from .trees import FILES, lay, project


def context(root: Path, store: BuildStore | None = None, ledger: FakeLedger | None = None) -> Any:
    return SimpleNamespace(
        root=root, home=root / ".lanewise", project=project(), builds=store or FakeBuildStore(),
        ledger=ledger or FakeLedger(), actor=Actor("ana", "os-user"), progress=Quiet(),
        config=Config({}, {}),
    )  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return lay(tmp_path / "project", FILES | {"environments.yaml": "environments: {dev: {}}\n"})


def git(root: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=Ana", "-c", "user.email=ana@x.org", *arguments]
    return subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(root: Path) -> Path:
    git(root, "init", "-q", "-b", "main")
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "first")
    return root


def recorded(ctx: Any) -> list[tuple[str, Any]]:
    return [(event.type, dict(event.data)) for event in ctx.ledger.read("build/orders")]


def test_a_build_is_stored_and_recorded_once(root: Path) -> None:
    ctx = context(root)
    first, second = make(ctx), make(ctx)
    assert (first.new, second.new) == (True, False)
    assert first.build == second.build == ctx.builds.get(first.build.digest)
    assert first.build.provenance.built_by == "ana"
    assert recorded(ctx) == [
        ("build.recorded", {"digest": first.build.digest, "commit": None, "dirty": False, "authors": [],
                            "built_by": "ana", "files": 3, "bytes": first.build.size})
    ]  # fmt: skip


def test_what_a_crash_left_unrecorded_is_recorded_by_the_next(root: Path) -> None:
    ctx = context(root)
    build = make_build(ctx)
    again = context(root, ctx.builds)  # the store has it, the ledger does not
    assert not make(again).new
    assert recorded(again)[0][1]["digest"] == build.digest


def test_a_tag_is_recorded_once_and_never_moves(root: Path) -> None:
    ctx = context(root)
    build = make_build(ctx, tag="v1.4")
    assert build.tags == ("v1.4",)
    assert make_build(ctx, tag="v1.4") == build
    assert make_build(ctx, tag="latest-good").tags == ("latest-good", "v1.4")
    assert [kind for kind, _ in recorded(ctx)] == ["build.recorded", "build.tagged", "build.tagged"]
    lay(root, {"pipelines/orders.py": "other"})
    with pytest.raises(Refused):
        make_build(ctx, tag="v1.4")
    assert [data["tag"] for kind, data in recorded(ctx) if kind == "build.tagged"] == ["v1.4", "latest-good"]
    assert find_build(ctx, "v1.4").digest == build.digest


def test_a_wrong_tag_is_refused_before_anything_is_stored(root: Path) -> None:
    ctx = context(root)
    with pytest.raises(WrongInput):
        make(ctx, tag="beef")
    assert ctx.builds.list() == ()


class _Busy(FakeLedger):
    """A ledger in which somebody else is a moment faster, ``times`` times."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self._times = times

    def append(self, stream: str, drafts: Sequence[Draft], **more: Any) -> tuple[Event, ...]:
        if self._times:
            self._times -= 1
            super().append(stream, [Draft("build.recorded", {"digest": "other"})], actor="bob")
        return super().append(stream, drafts, **more)


def test_another_ones_event_in_between_is_no_obstacle(root: Path) -> None:
    ctx = context(root, ledger=_Busy(3))
    build = make_build(ctx)
    assert [data["digest"] for _, data in recorded(ctx)] == ["other"] * 3 + [build.digest]


def test_a_stream_that_never_rests_is_given_up(root: Path) -> None:
    with pytest.raises(GroundMoved):
        make(context(root, ledger=_Busy(10_000)))


def test_a_stored_build_that_was_tampered_with_is_made_whole_by_building_again(root: Path, tmp_path: Path) -> None:
    ctx = context(root, FsspecBuildStore("store", base=tmp_path))
    build = make_build(ctx)
    folder = tmp_path / "store" / build.digest.removeprefix("sha256:")
    (folder / "manifest.json").write_bytes(b"{}")
    ctx = context(root, FsspecBuildStore("store", base=tmp_path))
    assert make(ctx).build.digest == build.digest
    (folder / "files.pack").unlink()
    assert make(ctx).build.digest == build.digest
    assert checkout(ctx, build.digest).is_dir()


def test_the_commit_its_branch_and_everybody_on_it_are_recorded(repository: Path) -> None:
    message = "second\n\nCo-authored-by: Bob <bob@x.org>\nCo-authored-by: Cy <cy@x.org>\n"
    git(repository, "commit", "-q", "--allow-empty", "--author", "Dee <dee@x.org>", "-m", message)
    found = make_build(context(repository)).provenance
    assert (found.commit, found.branch, found.dirty) == (git(repository, "rev-parse", "HEAD"), "main", False)
    assert found.authors == ("Dee <dee@x.org>", "Ana <ana@x.org>", "Bob <bob@x.org>", "Cy <cy@x.org>")


@pytest.mark.parametrize(
    ("change", "dirty"),
    [
        ({"pipelines/orders.py": "changed"}, True),
        ({"pipelines/new.py": ""}, True),
        ({".gitignore": "pipelines/ignored.py\n", "pipelines/ignored.py": ""}, True),
        ({"environments.yaml": "#"}, False),
        ({"notes.txt": "in no build"}, False),
    ],
)
def test_a_build_is_dirty_when_it_holds_other_than_the_commit(
    repository: Path, change: dict[str, str], dirty: bool
) -> None:
    lay(repository, change)
    assert make_build(context(repository)).provenance.dirty is dirty


def test_a_staged_change_and_a_deleted_file_are_dirty(repository: Path) -> None:
    lay(repository, {"pipelines/other.py": ""})
    git(repository, "add", ".")
    assert make_build(context(repository)).provenance.dirty
    git(repository, "commit", "-q", "-m", "second")
    assert not make_build(context(repository)).provenance.dirty
    (repository / "pipelines/other.py").unlink()
    assert make_build(context(repository, FakeBuildStore())).provenance.dirty


def test_a_link_to_what_is_committed_is_not_dirty(repository: Path) -> None:
    lay(repository, {"shared/one.sql": ""})
    (repository / "pipelines/shared").symlink_to("../shared")
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", "second")
    assert not make_build(context(repository)).provenance.dirty
    lay(repository, {"shared/two.sql": ""})
    assert make_build(context(repository)).provenance.dirty


def test_a_project_in_a_folder_of_a_repository_is_judged_by_its_own_folder(tmp_path: Path) -> None:
    root = lay(tmp_path / "mono/orders")
    lay(tmp_path / "mono", {"elsewhere.py": ""})
    git(tmp_path / "mono", "init", "-q")
    git(tmp_path / "mono", "add", ".")
    git(tmp_path / "mono", "commit", "-q", "-m", "first")
    lay(tmp_path / "mono", {"elsewhere.py": "changed"})
    assert make_build(context(root)).provenance.dirty is False


def test_commit_and_dirt_are_not_in_the_digest(repository: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    shutil.copytree(repository, bare, ignore=shutil.ignore_patterns(".git"))
    assert make_build(context(bare)).digest == make_build(context(repository)).digest


def test_before_the_first_commit_there_is_none(root: Path) -> None:
    git(root, "init", "-q")
    found = make_build(context(root)).provenance
    assert (found.commit, found.dirty, found.authors) == (None, False, ())


def test_a_detached_head_has_no_branch(repository: Path) -> None:
    git(repository, "checkout", "-q", "--detach")
    found = make_build(context(repository)).provenance
    assert found.commit is not None
    assert found.branch is None


def test_variables_of_a_git_hook_do_not_lead_astray(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other/.git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "other/index"))
    assert make_build(context(repository)).provenance.commit


def test_a_git_that_can_not_answer_stops_no_build(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    ctx = context(repository)
    ctx.progress = SimpleNamespace(say=said.append)
    monkeypatch.setenv("PATH", "/nonexistent")
    assert make_build(ctx).provenance.commit is None
    assert "git is not installed" in said[0]
    monkeypatch.undo()
    (repository / ".git/HEAD").write_text("nonsense")
    seen = look_at_git(repository)
    assert seen is not None
    assert "not a git repository" in seen.fault


@pytest.fixture
def ctx(root: Path) -> Any:
    return context(root, FsspecBuildStore(".lanewise/builds", base=root))


def test_a_checkout_is_unpacked_once_and_verified_each_time(ctx: Any) -> None:
    build = make_build(ctx)
    folder = checkout(ctx, build.digest)
    assert folder == ctx.home / "unpacked" / build.digest.removeprefix("sha256:")
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} == set(FILES)
    before = (folder / "lanewise.yaml").stat().st_ino
    assert checkout(ctx, build.digest) == folder
    assert (folder / "lanewise.yaml").stat().st_ino == before
    for path in FILES:
        data = (folder / path).read_bytes()
        (folder / path).write_bytes(data[:-1] + b"?")
        with pytest.raises(BuildTampered, match=path):
            checkout(ctx, build.digest)
        (folder / path).write_bytes(data)
    assert checkout(ctx, build.digest) == folder


def test_additions_brick_no_build_and_no_run_sees_them(ctx: Any, tmp_path: Path) -> None:
    build = make_build(ctx)
    lay(checkout(ctx, build.digest), {"pipelines/__pycache__/orders.cpython-311.pyc": "evil", "duckdb.py": "evil"})
    checkout(ctx, build.digest)
    lay_out(ctx, build.digest, tmp_path / "own")
    assert {p.relative_to(tmp_path / "own").as_posix() for p in (tmp_path / "own").rglob("*.*")} == set(FILES)


def test_a_copy_that_can_not_be_written_is_told_as_such_and_not_as_tampering(ctx: Any, tmp_path: Path) -> None:
    build = make_build(ctx)
    (tmp_path / "file").touch()
    with pytest.raises(OutsideBroke, match="can't be laid out"):
        lay_out(ctx, build.digest, tmp_path / "file" / "own")


def test_a_checkout_that_is_deleted_is_unpacked_again(ctx: Any) -> None:
    build = make_build(ctx)
    shutil.rmtree(checkout(ctx, build.digest))
    assert checkout(ctx, build.digest).is_dir()


def test_a_spoilt_pack_leaves_no_checkout(ctx: Any) -> None:
    build = make_build(ctx)
    pack = ctx.home / "builds" / build.digest.removeprefix("sha256:") / "files.pack"
    pack.write_bytes(b"?" * build.size)
    with pytest.raises(BuildTampered):
        checkout(ctx, build.digest)
    assert list((ctx.home / "unpacked").iterdir()) == []


def test_a_checkout_of_nothing_is_not_found(ctx: Any) -> None:
    with pytest.raises(NotFound):
        checkout(ctx, "sha256:" + "0" * 64)


def test_checkouts_at_once_agree_on_one_folder(ctx: Any) -> None:
    build = make_build(ctx)
    for _ in range(10):
        shutil.rmtree(ctx.home / "unpacked", ignore_errors=True)
        start, found = Barrier(4), list[Path]()

        def go(start: Barrier = start, found: list[Path] = found) -> None:
            start.wait()
            found.append(checkout(ctx, build.digest))

        threads = [Thread(target=go) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found) == 4
        assert [path.name for path in (ctx.home / "unpacked").iterdir()] == [found[0].name]
