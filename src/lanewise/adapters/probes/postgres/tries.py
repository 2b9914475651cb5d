"""What is tried on objects. Data is touched by ``explain`` alone: the server checks an explained statement's rights
as those of any other, and then neither runs it nor fires a trigger. Only what leaves no trace once it is rolled back
(an empty schema or table of a random name) is really done. Rights that can't be tried without harm (TRUNCATE, calling
a function) are asked for."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from psycopg import sql

from lanewise.adapters.probes.postgres.catalog import (
    FUNCTIONS,
    KINDS,
    RELATIONS,
    SCHEMAS,
    SERVERS,
    Scope,
    by_way_of,
)
from lanewise.adapters.probes.postgres.session import Session
from lanewise.domain.isolation import Attempt, Outcome, Target

READ, WRITE = ("select",), ("insert", "update", "delete")
_BEYOND = ("truncate", "references", "trigger", "maintain", "usage")
"""Rights that can't be tried without harm."""
_EXPLAINED = {
    "select": "explain select 1 from {name} where false",
    "insert": "explain insert into {name} default values",
    "update": "explain update {name} set {column} = default where false",
    "delete": "explain delete from {name} where false",
}


def on_relations(session: Session, lane: str, scope: Scope, actions: Sequence[str]) -> Iterator[Attempt]:
    """Every table, view and sequence of the scope, each action by itself, and then what is granted on it although it
    may be behind a closed schema. What both environments read is only written to."""
    for row in session.rows(RELATIONS, scope.parameters()):
        refused = [action for action in actions if action in WRITE or not row["input"] or scope.every]
        yield from _on_relation(session, Target(lane, KINDS[row["kind"]], _named(row)), row, refused)
        yield _held(session, lane, row, refused)


def held(session: Session, lane: str, scope: Scope) -> Iterator[Attempt]:
    """What is granted behind a closed door: on the scope's schemas, tables, views and sequences."""
    for row in session.rows(SCHEMAS, scope.parameters()):
        outcome = Outcome.ALLOWED if row["held"] else Outcome.DENIED
        attempt = Attempt(
            session.holder.identity, Target(lane, "schema", row["schema"]), "hold rights",
            f"select has_schema_privilege({_who(session)}, {_quoted(row['schema'])}, 'usage, create')", outcome,
            ", ".join(row["held"]) or "none of them",
        )  # fmt: skip
        yield told(session, attempt, "schema", row["oid"])
    for row in session.rows(RELATIONS, scope.parameters()):
        yield _held(session, lane, row, WRITE if row["input"] else (*READ, *WRITE))


def _on_relation(session: Session, target: Target, row: dict[str, Any], actions: Sequence[str]) -> Iterator[Attempt]:
    for action in actions:
        if (row["kind"] == "S" and action != "select") or (action == "update" and row["col"] is None):
            continue  # a sequence is written to by nextval, which is asked for; a table without columns is not
        statement = sql.SQL(_EXPLAINED[action]).format(
            name=sql.Identifier(row["schema"], row["name"]), column=sql.Identifier(row["col"] or "")
        )
        tried = session.attempt(target, action, statement)
        if tried is not None:
            yield told(session, tried, "relation", row["oid"])


def _held(session: Session, lane: str, row: dict[str, Any], actions: Sequence[str]) -> Attempt:
    """What the catalogs say that it may do: rights that wait behind a closed schema, or that can't be tried."""
    wanted = [right for right in row["rights"] if right in actions or right in _BEYOND]
    found = [right for right in row["held"] if right in wanted or right == "ownership"]
    function = "has_sequence_privilege" if row["kind"] == "S" else "has_table_privilege"
    name, rights = _named(row), ", ".join(wanted)
    outcome = Outcome.ALLOWED if found else Outcome.DENIED
    attempt = Attempt(
        session.holder.identity, Target(lane, KINDS[row["kind"]], name), "hold rights",
        f"select {function}({_who(session)}, {_quoted(name)}, {_quoted(rights)})", outcome,
        ", ".join(found) or "none of them",
    )  # fmt: skip
    return told(session, attempt, "relation", row["oid"])


def on_schemas(session: Session, lane: str, scope: Scope, actions: Sequence[str]) -> Iterator[Attempt]:
    """``usage``: look for a table that isn't there, which only those learn who may look. ``create``: a table without
    columns, taken back."""
    for row in session.rows(SCHEMAS, scope.parameters()):
        target = Target(lane, "schema", row["schema"])
        if "usage" in actions:
            absent = sql.Identifier(row["schema"], absent_name())
            tried = session.attempt(
                target, "usage", sql.SQL("select 1 from {} where false").format(absent), proof=("42P01",)
            )
            if tried is not None:
                yield told(session, tried, "schema", row["oid"])
        if "create" in actions:
            made = sql.SQL("create table {} ()").format(sql.Identifier(row["schema"], absent_name()))
            tried = session.attempt(target, "create", made)
            if tried is not None:
                yield told(session, tried, "schema", row["oid"])


def on_database(session: Session, lane: str, scope: Scope) -> Iterator[Attempt]:
    """Make a schema in a database that is the other environment's alone; use its foreign servers."""
    if scope.every:
        made = sql.SQL("create schema {}").format(sql.Identifier(absent_name()))
        tried = session.attempt(Target(lane, "database", scope.database), "create", made)
        if tried is not None:
            yield told(session, tried, "database", 0)
    for row in session.rows(SERVERS, scope.parameters()):
        outcome = Outcome.ALLOWED if row["may"] else Outcome.DENIED
        yield Attempt(session.holder.identity, Target(lane, "foreign server", row["name"]), "use",
                      f"select has_server_privilege({_who(session)}, {_quoted(row['name'])}, 'usage')", outcome,
                      str(bool(row["may"])).lower())  # fmt: skip


def on_functions(session: Session, lane: str, scope: Scope) -> Iterator[Attempt]:
    """Functions that run with their owner's rights. Calling one might do anything: it is asked, not called."""
    for row in session.rows(FUNCTIONS, scope.parameters()):
        name = row["name"]
        outcome = Outcome.ALLOWED if row["may"] else Outcome.DENIED
        attempt = Attempt(
            session.holder.identity, Target(lane, "function", name), "call as its owner",
            f"select has_function_privilege({_who(session)}, {_quoted(name)}, 'execute')", outcome,
            f"true: SECURITY DEFINER of {row['owner']}" if row["may"] else "false",
        )  # fmt: skip
        yield told(session, attempt, "function", row["oid"])


def told(session: Session, attempt: Attempt, kind: str, oid: int) -> Attempt:
    """A hole with the grants that it is; anything else as it was."""
    if attempt.outcome is not Outcome.ALLOWED:
        return attempt
    return replace(attempt, answer=attempt.answer + by_way_of(session, kind, oid))


def absent_name() -> str:
    """A name that nothing has."""
    return f"lanewise_probe_{secrets.token_hex(6)}"


def _who(session: Session) -> str:
    return _quoted(session.holder.identity.user)


def _named(row: dict[str, Any]) -> str:
    return f"{row['schema']}.{row['name']}"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
