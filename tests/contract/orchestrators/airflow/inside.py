"""Runs in Airflow's own interpreter, without its servers: a JSON request a line, a JSON answer a line."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable
from typing import Any

import structlog
from airflow.dag_processing.dagbag import BundleDagBag
from airflow.sdk.definitions.connection import Connection
from airflow.serialization.serialized_objects import DagSerialization

from lanewise.integrations import airflow as glue
from lanewise.integrations.airflow.tasks import states_that_count

KEPT: dict[str, Any] = {}


def dags(bundle: str, keep: str = "", **kwargs: Any) -> dict[str, Any]:
    """What a bundle hands out: its version, its DAGs as Airflow would store them, and what did not load. One that was
    kept under a name is refreshed, as in a dag-processor."""
    found = KEPT.get(keep) or getattr(glue, bundle)(name="lanewise", **kwargs)
    if keep in KEPT:
        found.refresh()
    else:
        found.initialize()
    if keep:
        KEPT[keep] = found
    current = found.get_current_version()
    bag = BundleDagBag(dag_folder=str(found.path), bundle_path=found.path, bundle_name="lanewise", safe_mode=False)
    return {
        "version": current.version if current else None, "path": str(found.path), "errors": bag.import_errors,
        "dags": {name: told(dag) for name, dag in bag.dags.items()},
    }  # fmt: skip


def told(dag: Any) -> dict[str, Any]:
    """One DAG."""
    DagSerialization.to_dict(dag)
    return {
        "tags": sorted(dag.tags), "timetable": repr(dag.timetable), "paused": dag.is_paused_upon_creation,
        "deadline": str(dag.deadline[0].interval) if dag.deadline else None, "shown": dag.dag_display_name,
        "timeout": str(dag.dagrun_timeout) if dag.dagrun_timeout else None,
        "tasks": {task.task_id: {"owner": task.owner, "retries": task.retries, "outlets": len(task.outlets),
                                 "after": sorted(task.upstream_task_ids), "setup": task.is_setup,
                                 "teardown": task.is_teardown} for task in dag.tasks},
    }  # fmt: skip


def connection(name: str, **kwargs: Any) -> Any:
    """What the secrets backend makes of a connection's name."""
    backend = glue.LanewiseSecrets(**kwargs)
    backend._set_connection_class(Connection)
    found = backend.get_connection(name)
    return found and {"type": found.conn_type, "host": found.host, "login": found.login, "password": found.password,
                      "schema": found.schema, "port": found.port, "extra": found.extra_dejson}  # fmt: skip


def variable(name: str, **kwargs: Any) -> Any:
    """What it makes of a variable's name."""
    return glue.LanewiseSecrets(**kwargs).get_variable(name)


def counting(states: dict[str, str], **kwargs: Any) -> dict[str, str]:
    """Of a run of the live DAG ``flights`` in these states, those that decide whether it is published."""
    found = glue.LanewiseBundle(name="lanewise", **kwargs)
    found.initialize()
    bag = BundleDagBag(dag_folder=str(found.path), bundle_path=found.path, bundle_name="lanewise", safe_mode=False)
    return states_that_count(states, bag.dags["flights"])


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    answers, known = os.fdopen(os.dup(1), "w"), (dags, connection, variable, counting)
    os.dup2(2, 1)  # whatever Airflow prints is no answer
    doing: dict[str, Callable[..., Any]] = {each.__name__: each for each in known}
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = {"answer": doing[request.pop("do")](**request)}
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer
            answer = {"error": type(error).__name__, "said": str(error)}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
