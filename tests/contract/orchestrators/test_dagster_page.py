"""The page about Dagster, typed as a reader would, with code servers as its last part shows them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.contract.orchestrators.dagster.dagster_server import REPOSITORY, DagsterServer
from tests.e2e.walkthrough import Shell, walk

PAGE = REPOSITORY / "docs/how-to/use-dagster.md"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_page_does_what_it_says(tmp_path: Path):
    for folder in ("project", "home"):
        (tmp_path / folder).mkdir()
    shell = Shell(tmp_path / "project", tmp_path / "home")
    shutil.copytree(REPOSITORY / "examples", shell.cwd / "examples", ignore=shutil.ignore_patterns("data", ".lanewise"))
    home = shell.cwd / "flights/.lanewise"
    server = DagsterServer(tmp_path / "dagster", home=home, environment="dev")
    config = shell.cwd / "examples/flights-dagster/environments.yaml"
    config.write_text(config.read_text().replace("http://127.0.0.1:3000", server.url))
    transcript: list[str] = []
    with server.started():
        assert walk(PAGE, shell, transcript) == [], "\n".join(transcript) + server.logs()
