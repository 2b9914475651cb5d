from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Compile = Callable[..., Path]


def document(**changes: Any) -> dict[str, Any]:
    """A compiled file's content."""
    return {
        "format": 1, "project": "orders", "environment": "dev", "build": "", "config": "sha256:cc", "variable": "",
        "log_format": "text", "root": "", "effects": ["emails"], "sources": {},
        "settings": {
            "retries": 3, "bucket": "raw-dev", "src_conn": "postgres_dev", "quota": {"rows": 5, "days": [1, 2]},
        },
        "connections": {
            "postgres_dev": {
                "type": "postgres", "fields": {"host": "dev.db", "port": 5432},
                "secrets": {"password": {"text": "env:PGPASS", "previous": "env:PGPASS_OLD"}},
            }
        },
        "run": None, "engine": None, **changes,
    }  # fmt: skip


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of the machine that the tests happen to run on may decide which environment this is."""
    for name in list(os.environ):
        if name == "CI" or name.startswith(("LANEWISE", "AIRFLOW", "DAGSTER", "PREFECT", "KUBERNETES")):
            monkeypatch.delenv(name)


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working tree, and this process in it."""
    folder = tmp_path / "orders"
    folder.mkdir()
    (folder / "lanewise.yaml").write_text("project: orders\n")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def compile_for(tree: Path) -> Compile:
    """Write ``.lanewise/compiled/ENV.json`` of the tree."""

    def compile_(environment: str = "dev", **changes: Any) -> Path:
        build = changes.get("build", "").removeprefix("sha256:")
        path = tree / ".lanewise" / "compiled" / build / f"{environment}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document(environment=environment, **changes)))
        return path

    return compile_
