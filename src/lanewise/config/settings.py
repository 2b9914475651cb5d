"""The settings of every environment: defaults, ``extends``, the environment, ``LANEWISE__*`` variables."""

from __future__ import annotations

import re
from collections.abc import Mapping

from lanewise.config.node import Document, Node
from lanewise.config.overrides import overridden
from lanewise.config.templates import TemplateError, expand
from lanewise.config.tree import Leaf, Tree, check_types, first_leaf, leaves, merge, tree
from lanewise.domain.environment import Origin
from lanewise.domain.project import Project
from lanewise.errors import nearest_hint

RESERVED = ("data", "extends")
ORDER = ("built in", "defaults", "extends", "the environment", "LANEWISE__* variables")
"""The layers, each laid over the ones before it."""

_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,127}")


def built_in(project: Project) -> Tree:
    """What the standard keys are when nobody sets them."""
    values = {
        "src_conn": "source_{env}",
        "dst_conn": "warehouse_{env}",
        "bucket": f"{project.name}-{{env}}",
        "schema": f"{project.name.replace('-', '_')}_{{env}}",
        "table_suffix": "_{env}",
        "service_account": f"sa-{project.name}-{{env}}",
        "retries": 0,
        "sla": None,
    }
    return {key: Leaf(value, Origin("built in")) for key, value in values.items()}


def layers(document: Document, name: str) -> tuple[tuple[str, Node], ...]:
    """The environment's own mapping and those it extends, the furthest first, each with its layer's name."""
    environments = document.find(["environments"])
    members = environments.members if isinstance(environments, Node) else {}
    chain: list[tuple[str, Node]] = []
    seen: list[str] = []
    while True:
        node = members[name].node
        chain.insert(0, (f"extends {name}" if seen else f"environments.{name}", node))
        seen.append(name)
        parent = node.get("extends")
        if parent is None or parent.value is None:
            return tuple(chain)
        if str(parent.value) in seen:
            circle = " → ".join([*seen, str(parent.value)])
            raise document.error(f"environments extend each other in a circle: {circle}", parent)
        if str(parent.value) not in members:
            hint = nearest_hint(str(parent.value), set(members) - {name})
            raise document.error(
                f"{name} extends the unknown environment {str(parent.value)[:60]!r}", parent, hint=hint
            )
        name = str(parent.value)


def resolved_settings(document: Document, project: Project, variables: Mapping[str, str]) -> dict[str, Tree]:
    """Every environment's settings, merged, typed and filled in; ``ConfigError`` at the first thing wrong."""
    defaults = document.root.get("defaults") or Node({})
    own = tree(defaults, "defaults", document.file, without=RESERVED)
    _keys_named(document, defaults)
    check_types(built_in(project), own)
    base = merge(built_in(project), own)
    names = tuple((document.root.get("environments") or Node({})).members)
    merged = {name: _merged(document, name, base) for name in names}
    _same_everywhere(base, merged)
    changed = overridden(base, merged, variables)
    return {name: _filled(settings, name) for name, settings in changed.items()}


def _merged(document: Document, name: str, base: Tree) -> Tree:
    result = base
    for layer, node in layers(document, name):
        _keys_named(document, node)
        over = tree(node, layer, document.file, without=RESERVED)
        check_types(base, over)
        result = merge(result, over)
    return result


def _keys_named(document: Document, node: Node) -> None:
    for key, member in node.members.items():
        if not _KEY.fullmatch(key):
            hint = "a setting's name is made of letters, digits, _ and -"
            raise document.error("this is no name for a setting", member, hint=hint)


def _same_everywhere(base: Tree, merged: Mapping[str, Tree]) -> None:
    """A key without a default must stand in every environment, in one type."""
    own = {name: {key: value for key, value in tree.items() if key not in base} for name, tree in merged.items()}
    for tree_ in own.values():
        for path, leaf in leaves(tree_):
            lacking = [name for name, other in own.items() if not _has(other, path)]
            if lacking:
                dotted = ".".join(path)[:120]
                hint = nearest_hint(path[0], base)
                if not hint.startswith("did you mean"):
                    hint = f"give {path[0][:60]} a default under defaults:"
                raise leaf.error(f"unknown key {dotted!r}: it has no default, and {_list(lacking)} lack it", hint=hint)
    first, *others = own.values()
    for other in others:
        check_types(first, other)


def _has(tree_: Tree, path: tuple[str, ...]) -> bool:
    found: Tree | Leaf = tree_
    for key in path:
        if isinstance(found, Leaf):
            return bool(found.value == {})  # an empty mapping takes any keys
        if key not in found:
            return False
        found = found[key]
    return True


def _filled(settings: Tree, environment: str) -> Tree:
    filled: dict[str, Tree | Leaf] = {}
    for key, value in settings.items():
        if isinstance(value, Leaf):
            try:
                filled[key] = Leaf(expand(value.value, environment), value.origin)
            except TemplateError as error:
                raise first_leaf(value).error(f"{key}: {error}", hint=error.hint) from None
        else:
            filled[key] = _filled(value, environment)
    return filled


def _list(names: list[str]) -> str:
    return ", ".join(names[:5]) + (" and others" if len(names) > 5 else "")
