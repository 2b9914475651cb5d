"""Which config is in force: the one pinned in the ledger, and how another one takes its place.

Where the pinned config asks for no approvals, a changed file is applied as it is used. Where it does, the change is
proposed, approved by people of the pinned rules' groups, and only then applied: editing a working copy loosens nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from weakref import WeakKeyDictionary

from lanewise.config.load import ENVIRONMENTS_FILE, from_document
from lanewise.domain.canonical import short
from lanewise.domain.environment import ApprovalRule, Config
from lanewise.domain.event import Draft, Event
from lanewise.domain.ports import Ledger
from lanewise.domain.promotion import Approval, Promotion
from lanewise.errors import ApprovalRefused, ConfigError, GroundMoved, NotFound
from lanewise.promotion.approvals import Missing, approved, bound_to, may_approve
from lanewise.promotion.freeze import check_window
from lanewise.service.context import Context

_SHARED = ("people", "identity", "ledger", "builds", "checkpoints", "telemetry")
"""What concerns every environment: who may approve, how that is proved, where the record is kept, who is told."""

_told: WeakKeyDictionary[Ledger, set[str]] = WeakKeyDictionary()
_resolved: WeakKeyDictionary[Ledger, dict[tuple[Any, ...], Config]] = WeakKeyDictionary()
"""By an event's hash and the overrides: what an event says never changes."""


@dataclass(frozen=True)
class Applied:
    """A config was pinned. ``previous`` is the digest before it, "" for the first; equal to ``digest`` when nothing
    had changed. ``environments``: those that it changes."""

    digest: str
    previous: str
    environments: tuple[str, ...]
    automatic: bool = False


@dataclass(frozen=True)
class AwaitingApproval:
    """A config is proposed. ``needed``: environment -> how many more approvals, and from whom."""

    digest: str
    environments: tuple[str, ...]
    proposer: str
    needed: Mapping[str, ApprovalRule] = field(default_factory=dict)


def would_be_in_force(ctx: Context) -> Config:
    """The config that promotions would use, without applying anything: for commands that only look."""
    before, working = pinned(ctx), ctx.config
    return working if before is None or not approvals_needed(before, working) else before


def in_force(ctx: Context) -> Config:
    """The config that promotions use. Applies a changed file first where the pinned config asks for no approvals,
    and says so; else says that ``lane config apply`` is needed. The first config ever is applied as it is."""
    for _ in range(3):
        try:
            return _in_force(ctx)
        except GroundMoved:  # another process has applied a config meanwhile: look again
            continue
    return pinned(ctx) or ctx.config


def pinned(ctx: Context) -> Config | None:
    """The config in the ledger, and nothing else: reads only. None before the first."""
    event = _last_applied(ctx)
    return _config(ctx, event) if event else None


def propose(ctx: Context) -> Applied | AwaitingApproval:
    """Pin the working file, or propose it where the pinned config asks for approvals. Proposing the same again
    changes nothing: the first proposer stays the one who may not approve."""
    expect, working, before = _length(ctx), ctx.config, pinned(ctx)
    if before is None:
        return _apply(ctx, working, None, expect)
    if before.digest == working.digest:
        return Applied(working.digest, working.digest, ())
    needed = approvals_needed(before, working)
    if not needed:
        return _apply(ctx, working, before, expect)
    open_ = _proposal(ctx, working.digest, before, needed)
    if open_:
        return _awaiting(ctx, open_, before)
    data = {
        "digest": working.digest, "document": working.document, "base": before.digest,
        "environments": sorted(changed_environments(before, working)), "approvals": _plain(needed),
    }  # fmt: skip
    (event,) = ctx.ledger.append(_stream(ctx), [Draft("config.proposed", data)], actor=ctx.actor.name, expect=expect)
    return _awaiting(ctx, event, before)


def approve_config(ctx: Context, name: str) -> Applied | AwaitingApproval:
    """Approve a proposed config by its digest or the start of it; applies it when that was the last approval needed.

    ``ApprovalRefused`` for the proposer, for somebody outside the groups, twice, or too late; ``GroundMoved`` when
    another config was applied since it was proposed.
    """
    expect, before = _length(ctx), pinned(ctx)
    proposal = _named(ctx, name)
    if before is None or proposal.data["base"] != before.digest:
        message = f"another config was applied since {short(proposal.data['digest'])} was proposed"
        raise GroundMoved(message, hint="look at it again, then `lane config apply`")
    counts_for = _may_approve(ctx, proposal, before)
    data = {
        "digest": proposal.data["digest"], "proposal": proposal.version, "environments": counts_for,
        "bound_to": bound_to(_as_promotion(ctx, proposal, ())), "proved_by": ctx.actor.proved_by,
    }  # fmt: skip
    mine = Draft("config.approved", data)
    given = [*_approvals(ctx, proposal), (ctx.actor.name, tuple(counts_for), data["bound_to"], "")]
    if _missing(ctx, proposal, before, given):
        ctx.ledger.append(_stream(ctx), [mine], actor=ctx.actor.name, expect=expect)
        return _awaiting(ctx, proposal, before)
    after = _config(ctx, proposal)
    return _apply(ctx, after, before, expect, [mine])


