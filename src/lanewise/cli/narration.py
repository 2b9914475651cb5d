"""How a story is told while it happens: one line a state, the gates' verdicts below it, nothing twice."""

from __future__ import annotations

import sys

import typer

from lanewise.cli.output import hanging, paint
from lanewise.domain.evidence import Result, Verdict
from lanewise.domain.promotion import State

MARKS = {Result.PASS: "✓", Result.FAIL: "✗", Result.INCONCLUSIVE: "?", Result.ERROR: "!"}
COLOURS = {Result.PASS: "green", Result.FAIL: "red"}
"""Those of the other results are yellow: nobody knows yet."""

_STATE_COLOURS = {
    State.SUCCEEDED: "green", State.REJECTED: "red", State.REVERTING: "red", State.REVERTED: "red",
    State.REVERT_FAILED: "red", State.HELD: "yellow", State.FROZEN: "yellow", State.AWAITING_APPROVAL: "yellow",
}  # fmt: skip
_WIDEST_STATE = max(len(state.value) for state in State)

_WITHOUT_NEWS = {
    State.GATING: "the gates look again",
    State.HELD: "a person has to decide",
    State.REJECTED: "nothing was changed",
    State.REVERTING: "going back",
    State.REVERTED: "readers see what they saw before",
}
"""What is said where the reason has just been told by a gate."""


class Narration:
    """Progress for people, on standard error. A count is rewritten in place while a long step lasts."""

    def __init__(self) -> None:
        self._counting = False
        self._told: list[str] = []
        self._margin = 8

    def say(self, line: str) -> None:
        """A step is done or begun."""
        self._end_count()
        typer.echo("  " + hanging(line, 2, terminal=sys.stderr.isatty()), err=True)

    def moved(self, promotion: str, state: State, reason: str) -> None:
        """A promotion is in another state. A reason that a gate or an earlier state has told is not told again."""
        text = reason if self._is_news(reason) else _WITHOUT_NEWS.get(state, "")
        self._margin = max(self._margin, len(promotion))
        self._tell(promotion, state.value, text, _STATE_COLOURS.get(state))
        self._told.append(reason)

    def judged(self, verdict: Verdict) -> None:
        """A verdict, below the state in which it fell."""
        text = verdict.reason if verdict.passes else f"{verdict.result.value}: {verdict.reason}"
        colour = COLOURS.get(verdict.result, "yellow")
        self._tell("", f"{MARKS[verdict.result]} {verdict.gate}", text, colour)
        self._told.append(f"{verdict.gate}: {verdict.reason}")

    def advance(self, what: str, done: int, total: int) -> None:
        """``done`` of ``total``; what is done at once needs no count."""
        if done >= total and not self._counting:
            return
        if sys.stderr.isatty():
            typer.echo(f"\r  {'':<{self._margin}}  {what}  {done:,} of {total:,}", err=True, nl=False)
            self._counting = done < total
            if not self._counting:
                typer.echo("", err=True)

    def _tell(self, first: str, second: str, text: str, colour: str | None) -> None:
        self._end_count()
        head = f"  {first:<{self._margin}}  "
        folded = hanging(text, len(head) + _WIDEST_STATE + 2, terminal=sys.stderr.isatty())
        line = f"{head}{paint(f'{second:<{_WIDEST_STATE}}', fg=colour)}  {folded}"
        typer.echo(line.rstrip(), err=True)

    def _is_news(self, reason: str) -> bool:
        left = reason
        for told in sorted(filter(None, self._told), key=len, reverse=True):
            left = left.replace(told, "")
        return bool(left.strip("; "))

    def _end_count(self) -> None:
        if self._counting:
            typer.echo("", err=True)
            self._counting = False
