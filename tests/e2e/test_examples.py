"""The examples are what the docs say they are."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lanewise.bootstrap import open_context
from lanewise.builds.manifest import make_manifest
from lanewise.config.check import check_snippet

from .walkthrough import fences

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted(file.parent for file in ROOT.glob("examples/*/lanewise.yaml"))


@pytest.mark.parametrize("folder", EXAMPLES, ids=lambda folder: folder.name)
def test_both_files_of_an_example_are_valid_and_strict(folder: Path):
    project = open_context(folder)
    assert project.project.tables
    assert list(project.config.environments) == ["dev", "stage", "prod"]
    assert check_snippet((folder / "environments.yaml").read_text(), "environments.yaml") == ()


def test_the_tutorial_builds_the_example_of_orders_word_by_word():
    page = (ROOT / "docs/tutorial/first-pipeline.md").read_text(encoding="utf-8")
    written = {f.title: f.body for f in fences(page) if f.title and f.language != "diff" and f.title != "read.py"}
    kept = {
        file.relative_to(ROOT / "examples/orders").as_posix(): file.read_text(encoding="utf-8")
        for pattern in ("*.py", "*.yaml", "pipelines/*.py", "tests/*.py")
        for file in (ROOT / "examples/orders").glob(pattern)
    }
    assert written == kept


def test_the_data_of_orders_is_the_same_each_time(tmp_path: Path):
    made = []
    for run in ("first", "second"):
        folder = tmp_path / run
        folder.mkdir()
        subprocess.run([sys.executable, ROOT / "examples/orders/make_data.py"], cwd=folder, check=True)
        made.append({p.relative_to(folder): p.read_bytes() for p in folder.rglob("*.csv")})
    assert made[0] == made[1]
    assert len(made[0]) == 6


def test_the_data_is_no_part_of_the_build(tmp_path: Path):
    folder = tmp_path / "orders"
    shutil.copytree(ROOT / "examples/orders", folder, ignore=shutil.ignore_patterns("data", ".lanewise", "__pycache__"))
    before = make_manifest(folder, open_context(folder).project).digest
    subprocess.run([sys.executable, "make_data.py"], cwd=folder, check=True)
    assert make_manifest(folder, open_context(folder).project).digest == before
