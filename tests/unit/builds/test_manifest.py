from __future__ import annotations

import os
import socket
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from lanewise.builds.manifest import make_manifest
from lanewise.errors import ConfigError, NotFound, WrongInput

from .trees import FILES, lay, project


def paths(root: Path, *include: str, exclude: tuple[str, ...] = ()) -> list[str]:
    return [file.path for file in make_manifest(root, project(*include, exclude=exclude)).files]


def test_a_manifest_names_each_file_its_size_digest_and_bit(tmp_path: Path) -> None:
    lay(tmp_path, FILES | {"pipelines/empty.sql": ""})
    (tmp_path / "pipelines/orders.py").chmod(0o700)
    (tmp_path / "requirements.txt").chmod(0o671)  # others may execute it: that is not the owner's bit
    manifest = make_manifest(tmp_path, project())
    assert [(f.path, f.size, f.executable) for f in manifest.files] == [
        ("lanewise.yaml", 16, False),
        ("pipelines/empty.sql", 0, False),
        ("pipelines/orders.py", 8, True),
        ("requirements.txt", 14, False),
    ]
    assert manifest.files[1].digest == "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert manifest.interpreter == f"cpython-{sys.version_info.major}.{sys.version_info.minor}"
    assert (manifest.project, manifest.lock) == ("orders", "requirements.txt")


def test_what_differs_between_environments_and_what_tools_leave_never_travels(tmp_path: Path) -> None:
    never = ["environments.yaml", ".lanewise/ledger.db", ".git/HEAD", "a/.git/HEAD", "__pycache__/a.pyc", "a/b.pyc",
             "a/__pycache__/c.py", ".pytest_cache/x", "a/.mypy_cache/x"]  # fmt: skip
    kept = ["lanewise.yaml", "a/environments.yaml", "a/c.py", ".hidden", "a/.gitignore"]
    lay(tmp_path, dict.fromkeys([*never, *kept], "x"))
    assert paths(tmp_path, "**") == sorted(kept)


def test_a_file_larger_than_one_read_is_hashed_whole(tmp_path: Path) -> None:
    lay(tmp_path)
    (tmp_path / "pipelines/big").write_bytes(b"x" * (1 << 20) * 2 + b"y")
    first = make_manifest(tmp_path, project())
    (tmp_path / "pipelines/big").write_bytes(b"x" * (1 << 20) * 2 + b"z")
    assert first.digest != make_manifest(tmp_path, project()).digest
    assert first.files[1].size == (1 << 20) * 2 + 1


@pytest.mark.parametrize("path", ["lanewise.yaml", "pipelines/orders.py", "requirements.txt"])
def test_any_changed_byte_name_or_bit_gives_another_digest(tmp_path: Path, path: str) -> None:
    lay(tmp_path)
    digests = {make_manifest(tmp_path, project()).digest}
    (tmp_path / path).chmod(0o755)
    digests.add(make_manifest(tmp_path, project()).digest)
    (tmp_path / path).write_text("other")
    digests.add(make_manifest(tmp_path, project()).digest)
    (tmp_path / "pipelines/new").touch()
    digests.add(make_manifest(tmp_path, project()).digest)
    assert len(digests) == 4


def test_the_environments_file_changes_nothing(tmp_path: Path) -> None:
    lay(tmp_path)
    before = make_manifest(tmp_path, project("**")).digest
    (tmp_path / "environments.yaml").write_text("environments: {dev: {}}\n")
    assert make_manifest(tmp_path, project("**")).digest == before


def test_globs_that_take_nothing_are_an_error(tmp_path: Path) -> None:
    lay(tmp_path)
    with pytest.raises(ConfigError, match="matches no file: 'pipelins/\\*\\*'"):
        make_manifest(tmp_path, project("pipelins/**"))
    with pytest.raises(NotFound):
        make_manifest(tmp_path / "pipelines", project())


