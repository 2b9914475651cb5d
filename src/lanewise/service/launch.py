"""One attempt to carry a run out: the verified code, the compiled file, the child's variables, and what it left."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lanewise.builds.manifest import this_interpreter
from lanewise.config.values import parse_duration
from lanewise.domain.build import Build
from lanewise.domain.environment import Environment
from lanewise.domain.project import Project
from lanewise.domain.run import Launch, RunOutcome, RunRequest, Space
from lanewise.errors import ConfigError, OutsideBroke, Refused, RunFailed, SecretUnavailable
from lanewise.service.build import checkout, lay_out
from lanewise.service.compiled import compile_lane, own_partitions, write_compiled
from lanewise.service.context import Context

# A store's client finds its server and its login in these; a run whose config names no such store gets none of them.
_CLIENT_VARIABLES = {
    "vault": re.compile(r"(VAULT|BAO)_[A-Z_]+"),
    "keyring": re.compile(r"DBUS_SESSION_BUS_ADDRESS|XDG_RUNTIME_DIR|XDG_DATA_HOME|PYTHON_KEYRING_BACKEND"),
}
_PASSED_ON = re.compile(r"HOME|LANG|LC_ALL|LC_CTYPE|TMPDIR|LANEWISE_LOG_FORMAT|TRACEPARENT|TRACESTATE|SSL_CERT_FILE")


@dataclass(frozen=True)
class Patience:
    """How often a failed command is tried again, how long one attempt may take, and how long a run should take
    (``retries``, ``timeout``, ``sla`` of the settings; seconds)."""

    retries: int
    timeout: float | None
    sla: float | None

    @classmethod
    def of(cls, environment: Environment) -> Patience:
        """As the environment's settings say; absent ones set no limit."""
        retries = environment.settings.get("retries") or 0
        if not isinstance(retries, int) or isinstance(retries, bool) or retries < 0:
            raise ConfigError(f"retries of {environment.name} must be a whole number, not {retries!r}")
        return cls(retries, _seconds(environment, "timeout"), _seconds(environment, "sla"))


def launch(ctx: Context, request: RunRequest, environment: Environment, project: Project, space: Space) -> RunOutcome:
    """Verify the build, have it run, and wait for it. Raises ``RunFailed`` when it does not end well. A command that a
    person gave runs here; the build's own, where the environment's orchestrator runs it."""
    if not request.by_hand and not ctx.orchestrator(environment).own_copy:
        return _launch(ctx, request, environment, project, space, checkout(ctx, request.build))
    with own_copy(ctx, request) as directory:
        return _launch(ctx, request, environment, project, space, directory)


@contextmanager
def own_copy(ctx: Context, request: RunRequest) -> Iterator[Path]:
    """A folder with the verified files of the request's build, for this one attempt; gone when the block ends.

    So a command may write into its working directory, and two beside each other see nothing of that. Raises
    ``BuildTampered``, and ``Refused`` when the build was made for another interpreter than the one that is running.
    """
    _demand_interpreter(ctx.builds.get(request.build))
    try:
        (ctx.home / "runs").mkdir(parents=True, exist_ok=True)
        room = Path(tempfile.mkdtemp(prefix=f"{request.id}-", dir=ctx.home / "runs"))
    except OSError as error:
        raise OutsideBroke(f"the build can't be laid out in {ctx.home / 'runs'}: {error.strerror}") from error
    try:
        directory = room / "unpacked" / request.build.removeprefix("sha256:")  # the runtime knows it by this path
        lay_out(ctx, request.build, directory)
        yield directory
    finally:
        shutil.rmtree(room, ignore_errors=True)


def _launch(
    ctx: Context, request: RunRequest, environment: Environment, project: Project, space: Space, directory: Path
) -> RunOutcome:
    compiled = ctx.home / "runs" / f"{request.id}.json"
    document = compile_lane(environment, project, request.build, request, space)
    write_compiled(compiled, {**document, "root": str(ctx.root), "log_format": ctx.config.log_format})
    variables = child_variables(ctx, request, environment, project)
    variables |= {
        "PYTHONPATH": str(directory),
        "LANEWISE_COMPILED": str(compiled),
        "LANEWISE_OUTPUTS": _outputs(space),
    }
    log = ctx.home / "logs" / f"{request.id}.log"
    timeout = Patience.of(environment).timeout
    try:
        runner = ctx.runner if request.by_hand else ctx.orchestrator(environment)
        outcome = runner.run(Launch(request, directory, compiled, variables, log, timeout))
    finally:
        compiled.unlink(missing_ok=True)
    _demand_success(outcome, request, space)
    return outcome


