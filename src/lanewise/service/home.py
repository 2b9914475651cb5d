"""Where this project's record is kept, remembered outside of the working copy.

``environments.yaml`` names the ledger, the build store and the checkpoints once: what was named when the first event
was written is kept in ``.lanewise/home.json`` and opened from then on. So neither a branch nor an edited file can put
another history in place, under which nobody would have to approve anything.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from lanewise.domain.environment import Config
from lanewise.domain.event import Draft, Event
from lanewise.domain.ports import Ledger
from lanewise.errors import ConfigError, LedgerTampered, LedgerUnavailable, Refused

_FILE = "home.json"
_PLACES = ("ledger", "builds", "checkpoints")


@dataclass(frozen=True)
class Home:
    """What is remembered: the project's name, three places as its config names them, and the hash of the ledger's first
    event, by which that ledger is known again."""

    project: str
    ledger: str
    builds: str
    checkpoints: str
    first_event: str

    def moved_by(self, config: Config) -> tuple[str, ...]:
        """The places that a config names differently."""
        return tuple(place for place in _PLACES if getattr(config, place) != getattr(self, place))


def remembered(folder: Path) -> Home | None:
    """What ``.lanewise`` remembers; None before the first event. ``ConfigError`` where the file does not read."""
    file = folder / _FILE
    try:
        found = json.loads(file.read_bytes())
        return Home(**{field.name: _text(found[field.name]) for field in fields(Home)})
    except FileNotFoundError:
        return None
    except OSError as error:
        raise LedgerUnavailable(f"{file} can't be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        hint = "restore it from a backup; without the file, the places that environments.yaml names are taken"
        raise ConfigError("this is not what Lanewise remembered", file=str(file), hint=hint) from error


def require_same(home: Home, project: str, ledger: Ledger) -> None:
    """``Refused`` in another project than the remembered one, ``LedgerTampered`` with another ledger."""
    if project != home.project:
        hint = f"put `project: {home.project}` back, or begin the other project in a folder of its own"
        raise Refused(f"the record kept here is of the project {home.project}, not of {project}", hint=hint)
    first = next((event.hash for event in ledger.events(limit=1)), "")
    if first != home.first_event:
        what = "is another one than" if first else "is empty or gone; it is not"
        hint = "restore it from a backup; to begin anew on purpose, see `Begin anew` in the how-to on the history"
        raise LedgerTampered(f"the ledger {what} the one that this project began with", hint=hint)


def require_unmoved(home: Home, config: Config) -> None:
    """``Refused`` while the working file names other places than those that are in use."""
    moved = home.moved_by(config)
    if moved:
        hint = "put it back; to move them, see `Move the ledger` in the how-to on the history"
        raise Refused(f"environments.yaml moves {', '.join(moved)}: this project's record is kept elsewhere", hint=hint)


class Founding:
    """A ledger that nobody remembers yet. Where it is gets written down with the first event that it holds."""

    def __init__(self, ledger: Ledger, folder: Path, home: Callable[[str], Home]) -> None:
        self._ledger, self._folder, self._home, self._known = ledger, folder, home, False
        self._remember()

    def append(
        self, stream: str, drafts: Sequence[Draft], *, actor: str, expect: int | None = None
    ) -> tuple[Event, ...]:
        """See ``Ledger.append``."""
        written = self._ledger.append(stream, drafts, actor=actor, expect=expect)
        self._remember()
        return written

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    def _remember(self) -> None:
        first = None if self._known else next(iter(self._ledger.events(limit=1)), None)
        if first is not None:
            with suppress(OSError):  # a full or read-only disk: what was written stands, the next command remembers it
                _write_once(self._folder / _FILE, json.dumps(asdict(self._home(first.hash)), indent=2) + "\n")
            self._known = True


def _write_once(file: Path, text: str) -> None:
    """Whole or not at all; whoever came first wins."""
    file.parent.mkdir(parents=True, exist_ok=True)
    aside = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    try:
        with aside.open("w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        with suppress(FileExistsError):
            os.link(aside, file)
    finally:
        aside.unlink(missing_ok=True)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value
