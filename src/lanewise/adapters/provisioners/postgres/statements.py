"""The statements that rights are written with, built and never pasted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import LiteralString

from psycopg import sql

from lanewise.adapters.provisioners.postgres.nouns import PUBLIC, Attributes, Sort, Thing

HIDDEN = "***"

_BOUNDS = "nosuperuser nocreatedb nocreaterole noinherit noreplication nobypassrls"
_KINDS: dict[str, LiteralString] = {
    "r": "tables", "S": "sequences", "f": "functions", "n": "schemas", "L": "large objects",
}  # fmt: skip


def name(*parts: str) -> sql.Identifier:
    """A name, quoted."""
    return sql.Identifier(*parts)


def create_role(role: str) -> sql.Composed:
    """A login that may do nothing beyond what it is granted. Its password is added by ``with_password``."""
    return sql.SQL("create role {} login " + _BOUNDS).format(name(role))


def alter_role(role: str, has: Attributes) -> sql.Composed | None:
    """Take from a role what lifts it above grants; None where it has nothing of the kind."""
    words: list[LiteralString] = []
    words += ["login"] if not has.login else []
    words += ["nocreatedb"] if has.createdb else []
    words += ["nocreaterole"] if has.createrole else []
    words += ["noinherit"] if has.inherit else []
    words += ["noreplication"] if has.replication else []
    words += ["nobypassrls"] if has.bypassrls else []
    if not words:
        return None
    return sql.SQL("alter role {} {}").format(name(role), sql.SQL(" ").join(sql.SQL(word) for word in words))


def set_password(role: str) -> sql.Composed:
    """Give a role that is there its password; see ``with_password``."""
    return sql.SQL("alter role {}").format(name(role))


def with_password(statement: sql.Composed, verifier: str = HIDDEN) -> sql.Composed:
    """A role's statement with its password: as shown, or with what the server keeps of it."""
    return sql.SQL("{} password {}").format(statement, sql.Literal(verifier))


def create_schema(schema: str, owner: str) -> sql.Composed:
    """A schema; ``owner`` "" for whoever makes it."""
    if not owner:
        return sql.SQL("create schema {}").format(name(schema))
    return sql.SQL("create schema {} authorization {}").format(name(schema), name(owner))


def own_schema(schema: str, owner: str) -> sql.Composed:
    """Hand a schema over."""
    return sql.SQL("alter schema {} owner to {}").format(name(schema), name(owner))


def own_relation(schema: str, relation: str, owner: str) -> sql.Composed:
    """Hand a table, view or sequence over."""
    return sql.SQL("alter table {} owner to {}").format(name(schema, relation), name(owner))


def grant(privileges: Iterable[str], things: Sequence[Thing], grantees: Iterable[str]) -> sql.Composed:
    """Privileges on things of one sort."""
    given, on, to = _privileges(privileges), _on(things), _grantees(grantees)
    if things[0].sort is Sort.DEFAULTS:
        return sql.SQL("{} grant {} on {} to {}").format(_defaults(things[0]), given, on, to)
    return sql.SQL("grant {} on {} to {}").format(given, on, to)


def revoke(
    privileges: Iterable[str], thing: Thing, grantee: str, *, option_only: bool = False, cascade: bool = False
) -> sql.Composed:
    """Privileges on one thing. ``option_only``: only the right to pass them on; ``cascade``: and what was passed on."""
    option: LiteralString = "grant option for " if option_only else ""
    tail: LiteralString = " cascade" if cascade else ""
    if thing.sort is Sort.COLUMN:
        given: sql.Composable = sql.SQL(", ").join(
            sql.SQL("{} ({})").format(sql.SQL(_word(one)), name(thing.name[2])) for one in sorted(privileges)
        )
    else:
        given = _privileges(privileges)
    body = sql.SQL("revoke " + option + "{} on {} from {}" + tail).format(given, _on([thing]), _grantees([grantee]))
    return sql.SQL("{} {}").format(_defaults(thing), body) if thing.sort is Sort.DEFAULTS else body


def join_role(role: str, member: str, version: int) -> sql.Composed:
    """Let somebody act as a role. From PostgreSQL 16 on it says of itself whether it gives its rights."""
    tail: LiteralString = " with inherit true, set true" if version >= 16 else ""
    return sql.SQL("grant {} to {}" + tail).format(name(role), name(member))


def leave_role(role: str, member: str) -> sql.Composed:
    """Let them no longer."""
    return sql.SQL("revoke {} from {}").format(name(role), name(member))


def shown(statement: sql.Composable) -> str:
    """The statement's text."""
    return statement.as_string(None)


def _on(things: Sequence[Thing]) -> sql.Composable:
    sort = things[0].sort
    if sort is Sort.DEFAULTS:
        return sql.SQL(_KINDS[things[0].name[2]])
    if sort is Sort.ROUTINE:
        # The arguments are the catalog's own words, quoted by the server.
        schema, routine, arguments = things[0].name
        written = sql.SQL(arguments)
        return sql.SQL("routine {}({})").format(name(schema, routine), written)
    words: dict[Sort, LiteralString] = {Sort.DATABASE: "database ", Sort.SCHEMA: "schema "}
    listed = sql.SQL(", ").join(name(*thing.name[:2]) for thing in things)
    return sql.SQL("{}{}").format(sql.SQL(words.get(sort, "")), listed)


def _defaults(thing: Thing) -> sql.Composable:
    whose, schema, _ = thing.name
    start = sql.SQL("alter default privileges for role {}").format(name(whose))
    return sql.SQL("{} in schema {}").format(start, name(schema)) if schema else start


def _privileges(privileges: Iterable[str]) -> sql.Composable:
    return sql.SQL(", ").join(sql.SQL(_word(one)) for one in sorted(privileges, reverse=True))


def _grantees(grantees: Iterable[str]) -> sql.Composable:
    return sql.SQL(", ").join(sql.SQL("public") if one == PUBLIC else name(one) for one in grantees)


def _word(privilege: str) -> LiteralString:
    """The catalogs name privileges in capitals."""
    if not privilege.isalpha():
        raise ValueError(privilege)
    return privilege.lower()
