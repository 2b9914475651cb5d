"""Sign where the history stands; check that it is whole and unedited."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from lanewise.domain.canonical import short
from lanewise.domain.event import Draft, Event
from lanewise.errors import LedgerTampered
from lanewise.ledger.chain import EMPTY, Head, verify_chain
from lanewise.ledger.checkpoints import Checkpoint, Statement, is_genuine, key_id, sign
from lanewise.service.astray import astray
from lanewise.service.checkpoints import CheckpointFolder
from lanewise.service.context import Context

STREAM = "ledger/checkpoints"
SIGNED = "checkpoint.signed"


@dataclass(frozen=True)
class Verified:
    """A history that verifies."""

    events: int
    head: str
    checkpoints: int
    unsigned: int  # events that no checkpoint vouches for yet: a cut among them would not show
    key: str  # id of the key that signed; empty without checkpoints


@dataclass
class _Sighting:
    """What is seen while the events pass by once."""

    wanted: dict[int, Statement]
    head: Head = EMPTY
    first: str = ""
    differing: Statement | None = None  # the first checkpoint whose event is another one
    journalled: list[Event] = field(default_factory=list)
    unsigned: int = 0

    def watch(self, events: Iterable[Event]) -> Iterator[Event]:
        for event in events:
            self.first = self.first or event.hash
            self.head = (event.seq, event.hash)
            statement = self.wanted.get(event.seq)
            if statement and statement.hash != event.hash and self.differing is None:
                self.differing = statement
            if event.stream == STREAM and event.type == SIGNED:
                self.journalled.append(event)
            else:
                self.unsigned += 1
            if statement:
                self.unsigned = 0
            yield event


def checkpoint(ctx: Context) -> Checkpoint | None:
    """Sign the newest event and keep that outside the ledger; called at the end of promotions and rollbacks.

    Signs only what follows what was signed before, else raises ``LedgerTampered``. Returns the newest checkpoint,
    an earlier one when nothing has happened since; None for an empty ledger.
    """
    folder = CheckpointFolder(ctx)
    known = folder.all()
    newest = known[-1].statement if known else None
    if newest:
        _check_signatures(folder, known[-1:], "")
    events = _since(ctx, newest)
    if newest and all(event.type == SIGNED for event in events):
        return known[-1]
    if not events:
        return None
    key = folder.signing_key(make=not known)
    statement = Statement(
        seq=events[-1].seq,
        hash=events[-1].hash,
        at=ctx.ledger.now().isoformat(timespec="microseconds"),
        ledger=newest.ledger if newest else events[0].hash,
        key=key_id(key.public_key()),
    )
    signed = sign(statement, key)
    if folder.add(signed):  # before the event: an event without its file would look like tampering
        data = {"seq": statement.seq, "hash": statement.hash, "key": statement.key}
        ctx.ledger.append(STREAM, [Draft(SIGNED, data)], actor=ctx.actor.name)
    return signed


def verify(ctx: Context, *, key: str = "") -> Verified:
    """Check the whole history: the chain, every checkpoint's signature and event, the end, the key; and that each
    lane's warehouse shows what the history says was released there last.

    ``key``: the id that the signing key must have, for those who noted it. Raises ``LedgerTampered`` naming the
    first bad place.
    """
    folder = CheckpointFolder(ctx)
    known = folder.all()  # before the events, so that every checkpoint's event is among them
    signer = _check_signatures(folder, known, key)
    seen = _Sighting({each.statement.seq: each.statement for each in known})
    broken = verify_chain(seen.watch(ctx.ledger.events()))
    differing = seen.differing
    if broken and (differing is None or broken.seq <= differing.seq):
        raise _tampered(broken.seq, f"{broken.fault}: {broken.explanation}")
    if differing:
        raise _rewritten(differing, known, seen.first)
    newest = known[-1].statement if known else None
    if newest and newest.seq > seen.head[0]:
        text = f"cut off: {folder.file(newest.seq)} signed event {newest.seq}, and the ledger ends at {seen.head[0]}"
        raise _tampered(seen.head[0] + 1, text)
    _check_files(folder, seen.journalled)
    _check_lanes(ctx)
    return Verified(*seen.head, checkpoints=len(known), unsigned=seen.unsigned, key=signer)


def _since(ctx: Context, newest: Statement | None) -> list[Event]:
    """The events after the newest checkpoint's, once they are seen to follow it."""
    events = list(ctx.ledger.events(after=newest.seq - 1 if newest else 0))
    if newest:
        if not events or events[0].hash != newest.hash:
            raise _tampered(newest.seq, f"event {newest.seq} is not the one that was signed at {newest.at}")
        events = events[1:]
    broken = verify_chain(events, after=(newest.seq, newest.hash) if newest else EMPTY)
    if broken:
        raise _tampered(broken.seq, f"{broken.fault}: {broken.explanation}")
    return events


def _check_signatures(folder: CheckpointFolder, known: Sequence[Checkpoint], wanted: str) -> str:
    """Check who signed the checkpoints; the key's id, empty without checkpoints."""
    if not known:
        if wanted:
            raise LedgerTampered(f"nothing is signed by {wanted}: there are no checkpoints in {folder.path}")
        return ""
    public = folder.public_key(known[0].statement.key)
    signer = key_id(public)
    if wanted and signer != wanted:
        raise LedgerTampered(f"the checkpoints are signed by {signer}, not by {wanted}")
    for each in known:
        file = folder.file(each.statement.seq)
        if each.statement.key != signer:
            raise LedgerTampered(
                f"{file} was signed by {each.statement.key}, and the key is now {signer}: the key was replaced",
                hint="put the old key back; if this ledger was begun anew, move the old checkpoints away",
            )
        if not is_genuine(each, public):
            raise LedgerTampered(f"{file} does not have a genuine signature", hint="compare it with a backup")
    return signer


def _check_files(folder: CheckpointFolder, journalled: Iterable[Event]) -> None:
    known = folder.keys()  # other machines that share the ledger sign with keys, and into folders, of their own
    for event in journalled:
        if event.data.get("key") not in known:
            continue
        seq = event.data.get("seq")
        if not isinstance(seq, int) or not folder.file(seq).exists():
            text = f"event {event.seq} says that event {seq} was signed, and that checkpoint is gone from {folder.path}"
            raise LedgerTampered(text, hint="put it back; without it a cut or a rewritten chain may not show")


def _check_lanes(ctx: Context) -> None:
    prefix = f"environment/{ctx.project.name}/"
    told = [stream.removeprefix(prefix) for stream in ctx.ledger.streams(prefix)]
    for name in dict.fromkeys([*ctx.config.environments, *told]):
        difference = astray(ctx, name)
        if difference:
            hint = f"it was published past this ledger, or with another one: `lane history --environment {name}`"
            raise LedgerTampered(difference, hint=hint)


def _rewritten(differing: Statement, known: Iterable[Checkpoint], first: str) -> LedgerTampered:
    if differing.ledger != first:
        return _tampered(1, f"the checkpoint of event {differing.seq} was signed for another ledger")
    good = max((each.statement.seq for each in known if each.statement.seq < differing.seq), default=0)
    text = f"the chain was computed anew: event {differing.seq} had the hash {short(differing.hash)} when it was signed"
    return _tampered(good + 1, f"{text} at {differing.at}; the change lies after event {good}")


def _tampered(seq: int, explanation: str) -> LedgerTampered:
    return LedgerTampered(
        f"the history does not verify from event {seq} on: {explanation}",
        hint="compare with a backup; what stands before that event is whole" if seq > 1 else "compare with a backup",
    )
