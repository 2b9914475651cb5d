"""The same files give the same digest, read by other processes in other surroundings."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lanewise.builds.manifest import make_manifest

from .trees import FILES, lay, project

NAMES = ["a", "B", "ä", "Z", "z_1", "é", "10", "9", "I", "ı", "ß", "-x", ".y", "_"]
PROGRAM = """
import os, sys
os.umask(int(sys.argv[2], 8))
from pathlib import Path
from lanewise.builds.manifest import make_manifest
from lanewise.domain.project import Project, Source
source = Source(("pipelines/**", "requirements.txt"))
print(make_manifest(Path(sys.argv[1]), Project("orders", source, "python -m pipelines.orders")).digest)
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    files = FILES | {f"pipelines/{name}/{other}x.py": name for name in NAMES for other in NAMES}
    return lay(tmp_path / "tree", files)


def digest_elsewhere(root: Path, umask: str = "022", cwd: Path | None = None, **environment: str) -> str:
    command = [sys.executable, "-c", PROGRAM, str(root), umask]
    environment = {"PATH": os.environ["PATH"], **environment}
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=cwd, env=environment)
    return done.stdout.strip()


@pytest.mark.parametrize(
    "environment",
    [
        {"LC_ALL": "C"}, {"LC_ALL": "C.UTF-8"}, {"LANG": "tr_TR.UTF-8", "LC_ALL": "tr_TR.UTF-8"}, {"PYTHONUTF8": "0"},
        {"TZ": "Pacific/Kiritimati"}, {"PYTHONHASHSEED": "1"}, {"PYTHONHASHSEED": "2", "HOME": "/nonexistent"},
        {"USER": "somebody", "LOGNAME": "somebody", "SOURCE_DATE_EPOCH": "0"},
    ],
)  # fmt: skip
def test_locale_time_zone_user_and_hash_seed_change_nothing(tree: Path, environment: dict[str, str]) -> None:
    assert digest_elsewhere(tree, **environment) == make_manifest(tree, project()).digest


@pytest.mark.parametrize("umask", ["000", "077", "777"])
def test_the_umask_changes_nothing(tree: Path, umask: str) -> None:
    assert digest_elsewhere(tree, umask) == make_manifest(tree, project()).digest


def test_a_copy_in_another_order_at_another_time_in_another_folder_is_the_same_build(
    tree: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "elsewhere" / "deep"
    files = [path for path in tree.rglob("*") if path.is_file()]
    random.Random(7).shuffle(files)
    for at, path in enumerate(files):
        target = copy / path.relative_to(tree)
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        shutil.copyfile(path, target)
        target.chmod(0o600 if at % 2 else 0o666)  # the owner's executable bit alone counts
        os.utime(target, (at, at))
    assert digest_elsewhere(copy, cwd=copy / "pipelines") == make_manifest(tree, project()).digest


def test_a_relative_root_is_the_same_build(tree: Path) -> None:
    assert digest_elsewhere(Path("../tree"), cwd=tree) == make_manifest(tree, project()).digest


def test_another_user_makes_the_same_build(tree: Path) -> None:
    expected = make_manifest(tree, project()).digest
    reader, writer = os.pipe()
    for folder in (tree, *tree.parents):
        if folder.stat().st_uid == 0 and str(folder).startswith("/tmp/") and folder != Path("/tmp"):
            folder.chmod(0o755)
    child = os.fork()
    if child == 0:
        if os.getuid() == 0:  # only root can become somebody else
            os.setgid(65534)
            os.setuid(65534)
        os.write(writer, make_manifest(tree, project()).digest.encode())
        os._exit(0)
    os.close(writer)
    assert os.read(reader, 100).decode() == expected
    os.waitpid(child, 0)
    os.close(reader)
