"""The environments are walled off from each other, and that was measured.

## What it does

Reads the newest measurement of `lane isolation` in the ledger: each identity of each environment, tried on
everything that is another environment's. One try that a server allowed fails, and is named. The gate passes on a
measurement only in which every identity was tried, every try was refused by the server itself, and which was made
under the settings and connections that are in force now, not longer ago than `max_age`. No measurement, an older
one, one of other connections, an identity that was not tried or a server that did not answer are inconclusive; so
is a warehouse of files, which no server walls off.

Arguments: `max_age` (such as `12h`, `7d`; default: the environment's `evidence_expires`), and `without`, the
environments that are knowingly left out of it, such as a `dev` on everybody's own laptop.

## Why it matters

A grant too many is silent until the night in which a test run empties a table of prod. What config declares and
what a server allows drift apart with each hand-made GRANT, and the difference shows only when somebody tries.

## Example

```yaml
promotion:
  prod:
    gates:
      - isolation: {max_age: 7d}
```

## When to switch it off

With the embedded warehouse, where there is nothing to measure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from lanewise.domain.evidence import Evidence, Moment, Verdict
from lanewise.domain.gate import Look
from lanewise.domain.words import counted
from lanewise.errors import ConfigError
from lanewise.promotion.gates.arguments import Arguments
from lanewise.promotion.gates.evidence import Speaker, fresh, moment_of, speaker

_AGAIN = "`lane isolation` measures anew"
_NEEDS = ("max_age", "environments", "walls", "walls_now", "identities", "cells", "holes", "doubts", "unseparated")
_NAMED = 3


class IsolationGate:
    """The gate ``isolation``."""

    name: str = "isolation"
    moments: tuple[Moment, ...] = (Moment.BEFORE,)

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        given = Arguments(self.name, arguments, ("max_age", "without"))
        self._max_age = given.duration("max_age", timedelta(days=1)) if "max_age" in given else None
        self._without = _names(arguments.get("without"))

    def measure(self, look: Look) -> Mapping[str, Any]:
        """The recorded measurement, and how old it may be."""
        age = self._max_age or look.target.rules.evidence_expires
        return {"max_age": age.total_seconds(), **look.isolation()}

    def judge(self, evidence: Evidence | None, now: datetime) -> Verdict:
        """Whole, recent, of what is in force, and refused throughout."""
        if evidence is not None and evidence.facts and "at" not in evidence.facts:
            return speaker(self, evidence).doubts("isolation was never measured", _AGAIN)
        found = fresh(self, evidence, now, "at", *_NEEDS)
        if isinstance(found, Verdict):
            return found
        say, facts = speaker(self, found), found.facts
        outdated = _outdated(facts, now)
        if outdated:
            return say.doubts(outdated, _AGAIN)
        return self._weigh(say, facts)

    def _weigh(self, say: Speaker, facts: Mapping[str, Any]) -> Verdict:
        cells, holes = self._between(facts["cells"]), self._between(facts["holes"])
        allowed = sum(int(cell["allowed"]) for cell in cells)
        if allowed:
            named = _few([f"{_who(h)} may {h['action']} {h['target']['kind']} {h['target']['name']}" for h in holes])
            return say.fails(f"{counted(allowed, 'try')} allowed: {named}".replace("trys", "tries"),
                             _mends(holes), holes)  # fmt: skip
        doubt = self._doubt(facts, cells)
        if doubt:
            return say.doubts(doubt, "`lane isolation` says why", self._between(facts["doubts"]))
        tries = sum(int(cell["tries"]) for cell in cells)
        identities = {(c["identity"]["environment"], c["identity"]["connection"], c["identity"]["role"]) for c in cells}
        left = f"; without {', '.join(self._without)}" if self._without else ""
        return say.passes(f"{tries:,} tries of {len(identities)} identities, all refused, at {facts['at'][:16]}{left}")

    def _doubt(self, facts: Mapping[str, Any], cells: Sequence[Mapping[str, Any]]) -> str:
        """Why a measurement without a hole proves nothing; "" when it does."""
        open_ = [name for name in facts["unseparated"] if name not in self._without]
        if open_:
            return f"not separated: {open_[0]}: {facts['unseparated'][open_[0]]}"
        tried = {(_who(cell), cell["identity"]["connection"], cell["environment"]) for cell in cells if cell["tries"]}
        for one in facts["identities"]:
            for other in one["against"]:
                if {one["environment"], other} & set(self._without):
                    continue
                if (_who({"identity": one}), one["connection"], other) not in tried:
                    return f"{_who({'identity': one})} was not tried on {other}"
        silent = [cell for cell in cells if cell["unreachable"]]
        if silent:
            return f"{_who(silent[0])} could not be tried on all of {silent[0]['environment']}"
        return "" if cells else "nothing was tried"

    def _between(self, found: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """Those that concern no environment which is left out."""
        return [
            one for one in found
            if not {one["identity"]["environment"], _where(one)} & set(self._without)
        ]  # fmt: skip


def _outdated(facts: Mapping[str, Any], now: datetime) -> str:
    at = moment_of(facts["at"])
    if at is None:
        return "the measurement does not say when it was made"
    if now - at >= timedelta(seconds=float(facts["max_age"])):
        return f"isolation was last measured at {at:%Y-%m-%d %H:%M} UTC, too long ago"
    if facts["walls"] != facts["walls_now"]:
        return f"settings or connections have changed since isolation was measured at {at:%Y-%m-%d %H:%M} UTC"
    return ""


def _names(value: object) -> tuple[str, ...]:
    found = (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list | tuple) else ()
    if value is not None and (not found or not all(isinstance(name, str) and name for name in found)):
        raise ConfigError(f"gate isolation: without is {value!r}", hint="it must be a list of environments")
    return found


def _who(one: Mapping[str, Any]) -> str:
    identity = one["identity"]
    return f"{identity['environment']}'s {identity['role']} {identity['user']}"


def _where(one: Mapping[str, Any]) -> str:
    return str(one["target"]["environment"] if "target" in one else one["environment"])


def _few(texts: Sequence[str]) -> str:
    more = len(texts) - _NAMED
    return "; ".join(texts[:_NAMED]) + (f"; and {more} more" if more > 0 else "")


def _mends(holes: Sequence[Mapping[str, Any]]) -> str:
    names = dict.fromkeys(_where(hole) for hole in holes)
    return "; ".join(f"lane provision {name} --apply" for name in names) + ", then `lane isolation`"
