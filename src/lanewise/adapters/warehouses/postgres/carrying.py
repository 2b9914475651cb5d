"""Carrying out changes of views while they are read: one view a transaction, and none waits for long.

A change waits for the readers of its view, and who reads it next waits behind the change. So a change gives up after
a moment, and is tried again later.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from typing import Any

import psycopg

from lanewise.adapters.warehouses.postgres.transactions import Waiting, holders
from lanewise.publication import sql

_SHORTEST, _LONGEST = 50, 90  # milliseconds that a change waits for a lock
_BODY = """
declare one record; busy text[] := '{}';
begin
  for one in select key, value from jsonb_each_text(changes) loop
    begin
      execute one.value;
    exception when lock_not_available or deadlock_detected or foreign_key_violation
      or dependent_objects_still_exist then
      busy := busy || one.key;
    end;
    commit;
  end loop;
  perform set_config('lanewise.busy', to_jsonb(busy)::text, false);
end"""


def carry_out(connection: psycopg.Connection[Any], changes: Mapping[str, str]) -> list[str]:
    """Carry out each change (view -> statements) in a transaction of its own, in one round trip; those that were
    in use (held, or needed by something else) and are as they were. The session must be in autocommit."""
    if not changes:
        return []
    prepare_session(connection)
    declared = "declare changes jsonb := " + sql.literal(json.dumps(dict(changes))) + ";"
    body = _BODY.replace("\ndeclare", declared, 1)
    connection.execute("do " + sql.literal(body))
    row = connection.execute("select current_setting('lanewise.busy')").fetchone()
    return list(json.loads(row[0])) if row else []


def prepare_session(connection: psycopg.Connection[Any]) -> None:
    """Short waits, from now on in this session. Its commits needn't reach the disk one by one: publishing does, and
    takes them with it."""
    wait = random.randint(_SHORTEST, _LONGEST)  # noqa: S311 - so that two sessions don't keep time
    connection.execute(
        "select set_config('lock_timeout', %s, false), set_config('synchronous_commit', 'off', false)", [f"{wait}ms"],
    )  # fmt: skip


def carry_out_all(connection: psycopg.Connection[Any], changes: Mapping[str, str], waiting: Waiting,
                  oids: Mapping[str, int]) -> None:  # fmt: skip
    """Carry out all changes, however often some have to be tried. ``oids`` are those of the views that there are.
    ``WarehouseUnavailable`` when patience runs out; what is done then is done."""
    left = dict(changes)
    while left:
        busy = carry_out(connection, left)
        left = {view: left[view] for view in busy}
        if left:
            waiting.once_more(busy, holders(connection, [oids[view] for view in busy if view in oids]))
