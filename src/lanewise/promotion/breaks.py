"""What a change of columns does to those who read a published view: told in the plan, and refused while somebody else's
relation is built upon it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from lanewise.domain.publication import Break
from lanewise.errors import Refused

ANEW = "the view is made anew in the publishing transaction"
NEVER = "nothing is ever dropped with CASCADE"


def told(sentences: Sequence[str], found: Break | None) -> tuple[str, ...]:
    """What the contract says about a table, with what its warehouse adds. A column of which both speak is told once,
    in the contract's words: those know what was declared."""
    if found is None:
        return tuple(sentences)
    columns = [f"{found.table}: {subject} " for subject in map(_subject, found.changes)]
    said = [f"{line}; {ANEW}" if line.startswith(tuple(columns)) else line for line in sentences]
    lacking = [change for change, column in zip(found.changes, columns, strict=True)
               if not any(line.startswith(column) for line in sentences)]  # fmt: skip
    return (*said, *(f"{found.table}: {change}; {ANEW}" for change in lacking), *_standing_upon(found))


def told_of_dropped(sentences: Sequence[str], found: Break | None) -> tuple[str, ...]:
    """The same for a table that is no longer published: its view goes, and is not made anew."""
    return (*sentences, *(_standing_upon(found) if found else ()))


def reason(found: Break) -> str:
    """Why this can't be published now."""
    return f"{found.table}: {'; '.join(found.changes)}, and {_listed(found.dependants)} {_upon(found)}"


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


def _subject(change: str) -> str:
    """``column note`` of "column note is dropped"."""
    return " ".join(change.split()[:2])


def _upon(found: Break) -> str:
    return "is built upon it" if len(found.dependants) == 1 else "are built upon it"


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
