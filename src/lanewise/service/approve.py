"""A person's yes or no to a promotion, bound to what they saw."""

from __future__ import annotations

from dataclasses import dataclass, replace

from lanewise.domain.promotion import Promotion, State
from lanewise.errors import ApprovalRefused, Refused
from lanewise.promotion.approvals import Missing, approved, bound_to, expired, may_approve
from lanewise.promotion.breakglass import seconds_missing
from lanewise.promotion.states import FINAL, abort_to, holds_lock
from lanewise.service import promotions
from lanewise.service.authors import authors_of
from lanewise.service.configure import in_force
from lanewise.service.context import Context
from lanewise.service.ground import recorded_plan
from lanewise.service.promotions import Journal


@dataclass(frozen=True)
class Approved:
    """A recorded approval, and how many more are needed."""

    promotion: Promotion
    by: str
    proved_by: str
    missing: int


def approve(ctx: Context, promotion_id: str, reason: str = "") -> Approved:
    """Record the actor's approval of exactly what the promotion shows now."""
    promotion = promotions.load(ctx, promotion_id)
    if promotion.state is not State.AWAITING_APPROVAL and ctx.actor.name not in seconds_missing(promotion):
        raise Refused(
            f"{promotion.id} is {promotion.state.value} and awaits no approval", hint=f"`lane why {promotion.id}`"
        )
    rule = recorded_plan(ctx, promotion).approvals
    if expired(promotion, rule, ctx.ledger.now()):
        again = f"lane promote {promotion.build[7:15]} --to {promotion.environment}"
        raise ApprovalRefused(f"{promotion.id} was not approved in time and has expired", hint=f"ask again: {again}")
    may_approve(
        ctx.actor.name, ctx.actor.emails, promotion=promotion, rule=rule, people=in_force(ctx).people,
        authors=authors_of(ctx, promotion),
    )  # fmt: skip
    journal = Journal(ctx, promotion)
    after = journal.write("approval.given", actor=ctx.actor.name, bound_to=bound_to(promotion),
                          proved_by=ctx.actor.proved_by, reason=reason)  # fmt: skip
    still = approved(after, rule, bound_to(after))
    missing = max(still.count if isinstance(still, Missing) else 0, len(seconds_missing(after)))
    return Approved(after, ctx.actor.name, ctx.actor.proved_by, missing)


def reject(ctx: Context, promotion_id: str, reason: str) -> Promotion:
    """Refuse a promotion that has not begun."""
    promotion = promotions.load(ctx, promotion_id)
    if promotion.state in FINAL or holds_lock(promotion):
        raise Refused(f"{promotion.id} is {promotion.state.value} and can't be rejected any more",
                      hint=f"`lane rollback {promotion.environment}` takes back what it did")  # fmt: skip
    return Journal(ctx, promotion).move(State.REJECTED, f"{ctx.actor.name}: {reason}")


def retry(ctx: Context, promotion_id: str) -> Promotion:
    """Compute and judge a held step once more."""
    journal = _held(ctx, promotion_id)
    journal.write("hold.retried", step=journal.promotion.step)
    return journal.move(State.CANARY, f"{ctx.actor.name} asked to compute the step again")


def accept(ctx: Context, promotion_id: str, reason: str) -> Promotion:
    """Take the doubt upon oneself. Where approvals are asked for, only who may approve may accept."""
    journal = _held(ctx, promotion_id)
    if not reason.strip():
        raise Refused("accepting a doubt needs a reason, for whoever reads the history", hint='add --reason "…"')
    rule = recorded_plan(ctx, journal.promotion).approvals
    if rule.count:
        may_approve(ctx.actor.name, ctx.actor.emails, promotion=_unapproved(journal.promotion), rule=rule,
                    people=in_force(ctx).people, authors=authors_of(ctx, journal.promotion))  # fmt: skip
    doubt = journal.promotion.reason
    journal.write("hold.accepted", step=journal.promotion.step, actor=ctx.actor.name, reason=reason, doubt=doubt)
    return journal.move(State.JUDGING, f"{ctx.actor.name} accepts: {reason}")


def abort(ctx: Context, promotion_id: str, reason: str) -> Promotion:
    """End a promotion; what it has exposed goes back."""
    promotion = promotions.load(ctx, promotion_id)
    if promotion.state in FINAL:
        raise Refused(f"{promotion.id} has ended already: {promotion.state.value}")
    if promotion.state is State.REVERTING:  # it is on its way back already; whoever carries it on finishes that
        return promotion
    return Journal(ctx, promotion).move(
        abort_to(promotion), f"aborted by {ctx.actor.name}: {reason or 'no reason given'}"
    )


def _held(ctx: Context, promotion_id: str) -> Journal:
    promotion = promotions.load(ctx, promotion_id)
    if promotion.state is not State.HELD:
        raise Refused(f"{promotion.id} is {promotion.state.value}, not held", hint=f"`lane why {promotion.id}`")
    return Journal(ctx, promotion)


def _unapproved(promotion: Promotion) -> Promotion:
    """Having approved the promotion does not keep anybody from accepting a doubt that came up later."""
    return replace(promotion, approvals=())
