"""Ask ``lane`` for something, as a child process in Lanewise's own interpreter: the orchestrator's environment need not
have what Lanewise needs, and its identity need not have the right to publish."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from typing import Any

from lanewise.errors import LaneError, OutsideBroke, Refused, WrongInput
from lanewise.runtime.sign import Sign

_KINDS: dict[int, type[LaneError]] = {1: Refused, 2: WrongInput, 3: OutsideBroke}


def begin(sign: Sign, run: str, build: str, partitions: Sequence[str]) -> str:
    """Open a room for a run of the live build that this orchestrator's own clock has started; the path of the file that
    ``LANEWISE_COMPILED`` is to name for its tasks. Asked again for the same run, it is the same room. ``Refused`` when
    another build is live by now."""
    chosen = [word for name in partitions for word in ("--partition", name)]
    return str(ask(sign, "scheduled", "begin", sign.environment, "--id", run, "--build", build, *chosen)["compiled"])


def publish(sign: Sign, run: str) -> dict[str, Any]:
    """Audit what the run wrote and publish it; ``Refused`` with the reason when it does not pass."""
    return ask(sign, "scheduled", "publish", sign.environment, "--id", run)


def abandon(sign: Sign, run: str, reason: str) -> None:
    """Throw away what the run wrote: one of its tasks failed."""
    ask(sign, "scheduled", "abandon", sign.environment, "--id", run, "--reason", reason)


def _variables() -> dict[str, str]:
    """This process's own, short of what would put the build's modules, or this interpreter's, in the place of lane's:
    lane has the right to publish, and the build's code has not."""
    return {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "PYTHONHOME"}}


def ask(sign: Sign, *words: str) -> dict[str, Any]:
    """One command of ``lane`` in the sign's project; its JSON. Raises the error that its exit code stands for, with
    what it said."""
    try:
        done = subprocess.run(  # noqa: S603 - our own program, found by the sign that it wrote
            [*sign.lane, *words, "--format", "json"],
            cwd=sign.home, env=_variables(), stdin=subprocess.DEVNULL, capture_output=True, check=False,
        )  # fmt: skip
    except OSError as error:
        hint = f"`lane follow {sign.environment}` on this machine writes down how"
        raise OutsideBroke(f"lane can't be started as {' '.join(sign.lane)}: {error.strerror}", hint=hint) from error
    if done.returncode:
        said = [line for line in done.stderr.decode(errors="replace").splitlines() if line.strip()]
        raise _KINDS.get(done.returncode, OutsideBroke)(" ".join(said) or f"lane ended with {done.returncode}")
    found: dict[str, Any] = json.loads(done.stdout or b"{}")
    return found
