"""The gates' pages: written from their docstrings, whole and current."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
_SPEC = importlib.util.spec_from_file_location("generate_gates", ROOT / "docs" / "generate_gates.py")
generator = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(generator)

SECTIONS = ["What it does", "Why it matters", "Example", "When to switch it off"]


@pytest.mark.parametrize("name", generator.gates())
def test_every_gate_has_all_four_sections_with_something_in_them(name):
    parts = re.split(r"^## (.+)$", generator.gates()[name], flags=re.MULTILINE)
    assert parts[1::2] == SECTIONS
    assert all(len(text.split()) > 5 for text in parts[2::2])


def test_the_reference_page_is_current():
    assert generator.PAGE.read_text() == generator.page(), "run: python docs/generate_gates.py"


@pytest.mark.parametrize("name", generator.gates())
def test_every_argument_that_a_gate_takes_is_on_its_page(name):
    source = next((ROOT / "src/lanewise/promotion/gates").glob(f"{name}.py")).read_text()
    known = re.search(r"Arguments\(self\.name, arguments, \(([^)]*)\)", source)
    assert known
    for argument in re.findall(r'"(\w+)"', known[1]):
        assert f"`{argument}`" in generator.gates()[name]


def test_the_gate_of_the_how_to_keeps_the_promise_of_all_gates(tmp_path):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs/how-to/write-a-gate.md").read_text(), re.DOTALL)
    (tmp_path / "our_gates").mkdir()
    (tmp_path / "our_gates" / "fresh_rows.py").write_text(blocks[0])
    (tmp_path / "test_fresh_rows.py").write_text(blocks[1])
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path)]
    variables = {**os.environ, "PYTHONPATH": str(tmp_path)}
    ended = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout
    assert "9 passed" in ended.stdout
