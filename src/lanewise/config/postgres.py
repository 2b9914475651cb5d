"""What a ``postgres`` connection may say, and what it must when an environment publishes through it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from lanewise.config.models import Strict, validated
from lanewise.config.node import Document, Member, Node
from lanewise.config.values import Text
from lanewise.domain.environment import Connection, Role
from lanewise.errors import nearest_hint

TYPE = "postgres"
PASSWORDS = ("password", *(f"{role}_password" for role in Role))
"""The fields that are references and are given to the server."""

_ALIKE = 0.75
"""How near a reference's name must be to a password's to be a misspelt one, and not a secret of the project's own."""


class PostgresModel(Strict):
    """The plain fields. Passwords are references, and stand beside them."""

    host: Text | None = Field(default=None, description="The server; the local socket when it is left out.")
    port: int | None = Field(default=None, ge=1, le=65535, description="5432 when it is left out.")
    database: Text | None = Field(default=None, description="The database. A warehouse needs it.")
    user: Text | None = Field(default=None, description="The login of every role that has none of its own.")
    sslmode: Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] | None = None
    sslrootcert: Text | None = Field(default=None, description="The file of the authorities that may sign the server.")
    connect_timeout: int | None = Field(default=None, ge=1, le=3600, description="Seconds; 10 when it is left out.")
    store: Text | None = Field(default=None, description="The schema of versions and maps; lanewise_ENV by default.")
    patience: int | None = Field(
        default=None, ge=1, le=86400, description="Seconds that views in use are waited for; 60."
    )
    schema_: Text | None = Field(default=None, alias="schema", description="Where inputs without a schema lie.")
    readers: list[Text] = Field(default=[], description="Further logins that may read what is published.")
    reads: list[Text] = Field(default=[], description="Relations that runs read beside the project's inputs.")
    connects: list[Text] = Field(default=[], description="Further logins that may connect to the database.")
    member_of: list[Text] = Field(default=[], description="Group roles that its logins stay members of.")
    runner: Text | None = Field(default=None, description="The login of runs.")
    publisher: Text | None = Field(default=None, description="The login of Lanewise, which owns what is published.")
    reader: Text | None = Field(default=None, description="The login that may read what is published.")
    admin: Text | None = Field(default=None, description="The operator's login, for `lane provision` alone.")


FIELDS = tuple(field.alias or name for name, field in PostgresModel.model_fields.items())
"""The names of the plain fields, as they are written."""


def judge(document: Document, connection: Connection, place: Member, *, warehouse: bool) -> None:
    """``ConfigError`` at the first thing that is wrong with a connection of this type. ``place`` is its member in the
    file; ``warehouse``: an environment publishes through it."""
    members = place.node.members
    for field in connection.secrets:
        _known_secret(document, field, members[field], warehouse=warehouse)
    filled = {name: _filled(members[name], value) for name, value in connection.fields.items()}
    validated(PostgresModel, Document(document.file, Node(filled, place.node.line, place.node.column)))
    for role in Role:
        password = f"{role}_password"
        if password in members and role.value not in members:
            hint = f"name the login: `{role}: USER`"
            raise document.error(f"{password} is the password of a login that is not named", members[password],
                                 hint=hint)  # fmt: skip
    if warehouse and not connection.fields.get("database"):
        message = f"{connection.name[:60]} is a warehouse and names no database"
        raise document.error(message, place, hint="add `database: NAME`; Lanewise never guesses where to publish")


def _known_secret(document: Document, field: str, member: Member, *, warehouse: bool) -> None:
    if field in PASSWORDS:
        return
    if field in FIELDS:
        if warehouse:
            message = f"{field} of a warehouse can't be a secret reference: where readers look is no secret"
            raise document.error(message, member.node, hint="write its value")
        return
    hint = nearest_hint(field, _near(field))
    if hint:
        raise document.error(f"unknown key {field[:60]!r}", member, hint=hint)


def _near(field: str) -> list[str]:
    import difflib  # noqa: PLC0415 - for a project's own secrets alone

    return difflib.get_close_matches(field, PASSWORDS, n=2, cutoff=_ALIKE)


def _filled(member: Member, value: Any) -> Member:
    """The member with its templates filled in, each value in its place."""
    written = member.node
    if isinstance(value, list) and isinstance(written.value, tuple):
        items = tuple(Node(item, old.line, old.column) for item, old in zip(value, written.value, strict=True))
        return Member(Node(items, written.line, written.column), member.line, member.column)
    if isinstance(value, Mapping):
        return member
    return Member(Node(value, written.line, written.column), member.line, member.column)


def schema() -> dict[str, Any]:
    """What editors are told about a connection of this type, as JSON Schema: for others, nothing is known."""
    drawn = PostgresModel.model_json_schema(by_alias=True)
    reference: dict[str, Any] = {
        "anyOf": [
            {"type": "string", "pattern": "^[a-z][a-z0-9_-]*:"},
            {"type": "object", "required": ["secret"]},
        ],
        "description": "A secret reference, such as env:NAME.",
    }
    known = {"type": {"const": TYPE}, **drawn["properties"], **dict.fromkeys(PASSWORDS, reference)}
    return {
        "if": {"properties": {"type": {"const": TYPE}}},
        "then": {"properties": known, "additionalProperties": reference},
    }