def test_a_lock_file_that_the_globs_leave_out_is_an_error(tmp_path: Path) -> None:
    lay(tmp_path)
    with pytest.raises(ConfigError, match=r"requirements\.txt is not in the build"):
        make_manifest(tmp_path, project("pipelines/**"))
    with pytest.raises(ConfigError, match=r"there is no file 'requirement\.txt'") as caught:
        make_manifest(tmp_path, project(lock="requirement.txt"))
    assert "requirements.txt" in caught.value.hint
    lay(tmp_path, {"uv.lock": ""})
    with pytest.raises(ConfigError, match=r"uv\.lock is not in the build"):
        make_manifest(tmp_path, project(lock="uv.lock"))
    named = make_manifest(tmp_path, project("**", lock="./uv.lock"))
    assert named.lock == "uv.lock"


def test_a_project_without_a_lock_file_is_built_without(tmp_path: Path) -> None:
    lay(tmp_path)
    (tmp_path / "requirements.txt").unlink()
    assert make_manifest(tmp_path, project()).lock is None


def test_a_link_inside_is_followed_as_content(tmp_path: Path) -> None:
    lay(tmp_path, FILES | {"shared/one.sql": "1", "shared/deep/two.sql": "2"})
    (tmp_path / "pipelines/link.py").symlink_to("orders.py")
    (tmp_path / "pipelines/shared").symlink_to("../shared")
    linked = make_manifest(tmp_path, project())
    lay(tmp_path / "copy", FILES | {"pipelines/link.py": FILES["pipelines/orders.py"], "pipelines/shared/one.sql": "1",
                                    "pipelines/shared/deep/two.sql": "2"})  # fmt: skip
    assert linked == make_manifest(tmp_path / "copy", project())


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("../outside", "leaves"), ("/etc/hosts", "leaves"), ("../outside/f", "leaves"), ("nowhere", "leads nowhere"),
        ("loop", "leads nowhere"), (".", "lies in"), ("..", "lies in"), ("../environments.yaml", "no build may hold"),
        ("../.git/config", "no build may hold"), ("../.git", "no build may hold"),
    ],
)  # fmt: skip
def test_a_link_that_leaves_circles_or_smuggles_is_refused(tmp_path: Path, target: str, reason: str) -> None:
    root = lay(tmp_path / "project", FILES | {"environments.yaml": "", ".git/config": ""})
    lay(tmp_path, {"project/../outside/f": "secret"})
    (root / "pipelines/loop").symlink_to(target if target != "../outside" else "../../outside")
    if target == "../outside/f":
        (root / "pipelines/loop").unlink()
        (root / "pipelines/loop").symlink_to("../../outside/f")
    with pytest.raises(WrongInput, match=f"'pipelines/loop' .*{reason}"):
        make_manifest(root, project())


def test_links_between_folders_that_multiply_come_to_an_end(tmp_path: Path) -> None:
    lay(tmp_path)
    for level in range(25):
        folder = tmp_path / f"pipelines/l{level}"
        folder.mkdir()
        for side in "ab":
            (folder / side).symlink_to(f"../l{level + 1}")
    lay(tmp_path, {"pipelines/l25/f": ""})
    with pytest.raises(WrongInput, match="more than 100,000 files"):
        make_manifest(tmp_path, project("pipelines/l0/**", "requirements.txt"))


def test_a_link_or_pipe_that_no_glob_takes_does_no_harm(tmp_path: Path) -> None:
    lay(tmp_path)
    (tmp_path / "link").symlink_to("/etc")
    os.mkfifo(tmp_path / "pipe")
    assert paths(tmp_path) == sorted(FILES)
    assert paths(tmp_path, "**", exclude=("link", "pipe")) == sorted(FILES)


