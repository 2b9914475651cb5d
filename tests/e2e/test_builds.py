"""``lane build`` and ``lane builds`` as a person or a program types them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

LANE = Path(sys.executable).with_name("lane")
FILES = {
    "lanewise.yaml": "project: orders\nsource: {include: ['pipelines/**']}\nrun: python -m pipelines.orders\n"
    "tables: {orders_daily: {kind: full}}\n",
    "environments.yaml": "environments: {dev: {}, prod: {}}\n",
    "pipelines/orders.py": "print()\n",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for path, text in FILES.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    return tmp_path


def lane(root: Path, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([LANE, *arguments], check=False, cwd=root, capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


def data(root: Path, *arguments: str) -> Any:
    return json.loads(lane(root, *arguments, "--format", "json").stdout)


def test_a_build_is_made_once_shown_compared_and_listed(root: Path) -> None:
    first = data(root, "build", "--tag", "v1.4")
    assert first["digest"].startswith("sha256:")
    assert first["digest"][7:15] == first["short"]
    assert (first["files"], first["commit"], first["dirty"], first["new"]) == (2, None, False, True)
    assert first["bytes"] == sum(len(FILES[path]) for path in ("lanewise.yaml", "pipelines/orders.py"))
    assert data(root, "build") == {**first, "new": False}

    (root / "pipelines/orders.py").write_text("print(1)\n")
    (root / "pipelines/more.py").touch()
    second = data(root / "pipelines", "build")  # from any folder of the project
    assert second["digest"] != first["digest"]

    shown = data(root, "build", "show", first["short"])
    assert (shown["digest"], shown["tags"]) == (first["digest"], ["v1.4"])
    assert [file["path"] for file in shown["manifest"]["files"]] == ["lanewise.yaml", "pipelines/orders.py"]

    difference = data(root, "build", "diff", "v1.4", second["short"])
    assert (difference["a"], difference["b"], difference["same"]) == (first["digest"], second["digest"], False)
    assert (difference["added"], difference["changed"]) == (["pipelines/more.py"], ["pipelines/orders.py"])
    assert {build["digest"] for build in data(root, "builds")} == {first["digest"], second["digest"]}


def test_people_read_the_same_in_words(root: Path) -> None:
    assert "no builds yet" in lane(root, "builds").stdout
    short = lane(root, "build").stdout.split()[0]
    assert "stored before" in lane(root, "build").stderr
    assert short in lane(root, "builds").stdout
    assert "pipelines/orders.py" in lane(root, "build", "show", short).stdout
    assert "the same build" in lane(root, "build", "diff", short, short).stdout
    (root / "pipelines/orders.py").unlink()
    (root / "pipelines/other.py").touch()
    other = lane(root, "build").stdout.split()[0]
    lines = lane(root, "build", "diff", short, other).stdout.splitlines()
    assert lines == [f"{short} → {other}", "  + pipelines/other.py", "  - pipelines/orders.py"]


def test_a_build_that_is_not_there_is_wrong_input_with_the_nearest_name(root: Path) -> None:
    lane(root, "build", "--tag", "v1.4")
    assert "v1.4" in lane(root, "build", "show", "v1.5", code=2).stderr


def test_a_tag_that_would_move_is_refused(root: Path) -> None:
    lane(root, "build", "--tag", "v1.4")
    (root / "pipelines/orders.py").write_text("print(1)\n")
    assert "tags never move" in lane(root, "build", "--tag", "v1.4", code=1).stderr


def test_a_file_that_can_not_be_in_a_build_is_wrong_input(root: Path) -> None:
    (root / "pipelines/link").symlink_to("/etc/passwd")
    assert "leaves the project's folder" in lane(root, "build", code=2).stderr
    assert not (root / ".lanewise/builds").exists()


def test_outside_of_a_project_there_is_a_hint(tmp_path: Path) -> None:
    assert "lane init" in lane(tmp_path, "build", code=2).stderr


def test_a_mutable_image_is_refused(root: Path) -> None:
    text = FILES["lanewise.yaml"] + "images: {main: 'ghcr.io/acme/etl:latest'}\n"
    (root / "lanewise.yaml").write_text(text)
    stderr = lane(root, "build", code=2).stderr
    assert "lanewise.yaml" in stderr
    assert "digest" in stderr


def test_building_what_is_built_loads_neither_database_nor_console(root: Path) -> None:
    lane(root, "build")
    program = """
import sys
from lanewise.cli.app import main
try:
    main(["build"])
except SystemExit as end:
    assert not end.code
print(sorted({"sqlalchemy", "duckdb", "fsspec", "rich", "asyncio", "alembic"} & set(sys.modules)), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "[]"
