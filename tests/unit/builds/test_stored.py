from __future__ import annotations

import json
from typing import Any

import pytest

from lanewise.builds.stored import digest_of, manifest_bytes, provenance_bytes, read_manifest, read_provenance
from lanewise.domain.build import BuildFile, Manifest, Provenance
from lanewise.domain.canonical import canonical_json
from lanewise.errors import BuildTampered

EMPTY = digest_of(b"")
MANIFEST = Manifest("orders", (BuildFile("a.py", 3, EMPTY, True), BuildFile("größe.sql", 0, EMPTY)), "cpython-3.11")


def stored(change: dict[str, Any] | None = None, **file: Any) -> bytes:
    """A manifest's bytes with something changed, of the file ``a.py`` or at the top."""
    found = json.loads(manifest_bytes(MANIFEST))
    found["files"][0] |= file
    return canonical_json(found | (change or {}))


def test_a_manifest_survives_the_way_through_the_store() -> None:
    data = manifest_bytes(MANIFEST)
    assert digest_of(data) == MANIFEST.digest
    assert read_manifest(data, MANIFEST.digest) == MANIFEST


def test_a_flipped_bit_anywhere_is_noticed() -> None:
    data = manifest_bytes(MANIFEST)
    for at in range(len(data)):
        with pytest.raises(BuildTampered):
            read_manifest(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :], MANIFEST.digest)


@pytest.mark.parametrize(
    "path", ["../a", "/a", "a/../b", "größe.SQL", "größe.sql", "größe.sql/x", "a\\b", "nul", "", "a\n", ".", "zz"]
)
def test_hostile_or_unsorted_paths_are_refused_though_the_digest_is_right(path: str) -> None:
    data = stored(path=path)
    with pytest.raises(BuildTampered, match="is not one"):
        read_manifest(data, digest_of(data))


@pytest.mark.parametrize(
    "data",
    [
        stored(size=-1), stored(size=1.5), stored(size=True), stored(size="1"), stored(executable=1), stored(path=3),
        stored(digest="x"), stored(digest=EMPTY.upper()), stored(mode=0o777), stored({"files": {}}),
        stored({"files": [[]]}),
        stored({"format": 2}), stored({"more": 1}), stored({"project": None}), stored({"images": []}),
        stored({"images": {"a": 1}}), stored({"lock": 1}), b"", b"[]", b"{", b"\xff", b"null", b"[" * 100_000,
        manifest_bytes(MANIFEST) + b"\n", manifest_bytes(MANIFEST).replace(b'"size":3', b'"size":3,"size":3'),
        stored(path="link", target="/etc/passwd"),
    ],
)  # fmt: skip
def test_what_is_no_manifest_is_refused_though_the_digest_is_right(data: bytes) -> None:
    with pytest.raises(BuildTampered):
        read_manifest(data, digest_of(data))


def test_provenance_survives_the_way_through_the_store() -> None:
    for provenance in (
        Provenance(),
        Provenance("c0ffee", "main", True, ("Ana <a@x>", "Bob <b@x>"), "ana", "2026-05-01"),
    ):
        assert read_provenance(provenance_bytes(provenance), EMPTY) == provenance


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"\xff", b'{"authors": [1]}', b"1"])
def test_a_provenance_that_can_not_be_read_is_an_error(data: bytes) -> None:
    with pytest.raises(BuildTampered):
        read_provenance(data, EMPTY)
