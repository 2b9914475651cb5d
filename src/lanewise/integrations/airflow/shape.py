"""Make a DAG of a build what it is to be in an environment.

It is labelled with its build and environment, gets what the environment's settings say (owner, retries, deadlines,
schedule), audit and publication are put around the entry, and a candidate's DAG is kept apart from the live one. A DAG
that names another environment is refused.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.exceptions import AirflowClusterPolicyViolation
from airflow.sdk import (
    CronDataIntervalTimetable,
    CronPartitionTimetable,
    CronTriggerTimetable,
    DeadlineAlert,
    DeadlineReference,
    PartitionedAssetTimetable,
    PartitionedAtRuntime,
    SyncCallback,
)
from airflow.sdk.definitions.timetables.simple import NullTimetable

from lanewise.errors import LaneError
from lanewise.integrations.airflow.names import dag_of_another, label_of_another, of_another
from lanewise.integrations.airflow.place import CANDIDATE, Place
from lanewise.integrations.airflow.tasks import Begin, Publish, late
from lanewise.runtime.airflow_names import BEGIN, PUBLISH, build_tag, candidate_dag, config_tag
from lanewise.runtime.sign import Sign, read_sign

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_LONGEST_TAG = 100


def shape(dag: Any, place: Place) -> None:
    """Do all of it. ``AirflowClusterPolicyViolation`` keeps the DAG out, and Airflow shows its reason."""
    try:
        sign = read_sign(place.home, place.environment)
    except LaneError as error:
        raise AirflowClusterPolicyViolation(f"lanewise: {error.message}; {error.hint}") from error
    fault = names_another(dag, sign) or taken(dag)
    if fault:
        raise AirflowClusterPolicyViolation(f"lanewise: {fault}")
    told = place.told(sign)
    label(dag, place, sign, str(told.get("config", "")))
    govern(dag, told.get("settings") or {}, candidate=place.role == CANDIDATE)
    if place.role == CANDIDATE:
        set_apart(dag, place)
        return
    entry = dag.dag_id == told.get("entry")
    set_schedule(dag, str(told.get("schedule", "")), entry=entry)
    if entry:
        put_around(dag, place)


def names_another(dag: Any, sign: Sign) -> str:
    """Why a DAG is not this environment's: its id, a tag, a parameter or a connection's name is another's. Empty where
    it is."""
    own, known = sign.environment, sign.environments
    found = [(f"the DAG's id {dag.dag_id}", dag_of_another(dag.dag_id, own, known))]
    found += [(f"the tag {tag}", label_of_another(tag, own, known)) for tag in sorted(dag.tags)]
    parameters = {name: getattr(param, "value", param) for name, param in dag.params.items()}
    found += [(f"the parameter {name}", label_of_another(value, own, known))
              for name, value in parameters.items() if isinstance(value, str)]  # fmt: skip
    for task in dag.tasks:
        asked = {name: value for name, value in _given(task).items() if name.endswith("conn_id")}
        found += [(f"{name} of the task {task.task_id}", of_another(value, own, known))
                  for name, value in asked.items() if isinstance(value, str)]  # fmt: skip
    return next((f"{what} names {other}, and this is {own}; the same build runs everywhere, so ask "
                 "lanewise.current() for what differs" for what, other in found if other), "")  # fmt: skip


def taken(dag: Any) -> str:
    """Why the two tasks can't be put into a DAG; empty where they can."""
    mine = sorted({BEGIN, PUBLISH} & set(dag.task_ids))
    return f"the name of the task {mine[0]} is Lanewise's own" if mine else ""


def label(dag: Any, place: Place, sign: Sign, config: str) -> None:
    """The build, config, environment and project, as tags."""
    own = {build_tag(place.build), config_tag(config), f"environment:{place.environment}", f"project:{sign.project}"}
    dag.tags = {*dag.tags, *(tag[:_LONGEST_TAG] for tag in own)}


