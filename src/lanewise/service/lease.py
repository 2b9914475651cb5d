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
_PAUSE = timedelta(seconds=0.2)  # between two looks at somebody else's lease; grows to ten times that

_log = logging.getLogger("lanewise.lease")


def holder_name() -> str:
    """This process, in a form that another process on this machine can check; each call gives another holder, so
    that two threads don't pass for one."""
    return f"{_host()}:{os.getpid()}:{_started(os.getpid()) or ''}:{_boot()}/{secrets.token_hex(3)}"


def is_dead(holder: str) -> bool:
    """Whether this holder certainly no longer lives. A holder elsewhere, or one that can't be checked, may live."""
    host, pid, started, boot = [*holder.rsplit(":", 3), "", "", ""][:4]
    if host != _host() or not pid.isdigit() or not boot or not _boot():
        return False
    ours, theirs = _boot().split("/"), boot.split("/")
    if theirs[0] != ours[0]:
        return True  # the machine was started anew
    if theirs[1:2] != ours[1:2]:
        return False  # a container beside this one: its processes can't be seen from here
    return _started(int(pid)) != (started or None)


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


def held(ctx: Context, scope: str, wait: timedelta = timedelta(0), *, take_over: bool = False) -> Held:
    """Acquire a scope's lease, for use in a ``with`` block.

    Waits at most ``wait`` for a living holder, then raises ``LeaseHeld``; a dead one is relieved at once.
    ``take_over`` relieves anybody (a rollback).
    """
    deadline, pause, told = time.monotonic() + wait.total_seconds(), _PAUSE.total_seconds(), False
    while True:
        try:
            return Held(ctx.ledger, _acquire(ctx.ledger, scope, take_over=take_over))
        except LeaseHeld as busy:
            left = deadline - time.monotonic()
            if left <= 0:
                raise
            if not told:
                ctx.progress.say(f"waiting for {scope}: {busy.holder} is at work")
                told = True
            time.sleep(min(left, pause * random.uniform(0.5, 1.5)))  # noqa: S311 - so that waiters don't march in step
            pause = min(pause * 1.5, 10 * _PAUSE.total_seconds())


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
