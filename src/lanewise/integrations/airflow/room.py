"""Tell a task's process where its run writes, before the user's code is imported: ``lanewise.current().run()``.

What is told is the run's compiled file: that of a run which Lanewise started travels in the DAG run's ``conf`` or lies
on this machine already; that of a run which Airflow started is made by the task ``lanewise_begin`` and handed on by it.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import tempfile
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from lanewise.errors import Refused
from lanewise.integrations.airflow.place import Place
from lanewise.runtime.airflow_names import BEGIN, PUBLISH, asked_of
from lanewise.runtime.blocks import WRITER
from lanewise.runtime.compiled import read
from lanewise.runtime.place import COMPILED
from lanewise.runtime.sign import run_file

log = logging.getLogger(__name__)
_RUNNER = "airflow.sdk.execution_time.task_runner"


@dataclass(frozen=True)
class Task:
    """A task that is about to start. ``conf`` and ``partition`` are its DAG run's; ``writer`` names it and its try."""

    dag: str
    id: str
    run: str
    conf: dict[str, Any]
    partition: str
    writer: str = ""

    @classmethod
    def starting(cls) -> Task | None:
        """The one that this process was started for, while its DAG file is loaded; None where no task is started."""
        runner = sys.modules.get(_RUNNER)
        frame = sys._getframe(1) if runner else None  # noqa: SLF001 - Airflow tells a policy the file alone
        while frame is not None:
            if frame.f_globals.get("__name__") == _RUNNER and "what" in frame.f_locals:
                details = frame.f_locals["what"]
                return cls._of(details.ti, details.ti_context.dag_run)
            frame = frame.f_back
        return None

    @classmethod
    def of(cls, context: Any) -> Task:
        """The one that Airflow's context is of."""
        return cls._of(context["ti"], context["dag_run"])

    @classmethod
    def _of(cls, instance: Any, run: Any) -> Task:
        name = f"{instance.task_id}[{instance.map_index}]" if instance.map_index >= 0 else instance.task_id
        # A partitioned DAG's runs share a Lanewise run's room, each with tasks of the same names.
        writer = f"{instance.run_id}/{name}#{instance.try_number}"
        return cls(
            instance.dag_id, instance.task_id, instance.run_id, dict(run.conf or {}), run.partition_key or "", writer
        )


def enter(task: Task, place: Place) -> None:
    """Set what the task's process is told of its run. Nothing where it has none (yet)."""
    if task.id in {BEGIN, PUBLISH} or COMPILED in os.environ:
        return
    asked = asked_of(task.conf)
    path = _asked_for(asked, task.partition, place) if asked else _begun(task, place)
    if path is not None:
        _demand_build(path, place)
        os.environ[WRITER] = task.writer
        tell(path)


def _demand_build(path: Path, place: Place) -> None:
    """A DAG run that was started anew, or by hand, may be of another build than the run whose room it names."""
    build = str(read(str(path))["build"])
    if build != place.build:
        raise Refused(f"the run {path.stem} is of build {build[7:15]}, and this code is of {place.build[7:15]}",
                      hint="`lane run` or `lane promote` starts a run of its own")  # fmt: skip


def tell(path: Path) -> None:
    """The variables that a task and what it starts (a shell, dbt) find."""
    os.environ[COMPILED] = str(path)
    document = read(str(path))
    run, engine = document["run"] or {}, document["engine"] or {}
    os.environ.update({
        "LANEWISE_BUILD": document["build"], "LANEWISE_RUN_ID": run.get("id", ""),
        "LANEWISE_PURPOSE": run.get("purpose", ""), "LANEWISE_PARTITIONS": json.dumps(run.get("partitions", [])),
        "LANEWISE_OUTPUTS": str(Path(engine["directory"]) / "outputs") if engine.get("directory") else "",
    })  # fmt: skip
    log.info("build %s in %s, %s run %s over %s", document["build"], document["environment"], run.get("purpose"),
             run.get("id"), ", ".join(run.get("partitions", ())))  # fmt: skip


def _asked_for(asked: dict[str, Any], partition: str, place: Place) -> Path | None:
    path = Path(run_file(place.home, str(asked["run"])))
    if not path.exists():
        if not asked.get("document"):
            log.error("run %s is not told on this machine: %s is not there, nor does its conf hold it", asked["run"],
                      path)  # fmt: skip
            return None
        _write(path, asked["document"])
    return _for_one(path, partition) if partition else path


def _for_one(path: Path, partition: str) -> Path:
    """Where Airflow cuts a run into one DAG run a partition, each of these is told of its own alone."""
    document = read(str(path))
    if document["run"]["partitions"] == [partition]:
        return path
    own = path.with_name(f"{path.stem}-part-{sha256(partition.encode()).hexdigest()[:16]}.json")
    _write(own, {**document, "run": {**document["run"], "partitions": [partition]}})
    return own


def _begun(task: Task, place: Place) -> Path | None:
    """The room that ``lanewise_begin`` has opened; None in a DAG that is not the build's entry."""
    from airflow.sdk.bases.xcom import BaseXCom  # noqa: PLC0415 - a policy is loaded before Airflow is whole

    found = BaseXCom.get_one(key="return_value", dag_id=task.dag, task_id=BEGIN, run_id=task.run)
    if not isinstance(found, dict):
        return None
    path = Path(run_file(place.home, str(found["run"])))
    if not path.exists():
        _write(path, found["document"])
    return path


def _write(path: Path, document: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, aside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # made with mode 0600
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump({name: value for name, value in document.items() if name != "path"}, file, indent=1)
    Path(aside).replace(path)
