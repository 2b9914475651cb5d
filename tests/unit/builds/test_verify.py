from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from lanewise.builds.manifest import make_manifest
from lanewise.builds.verify import swept, verify_tree
from lanewise.errors import BuildTampered

from .trees import FILES, lay, project


def check(root: Path, manifest_of: Path) -> None:
    manifest = make_manifest(manifest_of, project())
    swept(str(root), manifest)
    verify_tree(str(root), manifest)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return lay(tmp_path / "source")


@pytest.fixture
def unpacked(tmp_path: Path) -> Path:
    return lay(tmp_path / "unpacked")


def test_an_untouched_folder_verifies(source: Path, unpacked: Path) -> None:
    check(unpacked, source)


@pytest.mark.parametrize("path", sorted(FILES))
@pytest.mark.parametrize("at", [0, 5, -1])
def test_one_changed_byte_is_named(source: Path, unpacked: Path, path: str, at: int) -> None:
    data = bytearray((unpacked / path).read_bytes())
    data[at] ^= 1
    (unpacked / path).write_bytes(data)
    with pytest.raises(BuildTampered, match=f"'{path}' was changed"):
        check(unpacked, source)


def swap_for_link(path: Path) -> None:
    """Move a file or folder away and leave a link to it, so that all its bytes still read the same."""
    away = path.parents[1] / "away"
    path.rename(away)
    path.symlink_to(away)


TAMPER: dict[str, tuple[Callable[[Path], object], str]] = {
    "a byte more": (
        lambda root: (root / "lanewise.yaml").write_text("project: orders\n\n"), "'lanewise.yaml' was changed"
    ),
    "a byte less": (lambda root: os.truncate(root / "lanewise.yaml", 15), "'lanewise.yaml' was changed"),
    "a lost file": (lambda root: (root / "pipelines/orders.py").unlink(), "'pipelines/orders.py' is missing"),
    "a new file": (lambda root: (root / "pipelines/site.py").touch(), "'pipelines/site.py' was added"),
    "a new file above": (lambda root: (root / "x").touch(), "'x' was added"),
    "a new folder": (lambda root: (root / "pandas").mkdir(), "'pandas' was added"),
    "a link for a file": (
        lambda root: swap_for_link(root / "lanewise.yaml"),
        "'lanewise.yaml' is no readable plain file",
    ),
    "a link for a folder": (lambda root: swap_for_link(root / "pipelines"), "'pipelines' was added"),
    "a link for a cache": (lambda root: (root / "__pycache__").symlink_to(root.parent), "'__pycache__' was added"),
    "a pipe": (
        lambda root: ((root / "lanewise.yaml").unlink(), os.mkfifo(root / "lanewise.yaml")),
        "'lanewise.yaml' is no readable",
    ),
    "another bit": (lambda root: (root / "lanewise.yaml").chmod(0o744), "'lanewise.yaml' has another executable bit"),
    "no folder": (lambda root: root.rename(root.parent / "gone"), "can't be read"),
    "a link for it all": (swap_for_link, "its folder is a link"),
}  # fmt: skip


@pytest.mark.parametrize("what", sorted(TAMPER))
def test_whatever_was_done_to_it_is_named(source: Path, unpacked: Path, what: str) -> None:
    tamper, message = TAMPER[what]
    tamper(unpacked)
    with pytest.raises(BuildTampered, match=message) as caught:
        check(unpacked, source)
    assert caught.value.hint


def test_caches_that_tools_left_are_to_be_swept_and_nothing_else(source: Path, unpacked: Path) -> None:
    lay(unpacked, {"__pycache__/a.pyc": "", "pipelines/__pycache__/deep/b.pyc": "", ".pytest_cache/README.md": ""})
    assert swept(str(unpacked), make_manifest(source, project())) == (
        ".pytest_cache", "__pycache__", "pipelines/__pycache__",
    )  # fmt: skip
