"""Imports go down one way, the runtime stays light, and what is announced can be loaded."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
POINTS = sorted(
    (point for group in entry_points().groups if group.startswith("lanewise.") for point in entry_points(group=group)),
    key=lambda point: (point.group, point.name),
)


def python(code: str) -> str:
    """What a fresh interpreter prints, with nothing but the tree and the standard library in reach."""
    command = [sys.executable, "-S", "-c", f"import sys; sys.path.insert(0, {str(ROOT / 'src')!r})\n{code}"]
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd="/").stdout


def test_every_contract_between_floors_is_kept():
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "2 kept, 0 broken" in done.stdout


@pytest.mark.parametrize("module", ["lanewise", "lanewise.errors", "lanewise.runtime.run", "lanewise.domain.ports"])
def test_what_a_worker_imports_is_the_standard_library(module: str):
    """``-S`` leaves site-packages out, so that anything else is an error; the names are compared as well."""
    loaded = python(f"import {module}\nprint(*{{name.partition('.')[0] for name in sys.modules}})").split()
    assert set(loaded) - sys.stdlib_module_names - {"__main__", "lanewise"} <= {"_distutils_hack"}


@pytest.mark.parametrize("point", POINTS, ids=lambda point: f"{point.group}:{point.name}")
def test_every_entry_point_loads(point: EntryPoint):
    assert callable(point.load())


def test_there_are_entry_points_of_every_port():
    groups = {"builds", "gates", "ledgers", "orchestrators", "secrets", "warehouses"}
    assert {point.group.removeprefix("lanewise.") for point in POINTS} >= groups
