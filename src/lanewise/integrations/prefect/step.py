"""The pull step: the build's verified files as the working directory, and what this flow run is about."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.runtime import flow_run as current

from lanewise.errors import LaneError, NotFound
from lanewise.integrations.lane import begin
from lanewise.integrations.prefect import clock, word
from lanewise.integrations.prefect.patience import patiently
from lanewise.runtime.sign import Sign, home_of, read_sign, run_file, verify

ARRIVAL = 30.0
"""Seconds in which ``lane follow`` has brought a candidate to a worker's machine."""


def checkout(
    environment: str, entry: str, home: str = "", build: str = "", grain: str = "", timezone: str = "UTC"
) -> dict[str, str]:
    """Check out the build that this flow run computes: the one it was started for, else ``build``, else what is live
    in ``environment`` now. Returns ``directory``, which Prefect makes the working directory.

    ``home`` is the project's ``.lanewise`` folder (``LANEWISE_HOME`` unless given), ``entry`` the user's flow in the
    build. ``grain`` and ``timezone`` say which partition a run of the clock computes. What forbids this run to compute
    is told by the flow run's final state.
    """
    folder = home_of(home)
    with get_client(sync_client=True) as client:
        run = client.read_flow_run(UUID(str(current.get_id())))
        try:
            place, labels = _place(folder, environment, build, run)
            word.tell(place, entry)
            directory = _arrived(folder, place.build)
            if not labels:
                labels = _begin(read_sign(folder, environment), place.build, run, (grain, timezone))
            _relabel(client, run, {**labels, "build": place.build})
        except LaneError as error:
            os.environ[word.REFUSED] = " ".join(filter(None, [error.message, error.hint and f"({error.hint})"]))
            os.environ[word.ENTRY] = entry
            return {"directory": str(Path.cwd())}
    return {"directory": directory}


def _place(home: str, environment: str, build: str, run: Any) -> tuple[word.Place, dict[str, str]]:
    """Where this flow run is; and its labels where Lanewise started it, else none."""
    identifier = os.environ.get(word.RUN_ID, "")
    if identifier:
        document = _document(home, identifier, run.context)
        return word.Place(home, environment, str(document["build"])), {"run": identifier}
    if os.environ.get(word.PURPOSE) == word.CHECK:
        return word.Place(home, environment, build), {"purpose": word.CHECK}
    live = read_sign(home, environment).live
    if live is None and not build:
        raise NotFound("live build", environment, hint=f"`lane promote --to {environment}` first")
    return word.Place(home, environment, build or str((live or {})["build"])), {}


def _arrived(home: str, build: str) -> str:
    """The folder of the verified build. A candidate may come to this machine a moment after its flow run."""
    deadline = time.monotonic() + ARRIVAL
    while True:
        try:
            return verify(home, build)
        except NotFound:
            if time.monotonic() > deadline:
                raise
        time.sleep(1)


def _document(home: str, identifier: str, context: Mapping[str, Any] | None) -> dict[str, Any]:
    """What the run is told. On a machine that ``lane`` does not share it came with the flow run, and is laid down."""
    path = Path(run_file(home, identifier))
    if not path.exists() and (context or {}).get("lanewise"):
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f".{path.name}.{os.getpid()}")
        aside.write_text(json.dumps((context or {})["lanewise"]), encoding="utf-8")
        aside.chmod(0o600)
        aside.replace(path)
    if not path.exists():
        raise NotFound("run", identifier, hint="it has ended, or its promotion was aborted")
    word.compiled(str(path))
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _begin(sign: Sign, build: str, run: Any, cut: tuple[str, str]) -> dict[str, str]:
    """Open a room for a run that Prefect's clock started, or a person. The labels that say so."""
    identifier = f"live-pf-{run.id}"
    chosen = clock.partitions(run.parameters, run.expected_start_time or run.created, *cut)
    word.compiled(patiently(lambda: begin(sign, identifier, build, chosen)))
    os.environ[word.BEGUN] = identifier
    os.environ[word.PARTITIONS] = json.dumps(chosen)
    document = json.loads(Path(os.environ["LANEWISE_COMPILED"]).read_text(encoding="utf-8"))
    purpose = str((document.get("run") or {}).get("purpose") or "scheduled")
    os.environ[word.PURPOSE] = purpose
    return {"purpose": purpose, "run": identifier}


def _relabel(client: Any, run: Any, labels: Mapping[str, str]) -> None:
    """Let the flow run say what it really computes: it may have been queued before another build went live. Labels
    that can't be put up now keep nothing from running."""
    named = {f"{word.LABEL}{name}": value for name, value in labels.items()}
    others = [tag for tag in run.tags or [] if tag.partition("=")[0] not in named]
    wanted = [*others, *(f"{name}={value}" for name, value in named.items())]
    if set(wanted) == set(run.tags or []):
        return
    chosen = json.loads(os.environ.get(word.PARTITIONS, "[]"))
    shown = {**run.parameters, clock.PARAMETER: chosen} if chosen else run.parameters
    try:
        client.update_flow_run(run.id, tags=wanted, parameters=shown)
        client.update_flow_run_labels(run.id, named)
    except Exception as error:  # noqa: BLE001 - of whatever client library: it is a label
        print(f"the labels of this flow run could not be put up: {error}")  # noqa: T201 - the worker's own log