def changed_environments(before: Config, after: Config) -> tuple[str, ...]:
    """The environments that a change of config touches, in the order of the new file, those it removes last.

    Which environments there are, in which order, who the people are and where the record is kept concerns each
    environment that asks for approvals.
    """
    found = {
        name
        for name in {*before.environments, *after.environments}
        if name not in before.environments
        or name not in after.environments
        or before.environments[name].digest != after.environments[name].digest
    }
    shared = any(getattr(before, key) != getattr(after, key) for key in _SHARED)
    if shared or list(before.environments) != list(after.environments):
        found |= {name for name, one in before.environments.items() if one.rules.approvals.count}
    return tuple(name for name in {**after.environments, **before.environments} if name in found)


def approvals_needed(before: Config, after: Config) -> dict[str, ApprovalRule]:
    """The rules of ``before`` that the change to ``after`` must satisfy, by environment."""
    touched = [name for name in changed_environments(before, after) if name in before.environments]
    rules = {name: before.environments[name].rules.approvals for name in touched}
    return {name: rule for name, rule in rules.items() if rule.count}


def _in_force(ctx: Context) -> Config:
    expect, before = _length(ctx), pinned(ctx)
    try:
        working = ctx.config
    except ConfigError as error:
        if before is None:
            raise
        _tell(ctx, error.message, f"{error.message}; the pinned config {short(before.digest)} stays in force")
        return before
    if before is not None and before.digest == working.digest:
        return working
    if before is not None and approvals_needed(before, working):
        names = ", ".join(changed_environments(before, working))
        line = (
            f"{ENVIRONMENTS_FILE} differs from the pinned config ({names}), which stays in force: `lane config apply`"
        )
        _tell(ctx, working.digest, line)
        return before
    done = _apply(ctx, working, before, expect, automatic=True)
    names = ", ".join(done.environments) or "no environment differs"
    if before is not None:
        ctx.progress.say(f"{ENVIRONMENTS_FILE} changed: applied {short(done.digest)} ({names})")
    return working


def _apply(
    ctx: Context,
    config: Config,
    before: Config | None,
    expect: int,
    approvals: Sequence[Draft] = (),
    *,
    automatic: bool = False,
) -> Applied:
    changed = changed_environments(before, config) if before else tuple(config.environments)
    previous = before.digest if before else ""
    data = {
        "digest": config.digest, "document": config.document, "previous": previous,
        "automatic": automatic, "environments": list(changed),
    }  # fmt: skip
    drafts = [*approvals, Draft("config.applied", data)]
    for environment in config.environments.values():
        for window in environment.rules.freeze:
            check_window(window)
    ctx.ledger.append(_stream(ctx), drafts, actor=ctx.actor.name, expect=expect)
    return Applied(config.digest, previous, changed, automatic)


def _may_approve(ctx: Context, proposal: Event, before: Config) -> list[str]:
    """The environments that this person's approval counts for; ``ApprovalRefused`` when there is none."""
    if before.identity != "declared" and ctx.actor.proved_by == "declared":
        hint = "approve as the user you are logged in as"
        raise ApprovalRefused(f"{ctx.actor.name} is merely declared, and the pinned config wants proof", hint=hint)
    proposed = _as_promotion(ctx, proposal, _approvals(ctx, proposal))
    counts_for: list[str] = []
    refusal: ApprovalRefused | None = None
    for name, rule in _rules(proposal, before).items():
        if _expired(ctx, proposal, rule):
            raise ApprovalRefused("this proposal has expired", hint="propose it again: `lane config apply`")
        try:
            may_approve(
                ctx.actor.name, ctx.actor.emails, promotion=proposed, rule=rule,
                people=before.people, authors=(),
            )  # fmt: skip
            counts_for.append(name)
        except ApprovalRefused as error:
            refusal = error
    if refusal and not counts_for:
        raise refusal
    return counts_for


