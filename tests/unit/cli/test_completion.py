"""What a shell offers after <TAB>."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import Terminal


def offered(terminal: Terminal | Path, line: str) -> list[str]:
    """Ask as bash does."""
    root = terminal if isinstance(terminal, Path) else terminal.root
    words = line.split(" ")
    variables = {"_LANE_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    code = "import sys; sys.argv[0] = 'lane'; from lanewise.cli.app import main; main()"
    done = subprocess.run([sys.executable, "-c", code], cwd=root, env={**os.environ, **variables}, check=False,
                          capture_output=True, text=True)  # fmt: skip
    assert done.stderr == ""
    return done.stdout.split()


@pytest.fixture
def waiting(terminal: Terminal) -> Terminal:
    terminal.write("v1")
    terminal.lane("build", "--tag", "release-1")
    terminal.lane("promote", "release-1", "--to", "stage")
    return terminal


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("lane status ", ["stage", "prod"]),
        ("lane rollback pr", ["prod"]),
        ("lane promote --to s", ["stage"]),
        ("lane promote rel", ["release-1"]),
        ("lane approve ", ["prod-1"]),
        ("lane why stage", []),
        ("lane roll", ["rollback"]),
    ],
)
def test_environments_builds_and_open_promotions_are_offered(waiting: Terminal, line: str, names: list[str]) -> None:
    assert offered(waiting, line) == names


def test_of_another_folder_too(waiting: Terminal, tmp_path: Path) -> None:
    assert offered(tmp_path, f"lane -C {waiting.root} approve ") == ["prod-1"]


def test_outside_of_a_project_and_in_a_broken_one_nothing_is_offered_and_nothing_said(
    terminal: Terminal, tmp_path: Path
) -> None:
    assert offered(tmp_path, "lane rollback ") == []
    terminal.environments("environments: [broken")
    for line in ("lane rollback ", "lane promote ", "lane approve "):
        assert offered(terminal, line) == []
