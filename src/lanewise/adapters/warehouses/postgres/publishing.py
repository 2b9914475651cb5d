"""The one moment in which readers see another map: an UPDATE of the pipeline's pointer, checked and recorded in the
same statement.

When the connection breaks while the statement is on its way, nobody knows here whether it was carried out. It is then
sent again: it does nothing when its map is live under its fence, and is refused when somebody else has moved on.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import psycopg
from psycopg import sql

from lanewise.adapters.warehouses.postgres import store
from lanewise.adapters.warehouses.postgres.breaking import Breaking
from lanewise.adapters.warehouses.postgres.maps import Maps, unknown_map
from lanewise.adapters.warehouses.postgres.opening import Opening
from lanewise.adapters.warehouses.postgres.place import Place
from lanewise.adapters.warehouses.postgres.registering import Register, content_digest
from lanewise.adapters.warehouses.postgres.server import Server
from lanewise.domain.publication import PartitionMap
from lanewise.errors import FenceRefused, GroundMoved, WarehouseUnavailable

Result = TypeVar("Result")

_AGAIN = 10.0  # seconds in which a lost server is asked what became of a statement
_MOVE = """
with wanted as ({wanted}),
moved as (
    update {s}.pointers p set number = %(number)s, content = w.content, fence = %(fence)s, seen = %(fence)s,
        base = %(base)s, repeats = %(repeats)s, moved_at = clock_timestamp()
    from wanted w where p.pipeline = %(pipeline)s and p.number = %(base)s and p.seen <= %(fence)s
        and %(number)s > p.number and not exists (
            select from {s}.members m join {s}.table_maps t on t.id = m.table_map
            left join {s}.views v on v.pipeline = t.pipeline and v.name = t.name
            where m.content = w.content and (v.view is null or t.shape <> all (v.shapes)))
    returning p.content),
recorded as (
    insert into {s}.maps (pipeline, number, content, base, repeats, fence)
    select %(pipeline)s, %(number)s, content, %(base)s, %(repeats)s, %(fence)s from moved returning number),
cleared as (
    delete from {s}.prepared where pipeline = %(pipeline)s and number <= (select number from recorded))
