"""What can be said of every file: documented, of a size to read, well named, and at home on any machine."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted((ROOT / "src/lanewise").rglob("*.py"))
PYTHON = sorted(
    file for room in ("src", "tests", "docs", "examples", "benchmarks") for file in (ROOT / room).rglob("*.py")
)
LAWS = ROOT / "docs/explanation/laws.md"
SECTIONS = ["What it does", "Why it matters", "Example", "When to switch it off"]


def tracked() -> list[Path]:
    """Every text file that belongs to the project, committed or about to be."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


def name(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("file", MODULES, ids=name)
def test_a_module_says_what_it_is(file: Path):
    tree = ast.parse(file.read_text(encoding="utf-8"))
    assert (ast.get_docstring(tree) or "").strip() or not tree.body


def test_no_file_is_too_long_to_read():
    """400 lines; 600 for a file of many small tests."""
    lengths = {name(file): len(file.read_text(encoding="utf-8").splitlines()) for file in PYTHON}
    assert {file: n for file, n in lengths.items() if n > (600 if file.startswith("tests/") else 400)} == {}


def test_no_module_is_a_drawer_for_everything():
    drawers = {"utils", "util", "helpers", "helper", "manager", "managers", "common", "misc"}
    assert [name(f) for f in PYTHON if {f.stem, *f.relative_to(ROOT).parts} & drawers] == []


@pytest.mark.parametrize("gate", sorted((ROOT / "src/lanewise/promotion/gates").glob("*.py")), ids=lambda f: f.stem)
def test_a_gates_docstring_is_its_page(gate: Path):
    tree = ast.parse(gate.read_text(encoding="utf-8"))
    if any(isinstance(node, ast.ClassDef) and node.name.endswith("Gate") for node in tree.body):
        assert re.findall(r"^## (.+)$", ast.get_docstring(tree) or "", re.MULTILINE) == SECTIONS


def test_no_file_knows_the_machine_that_it_was_written_on():
    """Paths of somebody's folders and hosts of package registries mean nothing anywhere else. Tests may name folders
    that every system has, as hostile input."""
    homes = r"(?<![\w.~-])/(?:work|home/\w+|Users/\w+)/|https?://[\w.-]*(?:pypi|pythonhosted)|--(?:extra-)?index-url"
    machine = re.compile(homes + r"|(?<![\w.~-])/(?:root|tmp)/\w")
    found = {}
    for file in tracked():
        text = file.read_bytes().decode("utf-8", "replace")
        looked_for = re.compile(homes) if name(file).startswith("tests/") else machine
        hits = {hit[0] for hit in looked_for.finditer(text)}
        if hits and file != Path(__file__):
            found[name(file)] = sorted(hits)
    assert found == {}


def test_every_law_is_held_by_tests_that_exist():
    rows = re.findall(r"^\| \*\*(\d+)\. .*\|.*\|.*\|$", LAWS.read_text(encoding="utf-8"), re.MULTILINE)
    assert [int(number) for number in rows] == list(range(1, 11))
    for row in re.findall(r"^\| \*\*\d+\. .*$", LAWS.read_text(encoding="utf-8"), re.MULTILINE):
        held = re.findall(r"`([\w/]+\.py)::(test_\w+)`", row)
        assert held, f"nothing holds {row[:60]}"
        for file, test in held:
            home = ROOT / "src/lanewise" if file.startswith("testing/") else ROOT / "tests"
            tree = ast.parse((home / file).read_text(encoding="utf-8"))
            assert test in {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}, f"{file} has no {test}"


def test_no_test_is_skipped():
    marks = re.compile(r"pytest\.(mark\.(skip|skipif|xfail)\b|skip\(|xfail\(|importorskip)")
    tests = (file for file in PYTHON if "tests" in file.relative_to(ROOT).parts)
    assert [name(f) for f in tests if f != Path(__file__) and marks.search(f.read_text(encoding="utf-8"))] == []
