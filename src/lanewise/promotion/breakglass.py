"""Break-glass: going on although a gate has not passed. It skips gates that are named, for a reason that is recorded,
with a second person or until a set time; what guards integrity is never skipped; and it leaves work behind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from lanewise.domain.promotion import BrokenGlass, Promotion
from lanewise.errors import NotFound, Refused
from lanewise.promotion.approvals import bound_to

FREEZE = "freeze"
"""The one rule beside the gates that may be skipped by name: an outage does not wait for Monday."""

INTEGRITY = frozenset({"retained", "build", "fence", "ledger"})
"""Never skipped: without them a wrong build could run, two promotions could write at once, or nothing could go back."""

_OWN_KEYS = frozenset({"approvals", "rollout", "canary"})
_FOLLOW_UP_WITHIN = timedelta(days=3)


@dataclass(frozen=True)
class Waiver:
    """Who breaks the glass, why, and what limits it: a second person who stands by it, or the time it ends."""

    actor: str
    reason: str
    second: str = ""
    expires: datetime | None = None


@dataclass(frozen=True)
class Obligation:
    """Something that has to be made up for. ``due`` is UTC; ``what`` is one sentence."""

    gate: str
    what: str
    due: datetime


def skippable(gates: Sequence[str], named: Sequence[str], *, waiver: Waiver, now: datetime) -> tuple[str, ...]:
    """The gates that this waiver skips: those of ``named``, once each. ``gates`` are the ones that the target asks for.

    Raises ``NotFound`` for a name that is no gate there, ``Refused`` for one that guards integrity, for a missing
    reason, and when neither another person nor a time to come limits it.
    """
    names = tuple(dict.fromkeys(named))
    if not names:
        raise Refused("break-glass skips gates by name, and none is named", hint=f"there is {', '.join(gates)}")
    for name in names:
        _check_name(name, gates)
    if not waiver.reason.strip():
        raise Refused("break-glass needs a reason, for whoever reads the history", hint='add --reason "…"')
    _check_limit(waiver, now)
    return names


def _check_name(name: str, gates: Sequence[str]) -> None:
    if name in INTEGRITY:
        raise Refused(f"{name} is never skipped: it guards what a rollback and the history rest on",
                      hint="`lane rollback ENV` needs no gate")  # fmt: skip
    if name in _OWN_KEYS:
        raise Refused(f"{name} is no gate, and break-glass skips gates only",
                      hint="change it in environments.yaml, and `lane config apply` the file")  # fmt: skip
    if name not in gates and name != FREEZE:
        raise NotFound("gate", name, known=[*(g for g in gates if g not in INTEGRITY), FREEZE])


def _check_limit(waiver: Waiver, now: datetime) -> None:
    second = waiver.second.strip()
    if second and second.casefold() == waiver.actor.strip().casefold():
        raise Refused(f"{second} can't be their own second person", hint="name somebody else, or set an expiry")
    if waiver.expires is not None and waiver.expires <= now:
        raise Refused(f"the expiry {waiver.expires.isoformat()} has passed already", hint="name a time to come")
    if not second and waiver.expires is None:
        raise Refused("break-glass needs a second person or an expiry", hint="name one of them")


def seconds_missing(promotion: Promotion) -> tuple[str, ...]:
    """The second persons named behind a broken glass who have not approved it themselves, as it stands. One that
    runs out by itself needs none."""
    stood_by = {a.actor.casefold() for a in promotion.approvals if a.bound_to == bound_to(promotion)}
    named = {broken.second.strip() for broken in promotion.glass if broken.second.strip() and not broken.expires}
    return tuple(sorted(name for name in named if name.casefold() not in stood_by))


def skips(promotion: Promotion, gate: str, now: datetime) -> bool:
    """Whether a gate is skipped for this promotion now: named by a break-glass that has not run out."""
    return any(gate in broken.gates and not _ran_out(broken, now) for broken in promotion.glass)


def follow_up(promotion: Promotion, broken: BrokenGlass) -> tuple[Obligation, ...]:
    """What has to be done afterwards: each skipped gate is asked after all, by the expiry or within three days."""
    due = datetime.fromisoformat(broken.expires or broken.at)
    if not broken.expires:
        due += _FOLLOW_UP_WITHIN
    return tuple(Obligation(gate, _owed(promotion, gate, broken.reason), due) for gate in broken.gates)


def _owed(promotion: Promotion, gate: str, reason: str) -> str:
    if gate == FREEZE:
        return f"say why {promotion.id} could not wait for the freeze to end (given reason: {reason})"
    return f"make gate {gate} pass for {promotion.id}, which went on without it (given reason: {reason})"


def _ran_out(broken: BrokenGlass, now: datetime) -> bool:
    return bool(broken.expires) and now >= datetime.fromisoformat(broken.expires)
