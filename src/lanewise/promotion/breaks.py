"""What a change of columns does to those who read a published view: told in the plan, and refused while somebody else's
relation is built upon it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from lanewise.domain.publication import Break
from lanewise.errors import Refused

ANEW = "the view is made anew in the publishing transaction"
NEVER = "nothing is ever dropped with CASCADE"


def told(sentences: Sequence[str], found: Break | None) -> tuple[str, ...]:
    """What the contract says about a table, with what its warehouse adds. A change of which both speak is told once,
    in the contract's words: those know what was declared."""
    if found is None:
        return tuple(sentences)
    known = [_same(found.table, change) for change in found.changes]
    every = tuple(start for starts in known for start in starts)
    said = [f"{line}; {ANEW}" if line.startswith(every) else line for line in sentences]
    lacking = [change for change, starts in zip(found.changes, known, strict=True)
               if not any(line.startswith(starts) for line in sentences)]  # fmt: skip
    return (*said, *(f"{found.table}: {change}; {ANEW}" for change in lacking), *_standing_upon(found))


def reason(found: Break) -> str:
    """Why this can't be published now."""
    changes = "; ".join(found.changes) or "its columns change"
    return f"{found.table}: {changes}, and {_listed(found.dependants)} {_upon(found)}"


def hint(found: Iterable[Break]) -> str:
    """What somebody has to do first."""
    names = dict.fromkeys(name for one in found for name in one.dependants)
    return f"drop or change {_listed(tuple(names))} first; {NEVER}"


def demand_none_upon(breaks: Mapping[str, Break]) -> None:
    """``Refused``, naming what is built upon them, when views have to be made anew and somebody stands on one."""
    stuck = [found for found in breaks.values() if found.dependants]
    if stuck:
        raise Refused("; ".join(map(reason, stuck)), hint=hint(stuck))


def _standing_upon(found: Break) -> tuple[str, ...]:
    return tuple(f"{name} is built upon it: drop or change it first; {NEVER}" for name in found.dependants)


def _same(table: str, change: str) -> tuple[str, ...]:
    """How the contract's sentences about this change begin: "note is dropped" is about the column note."""
    if "order" in change.split():
        return (f"{table}: columns change their order",)
    return (f"{table}: column {change.removeprefix('column ').split(maxsplit=1)[0]} ",)


def _upon(found: Break) -> str:
    return "is built upon it" if len(found.dependants) == 1 else "are built upon it"


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
