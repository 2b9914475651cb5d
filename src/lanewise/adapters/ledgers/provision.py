"""Who may do what with a ledger on PostgreSQL, as SQL: for `lane provision` to show and apply, or for an operator.

The owner makes and migrates the tables, and nothing else logs in as it. Writers read, append and take leases; readers
read. So nobody who promotes can change, drop or cut off the history, nor switch off the triggers that guard it.

    python -m lanewise.adapters.ledgers.provision --writer lanewise_writer | psql "$OWNERS_URL"
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from psycopg.sql import SQL, Composable, Identifier, Literal

from lanewise.adapters.ledgers.postgres_address import SCHEMA

_WRITER = (
    "grant usage on schema {schema} to {role}",
    "grant select on {schema}.alembic_version, {schema}.events, {schema}.leases to {role}",
    "grant insert on {schema}.events, {schema}.leases to {role}",
    "grant update (holder, fence, until) on {schema}.leases to {role}",
)
_READER = _WRITER[:2]
_REVOKED = (
    "revoke all on all tables in schema {schema} from {role}",
    "revoke all on all functions in schema {schema} from {role}",
    "revoke all on schema {schema} from {role}",
)


def make(schema: str = SCHEMA, *, found: str | None = None) -> tuple[str, ...]:
    """The statements that make the ledger's tables in ``schema``, or bring them up from the migration ``found`` (see
    ``Database.schema``). Run them in order, as the owner, in one transaction."""
    from lanewise.adapters.ledgers.migrations.upgrade import rendered  # noqa: PLC0415 - a second

    # `create schema if not exists` asks for the right to make one even where it is there
    needed = "do $do$ begin if to_regnamespace({name}) is null then create schema {schema}; end if; end $do$"
    first = [] if found else [_text(needed, schema)]
    # `from current` in the triggers' functions takes this path
    return (*first, _text("set local search_path = {schema}, pg_temp", schema), *rendered("postgresql", found))


def grants(schema: str = SCHEMA, *, writers: Sequence[str] = (), readers: Sequence[str] = ()) -> tuple[str, ...]:
    """The statements after which exactly these roles have exactly their rights; PUBLIC has none. Idempotent; the roles
    must be there. Rights that other roles have stay as they are."""
    public = [SQL(each).format(schema=Identifier(schema), role=SQL("public")).as_string() for each in _REVOKED]
    return (
        *public,
        *(_text(each, schema, role) for role in (*writers, *readers) for each in _REVOKED),
        *(_text(each, schema, role) for role in writers for each in _WRITER),
        *(_text(each, schema, role) for role in readers for each in _READER),
    )


def _text(statement: str, schema: str, role: str = "") -> str:
    named = Identifier(schema)
    parts: dict[str, Composable] = {"schema": named, "role": Identifier(role or "public")}
    return SQL(statement).format(**parts, name=Literal(named.as_string())).as_string()


def main() -> None:
    """Print the statements as one transaction."""
    parser = argparse.ArgumentParser(prog="python -m lanewise.adapters.ledgers.provision", description=__doc__)
    parser.add_argument("--schema", default=SCHEMA, help=f"default: {SCHEMA}")
    parser.add_argument("--from", dest="found", metavar="MIGRATION", help="the tables are there, as of this migration")
    parser.add_argument("--writer", action="append", default=[], metavar="ROLE", help="may promote; repeatable")
    parser.add_argument("--reader", action="append", default=[], metavar="ROLE", help="may look; repeatable")
    parser.add_argument("--grants-only", action="store_true", help="the tables are there and up to date")
    asked = parser.parse_args()
    made = () if asked.grants_only else make(asked.schema, found=asked.found)
    granted = grants(asked.schema, writers=asked.writer, readers=asked.reader)
    sys.stdout.write(";\n".join(["begin", *made, *granted, "commit"]) + ";\n")


if __name__ == "__main__":
    main()
