"""Making views plain again, where one version serves a whole table and every kept map says so.

A view's definition is always the newest one, also for a transaction whose snapshot is older; and a run that is being
staged may hold slice numbers that nobody sees yet. So nothing is compacted before everybody who ran when we looked
has ended; after that all slices up to the map's newest are seen by all, and the map's own must be the only ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg

from lanewise.adapters.warehouses.postgres.carrying import carry_out
from lanewise.adapters.warehouses.postgres.place import Place
from lanewise.adapters.warehouses.postgres.server import Server
from lanewise.adapters.warehouses.postgres.transactions import all_ended, alone
from lanewise.adapters.warehouses.postgres.views import Views

_PAUSE = 1.0  # seconds in which the transactions that run have to end, or it is left for the next time
_TRIES = 3
_SERVED = """
with live as (select coalesce((select number from {s}.pointers where pipeline = %s), 0) number),
kept as (
    select content from {s}.maps where pipeline = %s
    union select content from {s}.prepared p, live where pipeline = %s and p.number > live.number),
served as (
    select t.name, b.version, b.slices, k.content from kept k join {s}.members m using (content)
    join {s}.table_maps t on t.id = m.table_map left join {s}.branches b on b.table_map = t.id),
whole as (
    select name, min(version) version, min(slices) slices from served group by name
    having count(*) = (select count(*) from kept) and count(version) = count(*)
        and min(version) = max(version) and min(slices) = max(slices))
select w.name, w.version, w.slices[cardinality(w.slices)] from whole w
join {s}.views v on v.pipeline = %s and v.name = w.name and v.upto is null
where (select number from live) > 0 and not exists (
    select from {s}.slices o where o.version = w.version and o.row_count > 0
    and o.id <= w.slices[cardinality(w.slices)] and o.id <> all (w.slices))
order by w.name"""


@dataclass(frozen=True)
class Compaction:
    """Compacts the views of one pipeline."""

    server: Server
    place: Place

    def compact(self) -> tuple[str, ...]:
        """See the port."""
        with self.server.session(autocommit=True) as connection, alone(connection, self.place, 0) as got:
            try:
                before = self._served(connection) if got else {}
                if not before or not all_ended(connection, _PAUSE):
                    return ()
                return self._make_plain(connection, before)
            except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
                return ()

    def _make_plain(self, connection: psycopg.Connection[Any], before: dict[str, tuple[int, int]]) -> tuple[str, ...]:
        now = self._served(connection)  # what the ended ones left is seen now
        served = {name: found for name, found in now.items() if before.get(name) == found}
        views = Views(connection, self.place)
        seen, there = views.seen(), views.branches({version for version, _ in served.values()})
        statements = {
            seen[name].view: views.plain(seen[name], there[version], upto)
            for name, (version, upto) in served.items()
            if name in seen and version in there
        }
        left = dict(statements)
        for _ in range(_TRIES):
            left = {view: left[view] for view in carry_out(connection, left)}
        return tuple(name for name in served if name in seen and seen[name].view in statements.keys() - left.keys())

    def _served(self, connection: psycopg.Connection[Any]) -> dict[str, tuple[int, int]]:
        """The tables that are served by one version alone: its number, and its newest slice there."""
        rows = Views(connection, self.place).rows(_SERVED, *[self.place.pipeline] * 4)
        return {name: (version, upto) for name, version, upto in rows}
