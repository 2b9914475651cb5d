"""A change that a view can't take in place (a column dropped, moved or of another type): the view is made anew in the
very transaction that moves the pointer, with the grants, options, comments and the owner that it had.

Nothing is ever dropped with what is built upon it: then the change is refused, naming what that is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from lanewise.adapters.warehouses.postgres.carrying import prepare_session
from lanewise.adapters.warehouses.postgres.dependants import dependants
from lanewise.adapters.warehouses.postgres.maps import whole
from lanewise.adapters.warehouses.postgres.opening import patience_of
from lanewise.adapters.warehouses.postgres.place import Place
from lanewise.adapters.warehouses.postgres.server import Server
from lanewise.adapters.warehouses.postgres.transactions import Waiting, holders
from lanewise.adapters.warehouses.postgres.views import Contract, Seen, Views
from lanewise.domain.publication import TableMap
from lanewise.errors import Refused
from lanewise.publication import sql
from lanewise.publication.documents import decode
from lanewise.publication.mapped_views import begins_with, changes, shape_of

_MISFITS = """select t.document from {s}.members m join {s}.table_maps t on t.id = m.table_map
    left join {s}.views v on v.pipeline = t.pipeline and v.name = t.name
    where m.content = %s and (v.view is null or t.shape <> all (v.shapes)) order by t.name"""
_GRANTS = """select null, g.grantee, g.privilege_type, g.is_grantable from pg_class c, aclexplode(c.relacl) g
    where c.oid = %(oid)s and g.grantee <> c.relowner
    union all select a.attname, g.grantee, g.privilege_type, g.is_grantable
    from pg_attribute a, pg_class c, aclexplode(a.attacl) g
    where a.attrelid = c.oid and c.oid = %(oid)s and a.attnum > 0 and not a.attisdropped and g.grantee <> c.relowner"""
_NAMED = """select column_, case when grantee = 0 then null else pg_get_userbyid(grantee) end, privilege, grantable
    from ({grants}) g(column_, grantee, privilege, grantable)"""
_COMMENTS = """select a.attname, col_description(a.attrelid, a.attnum) from pg_attribute a
    where a.attrelid = %(oid)s and a.attnum > 0 and not a.attisdropped
    union all select null, obj_description(%(oid)s, 'pg_class')"""


@dataclass(frozen=True)
class Breaking:
    """Makes views anew together with a move of the pointer."""

    server: Server
    place: Place
    say: Callable[[str], None]

    def carry_out(self, connection: psycopg.Connection[Any], content: int, move: Callable[[], bool]) -> bool:
        """Make every view that does not fit ``content`` anew and ``move`` the pointer, both or neither. False when
        the pointer did not move. Waits for readers of those views with patience, and holds nobody up meanwhile."""
        waiting = Waiting(self.say, patience_of(self.server))
        prepare_session(connection)
        connection.execute("set synchronous_commit = on")
        while True:
            views = Views(connection, self.place)
            misfits = [self._table(row[0]) for row in views.rows(_MISFITS, content)]
            seen = views.seen([t.name for t in misfits])
            try:
                with connection.transaction():
                    for table in misfits:
                        self._renew(connection, views, table, seen.get(table.name))
                    if move():
                        return True
                    raise psycopg.Rollback
            except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
                held = [seen[t.name] for t in misfits if t.name in seen]
                waiting.once_more([h.view for h in held], holders(connection, [h.oid for h in held]))
            else:
                return False

    def _renew(self, connection: psycopg.Connection[Any], views: Views, table: TableMap, seen: Seen | None) -> None:
        """Replace the view where that is possible, else drop it and make it anew."""
        shape = shape_of(table.columns)
        versions = views.needed().get(table.name, {}).get(shape, set())
        if seen and begins_with(table.columns, seen.columns):
            become = Contract(table.columns, seen.shapes | {shape})
            versions |= set(seen.versions)
            _run(connection, views.opened(table.name, become, list(views.branches(versions).values()), seen))
            return
        kept = _Kept.of(connection, self.place, seen) if seen else None
        if seen:
            built = dependants(connection, seen.oid)
            if built:
                told = "; ".join(changes(seen.columns, table.columns))
                raise Refused(f"{self.place.public}.{seen.view} can't be changed while {', '.join(built)} "
                              f"is built upon it: {told}", hint="drop what is built upon it first")  # fmt: skip
            _run(connection, "DROP VIEW " + sql.qualified(self.place.public, seen.view) + " RESTRICT")
        become = Contract(table.columns, frozenset({shape}))
        branches = list(views.branches(versions).values())
        _run(connection, views.opened(table.name, become, branches, seen, replace=False))
        if kept:
            kept.restore(connection, [c.name for c in table.columns])

    def _table(self, document: str) -> TableMap:
        with whole(self.place):
            (table,) = decode(document.encode()).tables.values()
            return table


@dataclass(frozen=True)
class _Kept:
    """What a view has beside its query."""

    view: str
    owner: str
    grants: Sequence[tuple[str | None, str | None, str, bool]]
    comments: Sequence[tuple[str | None, str | None]]

    @classmethod
    def of(cls, connection: psycopg.Connection[Any], place: Place, seen: Seen) -> _Kept:
        """As they are now."""
        named = {"oid": seen.oid}
        grants = connection.execute(_NAMED.replace("{grants}", _GRANTS), named).fetchall()
        comments = connection.execute(_COMMENTS, named).fetchall()
        row = connection.execute("select pg_get_userbyid(relowner) from pg_class where oid = %(oid)s", named).fetchone()
        return cls(sql.qualified(place.public, seen.view), row[0] if row else "", grants, comments)

    def restore(self, connection: psycopg.Connection[Any], columns: Sequence[str]) -> None:
        """Put them on the view of the same name; what belonged to a column that is gone is gone with it."""
        there = {*columns, None}
        for column, comment in self.comments:
            if comment is not None and column in there:
                thing = "VIEW " + self.view if column is None else "COLUMN " + self.view + "." + sql.identifier(column)
                _run(connection, "COMMENT ON " + thing + " IS " + sql.literal(comment))
        for statement in self._revokes(connection):
            _run(connection, statement)
        for column, grantee, privilege, grantable in self.grants:
            if column in there:
                what = privilege + ("" if column is None else " (" + sql.identifier(column) + ")")
                words = ["GRANT", what, "ON", self.view, "TO", _role(grantee)]
                _run(connection, " ".join(words + (["WITH GRANT OPTION"] if grantable else [])))
        row = connection.execute("select current_user").fetchone()
        if row and row[0] != self.owner:
            _run(connection, "ALTER VIEW " + self.view + " OWNER TO " + sql.identifier(self.owner))

    def _revokes(self, connection: psycopg.Connection[Any]) -> list[str]:
        """Of what the schema's default privileges gave the new view."""
        row = connection.execute("select to_regclass(%s)::oid", [self.view]).fetchone()
        given = connection.execute(_NAMED.replace("{grants}", _GRANTS), {"oid": row[0] if row else 0}).fetchall()
        roles = dict.fromkeys(grantee for column, grantee, _, _ in given if column is None)
        return ["REVOKE ALL ON " + self.view + " FROM " + _role(role) for role in roles]


def _role(name: str | None) -> str:
    return "PUBLIC" if name is None else sql.identifier(name)


def _run(connection: psycopg.Connection[Any], statement: str) -> None:
    connection.execute(statement.encode())
