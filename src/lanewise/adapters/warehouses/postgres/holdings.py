"""What takes room, which maps need it, and dropping what none does.

Slices are named by their location, maps by their number, runs by their name. A version's table none of whose slices
is left goes whole; else the slice's rows are deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import sql as composed

from lanewise.adapters.warehouses.postgres import rooms, store
from lanewise.adapters.warehouses.postgres.carrying import carry_out
from lanewise.adapters.warehouses.postgres.locations import location
from lanewise.adapters.warehouses.postgres.place import Place
from lanewise.adapters.warehouses.postgres.server import Server
from lanewise.adapters.warehouses.postgres.transactions import all_ended, alone
from lanewise.adapters.warehouses.postgres.views import Contract, Views
from lanewise.domain.publication import Holding
from lanewise.errors import LeaseHeld, Refused
from lanewise.publication import sql
from lanewise.publication.mapped_views import SLICE

MAP, RUN, SLICE_KIND = "map", "run", "slice"
_TRIES = 5
_PAUSE = 2.0  # seconds in which those who may still read it have to end
_NUMBERED = """
    select number, content, published_at at from {s}.maps where pipeline = %(p)s
    union all select p.number, p.content, p.prepared_at from {s}.prepared p where p.pipeline = %(p)s
        and p.number > coalesce((select number from {s}.pointers where pipeline = %(p)s), 0)"""
_MAPS = """
with numbered as ({numbered}),
sizes as (
    select n.number, n.at, (select coalesce(sum(octet_length(t.document)), 0) from {s}.members m
        join {s}.table_maps t on t.id = m.table_map where m.content = n.content) size from numbered n)
select number, max(at), sum(size)::bigint from sizes group by number order by number"""
_SLICES = """
with numbered as ({numbered}),
held as (
    select b.version, one.id, array_agg(distinct n.number order by n.number) maps from numbered n
    join {s}.members using (content) join {s}.branches b using (table_map) cross join unnest(b.slices) one(id)
    group by 1, 2)
