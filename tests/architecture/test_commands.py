"""Every command that is listed exists, explains itself, and speaks JSON where it prints data."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from docs import generate, generate_cli

from lanewise.cli.app import COMMANDS

ROOT = Path(__file__).parents[2]
TYPED = dict(generate_cli.commands())
WITHOUT_DATA = {"lane init": "writes files", "lane demo": "is a show", "lane config schema": "is JSON already"}


def test_every_listed_command_exists_and_no_module_is_forgotten():
    with_a_command = {
        file.stem for file in (ROOT / "src/lanewise/cli").glob("*.py")
        if file.stem != "app" and re.search(r"^app = typer\.Typer", file.read_text(encoding="utf-8"), re.MULTILINE)
    }  # fmt: skip
    assert with_a_command == {entry.module.removeprefix("lanewise.cli.") for entry in COMMANDS}
    assert {words.split(" ")[1] for words in TYPED} == {entry.name for entry in COMMANDS}


@pytest.mark.parametrize("words", TYPED)
def test_a_command_and_each_of_its_options_has_help(words: str):
    command: Any = TYPED[words]
    assert (command.help or "").strip().endswith((".", ":", "gate.")), f"{words} says nothing, or no sentence"
    bare = [p.name for p in command.params if not (getattr(p, "help", "") or "").strip() and p.name != "help"]
    assert bare == []


@pytest.mark.parametrize("words", TYPED)
def test_a_command_that_prints_data_speaks_json(words: str):
    options = {option for parameter in TYPED[words].params for option in parameter.opts}
    assert ("--format" in options) is (words not in WITHOUT_DATA)


def test_the_first_help_loads_none_of_the_heavy_libraries():
    code = (
        "import sys\nfrom lanewise.cli.app import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit: pass\n"
        "heavy = {'duckdb', 'sqlalchemy', 'sqlglot', 'structlog', 'pydantic', 'rich', 'pyarrow', 'ruamel'}\n"
        "print('loaded:', *sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1].strip() == "loaded:"


@pytest.mark.parametrize("page", generate.pages(), ids=lambda page: page.name)
def test_a_generated_page_is_current(page: Path):
    assert page.read_text(encoding="utf-8") == generate.pages()[page], "run: make docs"
