"""A build store in memory, for tests: the same promises as the real one."""

from __future__ import annotations

from pathlib import Path

from lanewise.builds.pathcheck import check_paths
from lanewise.builds.stored import digest_of
from lanewise.builds.tags import check_tag
from lanewise.domain.build import Build
from lanewise.errors import BuildTampered, NotFound, Refused, WrongInput


class FakeBuildStore:
    """Implements ``BuildStore``; passes ``lanewise.testing.build_store.BuildStoreContract``."""

    def __init__(self) -> None:
        self._builds: dict[str, tuple[Build, dict[str, bytes]]] = {}
        self._tags: dict[str, str] = {}

    def put(self, build: Build, root: Path) -> None:
        """See ``BuildStore.put``."""
        if build.digest in self._builds:
            return
        check_paths(file.path for file in build.manifest.files)
        content: dict[str, bytes] = {}
        for file in build.manifest.files:
            try:
                data = (root / file.path).read_bytes()
            except OSError as error:
                raise BuildTampered(f"{file.path}: {error.strerror}") from error
            if (len(data), digest_of(data)) != (file.size, file.digest):
                raise BuildTampered(f"{file.path}: changed while the build was made")
            content[file.path] = data
        self._builds[build.digest] = (build, content)

    def get(self, digest: str) -> Build:
        """See ``BuildStore.get``."""
        build, _ = self._held(digest)
        tags = tuple(sorted(tag for tag, named in self._tags.items() if named == digest))
        return Build(build.manifest, build.provenance, tags)

    def resolve(self, name: str) -> str:
        """See ``BuildStore.resolve``."""
        text = name.removeprefix("sha256:")
        near = [digest for digest in self._builds if len(text) >= 4 and digest.startswith(f"sha256:{text}")]
        tagged = self._tags.get(name, "")
        if tagged in self._builds:
            return tagged
        if len(near) == 1:
            return near[0]
        raise self._missing(name)

    def list(self) -> tuple[Build, ...]:
        """See ``BuildStore.list``."""
        found = [self.get(digest) for digest in self._builds]
        return tuple(sorted(found, key=lambda build: (build.provenance.built_at, build.digest), reverse=True))

    def tag(self, digest: str, tag: str) -> None:
        """See ``BuildStore.tag``."""
        check_tag(tag)
        self._held(digest)
        if self._tags.setdefault(tag, digest) != digest:
            raise Refused(f"the tag {tag} names another build already", hint="tags never move")

    def whole(self, digest: str) -> bool:
        """See ``BuildStore.whole``."""
        return digest in self._builds

    def unpack(self, digest: str, into: Path) -> None:
        """See ``BuildStore.unpack``."""
        build, content = self._held(digest)
        if into.is_symlink() or (into.exists() and any(into.iterdir())):
            raise WrongInput(f"can't unpack into {into}: it is not empty")
        into.mkdir(parents=True, exist_ok=True)
        for file in build.manifest.files:
            target = into / file.path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content[file.path])
            target.chmod(0o755 if file.executable else 0o644)

    def remove(self, digest: str) -> None:
        """See ``BuildStore.remove``."""
        self._builds.pop(digest, None)

    def _held(self, digest: str) -> tuple[Build, dict[str, bytes]]:
        if digest not in self._builds:
            raise self._missing(digest)
        return self._builds[digest]

    def _missing(self, name: str) -> NotFound:
        return NotFound("build", name, known=[*(digest[7:15] for digest in self._builds), *self._tags])
