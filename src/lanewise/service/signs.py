"""Put up the road sign of an environment: the one file that code inside an orchestrator reads.

What is live is asked of the warehouse, whose pointer readers follow, so that code and data move together; the sign is
written after it, whole, and by whoever comes next where a crash came between the two.
"""

from __future__ import annotations

import fcntl
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lanewise.domain.canonical import canonical_json, plain
from lanewise.domain.environment import Config, Environment
from lanewise.domain.publication import Pointer
from lanewise.domain.serving import AS_WRITTEN, PAUSED, Served
from lanewise.errors import ConfigError, LaneError, OutsideBroke
from lanewise.runtime.sign import FORMAT, Sign, read_sign, sign_file
from lanewise.service.candidate import Candidate, open_candidate
from lanewise.service.compiled import write_compiled, write_lane, write_whole
from lanewise.service.context import Context
from lanewise.service.releases import Release, config_document, live_release

LOCAL = "local"


def orchestrator_of(environment: Environment) -> str:
    """The type of what carries this environment's runs out: that of its ``orchestrator`` connection, or ``local``."""
    if not environment.settings.get("orchestrator_conn"):
        return LOCAL
    return environment.connection("orchestrator").type


def schedule_of(environment: Environment, config: Config) -> str:
    """What the clock may start there: the setting ``schedule``; unsaid, what the files say in the last environment of
    the promotion order, and nothing in the others."""
    said = environment.settings.get("schedule")
    if said is None:
        return AS_WRITTEN if config.after(environment.name) is None else PAUSED
    if not isinstance(said, str) or not (
        said in {PAUSED, AS_WRITTEN} or said.startswith("@") or len(said.split()) == 5
    ):
        if orchestrator_of(environment) == LOCAL:  # nobody asked: the key is the project's own
            return PAUSED
        raise ConfigError(f"schedule of {environment.name} can't be {said!r}",
                          hint=f"write `{PAUSED}`, `{AS_WRITTEN}`, or a cron expression")  # fmt: skip
    return said


def make_ready(
    ctx: Context, lane: Environment, build: Candidate, schedule: str = PAUSED, *, beside: bool = False
) -> Served:
    """Lay out all that a build needs to run in an environment on this machine: its files (verified when the candidate
    was opened), its manifest, and the compiled file. ``beside``: the build is live under another config, which its
    code goes on being told."""
    manifest = ctx.home / "manifests" / f"{build.digest.removeprefix('sha256:')}.json"
    if not manifest.exists():
        write_whole(manifest, canonical_json(build.build.manifest))
    compiled = write_lane(ctx, lane, build.project, build.digest, beside=beside)
    return Served(
        project=ctx.project.name, environment=lane.name, build=build.digest, config=lane.digest,
        directory=build.directory, compiled=compiled, entry=build.project.entry(orchestrator_of(lane)),
        schedule=schedule, settings=dict(lane.settings),
    )  # fmt: skip


def show_live(ctx: Context, environment: str) -> tuple[Served, Environment] | None:
    """Bring the sign up to what readers see: the build that the warehouse's pointer names, in the environment as it was
    released. None when nothing is live, or what is live was not released (yet)."""
    while True:
        release = live_release(ctx, environment)
        if release is None:
            _show_nothing(ctx, environment)
            return None
        config = config_document(ctx, release.document, release.overrides)
        lane = config.environment(environment)
        if not _pointed_at(ctx, lane, release):
            return None
        build = open_candidate(ctx, release.build)
        with _changing(ctx, environment) as document:
            # That took a moment: what is live no more by now must not take the place of what is.
            pointer = _pointed_at(ctx, lane, release)
            if pointer and live_release(ctx, environment) == release:
                served = make_ready(ctx, lane, build, schedule_of(lane, config))
                document["live"] = _told(served, pointer.number)
                return served, lane


def _pointed_at(ctx: Context, lane: Environment, release: Release) -> Pointer | None:
    """The warehouse's pointer, where it names that release."""
    pointer = ctx.warehouse(lane).pointer()
    return pointer if (pointer.build, pointer.config) == (release.build, release.config) else None


def _show_nothing(ctx: Context, environment: str) -> None:
    if shown(ctx, environment):
        with _changing(ctx, environment) as document:
            if live_release(ctx, environment) is None:
                document["live"] = None


def show_candidate(ctx: Context, lane: Environment, build: Candidate) -> Served:
    """Put a build on the sign as one that may be run beside the live one."""
    with _changing(ctx, lane.name) as document:
        live = document["live"] or {}
        other = live.get("build") == build.digest and live.get("config") != lane.digest
        served = make_ready(ctx, lane, build, beside=other)
        others = [one for one in document["candidates"] if one["build"] != build.digest]
        document["candidates"] = [*others, _told(served, 0)]
    return served


def drop_candidate(ctx: Context, environment: str, build: str) -> None:
    """Take a build off the sign again; nothing when it is not on it."""
    with _changing(ctx, environment) as document:
        document["candidates"] = [one for one in document["candidates"] if one["build"] != build]


def shown(ctx: Context, environment: str) -> Sign | None:
    """What the sign says now; None where none was put up, or it can't be read."""
    try:
        return read_sign(str(ctx.home), environment)
    except LaneError:
        return None


def _told(served: Served, number: int) -> dict[str, Any]:
    return {
        "build": served.build, "config": served.config, "entry": served.entry, "schedule": served.schedule,
        "settings": plain(served.settings), "number": number,
    }  # fmt: skip


@contextmanager
def _changing(ctx: Context, environment: str) -> Iterator[dict[str, Any]]:
    """The sign's document, to be changed in the block and put back whole; two who change it take turns. What can't be
    read is put up anew."""
    path = Path(sign_file(str(ctx.home), environment))
    with _turn(path):
        found = shown(ctx, environment)
        before: Mapping[str, Any] = {"live": found.live, "candidates": found.candidates} if found else {}
        document: dict[str, Any] = {
            "format": FORMAT, "project": ctx.project.name, "environment": environment, "home": str(ctx.home),
            "lane": [sys.executable, "-m", "lanewise.cli"],
            "environments": list(ctx.config.environments),
            "live": before.get("live"), "candidates": list(before.get("candidates", ())),
        }  # fmt: skip
        yield document
        write_compiled(path, document)


@contextmanager
def _turn(path: Path) -> Iterator[None]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = (path.parent / f".{path.name}.lock").open("w")
    except OSError as error:
        raise OutsideBroke(f"{path} can't be written: {error.strerror}") from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
