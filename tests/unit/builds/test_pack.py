"""Hand-made packs and manifests against the one place that writes what they say to a disk."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from lanewise.adapters.builds.pack import unpack_pack
from lanewise.builds.stored import digest_of
from lanewise.domain.build import BuildFile, Manifest
from lanewise.errors import BuildTampered, StoreUnavailable, WrongInput

CONTENT = {"a.py": b"alpha", "b/c.py": b"", "b/d/e.py": b"echo " * 300_000, "z": b"omega"}


def manifest(content: dict[str, bytes], **sizes: int) -> Manifest:
    files = [BuildFile(path, sizes.get(path, len(data)), digest_of(data)) for path, data in content.items()]
    return Manifest("orders", tuple(files), "cpython-3.11")


def unpack(pack: bytes, of: Manifest, into: Path, *, length: int | None = None) -> None:
    unpack_pack(io.BytesIO(pack), len(pack) if length is None else length, of, str(into))


PACK = b"".join(CONTENT.values())


def test_an_honest_pack_is_laid_out(tmp_path: Path) -> None:
    unpack(PACK, manifest(CONTENT), tmp_path / "into")
    assert {path: (tmp_path / "into" / path).read_bytes() for path in CONTENT} == CONTENT


@pytest.mark.parametrize("at", [0, 4, 5, 6, 700_000, len(PACK) - 6, len(PACK) - 5, len(PACK) - 1])
def test_one_flipped_byte_in_any_region_is_refused_and_nothing_is_left(tmp_path: Path, at: int) -> None:
    spoilt = PACK[:at] + bytes([PACK[at] ^ 1]) + PACK[at + 1 :]
    with pytest.raises(BuildTampered, match="are not those that were built"):
        unpack(spoilt, manifest(CONTENT), tmp_path / "into")
    assert list((tmp_path / "into").iterdir()) == []


@pytest.mark.parametrize("pack", [PACK[:-1], PACK + b"x", b"", PACK * 2])
def test_a_pack_cut_or_extended_is_refused_whatever_length_it_claims(tmp_path: Path, pack: bytes) -> None:
    for length in (None, len(PACK)):
        with pytest.raises(BuildTampered):
            unpack(pack, manifest(CONTENT), tmp_path / "into", length=length)
        assert not (tmp_path / "into").exists() or list((tmp_path / "into").iterdir()) == []


@pytest.mark.parametrize(
    "path", ["../x", "/tmp/lanewise-x", "a/../../x", "..", "b\\x", "a\0b", "C:/x", "A.PY", "a.py/x"]
)
def test_a_hostile_path_is_refused_before_anything_is_written(tmp_path: Path, path: str) -> None:
    content = {"a.py": b"alpha", path: b"evil"}
    with pytest.raises(WrongInput):
        unpack(b"alphaevil", manifest(content), tmp_path / "deep" / "into")
    assert list(tmp_path.iterdir()) == []


def test_sizes_that_shift_bytes_between_files_are_refused(tmp_path: Path) -> None:
    content = {"a.py": b"alpha", "z": b"omega"}
    with pytest.raises(BuildTampered, match=r"a\.py"):
        unpack(b"alphaomega", manifest(content, **{"a.py": 4, "z": 6}), tmp_path / "into")


def test_a_claim_larger_than_the_disk_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    bomb = manifest({"bomb": b""}, bomb=1 << 60)
    with pytest.raises(StoreUnavailable, match="left"):
        unpack(b"", bomb, tmp_path / "into", length=1 << 60)
    assert list((tmp_path / "into").iterdir()) == []


def test_a_link_that_waits_in_the_place_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    (tmp_path / "link").symlink_to(victim)
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for name in ("link", "dangling"):
        with pytest.raises(WrongInput, match="no folder of its own"):
            unpack(PACK, manifest(CONTENT), tmp_path / name)
    assert list(victim.iterdir()) == []
    assert not (tmp_path / "nowhere").exists()


class _Swapper(io.BytesIO):
    """A pack whose reader is attacked meanwhile: after the first read, links lie where files and folders will."""

    def __init__(self, pack: bytes, plant: dict[Path, Path]) -> None:
        super().__init__(pack)
        self._plant = plant

    def read(self, size: int | None = -1) -> bytes:
        while self._plant:
            link, target = self._plant.popitem()
            link.symlink_to(target)
        return super().read(size)


@pytest.mark.parametrize("name", ["b", "z"])
def test_a_link_put_there_meanwhile_is_not_followed(tmp_path: Path, name: str) -> None:
    into, victim = tmp_path / "into", tmp_path / "victim"
    victim.mkdir()
    target = victim if name == "b" else victim / "new"
    with pytest.raises(OSError):  # noqa: PT011 - ELOOP, ENOTDIR or EEXIST: the store makes one error of them
        unpack_pack(_Swapper(PACK, {into / name: target}), len(PACK), manifest(CONTENT), str(into))
    assert list(victim.iterdir()) == []
    assert list(into.iterdir()) == []


def test_modes_do_not_depend_on_the_umask(tmp_path: Path) -> None:
    old = os.umask(0o777)
    try:
        unpack(PACK, manifest(CONTENT), tmp_path / "into")
    finally:
        os.umask(old)
    modes = {
        path.relative_to(tmp_path).as_posix(): path.stat().st_mode & 0o7777 for path in (tmp_path / "into").rglob("*")
    }
    assert modes == {"into/a.py": 0o644, "into/b": 0o755, "into/b/c.py": 0o644, "into/b/d": 0o755,
                     "into/b/d/e.py": 0o644, "into/z": 0o644}  # fmt: skip
    assert (tmp_path / "into").stat().st_mode & 0o7777 == 0o755
