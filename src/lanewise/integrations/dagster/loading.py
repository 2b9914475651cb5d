"""Find a build's definitions: its folder is verified, its own modules are imported from there and nowhere else."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from dagster import Definitions, RepositoryDefinition, job, op
from dagster._core.workspace.autodiscovery import loadable_targets_from_loaded_module

from lanewise.errors import ConfigError, LaneError, NotFound
from lanewise.integrations.dagster.variables import demand_variables
from lanewise.integrations.dagster.wrapping import Tied, wrap
from lanewise.runtime.place import UNPACKED
from lanewise.runtime.sign import read_sign, verify

LIVE, CANDIDATE = "live", "candidate"
NOTHING = "nothing"
FILE = "definitions.py"
"""The file of a build that holds its ``Definitions``: at the top or in a folder, the one that lies least deep."""

BROKEN = "does_not_load"
"""The one job of a candidate that does not load."""


def attribute(build: str) -> str:
    """The name under which a location's module has a build: what the processes of its runs find it by."""
    return f"build_{build.removeprefix('sha256:')}"


def repository_name(role: str, build: str) -> str:
    """The repository that a build is in its location."""
    return LIVE if role == LIVE else attribute(build)[:14]


@cache
def load(role: str, name: str) -> RepositoryDefinition:
    """The build that ``name`` is the attribute of, ready to run as ``live`` or as a ``candidate``.

    ``AttributeError`` for any other name. What is wrong with a live build is raised; a candidate's fault becomes a
    repository that tells of it.
    """
    if name == NOTHING:
        repository: RepositoryDefinition = Definitions().get_repository_def()
        return repository
    digest = name.removeprefix("build_")
    if name == digest or len(digest) != 64:
        raise AttributeError(name)
    build = f"sha256:{digest}"
    if role == LIVE:
        return _loaded(role, build)
    try:
        return _loaded(role, build)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a build's files raise is what it is refused for
        return _broken(build, error)


def _loaded(role: str, build: str) -> RepositoryDefinition:
    sign = read_sign()
    folder = verify(sign.home, build)
    found = _definitions(_import(folder), folder)
    repository = _ready(found, Tied(sign, build, folder, candidate=role == CANDIDATE), repository_name(role, build))
    if role == CANDIDATE:  # what only the live location would show, its schedules above all, must not wait for that day
        _ready(found, Tied(sign, build, folder, candidate=False), LIVE)
    demand_variables(repository, sign.environment)
    return repository


def _ready(found: Definitions, tied: Tied, name: str) -> RepositoryDefinition:
    repository = wrap(found, tied, name)
    repository.load_all_definitions()  # what Dagster resolves late must fail here, where it is told
    return repository


def _import(folder: str) -> ModuleType:
    """Import from a build's folder. Two builds have modules of the same names: those of the one before are let go,
    which only happens where several candidates are listed, never in a process that runs one."""
    root, name = _module(Path(folder))
    sys.dont_write_bytecode = True
    unpacked = f"{os.sep}{UNPACKED}{os.sep}"
    sys.path[:] = [str(root), *(path for path in sys.path if unpacked not in path)]
    for known, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None) or next(iter(getattr(module, "__path__", ())), "")
        if unpacked in file and not file.startswith(f"{folder}/"):
            del sys.modules[known]
    importlib.invalidate_caches()
    return importlib.import_module(name)


def _module(folder: Path) -> tuple[Path, str]:
    """Where a build's modules are imported from (``src`` where the file lies in there), and the module's name."""
    found = sorted(folder.rglob(FILE), key=lambda path: (len(path.parts), path))
    if not found:
        hint = f"put the `Definitions` into {FILE}, beside lanewise.yaml or in a folder, and name it in source.include"
        raise NotFound("file of the build", FILE, hint=hint)
    if len(found) > 1 and len(found[0].parts) == len(found[1].parts):
        both = " and ".join(str(path.relative_to(folder)) for path in found[:2])
        raise ConfigError(f"{both} could both be meant", hint=f"keep one {FILE} above the others")
    parts = found[0].relative_to(folder).with_suffix("").parts
    if parts[0] == "src" and len(parts) > 1:
        return folder / "src", ".".join(parts[1:])
    return folder, ".".join(parts)


def _definitions(module: ModuleType, folder: str) -> Definitions:
    if not (module.__file__ or "").startswith(f"{folder}/"):
        raise ConfigError(f"{module.__name__} is shadowed by {module.__file__}", hint="rename one of the two")
    targets = [target.target_definition for target in loadable_targets_from_loaded_module(module)]
    found: Any = targets[0] if targets else None
    if callable(found) and not isinstance(found, Definitions | RepositoryDefinition):
        found = found()  # a function that makes the Definitions
    if not isinstance(found, Definitions):
        raise ConfigError(
            f"{(module.__file__ or '').removeprefix(f'{folder}/')} holds no Definitions object",
            hint="defs = dagster.Definitions(…)",
        )
    return found


def _broken(build: str, error: BaseException) -> RepositoryDefinition:
    if isinstance(error, LaneError):
        reason = f"{error.message} ({error.hint})" if error.hint else error.message
    else:
        reason = traceback.format_exception_only(error)[-1].strip() + _where(error)

    step = op(name="nothing")(_nothing)
    broken = job(name=BROKEN, description=reason, tags={"lanewise/build": build})(lambda: _call(step))
    repository: RepositoryDefinition = Definitions(jobs=[broken]).get_repository_def()
    repository._name = repository_name(CANDIDATE, build)  # noqa: SLF001 - Definitions have no name of their own
    return repository


def _nothing() -> None:
    """The step of a job that is there to tell something."""


def _call(step: Any) -> None:
    step()


def _where(error: BaseException) -> str:
    """The innermost line of the build's own files that the error passed through."""
    if isinstance(error, SyntaxError) and f"/{UNPACKED}/" in (error.filename or ""):
        return f" ({_own(error.filename or '')}:{error.lineno})"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if f"/{UNPACKED}/" in frame.filename]
    return f" ({_own(own[-1].filename)}:{own[-1].lineno})" if own else ""


def _own(path: str) -> str:
    return path.rpartition(f"/{UNPACKED}/")[2].partition("/")[2]
