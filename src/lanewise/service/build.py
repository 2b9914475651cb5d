"""``lane build``: make a build of the working tree once, find it again, lay it out verified."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread

from lanewise.builds.manifest import make_manifest
from lanewise.builds.tags import check_tag
from lanewise.builds.verify import copy_tree, verify_tree
from lanewise.domain.build import Build, Manifest, Provenance
from lanewise.domain.event import Draft, Event
from lanewise.domain.words import counted
from lanewise.errors import BuildTampered, GroundMoved, NotFound, OutsideBroke, StoreUnavailable
from lanewise.service.context import Context
from lanewise.service.lineage import refresh_lineage
from lanewise.service.provenance import Checkout, look_at_git

_TRIES = 20
_BASES = 10  # so many earlier commits are tried: a rebase may have dropped some of them


@dataclass(frozen=True)
class Made:
    """A build of the working tree. ``new`` is False when the store had it already: then nothing was written."""

    build: Build
    new: bool


def make_build(ctx: Context, *, tag: str | None = None) -> Build:
    """The working tree's build; see ``make``."""
    return make(ctx, tag=tag).build


def make(ctx: Context, *, tag: str | None = None) -> Made:
    """Build the working tree, store it unless it is stored, record it once, and name it ``tag`` if one is given.

    A build keeps the provenance it was first stored with. After a crash anywhere, doing it again completes it.
    """
    if tag is not None:
        check_tag(tag)
    refresh_lineage(ctx)
    git: list[Checkout | None] = []
    built = _built_commits(ctx)
    looking = Thread(target=lambda: git.append(look_at_git(ctx.root, built)), daemon=True)
    looking.start()  # while git runs, the files are read
    manifest = make_manifest(ctx.root, ctx.project)
    build, new = _stored(ctx, manifest), False
    looking.join()
    if build is None:
        build, new = Build(manifest, _provenance(ctx, manifest, git[0])), True
        ctx.builds.put(build, ctx.root)
        build = ctx.builds.get(manifest.digest)  # another process may have been first
    if tag is not None:
        ctx.builds.tag(build.digest, tag)
        build = replace(build, tags=tuple(sorted({*build.tags, tag})))
    _record(ctx, build, tag)
    ctx.progress.say(
        f"build {build.short}, {counted(len(manifest.files), 'file')}, {'stored' if new else 'is stored already'}"
    )
    return Made(build, new)


def would_build(ctx: Context) -> Build:
    """The working tree's build as ``make`` would store it, for who may only look: nothing is stored or recorded.
    ``built_at`` is empty."""
    manifest, git = make_manifest(ctx.root, ctx.project), look_at_git(ctx.root)
    return Build(manifest, replace(_provenance(ctx, manifest, git), built_at=""))


def find_build(ctx: Context, name: str) -> Build:
    """The build of a digest, a unique prefix or a tag; ``NotFound`` with the nearest otherwise."""
    return ctx.builds.get(ctx.builds.resolve(name))


def checkout(ctx: Context, digest: str) -> Path:
    """The folder that holds the build's files, each verified now. Unpacked once, kept in ``.lanewise/unpacked``.

    Nothing runs there: a run gets a copy of its own (``lay_out``), so what is added there does no harm. Raises
    ``BuildTampered`` naming the first file that was changed or lost since; ``NotFound``.
    """
    folder = _unpacked(ctx, digest)
    verify_tree(str(folder), ctx.builds.get(digest).manifest)
    return folder


def lay_out(ctx: Context, digest: str, into: Path) -> None:
    """Copy the build's files, each verified as it is copied, and nothing else into ``into`` (made here).

    Raises ``BuildTampered`` like ``checkout``; ``NotFound``; ``OutsideBroke`` when the copy can't be written.
    """
    folder, manifest = _unpacked(ctx, digest), ctx.builds.get(digest).manifest
    try:
        copy_tree(str(folder), manifest, str(into))
    except OSError as error:
        raise OutsideBroke(f"the build can't be laid out in {into}: {error.strerror}") from error


def _unpacked(ctx: Context, digest: str) -> Path:
    folder = ctx.home / "unpacked" / digest.removeprefix("sha256:")
    if not os.path.lexists(folder):
        ctx.builds.get(digest)  # no folder is made for what there is not
        _unpack(ctx, digest, folder)
    return folder


def _unpack(ctx: Context, digest: str, folder: Path) -> None:
    """Aside, then in one rename: whoever is second finds the first one's."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=".unpacking-", dir=folder.parent))
    except OSError as error:
        raise StoreUnavailable(f"can't unpack into {folder.parent}: {error.strerror}") from error
    try:
        ctx.builds.unpack(digest, aside)
        aside.rename(folder)
    except OSError as error:
        if not folder.is_dir():
            raise StoreUnavailable(f"can't unpack into {folder}: {error.strerror}") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _stored(ctx: Context, manifest: Manifest) -> Build | None:
    try:
        build = replace(ctx.builds.get(manifest.digest), manifest=manifest)  # equal, and its digest is worked out
    except (NotFound, BuildTampered):  # what was tampered with is stored again
        return None
    ctx.builds.put(build, ctx.root)  # nothing, unless its pack has lost bytes
    return build


def _provenance(ctx: Context, manifest: Manifest, git: Checkout | None) -> Provenance:
    if git is not None and git.fault:
        ctx.progress.say(f"git could not be asked ({git.fault}): commit and authors are not recorded")
    git = git or Checkout()
    return Provenance(
        commit=git.commit,
        branch=git.branch,
        dirty=git.commit is not None and git.dirty(ctx.root, [file.path for file in manifest.files]),
        authors=git.authors,
        built_by=ctx.actor.name,
        built_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _built_commits(ctx: Context) -> list[str]:
    """The commits of the newest recorded builds, newest first."""
    events = ctx.ledger.read(f"build/{ctx.project.name}", types=["build.recorded"])
    commits = (event.data.get("commit") for event in reversed(events))
    return list(dict.fromkeys(commit for commit in commits if commit))[:_BASES]


def _record(ctx: Context, build: Build, tag: str | None) -> None:
    """Bring the ledger up to the store: one ``build.recorded`` a digest, one ``build.tagged`` a tag."""
    origin = build.provenance
    drafts = [
        Draft("build.recorded", {
            "digest": build.digest, "commit": origin.commit, "dirty": origin.dirty, "authors": list(origin.authors),
            "built_by": origin.built_by, "files": len(build.manifest.files), "bytes": build.size,
        }),
        *([Draft("build.tagged", {"digest": build.digest, "tag": tag})] if tag else []),
    ]  # fmt: skip
    _append_missing(ctx, f"build/{build.manifest.project}", drafts, _same)


def _append_missing(ctx: Context, stream: str, drafts: list[Draft], same: Callable[[Draft, Event], bool]) -> None:
    for left in reversed(range(_TRIES)):
        events = ctx.ledger.read(stream)
        missing = [draft for draft in drafts if not any(same(draft, event) for event in events)]
        if not missing:
            return
        try:
            ctx.ledger.append(stream, missing, actor=ctx.actor.name, expect=events[-1].version if events else 0)
        except GroundMoved:
            if not left:
                raise
        else:
            return


def _same(draft: Draft, event: Event) -> bool:
    keys = ("digest", "tag") if draft.type == "build.tagged" else ("digest",)
    return event.type == draft.type and all(event.data.get(key) == draft.data[key] for key in keys)
