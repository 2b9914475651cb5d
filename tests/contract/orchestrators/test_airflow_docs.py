"""The page on Airflow, typed beside a real one."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from tests.e2e.walkthrough import Shell, fences, walk

from .airflow.airflow_server import BUNDLES, REPOSITORY, USER, AirflowServer

PAGE = REPOSITORY / "docs" / "how-to" / "use-airflow.md"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_page_on_airflow_does_what_it_says(tmp_path: Path) -> None:
    for folder in ("project", "home"):
        (tmp_path / folder).mkdir()
    shell = Shell(tmp_path / "project", tmp_path / "home")
    ignored = shutil.ignore_patterns("data", ".lanewise", "__pycache__")
    shutil.copytree(REPOSITORY / "examples", shell.cwd / "examples", ignore=ignored)
    home = shell.cwd / "flights" / ".lanewise"
    with AirflowServer(tmp_path / "airflow", home=home, environment="dev").started() as airflow:
        config = shell.cwd / "examples" / "flights-airflow" / "environments.yaml"
        text = config.read_text().replace("http://127.0.0.1:8080", airflow.url).replace("user: admin", f"user: {USER}")
        config.write_text(text)
        shell.type(f"export AIRFLOW_PASSWORD_DEV={airflow.password}")
        transcript: list[str] = []
        wrong = walk(PAGE, shell, transcript)
        print("".join(transcript))
        assert wrong == []


def test_the_line_of_configuration_is_the_one_that_all_tests_run_with() -> None:
    line = next(fence.body for fence in fences(PAGE.read_text()) if "dag_bundle_config_list" in fence.body)
    told = json.loads(re.sub(r".*dag_bundle_config_list = ", "", line, flags=re.DOTALL))
    assert [(one["name"], one["classpath"]) for one in told] == [(one["name"], one["classpath"]) for one in BUNDLES]
