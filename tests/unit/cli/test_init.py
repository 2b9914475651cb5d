"""`lane init` from the outside."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from lanewise.cli.init import app
from lanewise.config import load_config, load_project
from lanewise.errors import OutsideBroke, Refused, WrongInput


def init(*arguments: str):
    found = CliRunner().invoke(app, list(arguments))
    if found.exception and not isinstance(found.exception, SystemExit):
        raise found.exception
    return found


def tree(folder):
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("names", ["only", "dev,prod", "dev,stage,prod", "a,b,c,d,e,f,g", " 1 , on,null "])
def test_what_is_written_loads_without_an_error(tmp_path, names):
    init(str(tmp_path / "orders"), "--environments", names)
    project = load_project(tmp_path / "orders")
    config = load_config(tmp_path / "orders", project, {})
    assert project.name == "orders"
    assert list(config.environments) == [name.strip() for name in names.split(",")]
    assert all(lane.connection("dst").type == "duckdb" for lane in config.environments.values())


def test_every_key_that_is_written_is_explained(tmp_path):
    init(str(tmp_path / "p"))
    for name in ("lanewise.yaml", "environments.yaml"):
        lines = (tmp_path / "p" / name).read_text().splitlines()
        assert lines[0].startswith("# ")
        sections = [line for line in lines if line and not line.startswith((" ", "#"))]
        unexplained = [line for line in sections if "#" not in line]
        assert all(line.startswith(("project:", "source:")) for line in unexplained)


def test_an_empty_folder_gets_a_pipeline_and_one_with_code_does_not(tmp_path):
    init(str(tmp_path / "new"))
    assert {"pipelines/words.py", "tests/test_words.py"} <= set(tree(tmp_path / "new"))
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "etl.py").write_text("print()")
    init(str(tmp_path / "old"))
    assert set(tree(tmp_path / "old")) == {"etl.py", "lanewise.yaml", "environments.yaml", ".gitignore"}
    assert load_project(tmp_path / "old").tables == {}


def test_the_written_test_passes(tmp_path, monkeypatch):
    init(str(tmp_path))
    monkeypatch.syspath_prepend(str(tmp_path))
    code = (tmp_path / "tests" / "test_words.py").read_text()
    scope: dict[str, object] = {}
    exec(code, scope)
    scope["test_every_word_is_counted"]()


def test_nothing_is_overwritten(tmp_path):
    (tmp_path / "environments.yaml").write_text("mine")
    with pytest.raises(Refused, match="environments") as caught:
        init(str(tmp_path))
    assert caught.value.exit_code == 1
    assert tree(tmp_path) == {"environments.yaml": "mine"}


def test_a_file_that_appears_meanwhile_is_not_overwritten(tmp_path, monkeypatch):
    (tmp_path / "lanewise.yaml").write_text("theirs")
    monkeypatch.setattr(Path, "exists", lambda path: False)  # we looked just before it was written
    with pytest.raises(OutsideBroke, match="File exists"):
        init(str(tmp_path))
    assert (tmp_path / "lanewise.yaml").read_text() == "theirs"


def test_a_second_init_is_refused(tmp_path):
    init(str(tmp_path))
    before = tree(tmp_path)
    with pytest.raises(Refused):
        init(str(tmp_path), "--name", "other")
    assert tree(tmp_path) == before


def test_a_dry_run_prints_and_writes_nothing(tmp_path):
    found = init(str(tmp_path / "p"), "--dry-run")
    assert "--- lanewise.yaml\n" in found.stdout
    assert "--- environments.yaml\n" in found.stdout
    assert not (tmp_path / "p").exists()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, ".lanewise/\n"),
        ("*.pyc", "*.pyc\n# what Lanewise keeps on this machine: ledger, builds, warehouse\n.lanewise/\n"),
        ("a\n.lanewise\n", "a\n.lanewise\n"),
    ],
)
def test_gitignore_is_added_to_once(tmp_path, before, after):
    if before is not None:
        (tmp_path / ".gitignore").write_text(before)
    init(str(tmp_path))
    assert (tmp_path / ".gitignore").read_text().endswith(after)


def test_a_folder_s_name_is_made_a_project_s_name(tmp_path):
    init(str(tmp_path / "my orders (new)"))
    assert load_project(tmp_path / "my orders (new)").name == "my-orders-new"


@pytest.mark.parametrize(
    "arguments",
    [("--environments", ""), ("--environments", "dev,../x"), ("--environments", "dev,DEV"), ("--name", "a b"),
     ("--environments", "a-b,a_b"), ("--environments", "x" * 64)],
)  # fmt: skip
def test_names_that_can_t_be_used_are_refused_and_nothing_is_written(tmp_path, arguments):
    with pytest.raises(WrongInput):
        init(str(tmp_path / "p"), *arguments)
    assert not (tmp_path / "p").exists()
