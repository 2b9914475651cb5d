"""``lane isolation``: try every identity of every environment on all that is another's, and write down what came of it.

A refusal counts when the server itself has spoken it to a login that works at home. Everything else is doubt: a
server that is away, a login that is wrong, a connection of a type that nothing installed can try.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from typing import Any

from lanewise.domain.canonical import plain
from lanewise.domain.environment import Connection, Environment, Role
from lanewise.domain.event import Draft
from lanewise.domain.isolation import (
    Attempt,
    Holder,
    Identity,
    Measurement,
    Outcome,
    Probe,
    ProbeOpener,
    Target,
    walls,
    walls_of,
)
from lanewise.errors import LaneError
from lanewise.service.configure import would_be_in_force
from lanewise.service.context import Context

FindProbe = Callable[[str], ProbeOpener | None]
"""What tries connections of a type, where anything does."""

MEASURED = "isolation.measured"
_EMBEDDED = "duckdb"
_AT_ONCE = 8
_TOLD = 50
"""How many holes, and how many doubts, the ledger keeps in words. All are counted."""


@dataclass(frozen=True)
class _Task:
    """One identity against one environment; against home where that is its own."""

    probe: Probe | None
    holder: Holder
    other: Environment


def measure(ctx: Context, find_probe: FindProbe) -> Measurement:
    """Try everything, record the measurement in the ledger, and return it with all attempts."""
    config = would_be_in_force(ctx)
    lanes = config.environments
    probes = _probes(ctx, lanes, find_probe)
    holders = [
        found for lane in lanes.values() for c in lane.connections.values() for found in _holders(probes, lane, c)
    ]
    tasks = [
        _Task(probes[holder.connection.type], holder, other)
        for holder in holders
        for other in lanes.values()
        if other is holder.lane or _against(holder, other)
    ]
    attempts = _all(ctx, tasks)
    found = Measurement(
        tuple(lanes), walls(lanes), ctx.ledger.now().isoformat(), tuple(holder.identity for holder in holders),
        tuple(sorted(attempts, key=_order)), _unseparated(lanes),
    )  # fmt: skip
    _record(ctx, config.digest, found, tasks)
    return found


def recorded(ctx: Context) -> Mapping[str, Any]:
    """The newest measurement as the ledger has it, with ``at``, and the walls that stand now as ``walls_now``."""
    event = ctx.ledger.last(_stream(ctx), MEASURED)
    now = {"walls_now": walls_of(would_be_in_force(ctx))}
    return now if event is None else {**event.data, "at": event.at, **now}


def _stream(ctx: Context) -> str:
    return f"isolation/{ctx.project.name}"


def _probes(ctx: Context, lanes: Mapping[str, Environment], find_probe: FindProbe) -> dict[str, Probe | None]:
    """One probe a type of connection, shared by all its identities."""
    types = {connection.type for lane in lanes.values() for connection in lane.connections.values()}
    openers = {type_: find_probe(type_) for type_ in types}
    return {
        type_: opener(secrets=ctx.secrets, project=ctx.project, lanes=lanes, root=ctx.root) if opener else None
        for type_, opener in openers.items()
    }


def _holders(probes: Mapping[str, Probe | None], lane: Environment, connection: Connection) -> Sequence[Holder]:
    """Who can log in through a connection. One that nothing can try is still told, so that it isn't taken as tried."""
    probe = probes[connection.type]
    if probe is not None:
        return probe.holders(lane, connection)
    user = connection.fields.get("user")
    if not connection.secrets and not user:
        return ()  # files of this machine, say: nobody logs in
    return [Holder(Identity(lane.name, connection.name, "login", str(user or "")), lane,
                   connection.acting_as(Role.RUNNER))]  # fmt: skip


def _against(holder: Holder, other: Environment) -> bool:
    return any(connection.type == holder.connection.type for connection in other.connections.values())


