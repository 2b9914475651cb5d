"""What a task's process is told of a run that Lanewise has started."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lanewise.errors import NotFound, Refused
from lanewise.integrations.airflow.place import Place
from lanewise.integrations.airflow.room import Task, enter

BUILD = "sha256:" + 64 * "a"
NAMES = ("LANEWISE_COMPILED", "LANEWISE_BUILD", "LANEWISE_RUN_ID", "LANEWISE_PURPOSE", "LANEWISE_PARTITIONS",
         "LANEWISE_OUTPUTS")  # fmt: skip


@pytest.fixture(autouse=True)
def own_variables() -> Iterator[None]:
    before = {name: os.environ.pop(name, None) for name in NAMES}
    yield
    for name, value in before.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value


def document(**run: Any) -> dict[str, Any]:
    return {
        "format": 1, "environment": "prod", "build": BUILD, "engine": {"directory": "/rooms/r1"},
        "run": {"id": "run-1", "purpose": "canary", "partitions": ["2013-01-01", "2013-01-02"], **run},
    }  # fmt: skip


def task(name: str = "load", partition: str = "", **asked: Any) -> Task:
    return Task("flights", name, "manual", {"lanewise": asked} if asked else {}, partition)


def place(root: Path) -> Place:
    return Place(str(root), "prod", "candidate", BUILD)


def test_the_document_in_the_runs_conf_is_laid_down_where_it_is_missing(tmp_path: Path) -> None:
    enter(task(run="run-1", document=document()), place(tmp_path))
    path = tmp_path / "runs" / "run-1.json"
    assert os.environ["LANEWISE_COMPILED"] == str(path)
    assert json.loads(path.read_text()) == document()
    assert path.stat().st_mode & 0o077 == 0
    assert os.environ["LANEWISE_PARTITIONS"] == '["2013-01-01", "2013-01-02"]'
    assert (os.environ["LANEWISE_PURPOSE"], os.environ["LANEWISE_OUTPUTS"]) == ("canary", "/rooms/r1/outputs")


def test_a_run_cut_by_partition_is_told_of_its_own_alone(tmp_path: Path) -> None:
    enter(task(partition="2013-01-02", run="run-1", document=document()), place(tmp_path))
    assert os.environ["LANEWISE_PARTITIONS"] == '["2013-01-02"]'
    told = json.loads(Path(os.environ["LANEWISE_COMPILED"]).read_text())
    assert told["run"]["partitions"] == ["2013-01-02"]
    assert json.loads((tmp_path / "runs" / "run-1.json").read_text()) == document()


def test_partitions_of_like_names_are_told_of_their_own_too(tmp_path: Path) -> None:
    found = {}
    for name in ("a/b", "a_b", 90 * "long "):
        os.environ.pop("LANEWISE_COMPILED", None)
        enter(task(partition=name, run="run-1", document=document()), place(tmp_path))
        found[name] = Path(os.environ["LANEWISE_COMPILED"])
    assert {name: json.loads(path.read_text())["run"]["partitions"] for name, path in found.items()} == {
        name: [name] for name in found
    }


def test_code_of_one_build_does_not_write_to_the_room_of_another(tmp_path: Path) -> None:
    other = {**document(), "build": "sha256:" + 64 * "b"}
    with pytest.raises(Refused, match="is of build bbbbbbbb, and this code is of aaaaaaaa"):
        enter(task(run="run-1", document=other), place(tmp_path))
    assert "LANEWISE_COMPILED" not in os.environ


@pytest.mark.parametrize("name", ["../signs/dev", "a/b", ".hidden", "a\0b"])
def test_what_is_no_runs_name_names_no_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(NotFound):
        enter(task(run=name, document=document()), place(tmp_path))
    assert not list(tmp_path.iterdir())


def test_the_file_that_lies_there_is_used_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "run-1.json").write_text(json.dumps(document(purpose="promotion")))
    enter(task(run="run-1", document=document()), place(tmp_path))
    assert os.environ["LANEWISE_PURPOSE"] == "promotion"


def test_the_tasks_around_an_entry_are_told_nothing(tmp_path: Path) -> None:
    enter(task("lanewise_begin", run="run-1", document=document()), place(tmp_path))
    assert "LANEWISE_COMPILED" not in os.environ
