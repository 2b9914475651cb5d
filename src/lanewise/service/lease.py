"""Holding a lease while a story lasts: waited for, kept alive by a heartbeat, taken over from the dead.

A holder is named ``HOST:PID:START:BOOT``, so that a crashed process on this very machine is known to be dead and
the next command need not wait until its lease has run out.
"""

from __future__ import annotations

import logging
import os
import random
import secrets
import socket
import threading
import time
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Self

from lanewise.domain.event import Lease
from lanewise.domain.ports import Ledger
from lanewise.errors import LaneError, LeaseHeld
from lanewise.service.context import Context

TTL = timedelta(seconds=60)
_BEAT = TTL / 4
_RELIEF = timedelta(seconds=10)  # to take a dead holder's lease over
_GRACE = timedelta(seconds=1)  # beyond a stranger's lease: it is asked for once more after it has run out
_PAUSE = timedelta(seconds=0.2)  # between two looks at somebody else's lease; grows to ten times that

_log = logging.getLogger("lanewise.lease")

_left_behind: set[str] = set()
"""Holders of this process that have let go while the ledger was away, which does not know."""


def holder_name() -> str:
    """This process, in a form that another process on this machine can check; each call gives another holder, so
    that two threads don't pass for one."""
    return f"{_host()}:{os.getpid()}:{_started(os.getpid()) or ''}:{_boot()}/{secrets.token_hex(3)}"


def is_dead(holder: str) -> bool:
    """Whether this holder certainly no longer lives. A holder elsewhere, or one that can't be checked, may live."""
    if holder in _left_behind:
        return True
    if not seen_from_here(holder):
        return False
    _, pid, started, boot = holder.rsplit(":", 3)
    if boot.split("/")[0] != _boot().split("/")[0]:
        return True  # the machine was started anew
    return _started(int(pid)) != (started or None)


def same_process(one: str, other: str) -> bool:
    """Whether two holders are the same process, whichever of its leases they hold."""
    return one.rpartition("/")[0] == other.rpartition("/")[0] != ""


def seen_from_here(holder: str) -> bool:
    """Whether this process could tell if that holder lives: not on another machine, nor in a container beside this
    one, whose processes can't be seen."""
    host, pid, _, boot = [*holder.rsplit(":", 3), "", "", ""][:4]
    if host != _host() or not pid.isdigit() or not boot or not _boot():
        return False
    ours, theirs = _boot().split("/"), boot.split("/")
    return theirs[0] != ours[0] or theirs[1:2] == ours[1:2]


@cache
def _host() -> str:
    try:
        machine = Path("/etc/machine-id").read_text(encoding="ascii").strip()[:8]
    except (OSError, UnicodeDecodeError):
        machine = ""
    name = socket.gethostname().replace(":", "-")
    return f"{name}.{machine}" if machine else name


@cache
def _boot() -> str:
    """This start of the machine and this container's process space; empty where the system can't tell (macOS)."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()[:8]
        space = str(Path("/proc/self/ns/pid").readlink()).strip("pid:[]")
    except OSError:
        return ""
    return f"{boot}/{space}"


def _started(pid: int) -> str | None:
    """When a process started, in ticks since boot: tells it from a later one with the same number."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()  # the command's name, in brackets, may hold anything
    return None if fields[0] == "Z" else fields[19]