def child_variables(ctx: Context, request: RunRequest, environment: Environment, project: Project) -> dict[str, str]:
    """All that the child process will find in its environment, short of the paths of this attempt."""
    binaries = str(Path(sys.executable).parent)
    inherited = {name: value for name, value in os.environ.items() if _PASSED_ON.fullmatch(name)}
    return {
        "LANG": "C.UTF-8",
        **inherited,
        **_secret_variables(ctx, environment.for_runs()),
        "PATH": os.pathsep.join([binaries, os.environ.get("PATH", os.defpath)]),
        "TZ": "UTC",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        project.environment_variable: environment.name,
        "LANEWISE_ENV": environment.name,
        "LANEWISE_BUILD": request.build,
        "LANEWISE_RUN_ID": request.id,
        "LANEWISE_PURPOSE": request.purpose.value,
        "LANEWISE_PARTITIONS": json.dumps(own_partitions(request.partitions, project)),
    }


def _demand_interpreter(build: Build) -> None:
    wanted, running = build.manifest.interpreter, this_interpreter()
    if wanted != running:
        raise Refused(
            f"build {build.short} is for {wanted}, and this is {running}",
            hint=f"use the `lane` of a virtual environment of {wanted}, or `lane build` with this one and promote that",
        )


def _secret_variables(ctx: Context, environment: Environment) -> Mapping[str, str]:
    """The variables that this environment's own references need, and no others'. An ``env:`` value passes through
    this process, so it is resolved here, which lets the runner strike it out of the command's output."""
    found: dict[str, str] = {}
    secrets = [s for connection in environment.connections.values() for s in connection.secrets.values()]
    for secret in secrets:
        for previous in (False, True) if secret.previous else (False,):
            text = secret.previous if previous and secret.previous else secret.text
            scheme, _, rest = text.partition(":")
            try:
                value = ctx.secrets.resolve(secret, previous=previous)  # known here, it is struck out of the output
            except SecretUnavailable:  # the run may not need it; if it does, its own error names the reference
                value = ""
            if scheme == "env" and value:
                found[rest] = value
            elif scheme in _CLIENT_VARIABLES:
                wanted = _CLIENT_VARIABLES[scheme]
                found |= {name: value for name, value in os.environ.items() if wanted.fullmatch(name)}
    return found


def _outputs(space: Space) -> str:
    """Where a command that knows nothing of Lanewise leaves TABLE.parquet or TABLE.csv."""
    directory = space.engine.get("directory")
    return str(Path(directory) / "outputs") if directory else ""


def _demand_success(outcome: RunOutcome, request: RunRequest, space: Space) -> None:
    who = f"build {request.build.removeprefix('sha256:')[:8]} in {request.environment}"
    if outcome.timed_out:
        raise RunFailed(f"{who}: the command was killed after {outcome.seconds:.0f} s (setting timeout)",
                        hint=f"its log is {outcome.log}")  # fmt: skip
    bad = [one for one in outcome.findings if one.severe and one.passed is not True]
    if bad:
        more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
        why = f": {bad[0].message}" if bad[0].message else ""
        raise RunFailed(f"{who}: {bad[0].kind} {bad[0].name} did not pass{why}{more}",
                        hint=f"see {outcome.url or outcome.log}")  # fmt: skip
    if outcome.exit_code != 0:
        last = [line for line in outcome.tail.splitlines() if re.search(r"\w", line)]  # not what a ^ points at
        raise RunFailed(
            f"{who}: the command ended with exit code {outcome.exit_code}" + (f": {last[-1]}" if last else ""),
            hint=f"its log is {outcome.log}",
        )
    demand_closed(space.engine, who)


def demand_closed(engine: Mapping[str, Any], who: str) -> None:
    """``RunFailed`` when a ``with lane.run()`` block of the run was begun and never left. ``who`` is for people."""
    blocks = Path(engine["directory"]) / "blocks" if engine.get("directory") else None
    if blocks is not None and any(blocks.glob("*.open")):
        raise RunFailed(
            f"{who}: the command ended well, but left a `with lane.run()` block half-way",
            hint="an exception was swallowed, or the process was ended inside of it: look at its log",
        )


def _seconds(environment: Environment, name: str) -> float | None:
    value = environment.settings.get(name)
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return None if value is None else float(value)
    try:
        return parse_duration(str(value)).total_seconds()
    except ValueError as error:
        raise ConfigError(f"{name} of {environment.name} {error}") from error
