from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from lanewise.domain.build import BuildFile, Manifest
from lanewise.domain.canonical import canonical_json
from lanewise.errors import BuildTampered, ConfigError, NotFound
from lanewise.runtime.sign import read_sign, sign_file, verify

FILES = {"pipelines/a.py": b"print(1)\n", "pipelines/b c.sql": b"select 1\n", "empty": b""}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / ".lanewise"


@pytest.fixture
def build(home: Path) -> str:
    """A build as it lies unpacked, with its manifest."""
    files = tuple(
        BuildFile(path, len(content), "sha256:" + hashlib.sha256(content).hexdigest())
        for path, content in sorted(FILES.items())
    )
    manifest = Manifest("orders", files, "cpython-3.11")
    name = manifest.digest.removeprefix("sha256:")
    for path, content in FILES.items():
        file = home / "unpacked" / name / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    (home / "manifests").mkdir()
    (home / "manifests" / f"{name}.json").write_bytes(canonical_json(manifest))
    return manifest.digest


def put_up(home: Path, **changed) -> None:
    live = {"build": "sha256:aa", "config": "c", "entry": "e", "schedule": "paused", "settings": {}, "number": 3}
    document = {"format": 1, "project": "orders", "environment": "prod", "home": str(home), "lane": ["lane"],
                "live": live, "candidates": [{**live, "build": "sha256:bb"}], **changed}  # fmt: skip
    file = Path(sign_file(str(home), "prod"))
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(document))


def test_it_tells_what_is_live_and_what_stands_beside_it(home):
    put_up(home)
    sign = read_sign(str(home), "prod")
    assert (sign.project, sign.environment, sign.lane) == ("orders", "prod", ["lane"])
    assert sign.find("sha256:aa")["number"] == 3
    assert sign.find("sha256:bb") == sign.candidates[0]
    assert sign.find("sha256:cc") is None
    assert sign.code("sha256:aa") == f"{home}/unpacked/aa"
    assert sign.compiled("sha256:aa") == f"{home}/compiled/aa/prod.json"
    assert sign.run("live-1") == f"{home}/runs/live-1.json"


def test_the_folder_and_the_environment_come_from_the_process(home, monkeypatch):
    put_up(home)
    monkeypatch.setenv("LANEWISE_HOME", str(home.parent))
    monkeypatch.setenv("LANEWISE_ENV", "prod")
    assert read_sign().environment == "prod"


def test_without_them_it_is_an_error_and_never_prod(home, monkeypatch):
    put_up(home)
    monkeypatch.delenv("LANEWISE_HOME", raising=False)
    monkeypatch.delenv("LANEWISE_ENV", raising=False)
    with pytest.raises(ConfigError, match="LANEWISE_HOME"):
        read_sign()
    monkeypatch.setenv("AIRFLOW_HOME", "/x")
    with pytest.raises(ConfigError, match="no environment is named"):
        read_sign(str(home))


def test_where_none_was_put_up_the_command_that_does_so_is_named(home):
    with pytest.raises(NotFound) as caught:
        read_sign(str(home), "prod")
    assert "lane follow prod" in caught.value.hint


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": 2}', "\x00"])
def test_what_is_no_sign_is_one_clear_error(home, content):
    put_up(home)
    Path(sign_file(str(home), "prod")).write_text(content)
    with pytest.raises(ConfigError, match=r"prod\.json"):
        read_sign(str(home), "prod")


def test_a_sign_of_another_environment_is_not_believed(home):
    put_up(home, environment="stage")
    with pytest.raises(ConfigError, match="no road sign of prod"):
        read_sign(str(home), "prod")


def test_a_whole_build_is_verified(home, build):
    assert verify(str(home), build) == f"{home}/unpacked/{build.removeprefix('sha256:')}"


@pytest.mark.parametrize("path", sorted(FILES))
@pytest.mark.parametrize("how", ["changed", "gone", "link", "folder"])
def test_a_file_that_is_not_as_it_was_built_is_named(home, build, path, how, tmp_path):
    file = home / "unpacked" / build.removeprefix("sha256:") / path
    content = file.read_bytes()
    if how == "changed":
        file.write_bytes(content + b" ")
    else:
        file.unlink()
    if how == "link":
        (tmp_path / "same").write_bytes(content)
        file.symlink_to(tmp_path / "same")
    if how == "folder":
        file.mkdir()
    with pytest.raises(BuildTampered, match=path.replace(".", r"\.")):
        verify(str(home), build)


@pytest.mark.parametrize(
    "stranger", ["json.py", "pipelines/dags.py", "pipelines/fast.so", "more/__init__.py", "linked"]
)
def test_code_among_its_files_that_is_not_the_builds_is_named(home, build, stranger, tmp_path):
    file = home / "unpacked" / build.removeprefix("sha256:") / stranger
    file.parent.mkdir(exist_ok=True)
    file.symlink_to(tmp_path) if stranger == "linked" else file.write_text("")
    with pytest.raises(BuildTampered, match=f"'{stranger}' is none of its files"):
        verify(str(home), build)


def test_what_a_run_has_left_there_is_no_code(home, build):
    folder = home / "unpacked" / build.removeprefix("sha256:")
    (folder / "run.log").write_text("done")
    (folder / "pipelines" / "__pycache__").mkdir()
    (folder / "pipelines" / "__pycache__" / "a.cpython-311.pyc").write_bytes(b"")
    assert verify(str(home), build) == str(folder)


def test_a_manifest_that_was_changed_with_the_file_is_seen_too(home, build):
    name = build.removeprefix("sha256:")
    manifest = home / "manifests" / f"{name}.json"
    document = json.loads(manifest.read_bytes())
    document["files"] = document["files"][:1]
    manifest.write_text(json.dumps(document))
    with pytest.raises(BuildTampered, match="not the manifest"):
        verify(str(home), build)


def test_a_build_that_is_not_here_is_not_found(home):
    with pytest.raises(NotFound, match="unpacked build"):
        verify(str(home), "sha256:" + "0" * 64)
