"""The two tasks that the policy puts around an entry's own: write, audit, publish for every run that Airflow starts.

``lanewise_begin`` is a setup and ``lanewise_publish`` its teardown, so that clearing any task of a run clears both, and
what is computed anew is audited anew. Both do nothing in a run that Lanewise has started: it does these steps itself.
"""

from __future__ import annotations

import logging
import re
from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

from lanewise.errors import LaneError, OutsideBroke
from lanewise.integrations import lane
from lanewise.integrations.airflow.partition import Cut, partitions_of
from lanewise.integrations.airflow.place import Place
from lanewise.runtime.airflow_names import BEGIN, PUBLISH, asked_of, live_run
from lanewise.runtime.compiled import read
from lanewise.runtime.sign import read_sign

log = logging.getLogger(__name__)
_BROKEN = frozenset({"failed", "upstream_failed"})
_NUMBER = re.compile(r"_\d+$")


class Begin(BaseOperator):  # type: ignore[misc]  # Airflow is not installed where types are checked
    """Open a room for the run of the live build. Fails for good when another build is live by now; tries again when
    something that Lanewise needs is away."""

    ui_color = "#e8f0ea"

    def __init__(self, *, place: Place, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.place = place

    def execute(self, context: Any) -> dict[str, Any] | None:
        """Returns what the other tasks' processes are told of the run, references only; None for a run that Lanewise
        started."""
        run = context["dag_run"]
        if asked_of(run.conf):
            log.info("Lanewise started this run, and opened its room")
            return None
        moment, cut = run.data_interval_start or run.logical_date, Cut.of(self.place.folder)
        partitions = partitions_of(run.partition_key, moment, run.conf or {}, cut)
        sign = read_sign(self.place.home, self.place.environment)
        identifier = live_run(run.dag_id, run.run_id)
        path = _asking(lambda: lane.begin(sign, identifier, self.place.build, partitions))
        document = read(path)
        log.info("run %s of build %s in %s over %s", document["run"]["id"], self.place.build, sign.environment,
                 ", ".join(document["run"]["partitions"]))  # fmt: skip
        return {"run": document["run"]["id"], "document": {k: v for k, v in document.items() if k != "path"}}


class Publish(BaseOperator):  # type: ignore[misc]  # as above
    """Audit and publish what the run's tasks wrote, if they all ended well; else throw it away."""

    ui_color = "#e8f0ea"

    def __init__(self, *, place: Place, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.place = place

    def execute(self, context: Any) -> dict[str, Any] | None:
        """Fails with the reason when the output does not pass, or another build is live: then readers see what they
        saw."""
        run = context["dag_run"]
        if asked_of(run.conf):
            log.info("Lanewise started this run, and judges its output")
            return None
        found = context["ti"].get_task_states(dag_id=run.dag_id, run_ids=[run.run_id]).get(run.run_id, {})
        states = states_that_count(found, context["dag"])
        sign = read_sign(self.place.home, self.place.environment)
        identifier = live_run(run.dag_id, run.run_id)
        reason = _fault(states)
        if reason:
            _asking(lambda: lane.abandon(sign, identifier, reason))
            raise AirflowFailException(f"lanewise: nothing is published: {reason}")
        if all(state == "skipped" for state in states.values()):
            _asking(lambda: lane.abandon(sign, identifier, "every task was skipped"))
            raise AirflowSkipException("lanewise: every task was skipped, so there is nothing to publish")
        done = _asking(lambda: lane.publish(sign, identifier))
        log.info("published: %s", done)
        return {"run": done.get("run"), "map": done.get("map")}


def late(context: Any = None, **kwargs: Any) -> None:  # noqa: ARG001 - Airflow's
    """What a missed deadline (the setting ``sla``) calls."""
    log.warning("lanewise: a run has missed its deadline (setting sla): %s", kwargs.get("labels", ""))


def states_that_count(found: dict[str, Any], dag: Any) -> dict[str, str]:
    """The states of the run's tasks, short of Lanewise's own and of teardowns, whose failure is none of the run's
    unless the DAG says so. A mapped task's name ends with its number."""
    left_out = {BEGIN, PUBLISH}
    left_out |= {task.task_id for task in dag.tasks if task.is_teardown and not task.on_failure_fail_dagrun}
    return {name: str(state) for name, state in found.items() if not {name, _NUMBER.sub("", name)} & left_out}


def _fault(states: dict[str, str]) -> str:
    broken = sorted(task for task, state in states.items() if state in _BROKEN)
    return f"{', '.join(broken)} failed" if broken else ""


def _asking(question: Any) -> Any:
    """Ask ``lane``; an answer that will be the same tomorrow fails the task for good."""
    try:
        return question()
    except OutsideBroke as error:
        raise AirflowException(f"lanewise: {_said(error)}") from error
    except LaneError as error:
        raise AirflowFailException(f"lanewise: refused: {_said(error)}") from error


def _said(error: LaneError) -> str:
    message = error.message.removeprefix("error: ")  # as `lane` prints it
    return f"{message}; {error.hint}" if error.hint else message
