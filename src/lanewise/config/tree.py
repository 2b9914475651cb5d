"""Layers of settings: merged deeply, typed by what lies below, every leaf with its origin."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lanewise.config.node import Node, one_line
from lanewise.config.secrets import is_secret_name
from lanewise.domain.environment import Origin
from lanewise.errors import ConfigError, nearest_hint


@dataclass(frozen=True, slots=True)
class Leaf:
    """A scalar, a list, or an empty mapping, and where it came from."""

    value: Any
    origin: Origin

    def error(self, message: str, *, hint: str = "") -> ConfigError:
        """A complaint about this value, at its place."""
        origin = self.origin
        file = origin.file or origin.layer
        return ConfigError(one_line(message), file=file, line=origin.line, column=origin.column, hint=one_line(hint))


Tree = Mapping[str, "Tree | Leaf"]
Path = tuple[str, ...]


def tree(node: Node, layer: str, file: str, *, without: tuple[str, ...] = ()) -> Tree:
    """A mapping of the file as one layer; ``without`` names keys that are no settings."""
    return {key: _branch(member.node, layer, file) for key, member in node.members.items() if key not in without}


def _branch(node: Node, layer: str, file: str) -> Tree | Leaf:
    if isinstance(node.value, Mapping) and node.value:
        return tree(node, layer, file)
    return Leaf(node.plain(), Origin(layer, file, node.line, node.column))


def merge(under: Tree, over: Tree) -> Tree:
    """``over`` laid on ``under``: mappings are merged key by key, anything else is replaced."""
    merged = dict(under)
    for key, value in over.items():
        below = merged.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            merged[key] = merge(below, value)
        elif not (isinstance(below, Mapping) and isinstance(value, Leaf) and value.value == {}):
            merged[key] = value
    return merged


def leaves(tree: Tree, path: Path = ()) -> Iterator[tuple[Path, Leaf]]:
    """Every leaf with the keys that lead to it."""
    for key, value in tree.items():
        if isinstance(value, Leaf):
            yield (*path, key), value
        else:
            yield from leaves(value, (*path, key))


def plain(tree: Tree) -> dict[str, Any]:
    """The values alone."""
    return {key: value.value if isinstance(value, Leaf) else plain(value) for key, value in tree.items()}


def origins(tree: Tree, prefix: str) -> dict[str, Origin]:
    """Dotted path to origin, for every leaf."""
    return {".".join((prefix, *path)): leaf.origin for path, leaf in leaves(tree)}


def check_types(shape: Tree, given: Tree, path: Path = ()) -> None:
    """Refuse what ``shape`` (the layers below) has in another type, and unknown keys inside its mappings.

    Keys of the top level that ``shape`` lacks are left to the caller. A null below means any type; an empty
    mapping below takes any keys.
    """
    for key, value in given.items():
        here = (*path, key)
        if key in shape:
            _fits(shape[key], value, here)
        elif path:
            leaf = first_leaf(value)
            hint = nearest_hint(key, shape)
            raise leaf.error(f"unknown key {'.'.join(here)[:120]!r}: the defaults have none", hint=hint)


def _fits(shape: Tree | Leaf, given: Tree | Leaf, path: Path) -> None:
    if isinstance(shape, Mapping):
        if isinstance(given, Mapping):
            check_types(shape, given, path)
        elif given.value != {}:
            raise given.error(f"{_dotted(path)} must be a mapping, as in the layers below, and is {kind(given.value)}")
        return
    if shape.value is None:
        return
    value = given.value if isinstance(given, Leaf) else {}
    wanted, found = kind(shape.value), kind(value)
    if wanted == found == "a list":
        _items_fit(shape, first_leaf(given), path)
    elif wanted != found and (wanted, found) != ("a number", "a whole number"):
        hint = f"its default {_shown(shape, path)}stands in {_where(shape.origin)}"
        message = f"{_dotted(path)} must be {wanted}, and is {found}"
        raise first_leaf(given).error(message, hint=hint)


def _items_fit(shape: Leaf, given: Leaf, path: Path) -> None:
    wanted = {kind(item) for item in shape.value}
    if "a number" in wanted:
        wanted.add("a whole number")
    for item in given.value:
        if wanted and kind(item) not in wanted:
            message = f"{_dotted(path)} must be a list of {' or '.join(sorted(wanted))}, and one is {kind(item)}"
            raise given.error(message)


def first_leaf(value: Tree | Leaf) -> Leaf:
    """A leaf to point at."""
    while not isinstance(value, Leaf):
        value = next(iter(value.values()))
    return value


def kind(value: object) -> str:
    """A value's type in plain words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    names = {str: "text", int: "a whole number", float: "a number", list: "a list", dict: "a mapping"}
    return names[type(value)]


def _dotted(path: Path) -> str:
    return ".".join(path)[:120]


def _shown(shape: Leaf, path: Path) -> str:
    harmless = isinstance(shape.value, str | int | float) and not is_secret_name(path[-1])
    return f"{str(shape.value)[:60]!r} " if harmless and shape.value != "" else ""


def _where(origin: Origin) -> str:
    return f"{origin.file}:{origin.line}" if origin.file and origin.line else origin.layer
