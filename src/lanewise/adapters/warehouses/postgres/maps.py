"""Which maps there are, what they hold, and whether all of it is still there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from lanewise.adapters.warehouses.postgres.locations import location
from lanewise.adapters.warehouses.postgres.place import Place
from lanewise.adapters.warehouses.postgres.server import Server
from lanewise.domain.publication import PartitionMap, Pointer, TableMap
from lanewise.errors import NotFound, WarehouseUnavailable
from lanewise.publication.documents import decode, encode

_CONTENT = """select {source}, c.build, c.config, array(
    select t.document from {s}.members m join {s}.table_maps t on t.id = m.table_map
    where m.content = c.id order by t.name) from {from_}"""


@dataclass(frozen=True)
class Maps:
    """Reads the maps of one pipeline in one environment."""

    server: Server
    place: Place

    def pointer(self) -> Pointer:
        """What is live; nothing, where the store isn't made yet."""
        rows = self._rows("""select p.number, p.fence, p.seen, coalesce(c.build, ''), coalesce(c.config, ''), p.repeats
            from {s}.pointers p left join {s}.contents c on c.id = p.content where p.pipeline = %s""")
        if not rows:
            return Pointer(0, 0, "", "")
        number, fence, seen, build, config, repeats = rows[0]
        return Pointer(number, fence, build, config, repeats) if number else Pointer(0, seen, "", "")

    def live(self) -> PartitionMap:
        """The live map, in one statement."""
        found = self._maps("p.number", "{s}.pointers p join {s}.contents c on c.id = p.content where p.pipeline = %s")
        return found or PartitionMap(self.place.pipeline)

    def map_at(self, number: int) -> PartitionMap:
        """A map that was live, and still is kept."""
        if number == 0:
            return PartitionMap(self.place.pipeline)
        found = self._maps("p.number", "{s}.maps p join {s}.contents c on c.id = p.content "
                           "where p.pipeline = %s and p.number = %s", number)  # fmt: skip
        if found is None:
            raise unknown_map(number, self.numbers())
        return found

    def numbers(self) -> tuple[int, ...]:
        """The maps that were live and are kept."""
        return tuple(row[0] for row in self._rows("select number from {s}.maps where pipeline = %s order by number"))

    def missing(self, number: int) -> tuple[str, ...]:
        """The slices with rows that map ``number`` names and whose table or registration is gone."""
        if number == 0:
            return ()
        rows = self._rows(
            """with held as (
                select b.version, b.slices from {s}.maps m join {s}.members using (content)
                join {s}.branches b using (table_map) where m.pipeline = %s and m.number = %s),
            tables as materialized (select id, relation, to_regclass(format('%%I.%%I', %s::text, relation)) is not null
                as there from {s}.versions where id in (select version from held))
            select distinct t.relation, one.number
            from held join tables t on t.id = held.version cross join unnest(held.slices) one(number)
            left join {s}.slices r on r.id = one.number and r.version = held.version
            where not t.there or r.id is null order by 1, 2""",
            number,
            self.place.store,
        )
        if not rows and number not in self.numbers():
            raise unknown_map(number, self.numbers())
        return tuple(location(relation, number) for relation, number in rows)

    def _maps(self, source: str, from_: str, *parameters: Any) -> PartitionMap | None:
        rows = self._rows(_CONTENT.replace("{source}", source).replace("{from_}", from_), *parameters)
        if not rows:
            return None
        number, build, config, documents = rows[0]
        tables = {t.name: t for document in documents for t in self._decoded(document)}
        return PartitionMap(self.place.pipeline, number, build, config, tables)

    def _decoded(self, document: str) -> Iterable[TableMap]:
        with whole(self.place):
            return decode(document.encode()).tables.values()

    def _rows(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """The rows of a query whose first parameter is the pipeline; none where the store isn't made yet."""
        with self.server.session(autocommit=True) as connection:
            try:
                return connection.execute(
                    sql.SQL(statement).format(s=sql.Identifier(self.place.store)), [self.place.pipeline, *parameters]
                ).fetchall()  # fmt: skip
            except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
                return []


def unknown_map(number: int, kept: Iterable[int]) -> NotFound:
    """No such map, and which there are."""
    return NotFound("map", str(number), hint=f"kept are {', '.join(map(str, kept)) or 'none'}")


def document_of(pipeline: str, table: TableMap) -> str:
    """One table's map as it is stored; equal ones are equal text."""
    return encode(PartitionMap(pipeline, tables={table.name: table})).decode()


@contextmanager
def whole(place: Place) -> Iterator[None]:
    """A document that does not read as what was written there."""
    try:
        yield
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise WarehouseUnavailable(
            f"a map in {place.store} is damaged",
            hint="restore it from a backup, or go back to another map with `lane rollback`",
        ) from error
