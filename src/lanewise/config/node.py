"""A YAML document as data that remembers where each key and value stood."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lanewise.errors import ConfigError

Scalar = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Node:
    """One value and its place, counted from 1; line 0 for a value that stands in no file.

    ``value`` is a scalar, a tuple of nodes, or a mapping of key to ``Member``.
    """

    value: Scalar | tuple[Node, ...] | Mapping[str, Member]
    line: int = 0
    column: int = 0

    @property
    def members(self) -> Mapping[str, Member]:
        """The members of a mapping; none for anything else (``prod:`` with nothing after it is an empty mapping)."""
        return self.value if isinstance(self.value, Mapping) else {}

    def get(self, key: str) -> Node | None:
        """The value under a key, if this is a mapping that has it."""
        member = self.members.get(key)
        return member.node if member else None

    def plain(self) -> Any:
        """The same content as JSON's own types."""
        if isinstance(self.value, Mapping):
            return {key: member.node.plain() for key, member in self.value.items()}
        if isinstance(self.value, tuple):
            return [node.plain() for node in self.value]
        return self.value


@dataclass(frozen=True, slots=True)
class Member:
    """A value in a mapping, and the place of its key."""

    node: Node
    line: int = 0
    column: int = 0


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed file: its name for messages, and its content."""

    file: str
    root: Node

    def error(self, message: str, place: Node | Member | None = None, *, hint: str = "") -> ConfigError:
        """A complaint about one place; about the file's first line when there is none."""
        line, column = (place.line, place.column) if place else (self.root.line, self.root.column)
        return ConfigError(one_line(message), file=self.file, line=line, column=column, hint=one_line(hint))

    def find(self, path: Sequence[str | int]) -> Node | Member:
        """The value at a path, or as far along it as the file goes; steps that name nothing are passed over."""
        found = self.root
        for step in path:
            if isinstance(step, int) and isinstance(found.value, tuple) and step < len(found.value):
                found = found.value[step]
            else:
                found = found.get(str(step)) or found
        return found

    def key(self, path: Sequence[str | int]) -> Node | Member:
        """The key at the end of a path, which is where an unknown key is pointed at."""
        parent = self.find(path[:-1])
        if isinstance(parent, Node) and path:
            return parent.members.get(str(path[-1]), parent)
        return parent


def one_line(message: str) -> str:
    """A message safe for a terminal: a name in the file may hold line breaks and escape sequences."""
    return message if message.isprintable() else "".join(c if c.isprintable() else "\ufffd" for c in message)


def from_plain(value: Any) -> Node:
    """JSON data as nodes without places: for a document that was pinned in the ledger."""
    if isinstance(value, Mapping):
        return Node({str(key): Member(from_plain(item)) for key, item in value.items()})
    if isinstance(value, list | tuple):
        return Node(tuple(from_plain(item) for item in value))
    return Node(value)


def strings(node: Node, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Node]]:
    """Every scalar below a node with the keys that lead to it (places in lists are not counted)."""
    if isinstance(node.value, Mapping):
        for key, member in node.value.items():
            yield from strings(member.node, (*path, key))
    elif isinstance(node.value, tuple):
        for item in node.value:
            yield from strings(item, path)
    else:
        yield path, node
