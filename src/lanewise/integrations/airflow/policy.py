"""Airflow's cluster policy for the DAGs of Lanewise's bundles; every other DAG is left alone.

Airflow finds it by the entry point ``airflow.policy``, in the dag-processor and in workers alike. What it does to a DAG
is in ``shape``, what it tells a task's process in ``room``.
"""

from __future__ import annotations

import sys
from typing import Any

from airflow.policies import hookimpl

from lanewise.integrations.airflow.place import Place

# Airflow loads this module while it sets itself up. What needs all of Airflow is imported when there is a DAG of ours,
# and by then the bundle that brought it has imported it: in the dag-processor before the child was forked.


@hookimpl  # type: ignore[untyped-decorator]  # Airflow is not installed where types are checked
def get_dagbag_import_timeout(dag_file_path: str) -> None:
    """Called before a DAG file is loaded: the build's own modules are found, and the process of a task is told of its
    run. No opinion on the timeout."""
    place = Place.of(dag_file_path)
    if place is None:
        return
    if str(place.folder) not in sys.path:
        sys.path.append(str(place.folder))  # as Airflow does with a bundle's own folder
    from lanewise.integrations.airflow.room import Task, enter  # noqa: PLC0415 - see above

    task = Task.starting()
    if task is not None:
        enter(task, place)


@hookimpl  # type: ignore[untyped-decorator]  # as above
def get_airflow_context_vars(context: Any) -> None:
    """Called before a task's code runs: its process is told of its run, unless it was when its file was loaded."""
    place = Place.of(getattr(getattr(context.get("task"), "dag", None), "fileloc", None) or "")
    if place is not None and context.get("dag_run") is not None:
        from lanewise.integrations.airflow.room import Task, enter  # noqa: PLC0415 - see above

        enter(Task.of(context), place)


@hookimpl  # type: ignore[untyped-decorator]  # as above
def dag_policy(dag: Any) -> None:
    """Called for each DAG that was loaded."""
    place = Place.of(dag.fileloc or "")
    if place is not None:
        from lanewise.integrations.airflow.shape import shape  # noqa: PLC0415 - see above

        shape(dag, place)