_Given = tuple[str, tuple[str, ...], str, str]
"""Who approved, for which environments, bound to what, when."""


def _approvals(ctx: Context, proposal: Event) -> list[_Given]:
    events = ctx.ledger.read(_stream(ctx), after=proposal.version)
    return [
        (event.actor, tuple(event.data["environments"]), event.data["bound_to"], event.at)
        for event in events
        if event.type == "config.approved" and event.data["proposal"] == proposal.version
    ]


def _missing(ctx: Context, proposal: Event, before: Config, given: Sequence[_Given]) -> dict[str, ApprovalRule]:
    missing: dict[str, ApprovalRule] = {}
    for name, rule in _rules(proposal, before).items():
        promotion = _as_promotion(ctx, proposal, [approval for approval in given if name in approval[1]])
        found = approved(promotion, rule, bound_to(promotion))
        if isinstance(found, Missing):
            missing[name] = ApprovalRule(found.count, found.groups, rule.expires)
    return missing


def _as_promotion(ctx: Context, proposal: Event, given: Sequence[_Given]) -> Promotion:
    """A config change is a promotion too: the same rules say who may approve it."""
    digest = proposal.data["digest"]
    return Promotion(
        id=f"config {short(digest)}", project=ctx.project.name, environment="", build="", config=digest,
        requester=proposal.actor, requested_at=proposal.at,
        approvals=tuple(Approval(actor=actor, bound_to=seen, at=at) for actor, _, seen, at in given),
    )  # fmt: skip


def _awaiting(ctx: Context, proposal: Event, before: Config) -> AwaitingApproval:
    missing = _missing(ctx, proposal, before, _approvals(ctx, proposal))
    names = tuple(proposal.data["environments"])
    return AwaitingApproval(proposal.data["digest"], names, proposal.actor, missing)


def _proposal(ctx: Context, digest: str, before: Config, needed: Mapping[str, ApprovalRule]) -> Event | None:
    """The open proposal of exactly this change, if it has not expired."""
    for event in reversed(ctx.ledger.read(_stream(ctx))):
        if event.type == "config.applied":
            return None
        if event.type == "config.proposed" and event.data["digest"] == digest and event.data["base"] == before.digest:
            return None if any(_expired(ctx, event, rule) for rule in needed.values()) else event
    return None


def _named(ctx: Context, name: str) -> Event:
    proposals = [event for event in ctx.ledger.read(_stream(ctx)) if event.type == "config.proposed"]
    wanted = name.removeprefix("sha256:")
    fits = [event for event in proposals if event.data["digest"].removeprefix("sha256:").startswith(wanted)]
    if len(wanted) < 4 or len({event.data["digest"] for event in fits}) != 1:
        raise NotFound("proposed config", name, known=[short(event.data["digest"]) for event in proposals])
    return fits[-1]


def _rules(proposal: Event, before: Config) -> dict[str, ApprovalRule]:
    return {name: before.environments[name].rules.approvals for name in proposal.data["approvals"]}


def _expired(ctx: Context, proposal: Event, rule: ApprovalRule) -> bool:
    return ctx.ledger.now() - datetime.fromisoformat(proposal.at) >= rule.expires


def _plain(rules: Mapping[str, ApprovalRule]) -> dict[str, Any]:
    return {name: {"count": rule.count, "from": list(rule.groups)} for name, rule in rules.items()}


def _config(ctx: Context, event: Event) -> Config:
    """What an event pins or proposes, resolved once: that takes 10 ms, and a promotion asks eight times."""
    known, overrides = _resolved.setdefault(ctx.ledger, {}), ctx.overrides
    key = (event.hash, *sorted(overrides.items()))
    if key not in known:
        file = f"{ENVIRONMENTS_FILE} (pinned)"
        known[key] = from_document(event.data["document"], ctx.project, overrides, file=file)
    return known[key]


def _stream(ctx: Context) -> str:
    return f"config/{ctx.project.name}"


def _last_applied(ctx: Context) -> Event | None:
    return ctx.ledger.last(_stream(ctx), "config.applied")


def _length(ctx: Context) -> int:
    event = ctx.ledger.last(_stream(ctx))
    return event.version if event else 0


def _tell(ctx: Context, what: str, line: str) -> None:
    """Once a ledger opened: a story asks for the config several times."""
    told = _told.setdefault(ctx.ledger, set())
    if what not in told:
        told.add(what)
        ctx.progress.say(line)
