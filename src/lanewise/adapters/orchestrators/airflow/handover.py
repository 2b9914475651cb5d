"""Make Airflow run another build by its own clock: wait until it says so, and take up what the former one left."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lanewise.adapters.orchestrators.airflow.api import Api
from lanewise.adapters.orchestrators.airflow.records import ACTIVE, FAILED, RUNNING, Dag, DagRun
from lanewise.adapters.orchestrators.airflow.waiting import Watch
from lanewise.domain.serving import PAUSED, Served
from lanewise.errors import OrchestratorUnavailable
from lanewise.runtime.airflow_names import BEGIN, PUBLISH

_SUPERSEDED = ("now, and this run is of", "another release went live")
"""How ``lane scheduled begin`` and ``publish`` say that a run's build is live no more. What failed its audit is not
run again by itself."""

_LOOKED_AT = 50  # failed runs, the newest; older ones failed for reasons of their own
_NUDGE = 5.0  # seconds between two requests to look at the DAG's file
_TEARDOWN = 60.0  # seconds; a task that still works after them is restarted with the rest


@dataclass(frozen=True)
class Handover:
    """``patience``: seconds that Airflow may take to run the new build."""

    api: Api
    say: Callable[[str], None]
    patience: float

    def to(self, served: Served) -> None:
        """See ``Orchestrator.adopt``."""
        dag = self._until_it_runs(served)
        if dag.paused:
            self._unpause(dag, served)
        for run in self.left_behind(dag, served):
            self._take_up(run, served)

    def _until_it_runs(self, served: Served) -> Dag:
        """Wait until the live DAG is the build's. The dag-processor is asked to look at once, since it would only do so
        when its refresh interval is over; it puts runs of the former build off while it changes over."""
        watch, nudged = Watch(self.say, longest=1.0), -_NUDGE
        for now in watch.looks():
            dag = self.api.dag(served.entry)
            if dag is not None and dag.runs(served.build, served.config):
                return dag
            if dag is not None and dag.file_token and now - nudged >= _NUDGE:
                self.api.parse_again(dag)
                nudged = now
            unwell = self.api.unwell() if now > 5 else ""
            away = f", whose {unwell} is not heard of," if unwell else ""
            watch.waits_for(f"{self.api.name}{away} to run build {served.build[7:15]} as {served.entry}")
            if now > self.patience:
                raise self._does_not(served, dag, unwell)
        raise AssertionError("a watch has no end")

    def _does_not(self, served: Served, dag: Dag | None, unwell: str) -> OrchestratorUnavailable:
        has = "has no DAG of that name" if dag is None else f"runs build {dag.build[7:15] or '(none of Lanewise)'}"
        if dag is not None and dag.stale:
            has = "has lost that DAG's file"
        why = f"; its {unwell} is not heard of" if unwell else ""
        hint = f"the road sign is right already: `lane promote` or `lane rollback {served.environment}` again asks anew"
        return OrchestratorUnavailable(f"{self.api.name} does not run build {served.build[7:15]} as {served.entry}: it "
                                       f"{has}{why}", hint=hint)  # fmt: skip

    def _unpause(self, dag: Dag, served: Served) -> None:
        """Where the environment's schedule is ``paused`` the DAG has no timetable, so that unpaused it runs nothing by
        the clock, and yet what a person starts begins. What decides is the reviewed config, not a switch."""
        does = "a person may start it" if served.schedule == PAUSED else f"its schedule is {served.schedule!r}"
        self.say(f"{dag.id} was paused in {self.api.name}; {served.environment}'s config unpauses it: {does}")
        self.api.unpause(dag.id)

    def left_behind(self, dag: Dag, served: Served) -> tuple[DagRun, ...]:
        """Runs of a former release that nothing will come of: those that wait or work (what they write is refused), and
        those that Lanewise stopped at its own tasks since the release had changed. Not those that Lanewise itself
        started: whoever started them waits for them."""
        active = [run for run in self.api.runs(dag.id, ACTIVE) if self._is_former(run, served)]
        failed = [run for run in self.api.runs(dag.id, (FAILED,), _LOOKED_AT) if self._stopped_by_us(run)]
        return tuple(run for run in [*active, *failed] if not run.asked)

    def _is_former(self, run: DagRun, served: Served) -> bool:
        """Whether a run is another build's, or was begun under another config: its room says which."""
        if run.version not in {"", served.build}:
            return True
        begun = (self.api.told(run, BEGIN).get("document") or {}).get("config")
        return begun is not None and begun != served.config

    def _stopped_by_us(self, run: DagRun) -> bool:
        """Whether nothing but Lanewise's own tasks failed there, and because of another release."""
        failed = [task for task in self.api.tasks(run) if task.state == FAILED]
        if not failed or any(task.name not in {BEGIN, PUBLISH} for task in failed):
            return False
        said = "\n".join(str(line) for task in failed for line in self.api.log(run, task))
        return any(words in said for words in _SUPERSEDED)

    def _take_up(self, run: DagRun, served: Served) -> None:
        """Let the live build compute it from the start. What works is ended first: half of it would be the former's.
        Its teardown, in which Lanewise throws away what was written, may take a moment."""
        if run.state == RUNNING:
            self.api.end(run)
            watch = Watch(self.say, longest=1.0)
            for now in watch.looks():
                found = self.api.run(run.dag, run.id)
                if found is None or not found.active or now > _TEARDOWN:
                    break
        former = "a former config" if run.version == served.build else f"build {run.version[7:15]}"
        note = f"begun by {former}, which is live no more; run again by build {served.build[7:15]}"
        self.api.begin_anew(run, newest=True)
        self.api.note(run, f"{note}\n{labels(served)}")
        self.say(f"{run.dag} {run.id}: {note}")


def labels(served: Served) -> str:
    """What a person reads beside a run of the live build that Lanewise had a hand in."""
    return "\n".join((
        f"lanewise/environment: {served.environment}",
        f"lanewise/build: {served.build}",
        "lanewise/purpose: scheduled",
        f"lanewise/project: {served.project}",
    ))  # fmt: skip
