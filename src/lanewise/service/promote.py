"""The story of a promotion: asked for, gated, approved, and driven to its end, or resumed after a crash.

Nothing here holds state between steps: each step reads where the promotion stands, does one thing, and writes it
down, so that the next command goes on wherever the last one was stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from lanewise.domain.canonical import short
from lanewise.domain.environment import Config, Environment
from lanewise.domain.event import Draft
from lanewise.domain.evidence import Moment, Result
from lanewise.domain.plan import Plan
from lanewise.domain.promotion import Promotion, State
from lanewise.errors import GroundMoved, LaneError, NotFound, Quarantined, Refused
from lanewise.promotion.approvals import Missing, approved, bound_to, expired, still_entitled
from lanewise.promotion.breakglass import FREEZE, Waiver, follow_up, seconds_missing, skippable, skips
from lanewise.promotion.freeze import open_window
from lanewise.promotion.states import FINAL, HOLDS_LEASE, holds_lock
from lanewise.promotion.supersede import superseded_by
from lanewise.service import promotions
from lanewise.service.candidate import Candidate, open_candidate
from lanewise.service.configure import in_force
from lanewise.service.context import Context
from lanewise.service.gating import judge_gates, open_gate, reasons, still_stands, stopped_by_freeze
from lanewise.service.ground import plan_for, recorded_plan, require_same_ground
from lanewise.service.look import Eyes
from lanewise.service.promotions import Journal
from lanewise.service.releases import config_document, follow_ups, paused, quarantined, releases, stream_of
from lanewise.service.rollback import finish_rollback
from lanewise.service.rollout import Rollout, computes
from lanewise.service.serving import adopt_live, clear_unneeded, try_out
from lanewise.service.signs import schedule_of
from lanewise.service.verify import checkpoint


@dataclass(frozen=True)
class Asked:
    """What a person asked for beyond build and environment. ``plan``: a saved plan to apply exactly."""

    plan: Plan | None = None
    skip: tuple[str, ...] = ()  # gates to skip by break-glass
    waiver: Waiver | None = None
    opened_by: str = ""
    wait: timedelta = timedelta(0)  # how long to wait for somebody else's lease


def promote(ctx: Context, build: str, environment: str, asked: Asked = Asked()) -> Promotion:
    """Move a build into an environment: request (or pick up) its promotion, and drive it as far as it goes."""
    finish_interrupted(ctx, environment, asked.wait)
    candidate = open_candidate(ctx, build)
    target = in_force(ctx).environment(environment)
    done = _live_already(ctx, candidate, target)
    if done is not None:
        ctx.progress.say(f"{candidate.build.short} is live in {environment} already, with this config")
        return done
    if asked.plan is not None:
        require_same_ground(asked.plan, plan_for(ctx, candidate, target))
    promotion = _pick_up_or_request(ctx, candidate, target, asked)
    return drive(ctx, promotion.id, saved=asked.plan, wait=asked.wait)


def finish_interrupted(ctx: Context, environment: str, wait: timedelta = timedelta(0)) -> Promotion | None:
    """Finish what a crash left half done in an environment. A held promotion waits for a person and stays.

    ``LeaseHeld`` when it was not interrupted: somebody is at work on it, for longer than ``wait``."""
    finish_rollback(ctx, environment)
    adopt_live(ctx, environment)
    stuck = promotions.under_way(ctx, environment)
    if stuck is None or stuck.state is State.HELD:
        return None
    if stuck.state is not State.FROZEN:
        ctx.progress.say(f"{stuck.id} was interrupted in {stuck.state.value}: finishing it first")
    return drive(ctx, stuck.id, wait=wait)


def request(ctx: Context, candidate: Candidate, target: Environment, asked: Asked) -> Promotion:
    """Open a promotion; older ones that have not begun give way to it."""
    promotion = promotions.request(ctx, target.name, {
        "build": candidate.digest, "config": target.digest, "requester": ctx.actor.name,
        "opened_by": asked.opened_by, "document": in_force(ctx).digest, "overrides": dict(ctx.overrides),
    })  # fmt: skip
    for older in superseded_by(promotions.open_promotions(ctx, target.name), promotion):
        _supersede(ctx, older, promotion)
    return promotions.load(ctx, promotion.id)


def _supersede(ctx: Context, older: Promotion, newcomer: Promotion) -> None:
    """End an older promotion, unless the process that carries it on has begun, or ended it, just before."""
    while superseded_by([older], newcomer):
        try:
            Journal(ctx, older).move(State.SUPERSEDED, f"{newcomer.id} came after it")
        except GroundMoved:
            older = promotions.load(ctx, older.id)
        else:
            return


def _broken_glass(ctx: Context, target: Environment, asked: Asked) -> dict[str, object]:
    """What a break-glass writes down; refused before anything is asked for."""
    waiver, people = asked.waiver or Waiver(ctx.actor.name, ""), in_force(ctx).people
    if waiver.second and people and waiver.second not in people:
        raise NotFound("person", waiver.second, known=people)
    gates = tuple(open_gate(spec).name for spec in target.rules.gates)
    skipped = skippable(gates, asked.skip, waiver=waiver, now=ctx.ledger.now())
    return {"gates": skipped, "reason": waiver.reason, "second": waiver.second,
            "expires": waiver.expires.isoformat() if waiver.expires else ""}  # fmt: skip


def drive(ctx: Context, promotion_id: str, *, saved: Plan | None = None, wait: timedelta = timedelta(0)) -> Promotion:
    """Take a promotion from where it stands to a final state, or to the first thing it must wait for."""
    going = Drive.of(ctx, promotions.load(ctx, promotion_id), saved, wait)
    done = going.go()
    if done.state is State.SUCCEEDED:
        _follow_up(ctx, done)
        _open_next(ctx, going)
    if done.state in FINAL:
        clear_unneeded(ctx, going.target)
        checkpoint(ctx)
    return done


def _follow_up(ctx: Context, done: Promotion) -> None:
    """What a broken glass owes is opened; what earlier ones owed is settled by a success that did not need it."""
    stream = stream_of(ctx, done.environment)
    drafts = [
        Draft("followup.settled", {"gate": owed["gate"], "by": done.id})
        for owed in follow_ups(ctx.ledger.read(stream)) if owed["gate"] not in done.broken_glass
    ]  # fmt: skip
    for broken in done.glass:
        owing = follow_up(done, broken)
        drafts += [Draft("followup.opened", {"gate": o.gate, "what": o.what, "due": o.due.isoformat()}) for o in owing]
    if drafts:
        ctx.ledger.append(stream, drafts, actor=ctx.actor.name)


def _open_next(ctx: Context, done: Drive) -> None:
    """A success opens the promotion into the next environment where people have to approve it: they see it waiting."""
    following = done.config.after(done.target.name)
    if following is None or not done.target.rules.opens_next or not following.rules.approvals.count:
        return
    what = f"no promotion into {following.name} was opened"
    try:
        opened = _pick_up_or_request(ctx, done.candidate, following, Asked(opened_by=done.journal.promotion.id))
        ctx.progress.say(f"{opened.id} is open: {short(opened.build)} → {following.name}")
        what = f"{opened.id} can't go on yet"
        Drive.of(ctx, opened, None, timedelta(0)).go()
    except LaneError as trouble:  # paused, quarantined, busy or broken: it waits for a person, and this is a success
        ctx.progress.say(f"{what}: {trouble.message}")


def _live_already(ctx: Context, candidate: Candidate, target: Environment) -> Promotion | None:
    """The promotion that brought what is live, when that is the very build and config: there is nothing to do."""
    told = [r for r in releases(ctx, target.name) if (r.build, r.config) == (candidate.digest, target.digest)]
    pointer = ctx.warehouse(target).pointer()
    if not told or (pointer.build, pointer.config) != (candidate.digest, target.digest):
        return None
    return promotions.load(ctx, next(r.promotion for r in told if r.promotion))


def _pick_up_or_request(ctx: Context, candidate: Candidate, target: Environment, asked: Asked) -> Promotion:
    held = promotions.under_way(ctx, target.name)
    if held is not None and (held.build, held.config) != (candidate.digest, target.digest):
        raise Refused(f"{held.id} is {held.state.value} in {target.name}: {held.reason}",
                      hint=f"`lane why {held.id}` says what it waits for")  # fmt: skip
    broken = _broken_glass(ctx, target, asked) if asked.skip else None
    for standing in promotions.open_promotions(ctx, target.name):
        if (standing.build, standing.config) == (candidate.digest, target.digest):
            break
    else:
        _check_admitted(ctx, candidate, target)
        standing = request(ctx, candidate, target, asked)
    if broken is not None:
        Journal(ctx, standing).write("glass.broken", **broken)
    return promotions.load(ctx, standing.id)


def _check_admitted(ctx: Context, candidate: Candidate, target: Environment) -> None:
    name, before = candidate.build.short, in_force(ctx).before(target.name)
    _check_quarantine(ctx, candidate, (target, before))
    _check_open(ctx, target)
    if before is not None and candidate.digest not in {r.build for r in releases(ctx, before.name)}:
        raise Refused(f"build {name} has not been live in {before.name}, which comes before {target.name}",
                      hint=f"`lane promote {name} --to {before.name}` first")  # fmt: skip


def _check_quarantine(ctx: Context, candidate: Candidate, lanes: Sequence[Environment | None]) -> None:
    name = candidate.build.short
    for lane in lanes:
        if lane is not None and candidate.digest in quarantined(ctx.ledger.read(stream_of(ctx, lane.name))):
            raise Quarantined(f"build {name} was rolled back out of {lane.name} and is in quarantine",
                              hint=f"`lane resume {lane.name} --build {name}` lifts it")  # fmt: skip


def _check_open(ctx: Context, target: Environment) -> None:
    reason = paused(ctx.ledger.read(stream_of(ctx, target.name)))
    if reason is not None:
        raise Refused(f"{target.name} is paused: {reason}", hint=f"`lane resume {target.name}` lets promotions go on")


@dataclass
class Drive:
    """One process taking one promotion forward."""

    ctx: Context
    journal: Journal
    config: Config
    candidate: Candidate
    target: Environment
    saved: Plan | None
    wait: timedelta

    @classmethod
    def of(cls, ctx: Context, promotion: Promotion, saved: Plan | None, wait: timedelta) -> Drive:
        """Open everything that the promotion names: its build, and the config that it was requested with, which
        is the one that people have seen, whatever was pinned since."""
        asked = promotions.requested(ctx, promotion)
        config = config_document(ctx, asked["document"], asked["overrides"])
        candidate = open_candidate(ctx, promotion.build)
        return cls(
            ctx, Journal(ctx, promotion), config, candidate, config.environment(promotion.environment), saved, wait
        )

    def go(self) -> Promotion:
        """Step until a final state, or until a step leaves the state as it was: then it waits."""
        while (state := self.journal.promotion.state) not in FINAL:
            if not holds_lock(self.journal.promotion) and self._outdated():
                break
            if state in HOLDS_LEASE:
                self._rollout().go()
            else:
                self._steps()[state]()
            if self.journal.promotion.state is state:
                break
        return self.journal.promotion

    def _outdated(self) -> bool:
        """Ends a promotion that has not begun when another config is in force than the one it was asked with."""
        now = in_force(self.ctx).environment(self.target.name)
        if now.digest == self.journal.promotion.config:
            return False
        reason = f"the config of {now.name} is {short(now.digest)} now, not {short(self.journal.promotion.config)}"
        self.journal.move(State.SUPERSEDED, reason)
        return True

    def _steps(self) -> Mapping[State, Callable[[], object]]:
        return {
            State.REQUESTED: self._plan, State.GATING: self._gate, State.AWAITING_APPROVAL: self._await_approval,
            State.READY: self._leave, State.FROZEN: self._thaw,
        }  # fmt: skip

    def _plan(self) -> None:
        schedule_of(self.target, self.config)  # a wrong one is told before anything moves
        trouble = try_out(self.ctx, self.target, self.candidate)
        if trouble:
            self.journal.move(State.REJECTED, trouble)
            return
        plan = plan_for(self.ctx, self.candidate, self.target)
        self.journal.write("promotion.planned", plan=plan.digest, document=plan)
        self.journal.move(State.GATING, f"{len(plan.gates)} gates to pass")

    def _gate(self) -> None:
        verdicts = judge_gates(self.journal, self._eyes())
        failed = [v for v in verdicts if v.result is Result.FAIL]
        open_ones = [v for v in verdicts if not v.passes]
        if failed:
            self.journal.move(State.REJECTED, reasons(failed))
        elif open_ones:
            return  # they look again when it is carried on
        elif self._missing():
            self.journal.move(State.AWAITING_APPROVAL, "every gate passed; a person has to approve")
        else:
            self.journal.move(State.READY, "every gate passed")

    def _await_approval(self) -> None:
        if not self._missing():
            self.journal.move(State.READY, "approved")
        elif expired(self.journal.promotion, self._plan_seen().approvals, self.ctx.ledger.now()):
            self.journal.move(State.EXPIRED, "nobody approved it in time")

    def _leave(self) -> None:
        _check_open(self.ctx, self.target)
        if stopped_by_freeze(self.journal, self.target):
            return
        self._rollout().go()  # ACQUIRING with the lease in hand: who does not get it stays READY, and gives way

    def _thaw(self) -> None:
        now = self.ctx.ledger.now()
        skipped = skips(self.journal.promotion, FREEZE, now) and not seconds_missing(self.journal.promotion)
        if open_window(self.target.rules.freeze, now) is None or skipped:
            under_way = State.CANARY if computes(self._plan_seen()) else State.CUTOVER
            after = under_way if holds_lock(self.journal.promotion) else State.READY
            self.journal.move(after, "the freeze is over")

    def _rollout(self) -> Rollout:
        return Rollout(self.ctx, self.journal, self.config, self.candidate, self.target, recheck=self._recheck,
                       plan_now=self._plan_now, wait=self.wait)  # fmt: skip

    def _recheck(self) -> str:
        """Everything that was decided without a lock, decided once more under it: why not, or nothing."""
        _check_open(self.ctx, self.target)
        _check_quarantine(self.ctx, self.candidate, (self.target, self.config.before(self.target.name)))
        doubts = [v for v in still_stands(self.journal, self._eyes()) if not v.passes]
        if doubts:
            return reasons(doubts)
        return "approvals are missing or void" if self._missing() else ""

    def _missing(self) -> bool:
        """Whether approvals are missing: those of the rule, by people who are still entitled, and those of the second
        person behind a broken glass."""
        promotion, rule = self.journal.promotion, self._plan_seen().approvals
        entitled = still_entitled(promotion, rule, in_force(self.ctx).people)
        return isinstance(approved(entitled, rule, bound_to(promotion)), Missing) or bool(seconds_missing(promotion))

    def _plan_now(self) -> Plan:
        """The plan on the ground as it is under the lock; a saved plan must still be that very plan."""
        now = plan_for(self.ctx, self.candidate, self.target)
        if self.saved is not None:
            require_same_ground(self.saved, now)
        return now

    def _plan_seen(self) -> Plan:
        return recorded_plan(self.ctx, self.journal.promotion)

    def _eyes(self) -> Eyes:
        return Eyes(self.ctx, self.candidate, self._plan_seen(), self.target, self.config.before(self.target.name),
                    self.ctx.warehouse(self.target), Moment.BEFORE, order=tuple(self.config.environments))  # fmt: skip
