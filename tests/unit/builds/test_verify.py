from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from lanewise.builds.manifest import make_manifest
from lanewise.builds.verify import copy_tree, verify_tree
from lanewise.errors import BuildTampered

from .trees import FILES, lay, project


def check(root: Path, manifest_of: Path) -> None:
    verify_tree(str(root), make_manifest(manifest_of, project()))


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
    "a link for a file": (
        lambda root: swap_for_link(root / "lanewise.yaml"),
        "'lanewise.yaml' is no readable plain file",
    ),
    "a pipe": (
        lambda root: ((root / "lanewise.yaml").unlink(), os.mkfifo(root / "lanewise.yaml")),
        "'lanewise.yaml' is no readable",
    ),
    "another bit": (lambda root: (root / "lanewise.yaml").chmod(0o744), "'lanewise.yaml' has another executable bit"),
    "no folder": (lambda root: root.rename(root.parent / "gone"), "'lanewise.yaml' is missing"),
    "a link for it all": (swap_for_link, "its folder is a link"),
}  # fmt: skip


@pytest.mark.parametrize("what", sorted(TAMPER))
def test_whatever_was_done_to_it_is_named(source: Path, unpacked: Path, what: str) -> None:
    tamper, message = TAMPER[what]
    tamper(unpacked)
    with pytest.raises(BuildTampered, match=message) as caught:
        check(unpacked, source)
    assert caught.value.hint
    with pytest.raises(BuildTampered, match=message):
        copy_tree(str(unpacked), make_manifest(source, project()), str(source.parent / "copy"))


ADDED = {
    "pipelines/site.py": "import sys",
    "duckdb.py": "raise SystemExit('shadowed')",
    "target/manifest.json": "{}",
    "__pycache__/a.pyc": "",
    "pipelines/__pycache__/deep/b.pyc": "",
}


def test_a_copy_has_the_builds_files_and_nothing_that_was_added(source: Path, unpacked: Path, tmp_path: Path) -> None:
    lay(unpacked, ADDED)
    (unpacked / "empty").mkdir()
    (unpacked / "pipelines/link.py").symlink_to("/etc/passwd")
    (source / "pipelines/orders.py").chmod(0o755)
    (unpacked / "pipelines/orders.py").chmod(0o755)
    copy = tmp_path / "copy"
    check(unpacked, source)
    copy_tree(str(unpacked), make_manifest(source, project()), str(copy))
    found = {path.relative_to(copy).as_posix(): path for path in copy.rglob("*") if not path.is_dir()}
    assert {name: path.read_text() for name, path in found.items()} == FILES
    assert {name for name, path in found.items() if os.access(path, os.X_OK)} == {"pipelines/orders.py"}
    (copy / "lanewise.yaml").write_text("changed")
    check(unpacked, source)


def test_a_copy_never_goes_into_a_folder_that_is_there(source: Path, unpacked: Path) -> None:
    with pytest.raises(FileExistsError):
        copy_tree(str(unpacked), make_manifest(source, project()), str(source))
