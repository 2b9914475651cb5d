"""Carry a plan out under the lane's lease: compute, judge, expose, cut over, verify; or go back.

Each effect is journalled as intended before and as done after. After a crash nothing is guessed: the warehouse is
asked whether the slices of a step are live, and the step is finished or done again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial

from lanewise.domain.comparison import TableComparison
from lanewise.domain.environment import Config, Environment
from lanewise.domain.evidence import Moment, Result, Verdict
from lanewise.domain.plan import Plan
from lanewise.domain.ports import Warehouse
from lanewise.domain.project import Column
from lanewise.domain.promotion import Promotion, State
from lanewise.domain.publication import PartitionMap
from lanewise.domain.words import counted
from lanewise.errors import FenceRefused, GroundMoved, LaneError, LeaseHeld, OutsideBroke, Refused, RunFailed
from lanewise.promotion import breaks
from lanewise.promotion.canary.judge import Judgement, judge
from lanewise.promotion.states import HOLDS_LEASE
from lanewise.publication.maps import cut_over, differing, give_back, overlay, uncovered
from lanewise.service import promotions
from lanewise.service.candidate import Candidate
from lanewise.service.claims import recover_runs
from lanewise.service.compiled import write_lane
from lanewise.service.compute import Computed, Computer, Slices, all_recorded, caught_up, recorded, runs_of
from lanewise.service.context import Context
from lanewise.service.gating import CANARY, VIEWS, audit, judge_gates, reasons, stopped_by_freeze
from lanewise.service.ground import recorded_plan
from lanewise.service.lease import Held, held
from lanewise.service.look import Eyes
from lanewise.service.promotions import Journal
from lanewise.service.releases import lock, record_release, withdraw_release
from lanewise.service.serving import adopt_live

QUALITY = "quality"
"""The gate that audits: where it has looked, the rollout need not."""

_TRIES = 5


class _Behind(Exception):
    """Somebody has published partitions that the candidate has not computed."""


@dataclass
class Rollout:
    """One process carrying one plan out."""

    ctx: Context
    journal: Journal
    config: Config
    candidate: Candidate
    target: Environment
    recheck: Callable[[], str]
    plan_now: Callable[[], Plan]
    wait: timedelta
    fence: int = 0
    warehouse: Warehouse = field(init=False)
    _hold: Held = field(init=False)

    def __post_init__(self) -> None:
        self.warehouse = self.ctx.warehouse(self.target)

    def go(self) -> Promotion:
        """Step under the lease until the promotion ends or waits for a person."""
        with held(self.ctx, self.plan_scope, self.wait, outlive=True) as hold:
            self._hold, self.fence = hold, hold.lease.fence
            self.warehouse.raise_fence(self.fence)
            self.journal.refresh()  # while the lease was waited for, its holder may have carried this on, or ended it
            if self.state is State.READY:
                self.journal.move(State.ACQUIRING, "taking the lane")
            while (before := self.state) in HOLDS_LEASE:
                self._step()
                if self.state is before:
                    break
        return self.journal.promotion

    @property
    def state(self) -> State:
        """Where it stands."""
        return self.journal.promotion.state

    @property
    def plan_scope(self) -> str:
        """What the lease is on."""
        return f"{self.ctx.project.name}/{self.target.name}"

    @property
    def plan(self) -> Plan:
        """The plan it follows."""
        return recorded_plan(self.ctx, self.journal.promotion)

    def _step(self) -> None:
        steps: Mapping[State, Callable[[], None]] = {
            State.ACQUIRING: self._acquire, State.PREPARING: self._prepare, State.CANARY: self._compute,
            State.JUDGING: self._judge, State.CUTOVER: self._cut_over, State.VERIFYING: self._verify,
            State.REVERTING: self._revert, State.HELD: lambda: None,
        }  # fmt: skip
        try:
            steps[self.state]()
        except RunFailed as error:
            self.journal.move(State.REVERTING, error.message)
        except LaneError as error:
            if self.state is State.ACQUIRING:  # nothing was changed: whoever asks next begins here again
                self.journal.move(State.READY, error.message)
            raise

    def _acquire(self) -> None:
        other = promotions.under_way(self.ctx, self.target.name)
        # Another one in ACQUIRING has not got the lease, which is ours now, and will look again when it has.
        if other is not None and other.id != self.journal.promotion.id and other.state is not State.ACQUIRING:
            raise LeaseHeld(self.plan_scope, other.id)
        doubt = self.recheck()
        if doubt:
            self.journal.move(State.GATING, doubt)
            return
        plan = self.plan_now()
        if plan.digest != self.journal.promotion.plan:
            self.journal.write("promotion.planned", plan=plan.digest, document=plan)
        gone = [one.what for one in self._eyes(Moment.BEFORE, Computed()).retained() if not one.present]
        if gone:  # whether or not the gate `retained` is asked for
            raise Refused(f"a rollback out of {self.target.name} would miss {', '.join(gone)}",
                          hint="bring it back first: what can't be rolled back is not promoted")  # fmt: skip
        self.journal.write("promotion.acquired", fence=self.fence, base_map=self.warehouse.pointer().number)
        self.journal.move(State.PREPARING, "the lane is ours")

    def _prepare(self) -> None:
        plan = self.plan
        recover_runs(self.ctx, self.target.name, self.warehouse)
        if stopped_by_freeze(self.journal, self.target):
            return
        if computes(plan):
            self.journal.move(State.CANARY, _step_line(plan, 0), step=0)
        else:
            self.journal.move(State.CUTOVER, "nothing has to be computed")

    def _compute(self) -> None:
        step = self.journal.promotion.step
        if recorded(self.journal, step) is None:
            recover_runs(self.ctx, self.target.name, self.warehouse)  # of a process that died within this step
            self._computer().step(step)
        self.journal.move(State.JUDGING, f"step {step + 1} of {len(self.plan.steps)} is computed")

    def _judge(self) -> None:
        step, plan = self.journal.promotion.step, self.plan
        computed = recorded(self.journal, step)
        if computed is None:  # the record of the computation is not there: compute again
            self.journal.move(State.CANARY, "computing the step again", step=step)
            return
        last = not any(later.partitions for later in plan.steps[step + 1 :])
        eyes = self._eyes(Moment.CANDIDATE, computed, demand_all=last)
        verdicts = [*judge_gates(self.journal, eyes), self._compare(computed)]
        if QUALITY not in {v.gate for v in verdicts}:
            verdicts.append(audit(self.journal, eyes))
        verdicts += self._stuck(computed)
        bad = [v for v in verdicts if v.result is Result.FAIL]
        doubt = reasons([v for v in verdicts if not v.passes])
        if bad:
            self.journal.move(State.REVERTING, reasons(bad))
        elif doubt and not _accepted(self.journal, step, doubt):
            self.journal.move(State.HELD, doubt)
        elif stopped_by_freeze(self.journal, self.target):
            return
        elif last:
            self.journal.move(State.CUTOVER, "judged and found good")
        else:
            self._expose(step, computed)

    def _compare(self, computed: Computed) -> Verdict:
        """Old against new on the same pinned input; on a first release there is no old."""
        if not computed.baseline:
            return Verdict(CANARY, Moment.CANDIDATE, Result.PASS, "no baseline to compare with")
        judgement: Judgement = judge(
            self.candidate.project.tables, self._pairs(computed.baseline, computed.slices),
            self._pairs(computed.noise_of, computed.noise),
            rollout=self.target.rules.rollout, population=sum(len(s.partitions) for s in self.plan.steps),
        )  # fmt: skip
        verdict = Verdict(CANARY, Moment.CANDIDATE, judgement.result, judgement.reason, details=tuple(judgement.rows))
        self.journal.write("gate.judged", verdict=verdict, evidence=None)
        self.ctx.progress.judged(verdict)
        return verdict

    def _stuck(self, computed: Computed) -> list[Verdict]:
        """Now that all columns are known: somebody else's relation that stands on a view which can't take them."""
        live, project = self.warehouse.live(), self.candidate.project
        wanted = overlay(live, computed.slices, project, self._columns(computed.slices)).tables
        changed = [name for name in computed.slices if name in live.tables
                   and wanted[name].columns != live.tables[name].columns]  # fmt: skip
        found = [found for name in changed if (found := self.warehouse.breaks(name, wanted[name].columns))]
        stuck = [one for one in found if one.dependants]
        if not stuck:
            return []
        verdict = Verdict(VIEWS, Moment.CANDIDATE, Result.FAIL, "; ".join(map(breaks.reason, stuck)),
                          breaks.hint(stuck))  # fmt: skip
        self.journal.write("gate.judged", verdict=verdict, evidence=None)
        self.ctx.progress.judged(verdict)
        return [verdict]

    def _expose(self, step: int, computed: Computed) -> None:
        """Show the step's partitions to readers, watch, and go on."""
        if self.plan.strategy == "canary":
            self._publish(lambda live: self._with_step(live, computed), step)
            self._bake()
        self.journal.move(State.CANARY, _step_line(self.plan, step + 1), step=step + 1, exposed=step + 1)

    def _cut_over(self) -> None:
        """All readers to the new build at once, days included that the old one has published meanwhile."""
        for _ in range(_TRIES):
            computed, seen = self._computer().catch_up()
            bad = self._doubts_about_late_days()
            if bad:
                self.journal.move(State.REVERTING, reasons(bad))
                return
            try:
                self._publish(partial(self._complete, computed=computed, seen=seen), len(self.plan.steps))
            except _Behind:
                continue
            record_release(self.ctx, self.target, self.journal.promotion, self.warehouse.pointer())
            write_lane(self.ctx, self.target, self.candidate.project, self.candidate.digest)
            self.journal.move(State.VERIFYING, "released; looking once more")
            return
        raise GroundMoved(f"runs kept publishing to {self.target.name} while it was cut over",
                          hint="try again when its runs are quieter")  # fmt: skip

    def _doubts_about_late_days(self) -> list[Verdict]:
        """Days that were computed beyond the plan's steps are audited and compared like any other."""
        doubts = []
        for late in caught_up(self.journal, len(self.plan.steps)):
            found = [audit(self.journal, self._eyes(Moment.CANDIDATE, late)), self._compare(late)]
            doubts += [v for v in found if not v.passes]
        return doubts

    def _complete(self, live: PartitionMap, computed: Computed, seen: PartitionMap) -> PartitionMap:
        if uncovered(live, self.plan, computed.slices, seen, self.candidate.project):
            raise _Behind
        project, slices = self.candidate.project, computed.slices
        return cut_over(live, self.plan, slices, project, self._columns(slices))

    def _verify(self) -> None:
        try:
            adopt_live(self.ctx, self.target.name)
        except Refused as error:
            self.journal.move(State.REVERTING, error.message)
            return
        verdicts = judge_gates(self.journal, self._eyes(Moment.AFTER, Computed()))
        bad = [v for v in verdicts if not v.passes]
        if bad:
            self.journal.move(State.REVERTING, reasons(bad))
            return
        self.journal.move(State.SUCCEEDED, f"{self.candidate.build.short} is live in {self.target.name}")

    def _revert(self) -> None:
        """Give back what this promotion took: its slices leave the map, the old ones and the old release return."""
        promotion = self.journal.promotion
        reason = promotion.reason
        try:
            if promotion.base_map >= 0:
                base = self.warehouse.map_at(promotion.base_map)
                self._publish(lambda live: give_back(live, base, runs_of(self.journal)), promotion.step)
                withdraw_release(self.ctx, self.target, promotion, self.warehouse.pointer(), reason)
                adopt_live(self.ctx, self.target.name)
        except (OutsideBroke, GroundMoved, FenceRefused, LeaseHeld):
            raise  # it stays REVERTING: the next command goes on, or whoever took the lane over
        except LaneError as error:
            lock(self.ctx, self.target, promotion, str(error))
            self.journal.move(State.REVERT_FAILED, f"{error}; {self.target.name} is locked")
            return
        self.journal.move(State.REVERTED, reason)

    def _with_step(self, live: PartitionMap, computed: Computed) -> PartitionMap:
        """The step's partitions from the candidate, but for those that somebody has published since the rollout
        began: their input may be newer than what the candidate saw. The cut-over computes them again."""
        moved_on = differing(self.warehouse.map_at(self.journal.promotion.base_map), live)
        exposed = {t.table for t in self.plan.moved if t.exposed}
        shown = {
            name: tuple(s for s in found if s.partition not in moved_on.get(name, ()))
            for name, found in computed.slices.items() if name in exposed
        }  # fmt: skip
        return overlay(live, shown, self.candidate.project, self._columns(shown))

    def _columns(self, slices: Slices) -> dict[str, tuple[Column, ...]]:
        return {name: self.warehouse.columns(found) for name, found in slices.items() if found}

    def _publish(self, wanted: Callable[[PartitionMap], PartitionMap], step: int) -> None:
        """Make readers see ``wanted(live)``. When they do already (after a crash), that is observed, not redone."""
        for _ in range(_TRIES):
            live = self.warehouse.live()
            target = wanted(live)
            if (target.tables, target.build, target.config) == (live.tables, live.build, live.config):
                self.journal.write("step.observed", step=step, kind="publish", map=live.number)
                return
            target = replace(target, number=max(live.number, *self.warehouse.maps(), 0) + 1)
            self._hold.check()
            self.journal.write("step.intended", step=step, kind="publish", map=target.number, base=live.number)
            self.warehouse.prepare(target)
            try:
                self.warehouse.publish(target, base=live.number, fence=self.fence)
            except GroundMoved:
                continue  # a scheduled run published a day meanwhile: decide again on the newer map
            self.journal.write("step.done", step=step, kind="publish", map=target.number)
            return
        raise GroundMoved(f"{self.target.name} was published to {_TRIES} times while this tried",
                          hint="try again when its runs are quieter")  # fmt: skip

    def _bake(self) -> None:
        bake = self.target.rules.rollout.bake
        end = time.monotonic() + bake.total_seconds()
        while time.monotonic() < end:
            left = timedelta(seconds=round(end - time.monotonic()))
            self._hold.check()
            self.ctx.progress.say(f"{self.journal.promotion.id}  the exposed partitions are let stand, {left} left")
            time.sleep(min(10.0, max(0.0, end - time.monotonic())))

    def _pairs(self, old: Slices, new: Slices) -> list[TableComparison]:
        """Each table's partitions that both sides have. One that is new here has nothing to be compared with."""
        tables = self.candidate.tables(tuple(name for name in new if old.get(name)))
        found = []
        for table in tables:
            before, after = old[table.name], new[table.name]
            both = {s.partition for s in before} & {s.partition for s in after}
            if both:
                sides = ([s for s in side if s.partition in both] for side in (before, after))
                found.append(self.warehouse.compare(table, *sides))
        return found

    def _computer(self) -> Computer:
        return Computer(self.ctx, self.journal, self.plan, self.candidate, self.target, self.warehouse)

    def _eyes(self, moment: Moment, computed: Computed, *, demand_all: bool = False) -> Eyes:
        """Before the release, gates see the tables of this step, in the last one also those never computed."""
        plan, present = self.plan, set(computed.slices)
        if moment is Moment.CANDIDATE:
            done = {name for one in all_recorded(self.journal) for name in one.slices}
            absent = {t.table for t in plan.moved} - present
            hidden = absent & done if demand_all else absent
            plan = replace(plan, tables=tuple(t for t in plan.tables if t.table not in hidden))
        return Eyes(self.ctx, self.candidate, plan, self.target, self.config.before(self.target.name),
                    self.warehouse, moment, computed.slices, tuple(self.config.environments))  # fmt: skip


def _accepted(journal: Journal, step: int, doubt: str) -> bool:
    """Whether a person has taken this very doubt about this step upon themselves."""
    return any(
        e.type == "hold.accepted" and e.data["step"] == step and e.data["doubt"] == doubt for e in journal.events()
    )


def computes(plan: Plan) -> bool:
    """Whether a plan has anything to compute."""
    return any(step.partitions for step in plan.steps)


def _step_line(plan: Plan, step: int) -> str:
    wanted = plan.steps[step]
    share = f"{wanted.share:.0%} of them all"
    return f"step {step + 1} of {len(plan.steps)}: {counted(len(wanted.partitions), 'partition')} ({share})"