def test_pipes_sockets_and_devices_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lay(tmp_path)
    monkeypatch.chdir(tmp_path / "pipelines")  # a socket's path must be short
    odd = tmp_path / "pipelines/odd"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("odd")
        with pytest.raises(WrongInput, match="'pipelines/odd' is no regular file"):
            make_manifest(tmp_path, project())
    odd.unlink()
    os.mkfifo(odd)
    with pytest.raises(WrongInput, match="'pipelines/odd' is no regular file"):
        make_manifest(tmp_path, project())
    odd.unlink()
    odd.symlink_to("/dev/zero")
    with pytest.raises(WrongInput, match="leaves"):
        make_manifest(tmp_path, project())
    odd.unlink()
    os.mkfifo(tmp_path / "pipe")
    odd.symlink_to("../pipe")
    with pytest.raises(WrongInput, match="'pipelines/odd' is no regular file"):
        make_manifest(tmp_path, project())


@pytest.mark.parametrize("name", [b"a\xff.py", b"a\nb", b"a\\b", b"nul.py", "e\u0301.py".encode(), b"a:b", b"dot."])
def test_a_name_that_is_not_portable_is_refused(tmp_path: Path, name: bytes) -> None:
    lay(tmp_path)
    Path(os.fsdecode(os.fsencode(tmp_path / "pipelines") + b"/" + name)).touch()
    with pytest.raises(WrongInput, match="can't be in a build"):
        make_manifest(tmp_path, project())


def test_names_that_differ_only_in_case_are_refused(tmp_path: Path) -> None:
    lay(tmp_path, FILES | {"pipelines/A.py": "", "pipelines/a.py": ""})
    with pytest.raises(WrongInput, match=r"'pipelines/A\.py' and 'pipelines/a\.py' differ only in case"):
        make_manifest(tmp_path, project())


HEX = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    "image", [f"ghcr.io/a/b@sha256:{HEX}", f"localhost:5000/a@sha256:{HEX}", f"a:1.2@sha256:{HEX}"]
)
def test_an_image_by_digest_is_part_of_the_build(tmp_path: Path, image: str) -> None:
    lay(tmp_path)
    manifest = make_manifest(tmp_path, project(images={"main": image}))
    assert manifest.images == {"main": image}
    assert manifest.digest != make_manifest(tmp_path, project()).digest


@pytest.mark.parametrize(
    "image",
    ["a", "a:latest", "a@sha256:abc", f"a@sha256:{HEX}0", f"a@md5:{HEX}", f"sha256:{HEX}", f"a b@sha256:{HEX}",
     f"a@sha256:{HEX.upper()}", f"a@sha256:{HEX}\n", ""],
)  # fmt: skip
def test_an_image_that_can_move_is_refused(tmp_path: Path, image: str) -> None:
    lay(tmp_path)
    with pytest.raises(ConfigError, match=r"images\.main"):
        make_manifest(tmp_path, project(images={"main": image}))


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("a-1.0-py3-none-any.whl", "1.0"),
        ("../a.whl", f"sha256:{HEX}"),
        ("a.tar.gz", f"sha256:{HEX}"),
        ("a.whl", f"sha256:{HEX[1:]}"),
    ],
)
def test_a_wheel_without_a_digest_is_refused(tmp_path: Path, name: str, digest: str) -> None:
    lay(tmp_path)
    with pytest.raises(ConfigError, match="wheels"):
        make_manifest(tmp_path, project(wheels={name: digest}))


def test_where_data_and_rules_change_the_digest_and_nothing_else_does(tmp_path: Path) -> None:
    lay(tmp_path)
    plain = make_manifest(tmp_path, project())
    wheels = {"a-1.0-py3-none-any.whl": f"sha256:{HEX}"}
    assert plain.digest != make_manifest(tmp_path, project(wheels=wheels)).digest
    assert plain.digest != replace(plain, interpreter="cpython-3.12").digest
    assert plain.digest == make_manifest(tmp_path, project(batch=3)).digest  # lanewise.yaml's own bytes speak for it
