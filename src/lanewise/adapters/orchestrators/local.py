"""Run a build's command on this machine: a process group of its own, nothing inherited, no orphan left behind."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import IO, Any

from lanewise.domain.environment import Environment
from lanewise.domain.ports import Secrets
from lanewise.domain.run import Launch, RunOutcome
from lanewise.domain.serving import Served, Standing
from lanewise.errors import LaneError, OutsideBroke, Refused, RunFailed
from lanewise.publication.fingerprints import NEVER_CODE
from lanewise.publication.globs import pattern
from lanewise.runtime.sign import read_sign

_TAIL_LINES = 40
_LINE = 64 * 1024  # bytes; a longer line is cut into several, so that a command can't fill the memory with one


class LocalOrchestrator:
    """Implements ``Orchestrator`` on this machine. Nothing is started by the clock here, so what is live is what the
    road sign says, and a build needs no more to be runnable than that its Python files compile."""

    own_copy = True

    def __init__(self, runner: LocalRunner, home: Path, environment: str) -> None:
        self._runner = runner
        self._home = home
        self._environment = environment

    def serve(self, served: Served) -> None:
        """See ``Orchestrator.serve``."""
        aside = [pattern(glob) for glob in NEVER_CODE]  # a test may be about code that does not compile
        for file in sorted(served.directory.rglob("*.py")):
            name = file.relative_to(served.directory).as_posix()
            if any(one.fullmatch(name) for one in aside):
                continue
            try:
                compile(file.read_bytes(), name, "exec", dont_inherit=True)
            except (SyntaxError, ValueError) as error:
                line = f":{error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
                said = error.msg if isinstance(error, SyntaxError) else str(error)
                raise Refused(f"build {served.build[7:15]} does not compile: {name}{line}: {said}",
                              hint="mend it, and build again") from None  # fmt: skip

    def withdraw(self, build: str) -> None:
        """Nothing: a run that ended has left nothing behind."""

    def adopt(self, served: Served) -> None:
        """Nothing: the next run asks the warehouse what is live."""

    def standing(self) -> Standing:
        """What the road sign says."""
        try:
            sign = read_sign(str(self._home), self._environment)
        except LaneError:
            return Standing()
        candidates = tuple(one["build"] for one in sign.candidates)
        return Standing(live=sign.live["build"] if sign.live else "", candidates=candidates)

    def run(self, launch: Launch) -> RunOutcome:
        """See ``Orchestrator.run``."""
        return self._runner.run(launch)


def open_orchestrator(
    *, home: Path, lane: Environment, project: str, secrets: Secrets, say: Callable[[str], None]
) -> LocalOrchestrator:
    """See ``OrchestratorOpener``."""
    del project, say  # a child process is told all by its launch
    return LocalOrchestrator(LocalRunner(secrets.redact), home, lane.name)


class LocalRunner:
    """Runs a launch as a child process.

    The command is split already and never meets a shell. ``python`` is this interpreter, and the programs of its
    virtual environment come first. Output goes to ``launch.log``, each line labelled with environment, build,
    purpose and run. When this process is interrupted, or the timeout runs out, the whole group is ended.
    """

    def __init__(self, redact: Callable[[str], str], *, grace: float = 5.0) -> None:
        """``grace``: seconds between asking a group to end and killing it."""
        self._redact = redact
        self._grace = grace

    def run(self, launch: Launch) -> RunOutcome:
        """See ``Orchestrator.run``. ``RunFailed`` when the program can't be started at all."""
        started = time.monotonic()
        with _log_file(launch) as log, _terminable():
            child = _start(launch)
            tail: deque[str] = deque(maxlen=_TAIL_LINES)
            output = threading.Thread(target=self._follow, args=(child, launch, log, tail), daemon=True)
            output.start()
            try:
                timed_out = _wait(child, launch.timeout)
            finally:
                _end_group(child, self._grace)
                output.join(self._grace)  # a process that left the group may still hold the pipe
        seconds = time.monotonic() - started
        return RunOutcome(child.returncode, seconds, "\n".join(tail), str(launch.log), timed_out)

    def _follow(self, child: subprocess.Popen[bytes], launch: Launch, log: IO[str], tail: deque[str]) -> None:
        label = _labeller(launch)
        stream = child.stdout
        assert stream is not None  # noqa: S101 - it was asked for as a pipe
        broken = False
        while raw := stream.readline(_LINE):
            line = self._redact(raw.decode(errors="replace").rstrip("\r\n"))
            tail.append(line)
            try:
                if not broken:
                    log.write(label(line) + "\n")
                    log.flush()
            except (OSError, ValueError):  # disk full, or closed: emptying the pipe lets the run go on
                broken = True


def _start(launch: Launch) -> subprocess.Popen[bytes]:
    command = list(launch.request.command)
    if not command:
        raise RunFailed("there is no command to run", hint="set `run:` in lanewise.yaml, or give one after `--`")
    if command[0] in {"python", "python3"}:
        command[0] = sys.executable
    try:
        return subprocess.Popen(  # noqa: S603 - running the reviewed build's own command is what this is for
            command, cwd=launch.directory, env=dict(launch.environment), start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
    except OSError as error:
        hint = "is it installed in this virtual environment, or part of the build?"
        raise RunFailed(f"{command[0]!r} can't be started: {error.strerror}", hint=hint) from error


def _wait(child: subprocess.Popen[bytes], timeout: float | None) -> bool:
    """Wait for the command; True when its time ran out."""
    try:
        child.wait(timeout)
    except subprocess.TimeoutExpired:
        return True
    return False


def _end_group(child: subprocess.Popen[bytes], grace: float) -> None:
    """Ask what is left of the group to end, then kill it: nothing outlives its run."""
    if not _signal_group(child.pid, signal.SIGTERM):
        child.wait()
        return
    deadline = time.monotonic() + grace
    while time.monotonic() < deadline:
        child.poll()  # reaps the leader, so that it does not count as living
        if not _signal_group(child.pid, 0):
            break
        time.sleep(0.02)
    _signal_group(child.pid, signal.SIGKILL)
    child.wait()


def _signal_group(group: int, number: int) -> bool:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


@contextlib.contextmanager
def _log_file(launch: Launch) -> Iterator[IO[str]]:
    try:
        launch.log.parent.mkdir(parents=True, exist_ok=True)
        file = os.fdopen(os.open(launch.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "w", encoding="utf-8")
    except OSError as error:
        raise OutsideBroke(f"{launch.log} can't be written: {error.strerror}") from error
    try:
        yield file
    finally:
        with contextlib.suppress(OSError):  # a full disk shows again when the file is closed
            file.close()


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """While a child runs, SIGTERM ends this process as Ctrl-C does: through the code that ends the child."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a signal handler's signature
    raise KeyboardInterrupt


def _labeller(launch: Launch) -> Callable[[str], str]:
    labels = launch.request.labels
    if launch.environment.get("LANEWISE_LOG_FORMAT") != "json":
        prefix = " ".join(f"{name}={value}" for name, value in labels.items())
        return lambda line: f"{prefix} | {line}"
    return lambda line: json.dumps({**_structured(line), **labels}, ensure_ascii=False)


def _structured(line: str) -> dict[str, Any]:
    """A line that is JSON already keeps its fields; any other becomes an event."""
    if line.startswith("{"):
        with contextlib.suppress(ValueError):
            found = json.loads(line)
            if isinstance(found, dict):
                return found
    return {"event": line}
