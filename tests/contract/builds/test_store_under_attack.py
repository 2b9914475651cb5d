"""The store on a disk: crashes at every step, two writers, a full disk, and hands that write there."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from lanewise.adapters.builds.fsspec_store import FsspecBuildStore
from lanewise.builds.stored import digest_of, manifest_bytes, provenance_bytes
from lanewise.domain.build import Build, BuildFile, Manifest, Provenance
from lanewise.errors import BuildTampered, LaneError, NotFound, StoreUnavailable, WrongInput
from lanewise.testing.build_store import FILES, build_of, write_files

BUILD = build_of(FILES)
HEX = BUILD.digest.removeprefix("sha256:")
CRASHED = 9


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    write_files(tmp_path / "tree", FILES)
    return tmp_path / "tree"


@pytest.fixture
def store(tmp_path: Path) -> FsspecBuildStore:
    return FsspecBuildStore("store", base=tmp_path)


def in_a_child(act: Callable[[], object]) -> int:
    """The exit code of a process that does ``act``: 0, 1 for an error of ours, 2 for any other."""
    child = os.fork()
    if child == 0:
        code = 2
        try:
            act()
            code = 0
        except LaneError:
            code = 1
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def crash_at(step: int) -> None:
    """From now on this process dies before its ``step``-th change to a disk."""
    steps = count(1)

    def dying(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **more: Any) -> Any:
            if next(steps) == step:
                os._exit(CRASHED)
            return real(*arguments, **more)

        return call

    for name in ("write", "fsync", "replace", "link", "unlink", "mkdir", "rename", "rmdir", "fchmod"):
        setattr(os, name, dying(getattr(os, name)))


def crashes(act: Callable[[int], object]) -> Iterator[int]:
    """Do ``act(1)`` in a process that dies at its first change, ``act(2)`` at its second … until one gets through."""
    for step in count(1):

        def doomed(step: int = step) -> None:
            crash_at(step)
            act(step)

        code = in_a_child(doomed)
        assert code in {0, CRASHED}
        yield step
        if code == 0:
            return


def test_a_crash_while_putting_leaves_no_build_or_a_whole_one(tmp_path: Path, tree: Path) -> None:
    def store(step: int) -> FsspecBuildStore:
        return FsspecBuildStore(f"store{step}", base=tmp_path)

    seen = []
    for step in crashes(lambda step: store(step).put(BUILD, tree)):
        seen.append(store(step).list())
        store(step).put(BUILD, tree)
        store(step).unpack(BUILD.digest, tmp_path / f"into{step}")
        assert store(step).list() == (BUILD,)
    assert seen[0] == ()
    assert seen[-2] == (BUILD,)  # a crash after the provenance is in its place
    assert all(found in ((), (BUILD,)) for found in seen)
    assert step > 15


def test_a_crash_while_tagging_leaves_no_tag_or_a_whole_one(tree: Path, store: FsspecBuildStore) -> None:
    store.put(BUILD, tree)
    found = []
    for step in crashes(lambda step: store.tag(BUILD.digest, f"v.{step}")):
        try:
            found.append(store.resolve(f"v.{step}"))
        except NotFound:
            found.append("")
        store.tag(BUILD.digest, f"v.{step}")
    assert found[0] == ""
    assert set(found) == {"", BUILD.digest}
    assert step > 4


def test_a_crash_while_removing_leaves_a_whole_build_or_none(
    tmp_path: Path, tree: Path, store: FsspecBuildStore
) -> None:
    store.put(BUILD, tree)
    for step in crashes(lambda _: store.remove(BUILD.digest)):
        if store.list():
            store.unpack(BUILD.digest, tmp_path / f"into{step}")
        else:
            store.put(BUILD, tree)
    assert step > 3


def test_two_processes_that_put_the_same_build_leave_one_whole_one(tmp_path: Path, tree: Path) -> None:
    for round_ in range(15):
        base = tmp_path / str(round_)
        children = []
        for who in ("ana", "bob"):
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    build = Build(BUILD.manifest, Provenance(built_by=who, built_at=BUILD.provenance.built_at))
                    FsspecBuildStore("store", base=base).put(build, tree)
                    code = 0
                finally:
                    os._exit(code)
            children.append(child)
        assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0, 0]
        store = FsspecBuildStore("store", base=base)
        (found,) = store.list()
        assert found.provenance.built_by in {"ana", "bob"}
        store.unpack(BUILD.digest, base / "into")
        assert list((base / "store/incoming").iterdir()) == []


def test_a_full_disk_is_one_clear_error_and_nothing_is_stored(
    tmp_path: Path, tree: Path, store: FsspecBuildStore
) -> None:
    def put_on_a_full_disk() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        store.put(BUILD, tree)

    assert in_a_child(put_on_a_full_disk) == 1
    assert store.list() == ()
    assert list((tmp_path / "store/incoming").iterdir()) == []


def test_unpacking_on_a_full_disk_leaves_nothing(tmp_path: Path, tree: Path, store: FsspecBuildStore) -> None:
    store.put(BUILD, tree)

    def unpack_on_a_full_disk() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        store.unpack(BUILD.digest, tmp_path / "into")

    assert in_a_child(unpack_on_a_full_disk) == 1
    assert list((tmp_path / "into").iterdir()) == []


@pytest.mark.parametrize("url", ["/proc/lanewise", "file:///dev/null/store"])
def test_a_store_that_can_not_be_written_says_so(tmp_path: Path, tree: Path, url: str) -> None:
    store = FsspecBuildStore(url, base=tmp_path)
    with pytest.raises(StoreUnavailable, match="can't be written"):
        store.put(BUILD, tree)
    assert store.list() == ()


@pytest.mark.parametrize("url", ["nosuch://u:hunter2@bucket/x", "memory://u:hunter2@x", "s3://k:hunter2@b/x"])
def test_a_wrong_url_is_one_clear_error_that_shows_no_password(url: str) -> None:
    with pytest.raises((WrongInput, StoreUnavailable)) as caught:
        FsspecBuildStore(url, base=Path("/")).get("sha256:" + "0" * 64)
    assert "hunter2" not in caught.value.message + caught.value.hint


def regions() -> Iterator[int]:
    """A byte in each region of the pack: first, last and a middle one of each file."""
    start = 0
    for file in BUILD.manifest.files:
        if file.size:
            yield from {start, start + file.size // 2, start + file.size - 1}
        start += file.size


def test_one_flipped_byte_in_any_region_of_the_pack_refuses_to_unpack(
    tmp_path: Path, tree: Path, store: FsspecBuildStore
) -> None:
    store.put(BUILD, tree)
    pack = tmp_path / "store" / HEX / "files.pack"
    good = pack.read_bytes()
    for at in regions():
        spoilt = bytearray(good)
        spoilt[at] ^= 0x80
        pack.write_bytes(spoilt)
        with pytest.raises(BuildTampered):
            store.unpack(BUILD.digest, tmp_path / "into")
        assert list((tmp_path / "into").iterdir()) == []


@pytest.mark.parametrize("name", ["manifest.json", "provenance.json"])
def test_one_flipped_byte_in_what_lies_beside_is_noticed_or_harmless(
    tmp_path: Path, tree: Path, store: FsspecBuildStore, name: str
) -> None:
    store.put(BUILD, tree)
    path = tmp_path / "store" / HEX / name
    good = path.read_bytes()
    for at in range(len(good)):
        path.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
        try:
            assert store.get(BUILD.digest).manifest == BUILD.manifest  # a name in the provenance may be misspelt
            assert name == "provenance.json"
        except BuildTampered:
            pass


@pytest.mark.parametrize("size", [0, 1, -1])
def test_a_pack_cut_or_extended_refuses_and_putting_it_again_heals(
    tmp_path: Path, tree: Path, store: FsspecBuildStore, size: int
) -> None:
    store.put(BUILD, tree)
    os.truncate(tmp_path / "store" / HEX / "files.pack", 0 if size == 0 else BUILD.size + size)
    with pytest.raises(BuildTampered):
        store.unpack(BUILD.digest, tmp_path / "into")
    store.put(BUILD, tree)
    store.unpack(BUILD.digest, tmp_path / "into")


@pytest.mark.parametrize("name", ["manifest.json", "files.pack"])
def test_a_lost_file_of_the_store_refuses_and_putting_it_again_heals(
    tmp_path: Path, tree: Path, store: FsspecBuildStore, name: str
) -> None:
    store.put(BUILD, tree)
    (tmp_path / "store" / HEX / name).unlink()
    with pytest.raises(BuildTampered):
        store.unpack(BUILD.digest, tmp_path / "into")
    store.put(BUILD, tree)
    store.unpack(BUILD.digest, tmp_path / "into")


def plant(root: Path, manifest: Manifest, pack: bytes, *, named: str = "") -> str:
    """What an attacker who can write to the store, and to work out digests, would put there."""
    data = manifest_bytes(manifest)
    digest = named or digest_of(data)
    folder = root / digest.removeprefix("sha256:")
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_bytes(data)
    (folder / "files.pack").write_bytes(pack)
    (folder / "provenance.json").write_bytes(provenance_bytes(Provenance(built_at="2026")))
    return digest


@pytest.mark.parametrize(
    "paths",
    [["../../evil"], ["/tmp/lanewise-evil"], ["A", "a"], ["a/../../../evil"], ["a", "a/b"], ["b", "a"], ["a", "a"]],
)
def test_a_planted_manifest_with_a_right_digest_and_hostile_paths_is_refused(
    tmp_path: Path, store: FsspecBuildStore, paths: list[str]
) -> None:
    files = tuple(BuildFile(path, 4, digest_of(b"evil"), True) for path in paths)
    digest = plant(tmp_path / "store", Manifest("orders", files, "cpython-3.11"), b"evil" * len(paths))
    for ask in (store.get, lambda digest: store.unpack(digest, tmp_path / "deep/into")):
        with pytest.raises(BuildTampered):
            ask(digest)
    assert not (tmp_path / "evil").exists()
    assert not Path("/tmp/lanewise-evil").exists()


def test_a_planted_manifest_under_another_ones_digest_is_refused(tmp_path: Path, store: FsspecBuildStore) -> None:
    evil = Manifest("orders", (BuildFile("a", 4, digest_of(b"evil")),), "cpython-3.11")
    plant(tmp_path / "store", evil, b"evil", named=BUILD.digest)
    for ask in (store.get, lambda digest: store.unpack(digest, tmp_path / "into")):
        with pytest.raises(BuildTampered, match="does not have that digest"):
            ask(BUILD.digest)


def test_a_tag_that_was_made_to_name_a_path_is_refused(tmp_path: Path, tree: Path, store: FsspecBuildStore) -> None:
    store.put(BUILD, tree)
    store.tag(BUILD.digest, "v1.4")
    (tmp_path / "store/tags/v1.4").write_text("../../etc\n")
    with pytest.raises(BuildTampered, match="names no digest"):
        store.resolve("v1.4")


def test_a_store_on_a_disk_needs_neither_fsspec_nor_a_database(tmp_path: Path) -> None:
    program = f"""
import sys
from pathlib import Path
from lanewise.adapters.builds.fsspec_store import FsspecBuildStore
import lanewise.service.build
FsspecBuildStore("store", base=Path({str(tmp_path)!r})).list()
print({{"fsspec", "sqlalchemy", "duckdb", "pydantic", "rich", "asyncio"}} & set(sys.modules))
"""
    import subprocess

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


@pytest.mark.parametrize("name", ["files.pack", "manifest.json", "provenance.json"])
@pytest.mark.parametrize("spoil", [lambda file: file.unlink(), lambda file: file.write_bytes(b"[]")])
def test_a_build_that_has_lost_something_is_not_whole(
    store: FsspecBuildStore, tree: Path, tmp_path: Path, name: str, spoil: Callable[[Path], object]
) -> None:
    store.put(BUILD, tree)
    assert store.whole(BUILD.digest)
    spoil(tmp_path / "store" / HEX / name)
    assert not FsspecBuildStore("store", base=tmp_path).whole(BUILD.digest)
