"""A promotion's stream of events, folded into where it stands.

===================== ==================================================================================
event                 what it tells
===================== ==================================================================================
promotion.requested   ``id project environment build config requester opened_by``: always the first
promotion.planned     ``plan`` (digest), ``document``
promotion.moved       ``state reason``, and where they changed ``step exposed until``
gate.judged           ``verdict evidence``
approval.given        ``actor bound_to proved_by reason``
glass.broken          ``gates reason second expires``
promotion.acquired    ``fence base_map``
promotion.finished    ``state reason``
===================== ==================================================================================

``step.*`` are the journal of the rollout, and types that are not known come from a newer version: both only count
as events of the stream.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from lanewise.domain.canonical import digest
from lanewise.domain.event import Event
from lanewise.domain.evidence import Moment, Result, Verdict
from lanewise.domain.promotion import Approval, BrokenGlass, Promotion, State
from lanewise.errors import LedgerTampered


def fold(events: Iterable[Event]) -> Promotion:
    """The promotion that these events of one stream, in order, tell of.

    Raises ``LedgerTampered`` when the first is not its request, or an event lacks what its type says.
    """
    told = iter(events)
    first = next(told, None)
    if first is None or first.type != "promotion.requested":
        raise LedgerTampered("a promotion's stream begins with promotion.requested, and this one does not",
                             hint="`lane verify` says where the ledger is broken")  # fmt: skip
    return fold_on(_read(_requested, None, first), told)


def fold_on(promotion: Promotion, events: Iterable[Event]) -> Promotion:
    """The same promotion after the events that follow those it was folded from. Raises ``LedgerTampered``."""
    for event in events:
        step = _FOLDS.get(event.type)
        if step is not None:
            promotion = _read(step, promotion, event)
        promotion = replace(promotion, version=event.version)
    return promotion


def _read(step: Callable[[Any, Event], Promotion], promotion: Promotion | None, event: Event) -> Promotion:
    try:
        return step(promotion, event)
    except (KeyError, TypeError, ValueError) as error:
        raise LedgerTampered(
            f"event {event.seq} is no {event.type} that this version can read: {error!r}",
            hint="`lane verify` says whether it was changed; a newer lane may have written it",
        ) from error


def _requested(_: None, event: Event) -> Promotion:
    data = event.data
    return Promotion(
        id=data["id"], project=data["project"], environment=data["environment"], build=data["build"],
        config=data["config"], requester=data["requester"], requested_at=event.at, version=event.version,
        opened_by=data.get("opened_by", ""), moved_at=event.at,
    )  # fmt: skip


def _planned(promotion: Promotion, event: Event) -> Promotion:
    return replace(promotion, plan=event.data["plan"])


def _moved(promotion: Promotion, event: Event) -> Promotion:
    data, state = event.data, State(event.data["state"])
    stays = state is promotion.state  # a longer freeze: it still goes on where it was before the first one
    return replace(
        promotion, state=state, reason=data.get("reason", ""), moved_at=event.at,
        came_from=promotion.came_from if stays else promotion.state,
        step=data.get("step", promotion.step), exposed=data.get("exposed", promotion.exposed),
        until=data.get("until") or "",
    )  # fmt: skip


def _judged(promotion: Promotion, event: Event) -> Promotion:
    """The newest verdict of a gate at a moment stands: a later fail revokes an earlier pass."""
    data = event.data
    verdict = _verdict(data["verdict"])
    others = tuple(v for v in promotion.verdicts if (v.gate, v.moment) != (verdict.gate, verdict.moment))
    seen = digest([data["verdict"], data.get("evidence")])
    evidence = {**promotion.evidence, f"{verdict.gate}@{verdict.moment.value}": seen}
    return replace(promotion, verdicts=(*others, verdict), evidence=evidence)


def _verdict(data: Mapping[str, Any]) -> Verdict:
    return Verdict(
        gate=data["gate"], moment=Moment(data["moment"]), result=Result(data["result"]), reason=data["reason"],
        hint=data.get("hint", ""), details=tuple(data.get("details", ())),
    )  # fmt: skip


def _approved(promotion: Promotion, event: Event) -> Promotion:
    data = event.data
    approval = Approval(
        actor=data["actor"], bound_to=data["bound_to"], at=event.at,
        proved_by=data.get("proved_by", "os-user"), reason=data.get("reason") or "",
    )  # fmt: skip
    return replace(promotion, approvals=(*promotion.approvals, approval))


def _glass(promotion: Promotion, event: Event) -> Promotion:
    data = event.data
    gates = tuple(data["gates"])
    broken = BrokenGlass(
        gates=gates, reason=data["reason"], actor=event.actor, at=event.at,
        second=data.get("second") or "", expires=data.get("expires") or "",
    )  # fmt: skip
    names = tuple(dict.fromkeys((*promotion.broken_glass, *gates)))
    return replace(promotion, glass=(*promotion.glass, broken), broken_glass=names)


def _acquired(promotion: Promotion, event: Event) -> Promotion:
    return replace(promotion, fence=event.data["fence"], base_map=event.data["base_map"])


def _finished(promotion: Promotion, event: Event) -> Promotion:
    """Says once more, for those who only look for the end, what the last move said."""
    state = State(event.data["state"])
    came_from = promotion.came_from if state is promotion.state else promotion.state
    return replace(promotion, state=state, reason=event.data.get("reason", ""), came_from=came_from)


_FOLDS: Mapping[str, Callable[[Promotion, Event], Promotion]] = {
    "promotion.planned": _planned,
    "promotion.moved": _moved,
    "gate.judged": _judged,
    "approval.given": _approved,
    "glass.broken": _glass,
    "promotion.acquired": _acquired,
    "promotion.finished": _finished,
}
