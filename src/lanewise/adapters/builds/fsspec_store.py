"""The build store: builds by digest on a disk or on anything that fsspec reaches.

::

    <64 hex digits>/manifest.json      canonical JSON; its SHA-256 is the folder's name
    <64 hex digits>/files.pack         the files' bytes one after another (pack.py)
    <64 hex digits>/provenance.json    written last, and once: with it the build exists
    tags/NAME                          the digest it names; written once
    incoming/                          work in progress; leftovers of a crash mean nothing
"""

from __future__ import annotations

import contextlib
import os
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from lanewise.adapters.builds.pack import unpack_pack, write_pack
from lanewise.adapters.builds.shelf import LocalShelf, Shelf, staged
from lanewise.builds.pathcheck import check_paths
from lanewise.builds.stored import REBUILD, digest_of, manifest_bytes, provenance_bytes, read_manifest, read_provenance
from lanewise.builds.tags import check_tag, is_tag
from lanewise.domain.build import Build, Manifest
from lanewise.domain.canonical import short
from lanewise.errors import BuildTampered, LaneError, NotFound, Refused, StoreUnavailable

MANIFEST, PACK, PROVENANCE, TAGS = "manifest.json", "files.pack", "provenance.json", "tags"
_HEX = re.compile(r"[0-9a-f]{64}")
_PREFIX = re.compile(r"[0-9a-f]{4,64}")
_LOCAL = re.compile(r"(?:file|local)://")