def govern(dag: Any, settings: dict[str, Any], *, candidate: bool) -> None:
    """Owner, retries and deadlines as the environment's settings say. A candidate's tasks are not tried again: the
    promotion does that, and a canary that needs a second try is worth a look."""
    owner = settings.get("owner") or settings.get("service_account")
    for task in dag.tasks:
        if isinstance(owner, str) and owner:
            task.owner = owner
        if candidate:
            task.retries = 0
        elif isinstance(settings.get("retries"), int):
            task.retries = settings["retries"]
    limit = duration(settings.get("timeout"))
    if limit is not None:
        dag.dagrun_timeout = limit
    promised = None if candidate else duration(settings.get("sla"))
    if promised is not None:
        labels = f"{dag.dag_id} in {promised}"
        dag.deadline = [DeadlineAlert(
            reference=DeadlineReference.DAGRUN_QUEUED_AT, interval=promised,
            callback=SyncCallback(late, kwargs={"labels": labels}),
        )]  # fmt: skip


def set_schedule(dag: Any, schedule: str, *, entry: bool) -> None:
    """As the environment says: nothing by the clock, as written, or a cron expression for the entry. The DAG itself is
    not paused, so that a person may start it anywhere."""
    dag.is_paused_upon_creation = False
    if schedule == "paused":
        never(dag)
    elif entry and schedule not in {"", "as written"}:
        written = dag.timetable
        if isinstance(written, CronPartitionTimetable):
            dag.timetable = CronPartitionTimetable(schedule, timezone=dag.timezone, key_format=written.key_format,
                                                   run_offset=written.run_offset)  # fmt: skip
        else:
            kind = CronDataIntervalTimetable if isinstance(written, CronDataIntervalTimetable) else CronTriggerTimetable
            dag.timetable = kind(schedule, timezone=dag.timezone)


def set_apart(dag: Any, place: Place) -> None:
    """A candidate's DAG: a name of its own, nothing by the clock, and nothing that would start the live build's
    consumers."""
    dag.dag_id = dag.dag_display_name = candidate_dag(dag.dag_id, place.build)
    dag.is_paused_upon_creation = False
    never(dag)
    for task in dag.tasks:
        task.outlets = []


def never(dag: Any) -> None:
    """No run by the clock or by an asset. A DAG that is run by partition still is."""
    partitioned = isinstance(dag.timetable, (CronPartitionTimetable, PartitionedAssetTimetable, PartitionedAtRuntime))
    dag.timetable = PartitionedAtRuntime() if partitioned else NullTimetable()
    dag.catchup = False


def put_around(dag: Any, place: Place) -> None:
    """Audit and publication around the tasks of the entry."""
    roots, leaves = list(dag.roots), list(dag.leaves)
    own: dict[str, Any] = {
        "dag": dag, "place": place, "retries": 5, "retry_delay": timedelta(seconds=20),
        "retry_exponential_backoff": True, "max_retry_delay": timedelta(minutes=10),
        "owner": next((task.owner for task in dag.tasks), "airflow"),
    }  # fmt: skip
    begin, publish = Begin(task_id=BEGIN, **own), Publish(task_id=PUBLISH, **own)
    for task in roots:
        begin >> task
    for task in leaves:
        task >> publish
    publish.as_teardown(setups=begin, on_failure_fail_dagrun=True)


def duration(given: Any) -> timedelta | None:
    """``90``, ``45s``, ``30m``, ``24h``, ``14d``, ``2w``; None for nothing, or what is none."""
    if isinstance(given, bool) or given is None:
        return None
    if isinstance(given, int | float):
        return timedelta(seconds=given)
    number, unit = str(given).strip()[:-1], str(given).strip()[-1:]
    return timedelta(**{_UNITS[unit]: int(number)}) if number.isdigit() and unit in _UNITS else None


def _given(task: Any) -> dict[str, Any]:
    return dict(getattr(task, "partial_kwargs", None) or vars(task))
