"""A disk that is full, at every place where that can be noticed, and folders that may not be written.

One clear error with a way on and exit code 3; readers see what they saw; and when there is room again, the very same
command finishes.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lanewise.bootstrap import open_context
from lanewise.service.verify import verify

from .road import ENVIRONMENTS, SCRIPT, Typed, build, in_child, into_prod, lane, releases, seen, write_project

PLACES = {"everything": ".lanewise", "ledger": ".lanewise/ledger", "builds": ".lanewise/builds",
          "warehouse": ".lanewise/warehouse"}  # fmt: skip
APART = "ledger: sqlite:///.lanewise/ledger/ledger.db\n" + ENVIRONMENTS.replace(
    "rollout: {canary: [25%, 50%, 100%]}", "rollout: all-at-once"
)
LEFT = (0, 16, 64, 128, 256, 512, 1024)  # KiB
_NEW_MOUNTS, _NEW_USERS, _PRIVATE_BELOW = 0x20000, 0x10000000, 0x44000
_DROP_CAPABILITY, _OVERRIDE_PERMISSIONS = 24, 1


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """v1 is live in prod; the working tree would be v2."""
    root = write_project(tmp_path_factory.mktemp("disks") / "orders", APART)
    assert in_child(lambda: into_prod(root, build(root, "v1"))) == 0
    (root / "pipelines" / "orders.sh").write_text(SCRIPT.replace("@BUILD@", "v2"))
    return root


@pytest.fixture
def root(ready: Path, tmp_path: Path) -> Path:
    shutil.copytree(ready, tmp_path / "orders", symlinks=True)
    return tmp_path / "orders"


def small_disk(folder: Path, left: int) -> Callable[[], None]:
    """In this process and its children: put ``folder`` on a disk of its own with ``left`` KiB free. Returns what makes
    room."""
    kept = folder.with_name(folder.name + "-kept")
    shutil.copytree(folder, kept, symlinks=True)
    libc = ctypes.CDLL(None, use_errno=True)
    alone = _NEW_MOUNTS if os.geteuid() == 0 else _NEW_MOUNTS | _NEW_USERS
    done = (
        libc.unshare(alone) == 0
        and libc.mount(b"none", b"/", None, _PRIVATE_BELOW, None) == 0
        and libc.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", 0, b"size=64m") == 0
    )
    assert done, f"a disk of its own needs root or user namespaces: {os.strerror(ctypes.get_errno())}"
    shutil.copytree(kept, folder, symlinks=True, dirs_exist_ok=True)
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        free = os.statvfs(folder)
        os.posix_fallocate(file.fileno(), 0, free.f_bavail * free.f_frsize - left * 1024)
    return ballast.unlink


def clear(done: Typed) -> None:
    """One error, which says what is full or may not be written, and what to do."""
    assert done.code == 3, done
    said = [line.lstrip().split(": ")[0] for line in done.err.splitlines()]
    assert said.count("error") == 1, done.err
    assert said.count("hint") == 1, done.err


def told_clearly(done: Typed) -> None:
    """Where it was the pipeline's own command that could not write, the promotion is taken back and says so."""
    if done.code == 1 and "the command ended with exit code" in done.out + done.err:
        return
    clear(done)


@pytest.mark.parametrize("place", PLACES)
def test_a_promotion_on_a_full_disk_loses_nothing_and_finishes_when_there_is_room(root: Path, place: str) -> None:
    def work() -> None:
        failed = []
        for left in LEFT:
            here = root.with_name(f"{place}-{left}")
            shutil.copytree(root, here, symlinks=True)
            failed.append(in_child(lambda here=here, left=left: promote_with(here, left)) >> 8)
        assert set(failed) <= {0, 7}, failed
        assert failed[0] == 7, "with nothing left it can't have worked"

    def promote_with(here: Path, left: int) -> None:
        make_room = small_disk(here / PLACES[place], left)
        done = lane(here, "promote", "--to", "prod")
        if done.code == 0:
            assert set(seen(here).values()) == {"v2"}
            os._exit(0)
        told_clearly(done)
        assert set(seen(here).values()) in ({"v1"}, {"v2"})  # when it was full at the very end, v2 is live already
        make_room()
        again = lane(here, "promote", "--to", "prod")
        assert again.code == 0, (left, done.err, again.out, again.err)
        assert set(seen(here).values()) == {"v2"}
        assert len(releases(here)) == 2, "released once"
        verify(open_context(here))
        os._exit(7)

    assert in_child(work) == 0


@pytest.mark.parametrize("place", ["everything", "ledger", "warehouse"])
@pytest.mark.parametrize("work", ["rollback", "run"])
def test_a_rollback_or_a_run_on_a_full_disk_loses_nothing(root: Path, place: str, work: str) -> None:
    command = {"rollback": ["rollback", "prod"], "run": ["run", "prod", "--partition", "2013-01-09"]}[work]

    def tried() -> None:
        into_prod(root, build(root, "v2"))
        before = seen(root)
        make_room = small_disk(root / PLACES[place], 0)
        done = lane(root, *command)
        clear(done)
        assert seen(root) == before
        make_room()
        assert lane(root, *command).code == 0
        assert seen(root) != before
        verify(open_context(root))

    assert in_child(tried) == 0


@contextmanager
def untouchable(folder: Path) -> Iterator[None]:
    """Nobody may write there; what may be read stays so."""
    everything = [folder, *(p for p in folder.rglob("*") if not p.is_symlink())]
    modes = [(p, p.stat().st_mode) for p in everything]
    for path, mode in modes:
        path.chmod(mode & 0o555)
    yield
    for path, mode in modes:
        path.chmod(mode)


def as_others_are() -> None:
    """Permissions hold for everybody but root: programs that this process starts are not root's equals any more."""
    if not os.geteuid():
        assert ctypes.CDLL(None).prctl(_DROP_CAPABILITY, _OVERRIDE_PERMISSIONS, 0, 0, 0) == 0


def typed(root: Path, *arguments: str) -> Typed:
    """Type the command as people do."""
    command = Path(sys.executable).parent / "lane"
    variables = {"PATH": os.environ["PATH"], "LANEWISE_ACTOR": "ana", "HOME": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([command, *arguments], cwd=root, env=variables, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return Typed(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("place", PLACES)
def test_folders_that_may_not_be_written_are_named_and_nothing_is_lost(root: Path, place: str) -> None:

    def tried() -> None:
        as_others_are()
        before = seen(root)
        folder = root / PLACES[place]
        with untouchable(folder):
            done = typed(root, "promote", "--to", "prod")
            clear(done)
            assert ".lanewise" in done.err, "the error says where"
            assert seen(root) == before
            if place != "builds":
                clear(typed(root, "run", "prod", "--partition", "2013-01-01"))
                assert seen(root) == before
            for command in (["status"], ["history"], ["verify"], ["builds"], ["config", "diff", "prod", "prod"]):
                looked = typed(root, *command)
                assert looked.code == 0, (command, looked.err)
        again = typed(root, "promote", "--to", "prod")
        assert again.code == 0, again.err
        assert set(seen(root).values()) == {"v2"}
        verify(open_context(root))

    assert in_child(tried) == 0
