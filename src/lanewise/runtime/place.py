"""Where this process is: which environment it was started for, and which compiled file tells about it."""

from __future__ import annotations

import os

from lanewise.errors import ConfigError, NotFound

STAMP = ".lanewise-build.json"
"""The file at the top of a build that was unpacked elsewhere than in ``.lanewise``: ``{"digest", "variable"}``."""

UNPACKED = "unpacked"

PROJECT_FILE = "lanewise.yaml"
HOME = ".lanewise"
VARIABLE = "LANEWISE_ENV"
COMPILED = "LANEWISE_COMPILED"
LAPTOP = "dev"

_MARKS = ("AIRFLOW_HOME", "KUBERNETES_SERVICE_HOST", "CI")
_MARK_PREFIXES = ("AIRFLOW_CTX_", "AIRFLOW__", "DAGSTER_", "PREFECT__")


class Place:
    """A folder that holds the code. ``digest`` names the unpacked build, from the folder's name in
    ``.lanewise/unpacked`` or from the stamp at ``stamp``; a working tree has neither."""

    __slots__ = ("digest", "folder", "stamp")

    def __init__(self, folder: str, *, stamp: str = "", digest: str = "") -> None:
        self.folder = folder
        self.stamp = stamp
        self.digest = digest


def find_place(caller: str) -> Place | None:
    """Walk up from the calling file, then from the working directory, to a build's stamp or a project file."""
    known = os.path.exists(caller)  # noqa: PTH110 - pathlib costs 4 ms, here and below
    starts = [os.path.dirname(os.path.abspath(caller))] if known else []  # noqa: PTH100, PTH120
    for start in [*starts, os.getcwd()]:  # noqa: PTH109 - 4 ms
        folder = start
        while True:
            above, name = os.path.split(folder)
            if len(name) == 64 and os.path.basename(above) == UNPACKED:  # noqa: PTH119
                return Place(folder, digest=f"sha256:{name}")
            if os.path.exists(f"{folder}/{STAMP}"):  # noqa: PTH110
                return Place(folder, stamp=f"{folder}/{STAMP}")
            if os.path.exists(f"{folder}/{PROJECT_FILE}"):  # noqa: PTH110
                return Place(folder)
            if above == folder:
                break
            folder = above
    return None


def compiled_folder(place: Place) -> str:
    """Where the code's compiled files are: ``compiled`` in the nearest ``.lanewise`` that the code lies in or beside,
    and there a folder for each build, so that looking at config never touches what a released build reads."""
    own = f"compiled/{place.digest.removeprefix('sha256:')}" if place.digest else "compiled"
    folder = place.folder
    while True:
        if os.path.basename(folder) == HOME:  # noqa: PTH119 - pathlib costs 4 ms
            return f"{folder}/{own}"
        if os.path.isdir(f"{folder}/{HOME}"):  # noqa: PTH112
            return f"{folder}/{HOME}/{own}"
        above = os.path.dirname(folder)  # noqa: PTH120
        if above == folder:
            return f"{place.folder}/{HOME}/{own}"
        folder = above


def environment_name(asked: str | None, own_variable: str) -> str:
    """Which environment: the one asked for, else the variables', else ``dev`` where no orchestrator is around.

    ``own_variable`` is the project's own name for ``LANEWISE_ENV``. Two variables that disagree are refused.
    """
    named = {name: os.environ[name] for name in (VARIABLE, own_variable) if os.environ.get(name)}
    if len(set(named.values())) > 1:
        said = " and ".join(f"{name}={value}" for name, value in named.items())
        raise ConfigError(f"{said} disagree", hint="set one of them, or both to the same environment")
    if asked:
        return asked
    if named:
        return next(iter(named.values()))
    mark = orchestrator()
    if mark:
        raise ConfigError(
            f"no environment is named, and {mark} says that this is an orchestrator",
            hint=f"set {own_variable} for this process; only a laptop falls back to {LAPTOP}",
        )
    return LAPTOP


def orchestrator() -> str:
    """The variable that gives an orchestrator (or a CI job) away; empty on a laptop."""
    for name in _MARKS:
        if os.environ.get(name, "").lower() not in {"", "0", "false"}:
            return name
    return next((name for name in os.environ if name.startswith(_MARK_PREFIXES)), "")


def compiled_file(asked: str | None, place: Place | None, own_variable: str) -> tuple[str, str]:
    """The environment's name and the compiled file that tells about it, outside of a run."""
    if place is None:
        raise NotFound(
            "project around this code",
            os.getcwd(),  # noqa: PTH109
            hint=f"no {PROJECT_FILE} and no build here or above; inside a run {COMPILED} names the file",
        )
    name = environment_name(asked, own_variable)
    if name in {".", ".."} or "/" in name:
        raise ConfigError(f"{name!r} is no environment's name")
    return name, f"{compiled_folder(place)}/{name}.json"