select number from recorded"""
_PREPARED = """select r.content from {s}.prepared r join {s}.contents c on c.id = r.content
    where r.pipeline = %(pipeline)s and r.number = %(number)s and r.ready and c.digest = %(digest)s"""
_KEPT = "select content from {s}.maps where pipeline = %(pipeline)s and number = %(repeats)s"
_EMPTY = "select id as content from {s}.contents where pipeline = %(pipeline)s and digest = %(digest)s"
_STATE = """select p.number, p.fence, p.seen, p.base, p.repeats, coalesce(c.digest, ''),
    exists(select from ({wanted}) w) from {s}.pointers p left join {s}.contents c on c.id = p.content
    where p.pipeline = %(pipeline)s"""


@dataclass(frozen=True)
class Move:
    """One move of the pointer. ``source`` finds the content it is to point at."""

    pipeline: str
    number: int
    base: int
    fence: int
    source: str
    digest: str = ""
    repeats: int = 0

    @property
    def parameters(self) -> dict[str, Any]:
        """For the statements above."""
        return {"pipeline": self.pipeline, "number": self.number, "base": self.base, "fence": self.fence,
                "digest": self.digest, "repeats": self.repeats}  # fmt: skip


@dataclass(frozen=True)
class Publishing:
    """Moves the pointer of one pipeline."""

    server: Server
    place: Place
    say: Callable[[str], None]

    def raise_fence(self, fence: int) -> None:
        """Refuse older fencing numbers from now on."""
        with self.server.session() as connection:
            store.ensure(connection, self.place)

        def act(connection: psycopg.Connection[Any]) -> None:
            row = self._execute(connection, """insert into {s}.pointers as p (pipeline, seen)
                values (%(pipeline)s, %(fence)s) on conflict (pipeline) do update set seen = greatest(p.seen, %(fence)s)
                returning p.seen""", {"pipeline": self.place.pipeline, "fence": fence}).fetchone()  # fmt: skip
            if row and row[0] > fence:
                raise FenceRefused(fence, row[0])

        self._surely("the fencing number", act)

    def publish(self, target: PartitionMap, *, base: int, fence: int) -> None:
        """See the port."""
        move = Move(self.place.pipeline, target.number, base, fence, _PREPARED, content_digest(target))
        self._surely(f"map {target.number}", lambda connection: self._carry_out(connection, move))

    def revert(self, to: int, *, base: int, fence: int) -> int:
        """See the port."""
        if to == 0:
            move = self._to_nothing(base, fence)
        else:
            move = Move(self.place.pipeline, base + 1, base, fence, _KEPT, repeats=to)
        self._surely(f"map {to}", lambda connection: self._carry_out(connection, move))
        return move.number

    def _to_nothing(self, base: int, fence: int) -> Move:
        """The empty map has a content of its own; views that are plain show no map, so they are opened first."""
        nothing = PartitionMap(self.place.pipeline, base + 1)
        digest = content_digest(nothing)
        with self.server.session() as connection:
            store.ensure(connection, self.place)
            Register(connection, self.place).content(digest, "", "", [])
        live = Maps(self.server, self.place).live()
        if live.number == base:
            Opening(self.server, self.place, self.say).open_all(live, nothing)
        return Move(self.place.pipeline, base + 1, base, fence, _EMPTY, digest)

    def _carry_out(self, connection: psycopg.Connection[Any], move: Move) -> None:
        try:
            if self._moved(connection, move):
                return
            if self._settled(connection, move):
                return
        except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
            raise self._not_prepared(move) from None
        except psycopg.errors.ForeignKeyViolation:  # it was dropped while the pointer was waited for
            raise self._not_prepared(move) from None
        breaking = Breaking(self.server, self.place, self.say)
        if not breaking.carry_out(connection, self._content(connection, move), lambda: self._moved(connection, move)):
            self._settled(connection, move)
            raise GroundMoved("another map was published at this very moment", hint="look again and decide anew")

    def _moved(self, connection: psycopg.Connection[Any], move: Move) -> bool:
        return bool(self._execute(connection, _MOVE.replace("{wanted}", move.source), move.parameters).fetchone())

    def _content(self, connection: psycopg.Connection[Any], move: Move) -> int:
        row = self._execute(connection, move.source, move.parameters).fetchone()
        if row is None:
            raise self._not_prepared(move)
        return int(row[0])

    def _settled(self, connection: psycopg.Connection[Any], move: Move) -> bool:
        """Whether it is done already. Raises what stands in its way; False when that is a view alone."""
        found = self._execute(connection, _STATE.replace("{wanted}", move.source), move.parameters).fetchone()
        number, fence, seen, base, repeats, digest, there = found or (0, 0, 0, 0, 0, "", False)
        if move.fence < seen:
            raise FenceRefused(move.fence, seen)
        if move.source == _PREPARED:
            done = (number, digest, fence) == (move.number, move.digest, move.fence)
        else:
            done = (number, base, repeats) == (move.number, move.base, move.repeats)
            done = done and (bool(move.repeats) or digest == move.digest)
        if done:
            return True
        if number != move.base:
            raise GroundMoved(f"map {number} is live, not map {move.base}", hint="look again and decide anew")
        if move.number <= number:
            raise GroundMoved(
                f"map {move.number} is not newer than the live map {number}",
                hint="numbers only grow: number it anew, or go back to a kept map with `lane rollback`",
            )
        if not there:
            raise self._not_prepared(move)
        return False

    def _not_prepared(self, move: Move) -> Exception:
        if not move.repeats:
            return GroundMoved(f"map {move.number} is not prepared", hint="prepare it (again) before publishing")
        return unknown_map(move.repeats, Maps(self.server, self.place).numbers())

    def _surely(self, what: str, act: Callable[[psycopg.Connection[Any]], Result]) -> Result:
        """Act on a session of its own; once more on a new one when the server went away meanwhile."""
        until: float | None = None
        while True:
            lost = False
            try:
                with self.server.session(autocommit=True) as connection:
                    try:
                        return act(connection)
                    finally:
                        lost = connection.broken or connection.closed
            except WarehouseUnavailable as error:
                if not lost and until is None:
                    raise
                until = until or time.monotonic() + _AGAIN
                if time.monotonic() > until:
                    raise WarehouseUnavailable(
                        f"the server went away while {what} was on its way, and is not back",
                        hint="whether it arrived shows when the server is back: repeat the command then",
                    ) from error
                time.sleep(0.1)

    def _execute(
        self, connection: psycopg.Connection[Any], statement: str, parameters: dict[str, Any]
    ) -> psycopg.Cursor[Any]:
        return connection.execute(sql.SQL(statement).format(s=sql.Identifier(self.place.store)), parameters)
