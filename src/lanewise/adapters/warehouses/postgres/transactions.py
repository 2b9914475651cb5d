"""Other people's transactions: who is at work on the same pipeline, who holds a view, and whether everybody who may
still look at the state before has ended."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg

from lanewise.adapters.warehouses.postgres.place import Place
from lanewise.errors import WarehouseUnavailable

_KEY = "select hashtextextended(%s, 7)"
_RUNNING = """select l.virtualtransaction from pg_locks l join pg_stat_activity a on a.pid = l.pid
where l.locktype = 'virtualxid' and a.usesysid is not null and a.datname = current_database()
and l.pid <> pg_backend_pid()"""


@contextmanager
def alone(connection: psycopg.Connection[Any], place: Place, patience: float) -> Iterator[bool]:
    """Alone among those who change the pipeline's views, while the block lasts; False when somebody else is at it for
    longer than ``patience`` seconds. The server lets go when the session ends."""
    row = connection.execute(_KEY, [f"lanewise views of {place.pipeline} in {place.store}"]).fetchone()
    key, until, got = row and row[0], time.monotonic() + patience, False
    while True:
        found = connection.execute("select pg_try_advisory_lock(%s)", [key]).fetchone()
        got = bool(found and found[0])
        if got or time.monotonic() > until:
            break
        time.sleep(random.uniform(0.02, 0.1))  # noqa: S311 - a pause
    try:
        yield got
    finally:
        if got and not connection.broken and not connection.closed:
            connection.execute("select pg_advisory_unlock(%s)", [key])


def all_ended(connection: psycopg.Connection[Any], patience: float) -> bool:
    """Whether every transaction that runs now has ended within that many seconds. Only then does nobody look at the
    state before through a view that has been changed since: a view's definition is always the newest one, also for
    a transaction whose rows are older. Autovacuum looks through no view and is not waited for."""
    before = {row[0] for row in connection.execute(_RUNNING)}
    until = time.monotonic() + patience
    while before:
        before &= {row[0] for row in connection.execute(_RUNNING)}
        if before and time.monotonic() > until:
            return False
        if before:
            time.sleep(0.005)
    return True


def holders(connection: psycopg.Connection[Any], relations: Sequence[int]) -> list[int]:
    """The sessions that hold these relations, by process id."""
    rows = connection.execute(
        "select distinct pid from pg_locks where relation = any(%s::oid[]) and granted and pid <> pg_backend_pid() "
        "and database = (select oid from pg_database where datname = current_database()) order by 1", [list(relations)],
    )  # fmt: skip
    return [row[0] for row in rows]


class Waiting:
    """Patience with those who are in the way: says whom it waits for, once for each set of them, and gives up."""

    def __init__(self, say: Callable[[str], None], patience: float) -> None:
        self.say, self.patience = say, patience
        self._until, self._said = time.monotonic() + patience, ""

    def once_more(self, views: Sequence[str], pids: Sequence[int]) -> None:
        """Pause before the next try. ``WarehouseUnavailable`` when patience has run out."""
        named = ", ".join(views[:3]) + (f" and {len(views) - 3} more" if len(views) > 3 else "")
        who = f"{len(pids)} transaction{'' if len(pids) == 1 else 's'}"
        if time.monotonic() > self._until:
            raise WarehouseUnavailable(
                f"{who} held {named} for {self.patience:g} seconds (process {', '.join(map(str, pids)) or 'unknown'})",
                hint="nothing that readers see has changed; repeat the command when they have ended, it goes on from "
                "here (the connection's `patience` says how many seconds to wait)",
            )
        said = f"waiting for {who} that hold{'s' if len(pids) == 1 else ''} {named} ({', '.join(map(str, pids))})"
        if pids and said != self._said:
            self._said = said
            self.say(said)
        time.sleep(random.uniform(0.05, 0.2))  # noqa: S311 - a pause
