"""What a promotion waits for, who can do something about it, and the command to type: the answer of ``lane why``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from lanewise.domain.canonical import short
from lanewise.domain.environment import ApprovalRule, Person
from lanewise.domain.event import Lease
from lanewise.domain.evidence import Verdict
from lanewise.domain.plan import Plan
from lanewise.domain.promotion import Promotion, State
from lanewise.promotion.approvals import Missing, approved, bound_to, eligible, expired
from lanewise.promotion.breakglass import FREEZE, seconds_missing, skips
from lanewise.promotion.freeze import OpenFreeze
from lanewise.promotion.states import HOLDS_LEASE, holds_lock


@dataclass(frozen=True)
class Explanation:
    """``sentence``: what it waits for. ``details``: who can do what, a line each. ``command``: what to type next;
    empty when there is nothing to do."""

    sentence: str
    details: tuple[str, ...] = ()
    command: str = ""


@dataclass(frozen=True)
class _Scene:
    """All that the answer depends on."""

    promotion: Promotion
    plan: Plan | None
    now: datetime
    rule: ApprovalRule
    people: Mapping[str, Person]
    freeze: OpenFreeze | None
    holder: Lease | None  # somebody else's, and not run out
    working: bool  # a process holds the lease for this promotion

    @property
    def go_on(self) -> str:
        """What carries it on."""
        return f"lane promote {short(self.promotion.build)} --to {self.promotion.environment}"

    @property
    def because(self) -> str:
        """The recorded reason, as the end of a sentence."""
        return f": {self.promotion.reason}" if self.promotion.reason else ""


def why(  # noqa: PLR0913 - each is one fact that the caller has looked up, and all but the first two are named
    promotion: Promotion,
    plan: Plan | None,
    *,
    now: datetime,
    rule: ApprovalRule,
    people: Mapping[str, Person],
    freeze: OpenFreeze | None,
    holder: Lease | None,
) -> Explanation:
    """Explain where the promotion stands at ``now``. ``rule`` is the target's in force; the one that the plan was made
    with counts where there is a plan. ``freeze`` and ``holder`` are those of the target now, if any."""
    lease = holder if holder is not None and holder.until > now else None
    mine = lease is not None and (lease.fence == promotion.fence or lease.holder == promotion.id)
    scene = _Scene(
        promotion, plan, now, plan.approvals if plan else rule, people, freeze,
        holder=None if mine else lease, working=lease is not None and (mine or promotion.state in HOLDS_LEASE),
    )  # fmt: skip
    return _ANSWERS[promotion.state](scene)


def _requested(scene: _Scene) -> Explanation:
    return Explanation(f"{scene.promotion.id} has been asked for, and its gates have not looked yet", (), scene.go_on)


def _gating(scene: _Scene) -> Explanation:
    promotion = scene.promotion
    open_ones = [v for v in promotion.verdicts if not v.passes and not skips(promotion, v.gate, scene.now)]
    if not open_ones:
        judged = {v.gate for v in promotion.verdicts}
        names = [g.name for g in scene.plan.gates if g.name not in judged] if scene.plan else []
        waits = f"gates {', '.join(names)}" if names else "its gates"
        return Explanation(f"{promotion.id} waits for {waits} to look", (), scene.go_on)
    names = [v.gate for v in open_ones]
    return Explanation(
        f"{promotion.id} waits for {'gate' if len(names) == 1 else 'gates'} {', '.join(names)}",
        (*map(_told, open_ones), "they look again when it is carried on", _refusing(promotion)),
        scene.go_on,
    )


def _refusing(promotion: Promotion) -> str:
    return f'to refuse it: lane reject {promotion.id} --reason "…"'


def _told(verdict: Verdict) -> str:
    hint = f" ({verdict.hint})" if verdict.hint else ""
    return f"{verdict.gate}: {verdict.result.value}, {verdict.reason}{hint}"


def _awaiting(scene: _Scene) -> Explanation:
    promotion = scene.promotion
    if expired(promotion, scene.rule, scene.now):
        return Explanation(f"{promotion.id} was not approved in time and has expired", (), scene.go_on)
    missing, seconds = approved(promotion, scene.rule, bound_to(promotion)), seconds_missing(promotion)
    if not isinstance(missing, Missing) and seconds:
        sentence = f"{promotion.id} waits for {' and '.join(seconds)} to stand by its broken glass"
        named = f"named as second person by {promotion.glass[-1].actor}"
        return Explanation(sentence, (named,), f"lane approve {promotion.id}")
    if not isinstance(missing, Missing):
        return Explanation(f"{promotion.id} is approved by {', '.join(missing.by) or 'the rule'} and can go on",
                           (), scene.go_on)  # fmt: skip
    count, groups = missing.count, " or ".join(missing.groups)
    whom = f" from {groups}" if groups else ", by somebody other than the one who asked"
    details = [_who_may(scene)]
    details += [
        f"{name} approved something that has changed since: that yes no longer counts" for name in missing.voided
    ]
    until = datetime.fromisoformat(promotion.requested_at) + scene.rule.expires
    details += [f"the request expires at {_time(until)}", _refusing(promotion)]
    sentence = f"{promotion.id} waits for {count} more {'approval' if count == 1 else 'approvals'}{whom}"
    return Explanation(sentence, tuple(details), f"lane approve {promotion.id}")


def _who_may(scene: _Scene) -> str:
    promotion, rule = scene.promotion, scene.rule
    names = eligible(promotion, rule, scene.people)
    never = f"not {promotion.requester}, who asked, nor whoever wrote the commit"
    if names:
        return f"{' or '.join(names)} can approve it; {never}"
    if rule.groups:
        return (f"nobody who may is listed in {' or '.join(rule.groups)}: add a person under `people` in "
                f"environments.yaml ({never})")  # fmt: skip
    return f"anybody can approve it; {never}"


def _ready(scene: _Scene) -> Explanation:
    promotion = scene.promotion
    if scene.holder is not None:
        return Explanation(f"{promotion.id} is ready, and waits for {scene.holder.holder}, which is at work in "
                           f"{promotion.environment}", ("`lane status` shows how far it is",), scene.go_on)  # fmt: skip
    if scene.freeze is not None and not skips(promotion, FREEZE, scene.now):
        return _frozen(scene)
    return Explanation(f"{promotion.id} is ready: nothing keeps it from going on", (), scene.go_on)


def _frozen(scene: _Scene) -> Explanation:
    promotion = scene.promotion
    if scene.freeze is None:
        return Explanation(f"the freeze that {promotion.id} waited for is over", (), scene.go_on)
    half = f"{promotion.exposed} of its steps stay as readers see them" if holds_lock(promotion) else ""
    details = [half, "a rollback waits for no freeze", f"then type {scene.go_on}"]
    if not holds_lock(promotion):
        details.append(f'in an emergency: {scene.go_on} --break-glass {FREEZE} --reason "…" --second PERSON')
    return Explanation(
        f"{promotion.id} waits for a freeze to end at {_time(scene.freeze.until)}: {scene.freeze.reason}",
        tuple(line for line in details if line), f"lane status {promotion.environment}",
    )  # fmt: skip


def _running(scene: _Scene) -> Explanation:
    """Under the lock. A promotion whose lease nobody holds was interrupted: the next command finishes or reverts it."""
    promotion = scene.promotion
    doing = _DOING[promotion.state]
    if promotion.state in {State.CANARY, State.JUDGING} and scene.plan is not None:
        doing += f" (step {promotion.step + 1} of {len(scene.plan.steps)})"
    if scene.working:
        return Explanation(f"{promotion.id} is {doing}; wait for it", (), f"lane status {promotion.environment}")
    return Explanation(
        f"{promotion.id} was {doing} and nobody is at work on it any more{scene.because}",
        ("the next promote finishes it, or takes it back", f"to take it back: lane decide {promotion.id} abort"),
        scene.go_on,
    )  # fmt: skip


def _held(scene: _Scene) -> Explanation:
    promotion = scene.promotion
    doubts = [v for v in promotion.verdicts if not v.passes and not skips(promotion, v.gate, scene.now)]
    may = "somebody who may approve it" if scene.rule.count else "somebody"
    return Explanation(
        f"{promotion.id} is held: the evidence is inconclusive, and a person has to decide{scene.because}",
        (
            *map(_told, doubts),
            "retry computes and judges the step again",
            f'{may} can accept the doubt: lane decide {promotion.id} accept --reason "…"',
            f"abort takes back what readers see of it: lane decide {promotion.id} abort",
        ),
        f"lane decide {promotion.id} retry",
    )


def _succeeded(scene: _Scene) -> Explanation:
    promotion = scene.promotion
    return Explanation(f"{promotion.id} succeeded: build {short(promotion.build)} went live in {promotion.environment}",
                       (f"to take it back: lane rollback {promotion.environment}",))  # fmt: skip


def _reverted(scene: _Scene) -> Explanation:
    promotion = scene.promotion
    return Explanation(
        f"{promotion.id} was taken back, and readers see what they saw before{scene.because}",
        (*(_told(v) for v in promotion.verdicts if not v.passes), "a mended build is a new promotion"),
    )


def _revert_failed(scene: _Scene) -> Explanation:
    promotion = scene.promotion
    return Explanation(
        f"{promotion.id} could not be taken back, and {promotion.environment} is locked{scene.because}",
        ("nothing moves into it until a rollback has repaired it",
         f"then let promotions go on: lane resume {promotion.environment}"),
        f"lane rollback {promotion.environment}",
    )  # fmt: skip


def _rejected(scene: _Scene) -> Explanation:
    failed = [_told(v) for v in scene.promotion.verdicts if not v.passes]
    again = "a mended build is a new promotion; the same one can be asked for again"
    return Explanation(f"{scene.promotion.id} was rejected{scene.because}", (*failed, again))


def _superseded(scene: _Scene) -> Explanation:
    return Explanation(f"{scene.promotion.id} gave way to a newer promotion{scene.because}")


def _expired(scene: _Scene) -> Explanation:
    return Explanation(
        f"{scene.promotion.id} expired{scene.because}", ("ask again, if it is still wanted",), scene.go_on
    )


def _aborted(scene: _Scene) -> Explanation:
    return Explanation(f"{scene.promotion.id} was aborted before it changed anything{scene.because}")


def _time(moment: datetime) -> str:
    return moment.isoformat(timespec="minutes")


_DOING: Mapping[State, str] = {
    State.ACQUIRING: "taking the lane",
    State.PREPARING: "preparing",
    State.CANARY: "computing the canary",
    State.JUDGING: "judging the canary",
    State.CUTOVER: "moving readers to the new build",
    State.VERIFYING: "looking at what was released",
    State.REVERTING: "going back",
}

_ANSWERS: Mapping[State, Callable[[_Scene], Explanation]] = {
    State.REQUESTED: _requested,
    State.GATING: _gating,
    State.AWAITING_APPROVAL: _awaiting,
    State.READY: _ready,
    State.FROZEN: _frozen,
    **dict.fromkeys(_DOING, _running),
    State.HELD: _held,
    State.SUCCEEDED: _succeeded,
    State.REVERTED: _reverted,
    State.REVERT_FAILED: _revert_failed,
    State.REJECTED: _rejected,
    State.SUPERSEDED: _superseded,
    State.EXPIRED: _expired,
    State.ABORTED: _aborted,
}
