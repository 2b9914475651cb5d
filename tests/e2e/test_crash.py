"""``kill -9`` between any two changes that a promotion or a rollback makes, one process each.

Whatever was cut off: readers see the old map, an exposed step of the canary, or the new one, whole; and the next
command finishes or reverts, with a history that verifies and tells of the release once.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lanewise.bootstrap import open_context
from lanewise.service.promote import finish_interrupted, promote
from lanewise.service.rollback import roll_back
from lanewise.service.verify import verify

from .road import DAYS, Counter, build, in_child, into_prod, killable, releases, seen, states, write_project

SHARDS = 8


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """v1 is live in prod, v2 is built."""
    root = write_project(tmp_path_factory.mktemp("road"))
    v1 = build(root, "v1")
    into_prod(root, v1)
    return root, v1, build(root, "v2")


def changes(ready: Path, into: Path, work: str, *arguments: str) -> list[str]:
    """The names of the changes that an undisturbed run makes."""
    root = into / "undisturbed"
    shutil.copytree(ready, root, symlinks=True)
    log = into / "changes.txt"

    def run() -> None:
        with killable(root, Counter(log=log)) as ctx:
            WORK[work](ctx, *arguments)

    assert in_child(run) == 0
    return log.read_text().split()


WORK = {
    "promote": lambda ctx, digest: promote(ctx, digest, "prod"),
    "rollback": lambda ctx: roll_back(ctx, "prod"),
}


def crash(ready: Path, root: Path, kill_at: int, work: str, *arguments: str) -> None:
    shutil.copytree(ready, root, symlinks=True)

    def run() -> None:
        with killable(root, Counter(kill_at)) as ctx:
            WORK[work](ctx, *arguments)

    status = in_child(run)
    assert status == 9, f"change {kill_at}: the process was to be killed, and ended with {status}"


def points(made: list[str]) -> list[int]:
    """Where to kill: before the first change, and after each. Just before the next one nothing is different."""
    return [0, *range(1, 2 * len(made), 2)]


def is_a_step(found: dict[str, str]) -> bool:
    """Every day is there, from v1 or v2; how many from v2 is one of the canary's steps."""
    return set(found) == set(DAYS) and list(found.values()).count("v2") in {0, 2, 4, 8}


@pytest.mark.crash
@pytest.mark.parametrize("shard", range(SHARDS))
def test_a_promotion_killed_at_any_change_is_finished_by_the_next_command(
    ready: tuple[Path, str, str], tmp_path: Path, shard: int
) -> None:
    template, _, v2 = ready
    made = changes(template, tmp_path, "promote", v2)
    assert {"append", "acquire", "raise_fence", "prepare", "publish", "stage", "release"} <= set(made)
    assert len(made) > 40
    for kill_at in points(made)[shard::SHARDS]:
        root = tmp_path / f"killed-{kill_at}"
        crash(template, root, kill_at, "promote", v2)
        assert is_a_step(seen(root)), f"killed at {kill_at}"

        def next_command(root: Path = root) -> None:
            promote(open_context(root), v2, "prod")

        assert in_child(next_command) == 0, f"killed at {kill_at} ({made[kill_at // 2]}): the next command failed"
        assert set(seen(root).values()) == {"v2"}, f"killed at {kill_at}"
        told = releases(root)
        assert [r["build"] for r in told].count(v2) == 1, f"killed at {kill_at}: released {len(told)} times"
        assert "SUCCEEDED" in states(root)[1:]
        assert all(s in {"SUCCEEDED", "SUPERSEDED"} for s in states(root)), states(root)
        verify(open_context(root))
        shutil.rmtree(root)


@pytest.mark.crash
@pytest.mark.parametrize("shard", range(2))
def test_a_rollback_killed_at_any_change_leaves_one_map_and_is_finished(
    ready: tuple[Path, str, str], tmp_path: Path, shard: int
) -> None:
    template, v1, v2 = ready
    released = tmp_path / "released"
    shutil.copytree(template, released, symlinks=True)
    assert in_child(lambda: into_prod(released, v2)) == 0
    made = changes(released, tmp_path, "rollback")
    assert {"acquire", "raise_fence", "revert", "append"} <= set(made)
    for kill_at in points(made)[shard::2]:
        root = tmp_path / f"killed-{kill_at}"
        crash(released, root, kill_at, "rollback")
        found = set(seen(root).values())
        assert found in ({"v1"}, {"v2"}), f"killed at {kill_at}: {found}"

        def next_command(root: Path = root, back: bool = found == {"v1"}) -> None:
            ctx = open_context(root)
            finish_interrupted(ctx, "prod")
            if not back:
                roll_back(ctx, "prod")

        assert in_child(next_command) == 0, f"killed at {kill_at} ({made[kill_at // 2]})"
        assert set(seen(root).values()) == {"v1"}, f"killed at {kill_at}"
        assert releases(root)[-1]["build"] == v1
        assert [r["kind"] for r in releases(root)] == ["promotion", "promotion", "rollback"], f"killed at {kill_at}"
        verify(open_context(root))
        shutil.rmtree(root)
