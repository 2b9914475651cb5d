"""Carry a launch out in Airflow: start its runs once, wait for them, and read back what they came to."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lanewise.adapters.orchestrators.airflow.api import Api, reason_of
from lanewise.adapters.orchestrators.airflow.pieces import (
    Piece,
    body,
    by_partition,
    document_of,
    side_by_side,
    whole,
)
from lanewise.adapters.orchestrators.airflow.records import FAILED, QUEUED, Dag, DagRun
from lanewise.adapters.orchestrators.airflow.report import Report, keep, progress, read_back, tells_why
from lanewise.adapters.orchestrators.airflow.waiting import Watch
from lanewise.domain.run import Finding, Launch, RunOutcome
from lanewise.errors import LaneError, OrchestratorUnavailable, RunFailed

_NO_KEY_TAKEN = "not a partitioned"  # how Airflow says that a DAG takes no partition key
_VANISHED = 5  # times that a run may be missing before it counts as deleted: a database may lag behind


@dataclass(frozen=True)
class Carrier:
    """What it takes to carry launches out. ``find`` gives the DAG that a launch is for, once it can be started."""

    api: Api
    say: Callable[[str], None]
    redact: Callable[[str], str]
    find: Callable[[Launch], Dag]
    _tried: set[str] = field(default_factory=set, init=False)

    def carry_out(self, launch: Launch) -> RunOutcome:
        """See ``Orchestrator.run``. Asked for once more by this process, a launch is another attempt."""
        began = time.monotonic()
        course = Course(self, launch, document_of(launch), again=launch.request.id in self._tried)
        self._tried.add(launch.request.id)
        try:
            course.go()
        except KeyboardInterrupt:  # nobody waits for these runs any more, so nothing of theirs would be published
            with contextlib.suppress(LaneError):
                course.end_all()
            raise
        keep(launch, course.reports, self.api)
        failed = [report for report in course.reports if not report.ok]
        return RunOutcome(
            exit_code=1 if failed or course.timed_out else 0,
            seconds=time.monotonic() - began,
            tail="\n".join(line for report in failed for line in report.lines),
            log=str(launch.log),
            timed_out=course.timed_out,
            findings=_findings(course.reports),
            url=self.api.page((failed or course.reports)[0].run),
        )


@dataclass
class Course:
    """One launch under way. ``document`` is what its tasks are told. ``again``: an earlier attempt of it came to
    nothing, and this one has a new, empty room."""

    carrier: Carrier
    launch: Launch
    document: dict[str, Any]
    again: bool = False
    started: list[DagRun] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)
    timed_out: bool = False
    outages: int = 0

    def go(self) -> None:
        """Start the pieces and wait for each: one after the other, and none after a failed one, unless they may write
        side by side."""
        timeout = self.launch.timeout
        deadline = None if timeout is None else time.monotonic() + timeout
        dag = self.carrier.find(self.launch)
        self.outages = self.carrier.api.outages
        pieces = self._begin(dag)
        at_once = len(pieces) > 1 and side_by_side(self.document)
        if at_once:
            for piece in pieces[1:]:
                self._start(dag, piece)
        for number, piece in enumerate(pieces):
            if number >= len(self.started):
                self._start(dag, piece)
            which = f" {number + 1}/{len(pieces)}" if piece.partition else ""
            run = self._wait(self.started[number], deadline, which)
            self.reports.append(read_back(self.carrier.api, run, self.carrier.redact))
            if self.timed_out or not (at_once or self.reports[-1].ok):
                break
        if self.timed_out:
            self.end_all()

    def end_all(self) -> None:
        """End what still waits or works."""
        for run in self.started[len(self.reports) :]:
            self.carrier.api.end(run)

    def _begin(self, dag: Dag) -> Sequence[Piece]:
        """Start the first piece. Airflow does not tell whether a DAG is partitioned at run time; it shows in whether
        a partition key is taken."""
        pieces = by_partition(self.launch.request)
        if pieces and self._start(dag, pieces[0], unless=_NO_KEY_TAKEN):
            return pieces
        piece = whole(self.launch.request)
        self._start(dag, piece)
        return (piece,)

    def _start(self, dag: Dag, piece: Piece, unless: str = "") -> bool:
        """Start a piece, or find it started already. False when Airflow refuses it in these words."""
        api, request = self.carrier.api, self.launch.request
        while True:
            answer = api.trigger(dag.id, body(piece, self.launch, self.document))
            if answer.status == 404:  # its file was looked at anew just now; it comes back, or a refusal tells why not
                dag = self.carrier.find(self.launch)
                continue
            if answer.ok or answer.status == 409:
                found = DagRun.of(answer.body) if answer.ok else api.run(dag.id, piece.id)
                self._take(found, anew=self.again and not answer.ok)
                return True
            said = reason_of(answer)
            if unless and unless in said:
                return False
            hint = f"see {api.url}/dags/{dag.id}"
            raise RunFailed(f"{api.name} does not start {dag.id} for {request.id}{said}", hint=hint)

    def _take(self, run: DagRun | None, *, anew: bool) -> None:
        """A run that was started just now, or before: what still works, or ended well, is not started twice. What
        failed is asked for again only with a new room for what it writes, so all of it is run again; and so is, in
        another attempt, what had ended well, or its partitions would be empty."""
        if run is None:
            raise OrchestratorUnavailable(f"{self.carrier.api.name} has a run and does not show it",
                                          hint="do the same again")  # fmt: skip
        self._demand_build(run)
        if anew and run.active:
            self.carrier.api.end(run)
        if anew or run.state == FAILED:
            self.carrier.api.begin_anew(run, newest=False)
        self.started.append(run)

    def _demand_build(self, run: DagRun) -> None:
        """A run knows which build its workers check out; one of another build must not compute for this one."""
        if run.version in {"", self.launch.request.build}:
            return
        self.carrier.api.end(run)
        raise OrchestratorUnavailable(
            f"{self.carrier.api.name} gave {run.id} build {run.version[7:15]}, not {self.launch.request.build[7:15]}",
            hint="another build went live at that moment: do the same again",
        )

    def _wait(self, run: DagRun, deadline: float | None, which: str) -> DagRun:
        """Wait until the run has ended; ends it when its time is up."""
        api, watch, shown, missing = self.carrier.api, Watch(self.carrier.say), (0, 0), 0
        outages = self.outages
        for _ in watch.looks():
            found = api.run(run.dag, run.id)
            missing = 0 if found else missing + 1
            if missing > _VANISHED:
                raise RunFailed(f"{run.id} was deleted in {api.name} while it was waited for", hint="run it again")
            if found is None:
                continue
            if not found.active:
                if found.state == FAILED and api.outages > outages and self._begun_anew(found):
                    outages = api.outages
                    continue
                return found
            if deadline is not None and time.monotonic() >= deadline:
                self.timed_out = True
                api.end(found)
                return api.run(run.dag, run.id) or found
            done = progress(api.tasks(found)) if watch.seconds > 2 else shown
            if done != shown and done[0]:
                self.carrier.say(f"{run.id}{which}: {done[0]} of {done[1]} tasks done")
            shown = done
            if found.state == QUEUED:
                self._tell_why_queued(found, watch)
        raise AssertionError("a watch has no end")

    def _begun_anew(self, run: DagRun) -> bool:
        """Where a run failed since Airflow's API was away, which its tasks need, and by no fault of the build: run it
        again, if that can be. ``OrchestratorUnavailable`` when something was written already, so that only a new room
        is sure to hold it once."""
        api = self.carrier.api
        failed = [task for task in api.tasks(run) if task.state == FAILED]
        if not failed or any(task.begun and tells_why(api.log(run, task)) for task in failed):
            return False
        if any(task.begun for task in failed) and not self._room_is_untouched():
            raise OrchestratorUnavailable(f"task {failed[0].shown} of {run.id} was lost while {api.name} was away",
                                          hint="do the same again: it is computed anew")  # fmt: skip
        self.carrier.say(f"{run.id}: {failed[0].shown} failed while {api.name} was away; once more")
        api.begin_anew(run, newest=False, only_failed=not any(task.begun for task in failed))
        return True

    def _room_is_untouched(self) -> bool:
        """Whether no task has begun to write; False where that does not show on this machine."""
        directory = str((self.document.get("engine") or {}).get("directory") or "")
        return bool(directory) and not any(Path(directory, "blocks").glob("*"))

    def _tell_why_queued(self, run: DagRun, watch: Watch) -> None:
        if watch.seconds < 10:
            return
        dag = self.carrier.api.dag(run.dag)
        unwell = self.carrier.api.unwell()
        why = f"whose {unwell} is not heard of" if unwell else "which is busy"
        if dag and dag.paused:
            why = "which is paused there"
        watch.waits_for(f"{run.dag} in {self.carrier.api.name}, {why}")


def _findings(reports: Sequence[Report]) -> tuple[Finding, ...]:
    if len(reports) == 1:
        return reports[0].findings
    return tuple(
        Finding(f"{one.name} ({report.run.partition})", one.kind, one.passed, one.severe, one.message)
        for report in reports
        for one in report.findings
    )