def _unseparated(lanes: Mapping[str, Environment]) -> dict[str, str]:
    """Where no server stands between: whoever may run one of them may read and write them all."""
    return {
        lane.name: "its warehouse is files of one OS user: nothing walls it off"
        for lane in lanes.values()
        if lane.connection("dst").type == _EMBEDDED
    }


def _all(ctx: Context, tasks: Sequence[_Task]) -> list[Attempt]:
    """Some at once, since nearly all the time is spent waiting for servers."""
    found: list[Attempt] = []
    with ThreadPoolExecutor(min(_AT_ONCE, 4 * (os.cpu_count() or 2)), thread_name_prefix="isolation") as pool:
        unproved = _unproved(pool, tasks)
        running = [pool.submit(_carried_out, task, unproved[task.holder.identity]) for task in tasks]
        for done, future in enumerate(as_completed(running), start=1):
            found += future.result()
            ctx.progress.advance("identities tried", done, len(running))
    redact = ctx.secrets.redact  # servers may quote what they were sent
    return [replace(a, statement=redact(a.statement), answer=redact(a.answer)) for a in found]


def _unproved(pool: ThreadPoolExecutor, tasks: Sequence[_Task]) -> dict[Identity, str]:
    """Why a login doesn't work at home; "" where it does. A wrong password would be refused everywhere."""
    first = {task.holder.identity: task for task in tasks}
    asked = {identity: pool.submit(_proved, task) for identity, task in first.items()}
    return {identity: future.result() for identity, future in asked.items()}


def _proved(task: _Task) -> str:
    if task.probe is None:
        return f"nothing installed can try connections of type {task.holder.connection.type}"
    try:
        reason = task.probe.prove(task.holder)
    except Exception as error:  # noqa: BLE001 - a probe's bug is doubt, not a crash
        reason = _words(error)
    return f"its login does not work at home, so that no refusal proves anything: {reason}" if reason else ""


def _carried_out(task: _Task, unproved: str) -> list[Attempt]:
    at_home = task.other is task.holder.lane
    if unproved or task.probe is None:
        return [] if at_home else [_doubt(task, unproved)]
    found: list[Attempt] = []
    try:
        tries: Iterable[Attempt] = (
            task.probe.overreach(task.holder) if at_home else task.probe.attempts(task.holder, task.other)
        )
        for attempt in tries:  # one by one: what was tried before something broke still counts
            found.append(attempt)  # noqa: PERF402 - as said
    except Exception as error:  # noqa: BLE001 - as above
        found.append(_doubt(task, f"the try broke off: {_words(error)}"))
    return found if found or at_home else [_doubt(task, "nothing was tried")]


def _doubt(task: _Task, reason: str) -> Attempt:
    target = Target(task.other.name, "connection", task.holder.connection.type)
    return Attempt(task.holder.identity, target, "try", "", Outcome.UNREACHABLE, reason)


def _words(error: Exception) -> str:
    return error.message if isinstance(error, LaneError) else type(error).__name__


def _order(attempt: Attempt) -> tuple[Identity, Target, str]:
    return attempt.identity, attempt.target, attempt.action


def _record(ctx: Context, config: str, found: Measurement, tasks: Sequence[_Task]) -> None:
    against: dict[Identity, list[str]] = {identity: [] for identity in found.identities}
    for task in tasks:
        if task.other is not task.holder.lane:
            against[task.holder.identity].append(task.other.name)
    ctx.ledger.append(_stream(ctx), [Draft(MEASURED, plain({
        "config": config,
        "walls": found.walls,
        "environments": found.environments,
        "identities": [{**plain(identity), "against": names} for identity, names in against.items()],
        "cells": found.cells,
        "tries": len(found.attempts),
        "allowed": len(found.of(Outcome.ALLOWED)),
        "unreachable": len(found.of(Outcome.UNREACHABLE)),
        "holes": found.of(Outcome.ALLOWED)[:_TOLD],
        "doubts": found.of(Outcome.UNREACHABLE)[:_TOLD],
        "unseparated": found.unseparated,
    }))], actor=ctx.actor.name)  # fmt: skip