class FsspecBuildStore:
    """See ``BuildStore``. ``url`` is any fsspec URL; a plain path is relative to ``base``.

    A disk is served without fsspec, whose import takes longer than making a small build, and which neither fsyncs
    nor writes exclusively there.
    """

    def __init__(self, url: str, *, base: Path) -> None:
        self._name = re.sub(r"//[^/@]*@", "//", url)  # never a password
        self._read: dict[str, Manifest] = {}  # by digest, so what is in it can't be out of date
        self._shelf: Shelf
        if "://" in url and not _LOCAL.match(url):
            from lanewise.adapters.builds.remote_shelf import RemoteShelf  # noqa: PLC0415 - 150 ms that a disk saves

            with self._watched("opened"):
                self._shelf = RemoteShelf(url)
        else:
            self._shelf = LocalShelf(str(base / _LOCAL.sub("", url)))

    def put(self, build: Build, root: Path) -> None:
        """See ``BuildStore``. A stored build that has lost its manifest or part of its pack is made whole again."""
        folder = _folder(build.digest)
        with self._watched("written"):
            if self._is_whole(folder, build):
                return
            check_paths(file.path for file in build.manifest.files)
            with staged(self._shelf) as (handle, path):
                write_pack(build, str(root), handle)
                os.fsync(handle)
                self._shelf.adopt(path, f"{folder}/{PACK}")
            with staged(self._shelf) as (handle, path):
                with os.fdopen(os.dup(handle), "wb") as file:
                    file.write(manifest_bytes(build.manifest))
                os.fsync(handle)
                self._shelf.adopt(path, f"{folder}/{MANIFEST}")
            self._shelf.create(f"{folder}/{PROVENANCE}", provenance_bytes(build.provenance))
            self._read[build.digest] = build.manifest

    def get(self, digest: str) -> Build:
        """See ``BuildStore``."""
        with self._watched("read"):
            return self._get(digest, self._tags().get(digest, ()))

    def resolve(self, name: str) -> str:
        """See ``BuildStore``."""
        with self._watched("read"):
            text = name.removeprefix("sha256:")
            if _HEX.fullmatch(text) and self._exists(text):
                return f"sha256:{text}"
            tagged = self._tagged(name) if is_tag(name) else None
            if tagged and self._exists(_folder(tagged)):
                return tagged
            known = self._folders()
            near = [folder for folder in known if _PREFIX.fullmatch(text) and folder.startswith(text)]
            if len(near) == 1:
                return f"sha256:{near[0]}"
            if near:
                raise NotFound("build", name, known=near, hint=f"{len(near)} builds begin so: give more digits")
            raise self._missing(name, known)

    def list(self) -> tuple[Build, ...]:
        """See ``BuildStore``."""
        with self._watched("read"):
            tags = self._tags()
            digests = [f"sha256:{folder}" for folder in self._folders()]
            found = [self._get(digest, tags.get(digest, ())) for digest in digests]
        return tuple(sorted(found, key=lambda build: (build.provenance.built_at, build.digest), reverse=True))

    def tag(self, digest: str, tag: str) -> None:
        """See ``BuildStore``. A tag outlives its build, so that it can never come to mean another one."""
        check_tag(tag)
        with self._watched("written"):
            if not self._exists(_folder(digest)):
                raise self._missing(digest, self._folders())
            self._shelf.create(f"{TAGS}/{tag}", f"{digest}\n".encode())
            holder = self._tagged(tag)  # whoever won
        if holder != digest:
            raise Refused(
                f"the tag {tag} names build {short(holder or '')} already", hint="tags never move: choose another name"
            )

    def whole(self, digest: str) -> bool:
        """See ``BuildStore``."""
        with self._watched("read"):
            try:
                return self._is_whole(_folder(digest), self._get(digest, ()))
            except (NotFound, BuildTampered):
                return False

    def unpack(self, digest: str, into: Path) -> None:
        """See ``BuildStore``. On any error ``into`` is left empty."""
        with self._watched("unpacked"):
            manifest = self._get(digest, ()).manifest
            key = f"{_folder(digest)}/{PACK}"
            try:
                length = self._shelf.size(key)
                pack = self._shelf.open(key)
            except FileNotFoundError as error:
                raise BuildTampered(f"the stored pack of build {short(digest)} is gone", hint=REBUILD) from error
            with contextlib.closing(pack):
                unpack_pack(pack, length, manifest, str(into))

    def remove(self, digest: str) -> None:
        """See ``BuildStore``. The provenance goes first: from then on there is no such build."""
        folder = _folder(digest)
        with self._watched("written"):
            for name in (PROVENANCE, MANIFEST, PACK):
                self._shelf.remove(f"{folder}/{name}")
            self._shelf.remove(folder)

    def _get(self, digest: str, tags: tuple[str, ...]) -> Build:
        folder = _folder(digest)
        try:
            provenance = self._shelf.read(f"{folder}/{PROVENANCE}") if folder else None
        except FileNotFoundError:
            provenance = None
        if provenance is None:
            raise self._missing(digest, self._folders())
        try:
            manifest = self._shelf.read(f"{folder}/{MANIFEST}")
        except FileNotFoundError as error:
            raise BuildTampered(f"the stored manifest of build {short(digest)} is gone", hint=REBUILD) from error
        if digest not in self._read or digest_of(manifest) != digest:
            self._read[digest] = read_manifest(manifest, digest)
        return Build(self._read[digest], read_provenance(provenance, digest), tags)

    def _exists(self, folder: str) -> bool:
        return bool(folder) and self._has(f"{folder}/{PROVENANCE}") is not None

    def _has(self, key: str) -> int | None:
        try:
            return self._shelf.size(key)
        except (FileNotFoundError, NotADirectoryError):
            return None

    def _is_whole(self, folder: str, build: Build) -> bool:
        if not self._exists(folder) or self._has(f"{folder}/{PACK}") != build.size:
            return False
        try:
            return digest_of(self._shelf.read(f"{folder}/{MANIFEST}")) == build.digest
        except FileNotFoundError:
            return False

    def _folders(self) -> tuple[str, ...]:
        return tuple(name for name in self._shelf.names("") if _HEX.fullmatch(name) and self._exists(name))

    def _tags(self) -> dict[str, tuple[str, ...]]:
        found: defaultdict[str, list[str]] = defaultdict(list)
        for tag in filter(is_tag, self._shelf.names(TAGS)):
            if digest := self._tagged(tag):
                found[digest].append(tag)
        return {digest: tuple(tags) for digest, tags in found.items()}

    def _tagged(self, tag: str) -> str | None:
        try:
            text = self._shelf.read(f"{TAGS}/{tag}").decode(errors="replace").strip()
        except FileNotFoundError:
            return None
        if not _folder(text):
            raise BuildTampered(f"the tag {tag} names no digest", hint="the store was changed behind our back")
        return text

    def _missing(self, name: str, folders: tuple[str, ...]) -> NotFound:
        return NotFound("build", name, known=[*(folder[:8] for folder in folders), *self._shelf.names(TAGS)])

    @contextlib.contextmanager
    def _watched(self, done: str) -> Iterator[None]:
        try:
            yield
        except LaneError:
            raise
        except OSError as error:
            raise self._away(done, error.strerror or type(error).__name__) from error
        except Exception as error:
            raise self._away(done, type(error).__name__) from error

    def _away(self, done: str, why: str) -> StoreUnavailable:
        return StoreUnavailable(
            f"a build can't be {done} (build store {self._name}): {why}", hint="nothing is left half done there"
        )


def _folder(digest: str) -> str:
    """The folder of a digest; "" for a text that is none, so that no path is ever made of it."""
    text = digest.removeprefix("sha256:")
    return text if digest.startswith("sha256:") and _HEX.fullmatch(text) else ""
