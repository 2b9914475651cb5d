"""Writing a map down before it is published: its table maps (shared by all maps that leave a table as it is), what of
them reading needs, and the row that says that it is prepared."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql

from lanewise.adapters.warehouses.postgres.locations import by_relation, location
from lanewise.adapters.warehouses.postgres.maps import document_of
from lanewise.adapters.warehouses.postgres.place import Place
from lanewise.domain.canonical import digest
from lanewise.domain.publication import PartitionMap, TableMap
from lanewise.errors import GroundMoved
from lanewise.publication.mapped_views import shape_of


@dataclass(frozen=True)
class Register:
    """Writes in the caller's transaction."""

    connection: psycopg.Connection[Any]
    place: Place

    def prepare(self, target: PartitionMap) -> int:
        """Write the map down as prepared; the number of its content."""
        documents = {name: document_of(self.place.pipeline, table) for name, table in target.tables.items()}
        digests = {name: (document, _digest(document)) for name, document in documents.items()}
        known = self._table_maps([d for _, d in digests.values()])
        fresh = {name: pair for name, pair in digests.items() if pair[1] not in known}
        if fresh:
            self._insert_table_maps(target, fresh)
            known = self._table_maps([d for _, d in digests.values()])
        members = sorted({known[d] for _, d in digests.values()})
        named = content_name(target, {name: d for name, (_, d) in digests.items()})
        content = self.content(named, target.build, target.config, members)
        self.execute("insert into {s}.prepared (pipeline, number, content) values (%s, %s, %s) on conflict do nothing",
                     self.place.pipeline, target.number, content)  # fmt: skip
        self.execute("insert into {s}.pointers (pipeline) values (%s) on conflict do nothing", self.place.pipeline)
        return content

    def ready(self, target: PartitionMap, content: int) -> None:
        """Its views are open: it may be published."""
        self.execute("update {s}.prepared set ready = true where pipeline = %s and number = %s and content = %s "
                     "and not ready", self.place.pipeline, target.number, content)  # fmt: skip

    def execute(self, statement: str, *parameters: Any) -> psycopg.Cursor[Any]:
        """A statement on the store; ``{s}`` is its schema."""
        return self.connection.execute(
            sql.SQL(statement).format(s=sql.Identifier(self.place.store)), parameters
        )  # fmt: skip

    def _table_maps(self, digests: list[str]) -> dict[str, int]:
        found = self.execute("select digest, id from {s}.table_maps where pipeline = %s and digest = any(%s)",
                             self.place.pipeline, digests)  # fmt: skip
        return dict(found.fetchall())

    def _insert_table_maps(self, target: PartitionMap, fresh: Mapping[str, tuple[str, str]]) -> None:
        names = list(fresh)
        inserted = self.execute(
            """insert into {s}.table_maps (pipeline, name, digest, shape, document)
            select %s, * from unnest(%s::text[], %s::text[], %s::text[], %s::text[]) on conflict do nothing
            returning name, id""",
            self.place.pipeline, names, [fresh[n][1] for n in names],
            [shape_of(target.tables[n].columns) for n in names], [fresh[n][0] for n in names],
        ).fetchall()  # fmt: skip
        branches = _Branches()
        for name, number in inserted:
            branches.add(number, target.tables[name])
        relations = sorted(set(branches.relations))
        versions = dict(self.execute("select relation, id from {s}.versions where pipeline = %s and relation = any(%s)",
                                     self.place.pipeline, relations).fetchall())  # fmt: skip
        lost = [f"{relation} (its table)" for relation in relations if relation not in versions]
        if not lost:
            lost = self._unregistered(branches, versions)
        if lost:
            raise GroundMoved(
                f"map {target.number} names what {self.place.store} does not have: {', '.join(lost[:3])}",
                hint="it was dropped meanwhile: compute it again",
            )
        self.execute(
            """insert into {s}.branches (version, table_map, slices)
            select version, table_map, slices::bigint[] from unnest(%s::bigint[], %s::bigint[], %s::text[])
            as new(version, table_map, slices)""",
            [versions[r] for r in branches.relations], branches.table_maps, branches.slices,
        )  # fmt: skip
        self.execute("analyze {s}.branches")  # how long the lists are is what a reader's plan depends on

    def _unregistered(self, branches: _Branches, versions: Mapping[str, int]) -> list[str]:
        """The slices that were dropped since they were staged."""
        rows = self.execute(
            """select new.relation, one.number from unnest(%s::text[], %s::bigint[], %s::text[])
            as new(relation, version, slices) cross join unnest(new.slices::bigint[]) one(number)
            where not exists (select from {s}.slices r where r.id = one.number and r.version = new.version)""",
            branches.relations, [versions[r] for r in branches.relations], branches.slices,
        )  # fmt: skip
        return [location(relation, number) for relation, number in rows]

    def content(self, named: str, build: str, config: str, members: list[int]) -> int:
        """The content of that digest, made where it isn't there."""
        made = self.execute(
            """insert into {s}.contents (pipeline, digest, build, config) values (%s, %s, %s, %s)
            on conflict do nothing returning id""", self.place.pipeline, named, build, config,
        ).fetchone()  # fmt: skip
        if made:
            self.execute("insert into {s}.members (content, table_map) select %s, unnest(%s::bigint[])",
                         made[0], members)  # fmt: skip
            return int(made[0])
        found = self.execute("select id from {s}.contents where pipeline = %s and digest = %s",
                             self.place.pipeline, named).fetchone()  # fmt: skip
        assert found is not None  # noqa: S101 - it conflicted
        return int(found[0])


@dataclass
class _Branches:
    """Rows of ``branches``, as columns."""

    relations: list[str] = field(default_factory=list)
    table_maps: list[int] = field(default_factory=list)
    slices: list[str] = field(default_factory=list)

    def add(self, table_map: int, table: TableMap) -> None:
        """One row for each version that has rows in the table; slices of no rows need no reading."""
        found = by_relation(one for slices in table.slices.values() for one in slices if one.rows)
        for relation, numbers in sorted(found.items()):
            self.relations.append(relation)
            self.table_maps.append(table_map)
            self.slices.append("{" + ",".join(map(str, sorted(numbers))) + "}")


def content_digest(target: PartitionMap) -> str:
    """Names what a map holds: its tables and its release, whatever its number."""
    return content_name(target, {n: _digest(document_of(target.pipeline, t)) for n, t in target.tables.items()})


def content_name(target: PartitionMap, tables: Mapping[str, str]) -> str:
    """The same, where the digests of its tables are known."""
    return digest([target.build, target.config, dict(tables)])


def _digest(document: str) -> str:
    return hashlib.sha256(document.encode()).hexdigest()
