"""What every build store must do. A plug-in's author subclasses ``BuildStoreContract`` and gives it a store::

class TestOurStore(BuildStoreContract):
    @pytest.fixture
    def open_again(self, tmp_path):
        return lambda: OurStore("ours://bucket", base=tmp_path)
"""

# ruff: noqa: S101 - a conformance suite is made of assertions
from __future__ import annotations

import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Barrier, Thread

import pytest

from lanewise.builds.stored import digest_of
from lanewise.domain.build import Build, BuildFile, Manifest, Provenance
from lanewise.domain.ports import BuildStore
from lanewise.errors import BuildTampered, NotFound, Refused, WrongInput

FILES = {
    "lanewise.yaml": b"project: orders\n",
    "bin/run.sh": b"#!/bin/sh\necho run\n",
    "pipelines/empty.py": b"",
    "pipelines/größe.sql": "select 'größe'".encode(),
    "pipelines/deep/er/still/a.py": b"A = 1\n" * 1000,
    "zeros.bin": bytes(3_000_000),  # more than one read takes
}


def write_files(root: Path, files: dict[str, bytes]) -> None:
    """Lay ``files`` out below ``root``; those in ``bin/`` are executable."""
    for path, data in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        target.chmod(0o755 if path.startswith("bin/") else 0o644)


def build_of(files: dict[str, bytes], *, built_at: str = "2026-05-01T12:00:00+00:00", by: str = "ana") -> Build:
    """The build that these files are."""
    entries = [
        BuildFile(path, len(data), digest_of(data), path.startswith("bin/")) for path, data in sorted(files.items())
    ]
    return Build(Manifest("orders", tuple(entries), "cpython-3.11"), Provenance(built_by=by, built_at=built_at))


def _alike() -> tuple[Build, Build]:
    """Two builds of the same file whose digests begin with the same four digits: a few hundred tries find them."""
    seen: dict[str, Build] = {}
    base = build_of({"lanewise.yaml": FILES["lanewise.yaml"]})
    for number in range(100_000):
        build = replace(base, manifest=replace(base.manifest, interpreter=f"cpython-3.{number}"))
        other = seen.setdefault(build.digest[7:11], build)
        if other is not build:
            return other, build
    raise AssertionError("digests are not spread evenly")


