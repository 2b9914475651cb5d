"""The room that a Dagster run writes to: the file that ``LANEWISE_COMPILED`` names for its processes.

A run that Lanewise started finds the file of its Lanewise run, whose room it shares when that run is a backfill of many
partitions: each writes the files of its own. Any other run of the live build (by the clock, by a sensor, by a person)
is begun and published by ``lane``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from lanewise.errors import ConfigError, LaneError, NotFound, Refused
from lanewise.integrations.lane import abandon, begin, publish
from lanewise.runtime.compiled import read
from lanewise.runtime.place import COMPILED
from lanewise.runtime.sign import Sign, read_sign

RUN, PURPOSE, BUILD = "lanewise/run", "lanewise/purpose", "lanewise/build"
PROJECT = "lanewise/project"
_CLOCK = "live-dg-"


@dataclass(frozen=True)
class Tied:
    """One build in one code location. ``folder`` holds its verified files."""

    sign: Sign
    build: str
    folder: str
    candidate: bool

    @property
    def short(self) -> str:
        """The first 8 digits of its digest."""
        return self.build.removeprefix("sha256:")[:8]

    @property
    def served(self) -> dict[str, Any]:
        """What the sign said of it when this process loaded it; nothing when it is no longer named."""
        return self.sign.find(self.build) or {}

    @property
    def labels(self) -> dict[str, str]:
        """The tags of every job and run of it. The purpose is known when a run begins."""
        return {
            PROJECT: self.sign.project,
            "lanewise/environment": self.sign.environment,
            BUILD: self.build,
            "lanewise/config": str(self.served.get("config", "")),
        }


@dataclass(frozen=True)
class Room:
    """What a run is told: the file, the Lanewise run's name and the purpose."""

    compiled: str
    run: str
    purpose: str

    @property
    def blocks(self) -> Path | None:
        """Where the blocks that write here are marked; None in a room without a folder on this machine."""
        directory = (read(self.compiled)["engine"] or {}).get("directory")
        return Path(directory) / "blocks" if directory else None


@contextmanager
def entered(tied: Tied, tags: dict[str, str], own: str, partitions: Sequence[str]) -> Iterator[Room]:
    """The room of the Dagster run ``own``. Leaving the block publishes what a run of the clock wrote, and leaving it by
    an exception abandons it. ``Refused``: another build is live, or what it wrote did not pass."""
    given = tags.get(RUN, "")
    if given and not given.startswith(_CLOCK):  # a run that a person starts again has the tags of the one before
        with _shared(tied, given, own, partitions) as room, _told(room):
            yield room
        return
    if tied.candidate:
        raise Refused("a candidate is run by a promotion alone", hint="`lane promote` starts its runs")
    run = f"{_CLOCK}{own}"
    room = _begun(tied, run, partitions)
    try:
        with _told(room):
            yield room
    except BaseException as error:
        _abandon(tied.sign, run, error)
        raise
    publish(tied.sign, run)


class Superseded(Refused):
    """Another build is live by now: this run computes nothing, and is started anew with that one."""


def _begun(tied: Tied, run: str, partitions: Sequence[str]) -> Room:
    try:
        compiled = begin(tied.sign, run, tied.build, partitions)
    except Refused as error:
        live = read_sign(tied.sign.home, tied.sign.environment).live
        if live and live["build"] != tied.build:
            raise Superseded(error.message, hint="the live build runs it instead") from error
        raise
    return Room(compiled, run, read(compiled)["run"]["purpose"])


@contextmanager
def _shared(tied: Tied, run: str, own: str, partitions: Sequence[str]) -> Iterator[Room]:
    try:
        document = read(tied.sign.run(run))
    except NotFound as error:
        raise Refused(f"the Lanewise run {run} is over", hint="`lane promote` or `lane run` starts it anew") from error
    if document["build"] != tied.build:
        raise Refused(f"the Lanewise run {run} is of another build than {tied.short}")
    purpose = document["run"]["purpose"]
    whole = document["run"]["partitions"]
    if not partitions or list(partitions) == whole:
        yield Room(tied.sign.run(run), run, purpose)
        return
    strays = sorted(set(partitions) - set(whole))
    if strays:
        raise Refused(f"the Lanewise run {run} is not about {', '.join(strays)}")
    path = Path(tied.sign.run(f"{run}.{own}"))
    path.write_text(json.dumps(_narrowed(document, partitions)), encoding="utf-8")
    try:
        yield Room(str(path), run, purpose)
    finally:
        path.unlink(missing_ok=True)


def _narrowed(document: dict[str, Any], partitions: Sequence[str]) -> dict[str, Any]:
    """The same run for some of its partitions. Several such runs write at once: where a table is a file, each has its
    own, in the table's folder."""
    engine = document["engine"]
    if engine.get("type") == "duckdb":
        part = quote(partitions[0], safe="")
        outputs = {
            table: {**output, "file": f"{output['file'].removesuffix('.parquet')}/{part}.parquet"}
            for table, output in engine["outputs"].items()
        }
        engine = {**engine, "outputs": outputs}
    return {**document, "engine": engine, "run": {**document["run"], "partitions": list(partitions)}}


@contextmanager
def _told(room: Room) -> Iterator[None]:
    """The processes that the run starts inherit the variable."""
    if os.environ.get(COMPILED):
        raise ConfigError(f"{COMPILED} is set already: {os.environ[COMPILED]}",
                          hint="leave it unset where Dagster runs")  # fmt: skip
    os.environ[COMPILED] = room.compiled
    try:
        yield
    finally:
        os.environ.pop(COMPILED, None)


def _abandon(sign: Sign, run: str, error: BaseException) -> None:
    try:
        abandon(sign, run, str(error) or type(error).__name__)
    except LaneError:  # what made the run fail matters more, and is on its way up; the next run of `lane` clears up
        return