@dataclass
class Held:
    """A lease for as long as the ``with`` block lasts. ``lease`` is the newest grant.

    ``check`` raises ``LeaseHeld`` when somebody has taken it over meanwhile: call it before what can't be undone.
    """

    ledger: Ledger
    lease: Lease
    _lost: LeaseHeld | None = field(default=None, init=False)
    _done: threading.Event = field(default_factory=threading.Event, init=False)
    _beat: threading.Thread | None = field(default=None, init=False)

    def check(self) -> None:
        """Raise when the lease was taken over."""
        if self._lost is not None:
            raise self._lost

    def __enter__(self) -> Self:
        self._beat = threading.Thread(target=self._keep_alive, name=f"lease {self.lease.scope}", daemon=True)
        self._beat.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._done.set()
        if self._beat is not None:
            self._beat.join()
        try:
            self.ledger.release(self.lease)
        except LaneError as trouble:  # it runs out by itself; what the block raised matters more
            _left_behind.add(self.lease.holder)
            _log.warning("%s was not given back: %s", self.lease.scope, trouble.message)

    def _keep_alive(self) -> None:
        while not self._done.wait(_BEAT.total_seconds()):
            try:
                self.lease = self.ledger.renew(self.lease, TTL)
            except LeaseHeld as lost:
                self._lost = lost
                return
            except LaneError as trouble:  # the ledger is away: the next beat tries again
                _log.warning("%s was not renewed: %s", self.lease.scope, trouble.message)


def held(
    ctx: Context, scope: str, wait: timedelta = timedelta(0), *, take_over: bool = False, outlive: bool = False
) -> Held:
    """Acquire a scope's lease, for use in a ``with`` block.

    Waits at most ``wait`` for a living holder, then raises ``LeaseHeld``; a dead one is relieved at once.
    ``take_over`` relieves anybody (a rollback). ``outlive``: where nobody can see from here whether the holder lives,
    on another machine, its lease is let run out, unless it is renewed meanwhile: then it lives.
    """
    deadline, pause, told = time.monotonic() + wait.total_seconds(), _PAUSE.total_seconds(), False
    stranger: _Stranger | None = None
    while True:
        try:
            return Held(ctx.ledger, _acquire(ctx.ledger, scope, take_over=take_over))
        except LeaseHeld as busy:
            stranger = stranger or _Stranger(ctx, scope)
            left = max(deadline - time.monotonic(), stranger.left() if outlive else 0)
            if left <= 0:
                raise
            if not told:
                ctx.progress.say(f"waiting for {scope}: {stranger.told(busy)}")
                told = True
            time.sleep(min(left, pause * random.uniform(0.5, 1.5)))  # noqa: S311 - so that waiters don't march in step
            pause = min(pause * 1.5, 10 * _PAUSE.total_seconds())


class _Stranger:
    """A holder on another machine. Alive, it renews its lease; dead, it lets it run out: one of the two shows soon."""

    def __init__(self, ctx: Context, scope: str) -> None:
        self._ledger, self._scope = ctx.ledger, scope
        found = ctx.ledger.holder(scope)
        self._seen = None if found is None or seen_from_here(found.holder) else found
        left = (found.until - ctx.ledger.now()).total_seconds() if found else 0
        self._deadline = time.monotonic() + left + _GRACE.total_seconds()

    def told(self, busy: LeaseHeld) -> str:
        """What is waited for."""
        if self._seen is None:
            return f"{busy.holder} is at work"
        host = self._seen.holder.partition(":")[0]
        return (f"{host} was at work on it, and from here nobody can see whether it still is; if it isn't, "
                f"its lease runs out at {self._seen.until:%H:%M:%S} UTC")  # fmt: skip

    def left(self) -> float:
        """Seconds until its lease has run out; 0 once it is seen to live, or for a holder on this machine."""
        now = self._ledger.holder(self._scope)
        if self._seen is None or now not in {None, self._seen}:
            return 0
        return max(0.0, self._deadline - time.monotonic())


def _acquire(ledger: Ledger, scope: str, *, take_over: bool) -> Lease:
    if take_over:
        return ledger.acquire(scope, holder_name(), TTL, take_over=True)
    if not _held_by_the_dead(ledger, scope):
        return ledger.acquire(scope, holder_name(), TTL)
    # Two who both find it dead must not relieve one another: one at a time, and each looks again.
    turn = ledger.acquire(f"{scope}/relief", holder_name(), _RELIEF)
    try:
        return ledger.acquire(scope, holder_name(), TTL, take_over=_held_by_the_dead(ledger, scope))
    finally:
        ledger.release(turn)


def _held_by_the_dead(ledger: Ledger, scope: str) -> bool:
    found = ledger.holder(scope)
    return found is not None and is_dead(found.holder)