class BuildStoreContract:
    """The conformance suite of the ``BuildStore`` port."""

    @pytest.fixture
    def open_again(self) -> Callable[[], BuildStore]:
        """Gives another handle on the same store, empty at the test's start: the one thing to override."""
        raise NotImplementedError

    @pytest.fixture
    def store(self, open_again: Callable[[], BuildStore]) -> BuildStore:
        """The store under test."""
        return open_again()

    @pytest.fixture
    def tree(self, tmp_path: Path) -> Path:
        """A project's folder."""
        write_files(tmp_path / "tree", FILES)
        return tmp_path / "tree"

    @pytest.fixture
    def stored(self, store: BuildStore, tree: Path) -> Build:
        """A build that is in the store."""
        build = build_of(FILES)
        store.put(build, tree)
        return build

    def other(self, store: BuildStore, tree: Path, *, number: int = 2) -> Build:
        """Store a build that differs in one file, made ``number`` minutes past."""
        files = FILES | {"lanewise.yaml": f"project: orders # {number}\n".encode()}
        write_files(tree, files)
        build = build_of(files, built_at=f"2026-05-01T12:{number:02}:00+00:00")
        store.put(build, tree)
        return build

    def test_what_was_put_is_got_by_any_handle(self, stored: Build, open_again: Callable[[], BuildStore]) -> None:
        """Manifest and provenance come back as they were."""
        assert open_again().get(stored.digest) == stored
        assert open_again().list() == (stored,)

    def test_an_empty_store_answers_without_being_made_first(self, store: BuildStore) -> None:
        """Reading writes nothing and needs nothing."""
        assert store.list() == ()
        for ask in (store.get, store.resolve):
            with pytest.raises(NotFound):
                ask("sha256:" + "0" * 64)

    def test_unpacked_files_are_the_bytes_and_modes_that_were_put(
        self, store: BuildStore, stored: Build, tmp_path: Path
    ) -> None:
        """Nothing more, nothing less, whatever the umask."""
        into = tmp_path / "new" / "place"
        store.unpack(stored.digest, into)
        found = {path.relative_to(into).as_posix(): path for path in into.rglob("*") if path.is_file()}
        assert {name: path.read_bytes() for name, path in found.items()} == FILES
        modes = {name: stat.S_IMODE(path.stat().st_mode) for name, path in found.items()}
        assert modes == {name: 0o755 if name.startswith("bin/") else 0o644 for name in FILES}

    def test_a_folder_in_use_is_left_alone(self, store: BuildStore, stored: Build, tmp_path: Path) -> None:
        """Neither a file in it nor a link in its place is written through."""
        used, elsewhere = tmp_path / "used", tmp_path / "elsewhere"
        used.mkdir()
        (used / "mine").write_text("mine")
        elsewhere.mkdir()
        (tmp_path / "link").symlink_to(elsewhere)
        for into in (used, tmp_path / "link"):
            with pytest.raises(WrongInput):
                store.unpack(stored.digest, into)
        assert [path.name for path in used.iterdir()] == ["mine"]
        assert list(elsewhere.iterdir()) == []

    def test_putting_a_build_twice_keeps_its_first_provenance(
        self, store: BuildStore, stored: Build, tree: Path
    ) -> None:
        """Where a build came from is not rewritten by whoever builds the same bytes later."""
        store.put(replace(stored, provenance=Provenance(built_by="bob", built_at="2027-01-01T00:00:00+00:00")), tree)
        assert store.get(stored.digest).provenance.built_by == "ana"
        assert len(store.list()) == 1

    @pytest.mark.parametrize("change", [b"project: orderz\n", b"project: orders", b"project: orders\n\n", None])
    def test_a_file_that_changed_since_the_manifest_is_refused_and_nothing_is_stored(
        self, store: BuildStore, tree: Path, change: bytes | None
    ) -> None:
        """Another byte, one less, one more, or no file at all."""
        (tree / "lanewise.yaml").unlink()
        if change is not None:
            (tree / "lanewise.yaml").write_bytes(change)
        with pytest.raises(BuildTampered, match=r"lanewise\.yaml"):
            store.put(build_of(FILES), tree)
        assert store.list() == ()

    def test_a_name_is_a_digest_a_prefix_or_a_tag(self, store: BuildStore, stored: Build) -> None:
        """Four hex digits are enough, if only one build begins so."""
        store.tag(stored.digest, "v1.4")
        digits = stored.digest.removeprefix("sha256:")
        for name in (stored.digest, digits, digits[:4], stored.short, f"sha256:{digits[:9]}", "v1.4"):
            assert store.resolve(name) == stored.digest
        for name in ("", digits[:3], "v1", "v1.5", "../" + digits, digits + "0", digits.upper(), "sha256:"):
            with pytest.raises(NotFound):
                store.resolve(name)

    def test_a_missing_build_brings_up_near_names(self, store: BuildStore, stored: Build) -> None:
        """The hint of ``NotFound``."""
        store.tag(stored.digest, "v1.4")
        with pytest.raises(NotFound) as caught:
            store.resolve("v1.5")
        assert "v1.4" in caught.value.hint

    def test_a_prefix_of_two_builds_is_not_a_name(self, store: BuildStore, tree: Path) -> None:
        """Their first different digit is needed."""
        one, two = _alike()
        store.put(one, tree)
        assert store.resolve(one.digest[7:11]) == one.digest
        store.put(two, tree)
        with pytest.raises(NotFound):
            store.resolve(one.digest[7:11])
        assert {store.resolve(build.digest) for build in (one, two)} == {one.digest, two.digest}

    def test_builds_are_listed_newest_first(self, store: BuildStore, stored: Build, tree: Path) -> None:
        """By when they were built."""
        later = self.other(store, tree)
        assert [build.digest for build in store.list()] == [later.digest, stored.digest]

    def test_a_tag_never_moves(self, store: BuildStore, stored: Build, tree: Path) -> None:
        """Saying it again is nothing; saying it of another build is refused."""
        store.tag(stored.digest, "v1.4")
        store.tag(stored.digest, "v1.4")
        later = self.other(store, tree)
        with pytest.raises(Refused):
            store.tag(later.digest, "v1.4")
        assert store.resolve("v1.4") == stored.digest
        assert store.get(stored.digest).tags == ("v1.4",)
        assert store.get(later.digest).tags == ()

    def test_a_tag_outlives_its_build(self, store: BuildStore, stored: Build, tree: Path) -> None:
        """Else it could come to mean another one."""
        store.tag(stored.digest, "v1.4")
        store.remove(stored.digest)
        with pytest.raises(NotFound):
            store.resolve("v1.4")
        later = self.other(store, tree)
        with pytest.raises(Refused):
            store.tag(later.digest, "v1.4")

    def test_of_two_taggers_at_once_one_wins(
        self, stored: Build, tree: Path, open_again: Callable[[], BuildStore]
    ) -> None:
        """And the other is told."""
        later = self.other(open_again(), tree)
        for round_ in range(20):
            refused: list[str] = []
            start = Barrier(2)

            def tag(digest: str, name: str, start: Barrier = start, refused: list[str] = refused) -> None:
                store = open_again()
                start.wait()
                try:
                    store.tag(digest, name)
                except Refused:
                    refused.append(digest)

            threads = [Thread(target=tag, args=(build.digest, f"r.{round_}")) for build in (stored, later)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            (loser,) = refused
            assert open_again().resolve(f"r.{round_}") == ({stored.digest, later.digest} - {loser}).pop()

    @pytest.mark.parametrize("tag", ["", "a/b", "../x", "beef", "2024", "a b", "-v", "nul", "é", "v" * 129, "v\n"])
    def test_a_tag_is_a_plain_name_that_is_no_digest(self, store: BuildStore, stored: Build, tag: str) -> None:
        """Else it could leave the store or hide a build."""
        with pytest.raises(WrongInput):
            store.tag(stored.digest, tag)
        assert store.get(stored.digest).tags == ()

    def test_only_what_is_stored_can_be_tagged(self, store: BuildStore) -> None:
        """No tag dangles from its birth."""
        with pytest.raises(NotFound):
            store.tag("sha256:" + "0" * 64, "v1.4")

    def test_a_build_is_whole_until_it_is_removed(self, store: BuildStore, stored: Build) -> None:
        """Whoever asks; what is no build is not whole, and not an error."""
        assert store.whole(stored.digest)
        assert not store.whole("sha256:" + "0" * 64)
        assert not store.whole("no digest")
        store.remove(stored.digest)
        assert not store.whole(stored.digest)

    def test_a_removed_build_is_gone_and_can_come_back(
        self, store: BuildStore, stored: Build, tree: Path, tmp_path: Path
    ) -> None:
        """Removing what isn't there is nothing."""
        store.remove(stored.digest)
        store.remove(stored.digest)
        assert store.list() == ()
        with pytest.raises(NotFound):
            store.unpack(stored.digest, tmp_path / "into")
        store.put(stored, tree)
        store.unpack(stored.digest, tmp_path / "into")
        assert (tmp_path / "into/lanewise.yaml").read_bytes() == FILES["lanewise.yaml"]

    @pytest.mark.parametrize(
        "paths", [["../x"], ["/x"], ["a/../../x"], ["A.py", "a.py"], ["a", "a/b"], ["a\\b"], ["nul"], ["a", "a"]]
    )
    def test_a_build_of_hostile_paths_is_not_stored(self, store: BuildStore, tree: Path, paths: list[str]) -> None:
        """What could not be unpacked safely never gets in."""
        files = tuple(BuildFile(path, 0, digest_of(b"")) for path in paths)
        with pytest.raises(WrongInput):
            store.put(Build(Manifest("orders", files, "cpython-3.11")), tree)
        assert store.list() == ()
