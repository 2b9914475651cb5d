"""Every error that Lanewise raises on purpose, in one tree.

::

    LaneError
    ├── Refused            exit 1: the request is understood and not allowed now
    │   ├── GroundMoved        a plan, map or stream changed under the request
    │   ├── LeaseHeld          somebody else is at work on this lane
    │   ├── FenceRefused       a write carried an older fencing number
    │   ├── GateRefused        a gate failed or could not tell
    │   ├── Frozen             a freeze window is open
    │   ├── ApprovalRefused    this person may not approve this
    │   ├── Quarantined        the build was rolled back and not cleared
    │   ├── BuildTampered      bytes differ from the digest
    │   ├── RunFailed          the pipeline's own command failed, or its output did not pass audit
    │   └── LedgerTampered     the history does not verify
    ├── WrongInput         exit 2: the request can't be understood
    │   ├── ConfigError        one of the two files, with file, line and column
    │   ├── NotFound           no such environment, build, promotion, table … with the nearest names
    │   └── BadReference       a secret reference that is malformed
    └── OutsideBroke       exit 3: something that Lanewise needs is away or full
        ├── LedgerUnavailable
        ├── StoreUnavailable
        ├── WarehouseUnavailable
        ├── OrchestratorUnavailable
        ├── SecretUnavailable  a reference did not resolve (never shows a value)
        └── LoginRefused       a server was reached and refused the secret

An error carries facts and says what to do next: ``message`` for what happened, ``hint`` for the way on.
The command line prints both on standard error and exits with ``exit_code``.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as type checkers know it: pipeline code imports this module, and `typing` costs 6 ms
if TYPE_CHECKING:
    from collections.abc import Iterable


class LaneError(Exception):
    """The root. ``exit_code`` is what the command line exits with."""

    exit_code = 3

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class Refused(LaneError):
    """Understood, and not allowed now."""

    exit_code = 1


class GroundMoved(Refused):
    """Something that the request was decided on has changed since."""


class LeaseHeld(Refused):
    """Another holder is at work in this scope."""

    def __init__(self, scope: str, holder: str, *, until: str = "") -> None:
        tail = f" until {until}" if until else ""
        super().__init__(f"{scope} is held by {holder}{tail}", hint="wait for it, or see `lane status`")
        self.scope, self.holder, self.until = scope, holder, until


class FenceRefused(Refused):
    """A write carried a fencing number older than one already seen."""

    def __init__(self, offered: int, seen: int) -> None:
        super().__init__(
            f"fencing number {offered} is older than {seen}: another promotion has taken over",
            hint="see `lane status` for who did",
        )
        self.offered, self.seen = offered, seen


class GateRefused(Refused):
    """A gate's verdict is not a pass."""


class Frozen(Refused):
    """A freeze window is open."""


class ApprovalRefused(Refused):
    """This person may not approve this request."""


class Quarantined(Refused):
    """The build was rolled back and nobody has cleared it."""


class BuildTampered(Refused):
    """Bytes do not match the digest they are stored under."""


class RunFailed(Refused):
    """A run's command failed, or what it wrote did not pass audit."""


class LedgerTampered(Refused):
    """The history does not verify: an event was changed, dropped or cut off."""


class WrongInput(LaneError):
    """The request can't be understood."""

    exit_code = 2


class ConfigError(WrongInput):
    """One of the project's files is wrong, at a place that can be pointed at."""

    def __init__(self, message: str, *, file: str = "", line: int = 0, column: int = 0, hint: str = "") -> None:
        place = ":".join([file, *([str(line)] if line else []), *([str(column)] if line and column else [])])
        super().__init__(f"{place}: {message}" if place else message, hint=hint)
        self.reason, self.file, self.line, self.column = message, file, line, column


class NotFound(WrongInput):
    """No thing of this kind has this name; the nearest known ones are in the hint."""

    def __init__(self, kind: str, name: str, *, known: Iterable[str] = (), hint: str = "") -> None:
        self.kind, self.name, self.known = kind, name, tuple(known)
        super().__init__(f"no {kind} named {name!r}", hint=hint or nearest_hint(name, self.known))


class BadReference(WrongInput):
    """A secret reference is malformed."""


class OutsideBroke(LaneError):
    """Something that Lanewise needs is away, full or read-only."""

    exit_code = 3


class LedgerUnavailable(OutsideBroke):
    """The ledger can't be reached or written."""


class StoreUnavailable(OutsideBroke):
    """The build store can't be reached or written."""


class WarehouseUnavailable(OutsideBroke):
    """The warehouse can't be reached or written."""


class OrchestratorUnavailable(OutsideBroke):
    """The orchestrator can't be reached, or does not do what it accepted."""


class SecretUnavailable(OutsideBroke):
    """A secret reference did not resolve. Carries the reference, never a value."""


class LoginRefused(OutsideBroke):
    """A server was reached and said no to what the secret reference resolves to."""


def nearest_hint(name: str, known: Iterable[str]) -> str:
    """Say which of ``known`` was probably meant, or list them when there are few."""
    import difflib  # noqa: PLC0415 - 2 ms that `lanewise.current()` need not pay

    names = sorted(set(known))
    close = difflib.get_close_matches(name, names, n=2, cutoff=0.55)
    if close:
        return f"did you mean {' or '.join(close)}?"
    if 0 < len(names) <= 12:
        return f"there is {', '.join(names)}"
    return ""
