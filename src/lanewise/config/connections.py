"""The connections that an environment's settings name, their secrets as references."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from lanewise.config.node import Document, Node
from lanewise.config.secrets import HINT, is_reference, is_secret_name, looks_like_reference
from lanewise.config.templates import TemplateError, expand, is_template
from lanewise.config.tree import Tree, leaves
from lanewise.config.values import parse_duration
from lanewise.domain.environment import Connection, Origin, SecretRef, Value
from lanewise.errors import nearest_hint

_LONG_FORM = {"secret", "previous", "max_age"}
_EMBEDDED = "duckdb"


@dataclass
class Connections:
    """Connections by name, and where each field came from (``connections.NAME.FIELD``)."""

    by_name: dict[str, Connection] = field(default_factory=dict)
    origins: dict[str, Origin] = field(default_factory=dict)


def connections(document: Document, environment: str, settings: Tree) -> Connections:
    """Those that a ``*_conn`` setting of this environment names; no other environment's are among them."""
    declared = _declared(document, environment)
    strict = document.root.get("connections") is not None
    made = Connections()
    warehouse = next((leaf.value for path, leaf in leaves(settings) if path == ("dst_conn",)), None)
    for path, leaf in leaves(settings):
        name = leaf.value
        if not path[-1].endswith("_conn") or not isinstance(name, str) or name in made.by_name:
            continue
        if name in declared:
            _add(made, document, environment, (name, declared[name]))
            _judge(document, made.by_name[name], declared[name], warehouse=name == warehouse)
        elif path == ("dst_conn",) and (not strict or name == f"warehouse_{environment}"):
            made.by_name[name] = Connection(name, _EMBEDDED)
            made.origins[f"connections.{name}.type"] = Origin("built in")
        elif strict and leaf.origin.layer != "built in":
            hint = nearest_hint(name, declared) or "declare it under connections:"
            raise leaf.error(f"{'.'.join(path)} names the unknown connection {name[:80]!r}", hint=hint)
    return made


def _declared(document: Document, environment: str) -> Mapping[str, str]:
    """Name in this environment to name in the file. A plain name goes before a template that gives the same."""
    declared: dict[str, str] = {}
    section = document.root.get("connections") or Node({})
    for written, member in section.members.items():
        try:
            name = expand(written, environment)
        except TemplateError as error:
            raise document.error(f"this connection's name has {error}", member, hint=error.hint) from None
        if name in declared and is_template(written) == is_template(declared[name]):
            message = f"{declared[name][:60]} and {written[:60]} both give the connection {name[:60]}"
            raise document.error(message, member)
        if name not in declared or not is_template(written):
            declared[name] = written
    return declared


def _add(made: Connections, document: Document, environment: str, names: tuple[str, str]) -> None:
    name, written = names
    section = document.root.get("connections") or Node({})
    node = section.members[written].node
    plain: dict[str, Value] = {}
    secrets: dict[str, SecretRef] = {}
    for key, member in node.members.items():
        origin = Origin("connections", document.file, member.node.line, member.node.column)
        made.origins[f"connections.{name}.{key}"] = origin
        value = _filled(document, environment, member.node)
        reference = _reference(document, member.node, key, value)
        if reference:
            secrets[key] = reference
        elif key != "type":
            _no_reference_inside(document, member.node, value)
            plain[key] = value
    made.by_name[name] = Connection(
        name, str(_filled(document, environment, node.members["type"].node)), plain, secrets
    )


def _judge(document: Document, connection: Connection, written: str, *, warehouse: bool) -> None:
    """Fields of a type that Lanewise itself logs in to are known; what others take is their own matter."""
    if connection.type == "postgres":
        from lanewise.config import postgres  # noqa: PLC0415 - most projects have none

        section = document.root.get("connections") or Node({})
        postgres.judge(document, connection, section.members[written], warehouse=warehouse)


def _filled(document: Document, environment: str, node: Node) -> Any:
    try:
        return expand(node.plain(), environment)
    except TemplateError as error:
        # A secret may have braces in it: its text is not repeated.
        message = "a lone brace, or a placeholder other than {env}"
        raise document.error(message, node, hint=error.hint) from None


def _reference(document: Document, node: Node, key: str, value: Any) -> SecretRef | None:
    if isinstance(value, str) and (looks_like_reference(value) or (is_secret_name(key) and value)):
        return SecretRef(_checked(document, node, key, value))
    if not isinstance(value, dict) or "secret" not in value:
        return None
    for other in value:
        if other not in _LONG_FORM:
            hint = nearest_hint(other, _LONG_FORM)
            raise document.error(f"unknown key {other[:60]!r} beside secret", node.members[other], hint=hint)
    previous = value.get("previous")
    return SecretRef(
        _checked(document, node.members["secret"].node, key, value["secret"]),
        None if previous is None else _checked(document, node.members["previous"].node, key, previous),
        _max_age(document, node, value.get("max_age")),
    )


def _checked(document: Document, node: Node, key: str, value: object) -> str:
    if not isinstance(value, str) or not is_reference(value):
        raise document.error(f"{key[:60]}: this is no secret reference", node, hint=HINT)
    return value


def _max_age(document: Document, node: Node, text: object) -> timedelta | None:
    if text is None:
        return None
    try:
        return parse_duration(str(text))
    except ValueError as error:
        raise document.error(f"max_age {error}", node.members["max_age"].node) from None


def _no_reference_inside(document: Document, node: Node, value: Any) -> None:
    """A reference further down would reach the driver as text: nothing looks for it there."""
    pending: list[Any] = [value] if isinstance(value, dict | list) else []
    while pending:
        item = pending.pop()
        if isinstance(item, str) and looks_like_reference(item):
            message = "a secret reference stands directly in its connection, not inside a field"
            raise document.error(message, node)
        if isinstance(item, dict | list):
            pending += item.values() if isinstance(item, dict) else item
