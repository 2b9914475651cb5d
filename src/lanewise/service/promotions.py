"""Promotions as the ledger tells them: numbering, loading, and writing down what happens to one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lanewise.domain.canonical import plain
from lanewise.domain.event import Draft, Event
from lanewise.domain.promotion import Promotion, State
from lanewise.errors import GroundMoved, NotFound
from lanewise.promotion.fold import fold, fold_on
from lanewise.promotion.states import FINAL, check_move, holds_lock
from lanewise.service.context import Context

FINISHED = "promotion.finished"


def stream_of(project: str, promotion: str) -> str:
    """``prod-12`` of project ``orders`` is told in ``promotion/orders/prod/12``."""
    environment, dash, number = promotion.rpartition("-")
    if not (dash and number.isdigit() and environment):
        raise NotFound("promotion", promotion, hint="a promotion is named like prod-12; `lane status` lists them")
    return f"promotion/{project}/{environment}/{number}"


def load(ctx: Context, promotion: str) -> Promotion:
    """One promotion, folded from its events."""
    events = ctx.ledger.read(stream_of(ctx.project.name, promotion))
    if not events:
        prefix = f"promotion/{ctx.project.name}/"
        known = [s.removeprefix(prefix).replace("/", "-") for s in ctx.ledger.streams(prefix)]
        raise NotFound("promotion", promotion, known=known, hint="" if known else "nothing was ever promoted here")
    return fold(events)


def requested(ctx: Context, promotion: Promotion) -> Mapping[str, Any]:
    """What was asked for: among it the pinned config's ``document`` and the ``overrides`` that were in force."""
    return ctx.ledger.read(stream_of(promotion.project, promotion.id))[0].data


def open_promotions(ctx: Context, environment: str) -> tuple[Promotion, ...]:
    """The unfinished promotions into an environment, oldest first."""
    prefix = f"promotion/{ctx.project.name}/{environment}/"
    return tuple(fold(ctx.ledger.read(s)) for s in ctx.ledger.streams(prefix, without=[FINISHED]))


def under_way(ctx: Context, environment: str) -> Promotion | None:
    """The promotion that has begun to change the environment and is not finished, if there is one."""
    return next((p for p in open_promotions(ctx, environment) if holds_lock(p)), None)


def request(ctx: Context, environment: str, facts: Mapping[str, Any]) -> Promotion:
    """Write the next number's ``promotion.requested``. Two at once get two numbers."""
    prefix = f"promotion/{ctx.project.name}/{environment}/"
    number = len(ctx.ledger.streams(prefix)) + 1
    while True:
        data = {"id": f"{environment}-{number}", "project": ctx.project.name, "environment": environment, **facts}
        try:
            ctx.ledger.append(f"{prefix}{number}", [Draft("promotion.requested", data)],
                              actor=ctx.actor.name, expect=0)  # fmt: skip
        except GroundMoved:
            number += 1
        else:
            return load(ctx, f"{environment}-{number}")


@dataclass
class Journal:
    """One promotion while it is being driven: every change is written before it is believed.

    Writes carry the length the stream had when it was last read, so that a second driver, or a person who
    decides meanwhile, is noticed (``GroundMoved``) instead of overwritten.
    """

    ctx: Context
    promotion: Promotion
    _told: tuple[Event, ...] = field(default=(), init=False, repr=False)  # what was read already never changes

    @property
    def _stream(self) -> str:
        return stream_of(self.promotion.project, self.promotion.id)

    def write(self, type_: str, **data: Any) -> Promotion:
        """Append one event and fold it in."""
        return self.write_all([Draft(type_, plain(data))])

    def write_all(self, drafts: list[Draft]) -> Promotion:
        """Append several events, all or none. They are the next ones of the stream, or else refused."""
        written = self.ctx.ledger.append(self._stream, drafts, actor=self.ctx.actor.name, expect=self.promotion.version)
        self.promotion = fold_on(self.promotion, written)
        return self.promotion

    def move(self, state: State, reason: str, **data: Any) -> Promotion:
        """Go to another state; a final one also finishes the promotion."""
        check_move(self.promotion.state, state, came_from=self.promotion.came_from)
        facts = {"state": state.value, "reason": reason, "step": self.promotion.step,
                 "exposed": self.promotion.exposed, **data}  # fmt: skip
        drafts = [Draft("promotion.moved", plain(facts))]
        if state in FINAL:
            drafts.append(Draft(FINISHED, {"state": state.value, "reason": reason}))
        self.ctx.progress.moved(self.promotion.id, state, reason)
        return self.write_all(drafts)

    def events(self) -> tuple[Event, ...]:
        """Everything that was written of it, in order."""
        self._told += self.ctx.ledger.read(self._stream, after=len(self._told))
        return self._told

    def refresh(self) -> Promotion:
        """Read the stream again."""
        self.promotion = load(self.ctx, self.promotion.id)
        return self.promotion