select v.relation, v.id, r.id, r.byte_count, coalesce(h.maps, array[]::bigint[]), r.staged_at
from {s}.slices r join {s}.versions v on v.id = r.version left join held h on h.id = r.id and h.version = r.version
where v.pipeline = %(p)s order by v.relation, r.id"""
_FORGET = (
    "delete from {s}.maps where pipeline = %(p)s and number = any(%(maps)s)",
    """delete from {s}.prepared where pipeline = %(p)s and (number = any(%(maps)s)
        or number <= (select number from {s}.pointers where pipeline = %(p)s))""",
    """delete from {s}.contents c where pipeline = %(p)s and not exists (select from {s}.maps where content = c.id)
        and not exists (select from {s}.prepared where content = c.id)
        and not exists (select from {s}.pointers where content = c.id)""",
    """delete from {s}.table_maps t where pipeline = %(p)s
        and not exists (select from {s}.members where table_map = t.id)""",
)


@dataclass(frozen=True)
class _Stored:
    """A slice in the store, with its holding."""

    relation: str
    version: int
    number: int
    holding: Holding


@dataclass(frozen=True)
class Holdings:
    """The holdings of one pipeline. ``discard`` throws a run's room away."""

    server: Server
    place: Place
    discard: Callable[[str], None]

    def all(self) -> tuple[Holding, ...]:
        """Everything, slices last."""
        with self.server.session() as connection:
            if not store.is_there(connection, self.place):
                return ()
            slices = [stored.holding for stored in self._slices(connection)]
            return (*self._maps(connection), *rooms.held(connection, self.place), *slices)

    def drop(self, holdings: Sequence[Holding]) -> int:
        """See the port. What somebody still reads is left for the next time, and not counted."""
        asked = {(h.kind, h.name) for h in holdings}
        with self.server.session(autocommit=True) as connection, alone(connection, self.place, _PAUSE) as got:
            if not store.is_there(connection, self.place):
                return 0
            if not got:
                raise LeaseHeld(f"the right to change the views of {self.place.pipeline}", "another session")
            with connection.transaction():
                maps, slices = self._forget(connection, asked)
            freed = sum(h.bytes for h in maps) + self._drop_slices(connection, slices)
            runs = [h for h in rooms.held(connection, self.place) if (RUN, h.name) in asked]
        for run in runs:
            self.discard(run.name)
        return freed + sum(run.bytes for run in runs)

    def _maps(self, connection: psycopg.Connection[Any]) -> list[Holding]:
        rows = self._query(connection, _MAPS)
        return [Holding(MAP, str(number), size, (number,), _when(at)) for number, at, size in rows]

    def _slices(self, connection: psycopg.Connection[Any]) -> list[_Stored]:
        return [
            _Stored(relation, version, number, Holding(
                SLICE_KIND, location(relation, number), size, tuple(maps), _when(at)))
            for relation, version, number, size, maps, at in self._query(connection, _SLICES)
        ]  # fmt: skip

    def _forget(
        self, connection: psycopg.Connection[Any], asked: Collection[tuple[str, str]]
    ) -> tuple[list[Holding], list[_Stored]]:
        """Check that nothing needs them, and take the maps off the books, while nobody moves the pointer. What is
        left to do then may take its time: no map leads there any more."""
        self._query(connection, "select 1 from {s}.pointers where pipeline = %(p)s for update")
        live = next((row[0] for row in self._query(connection, "select number from {s}.pointers where pipeline = %(p)s")
                     ), 0)  # fmt: skip
        maps = [h for h in self._maps(connection) if (MAP, h.name) in asked]
        going = {number for h in maps for number in h.maps}
        if live and live in going:
            raise Refused(f"map {live} is live and can't be dropped")
        slices = [s for s in self._slices(connection) if (SLICE_KIND, s.holding.name) in asked]
        for stored in slices:
            needed = sorted(set(stored.holding.maps) - going)
            if needed:
                raise Refused(f"the slice {stored.holding.name} is needed by map {needed[-1]} and can't be dropped")
        for statement in _FORGET:
            self._query(connection, statement, maps=sorted(going))
        return maps, slices

    def _drop_slices(self, connection: psycopg.Connection[Any], slices: Sequence[_Stored]) -> int:
        """Whole versions where none of their slices is left, else rows; the bytes that went."""
        numbers: dict[int, set[int]] = {}
        for stored in slices:
            numbers.setdefault(stored.version, set()).add(stored.number)
        whole = self._whole(connection, numbers)
        left = self._drop_versions(connection, {s.version: s.relation for s in slices if s.version in whole}, numbers)
        relations = {s.version: s.relation for s in slices if s.version not in whole}
        for version, relation in relations.items():
            self._delete(connection, relation, sorted(numbers[version]))
        return sum(s.holding.bytes for s in slices if s.version not in left)

    def _whole(self, connection: psycopg.Connection[Any], numbers: Mapping[int, set[int]]) -> set[int]:
        rows = self._query(connection, "select version, array_agg(id) from {s}.slices where version = any(%(v)s) "
                           "group by version", v=list(numbers))  # fmt: skip
        return {version for version, ids in rows if set(ids) <= numbers[version]}

    def _delete(self, connection: psycopg.Connection[Any], relation: str, numbers: Sequence[int]) -> None:
        """Rows only: a reader's older snapshot has them still."""
        with connection.transaction():
            store.dropping(connection, self.place)
            there = connection.execute("select to_regclass(%s)", [sql.qualified(self.place.store, relation)]).fetchone()
            if there and there[0]:
                table = composed.Identifier(self.place.store, relation)
                statement = composed.SQL("delete from {} where {} = any(%s)").format(table, composed.Identifier(SLICE))
                connection.execute(statement, [list(numbers)])
            self._query(connection, "delete from {s}.slices where id = any(%(ids)s)", ids=list(numbers))

    def _drop_versions(
        self, connection: psycopg.Connection[Any], versions: Mapping[int, str], numbers: Mapping[int, set[int]]
    ) -> set[int]:
        """Take these versions out of the views and drop their tables; those that are still read, and stay."""
        if not versions:
            return set()
        if not all_ended(connection, _PAUSE):  # an older snapshot may still have a map that names one
            return set(versions)
        for _ in range(_TRIES):
            if not carry_out(connection, self._without(connection, versions)):
                break
        statements = {
            str(version): _drop_statement(self.place, version, relation, numbers[version])
            for version, relation in versions.items()
        }
        for _ in range(_TRIES):
            statements = {version: statements[version] for version in carry_out(connection, statements)}
        return {int(version) for version in statements}

    def _without(self, connection: psycopg.Connection[Any], versions: Mapping[int, str]) -> dict[str, str]:
        """The statements that take these versions out of the views that have a branch for them."""
        views = Views(connection, self.place)
        seen = {name: held for name, held in views.seen().items() if set(held.versions) & set(versions)}
        there = views.branches({v for held in seen.values() for v in held.versions} - set(versions))
        return {
            held.view: views.opened(
                name, Contract(held.columns, held.shapes), [there[v] for v in held.versions if v in there], held
            )
            for name, held in seen.items()
        }

    def _query(self, connection: psycopg.Connection[Any], statement: str, **parameters: Any) -> list[tuple[Any, ...]]:
        query = composed.SQL(statement.replace("{numbered}", _NUMBERED)).format(s=composed.Identifier(self.place.store))
        done = connection.execute(query, {"p": self.place.pipeline, **parameters})
        return done.fetchall() if done.description else []


def _drop_statement(place: Place, version: int, relation: str, numbers: Collection[int]) -> str:
    """A version with its slices and its table. A foreign key refuses it where a slice was staged meanwhile."""
    slices, versions = (sql.qualified(place.store, table) for table in ("slices", "versions"))
    listed, id_ = ", ".join(sql.literal(number) for number in sorted(numbers)), sql.literal(version)
    return "; ".join([
        " ".join(["DELETE FROM", slices, "WHERE version =", id_, "AND id IN (" + listed + ")"]),
        "DELETE FROM " + versions + " WHERE id = " + id_,  # noqa: S608 - names and a number, quoted above
        " ".join(["DROP TABLE IF EXISTS", sql.qualified(place.store, relation), "RESTRICT"]),
    ])  # fmt: skip


def _when(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")
