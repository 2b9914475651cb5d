"""Folds a stream of YAML events into nodes: anchors, aliases and merge keys within a budget, no duplicate keys."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from lanewise.config.node import Member, Node, Scalar
from lanewise.errors import ConfigError

MAX_NODES = 50_000

_NULL = {"", "~", "null", "Null", "NULL"}
_TRUE, _FALSE = {"true", "True", "TRUE"}, {"false", "False", "FALSE"}
# A leading zero makes text of it: 007 and 01234 are codes, not numbers.
_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


@dataclass
class _Open:
    line: int
    column: int
    anchor: str | None
    mapping: bool
    size: int = 1
    items: list[Node] = field(default_factory=list)
    members: dict[str, Member] = field(default_factory=dict)
    merged: list[Node] = field(default_factory=list)
    key: tuple[str, int, int, bool] | None = None  # text, line, column, and whether it is a merge key


class Fold:
    """Takes events, one call each; ``root`` gives the document."""

    def __init__(self, file: str) -> None:
        self.file = file
        self._stack: list[_Open] = []
        self._root: Node | None = None
        self._anchors: dict[str, tuple[Node, int]] = {}
        self._spent = 0
        self._documents = 0

    @property
    def depth(self) -> int:
        """How many collections are open."""
        return len(self._stack)

    def root(self) -> Node:
        """The whole document; an empty file is an empty mapping."""
        return self._root or Node({}, 1, 1)

    def begin(self, line: int, column: int) -> None:
        """A document starts; a second one is an error."""
        self._documents += 1
        if self._documents > 1:
            raise self._error("a second document starts here; one file holds one", line, column)

    def scalar(self, text: str, anchor: str | None, place: tuple[int, int], *, plain: bool) -> None:
        """A key or a scalar value. ``plain``: it stood without quotes, so it may be a number, a truth or nothing."""
        text = self._encodable(text, place)
        frame = self._stack[-1] if self._stack else None
        if frame and frame.mapping and frame.key is None:
            if plain and text == "<<":
                frame.key = (text, *place, True)
                return
            if text in frame.members:
                first = frame.members[text].line
                raise self._error(f"the key {text[:60]!r} stands here a second time (first in line {first})", *place)
            frame.key = (text, *place, False)
            return
        self._spend(1, place)
        value = self._resolve(text, place) if plain else text
        self._add(Node(value, *place), anchor, 1)

    def open(self, anchor: str | None, place: tuple[int, int], *, mapping: bool) -> None:
        """A mapping or a list starts."""
        if self._stack and self._stack[-1].mapping and self._stack[-1].key is None:
            raise self._error("a key must be a plain name, not a list or a mapping", *place)
        self._spend(1, place)
        self._stack.append(_Open(*place, anchor, mapping))
        if anchor:
            self._anchors.pop(anchor, None)  # not complete: an alias to it from inside would be a circle

    def close(self) -> None:
        """The innermost mapping or list ends."""
        frame = self._stack.pop()
        value = self._with_merged(frame) if frame.mapping else tuple(frame.items)
        self._add(Node(value, frame.line, frame.column), frame.anchor, frame.size)

    def alias(self, name: str, line: int, column: int) -> None:
        """``*name``: costs as much as what it stands for."""
        if self._stack and self._stack[-1].mapping and self._stack[-1].key is None:
            raise self._error("a key must be a plain name, not an alias", line, column)
        if name not in self._anchors:
            inside = any(frame.anchor == name for frame in self._stack)
            message = "refers to itself" if inside else "names no anchor above"
            raise self._error(f"the alias *{name[:60]} {message}", line, column)
        node, size = self._anchors[name]
        self._spend(size, (line, column))
        self._add(node, None, size)

    def _add(self, node: Node, anchor: str | None, size: int) -> None:
        if anchor:
            self._anchors[anchor] = (node, size)
        if not self._stack:
            self._root = node
            return
        frame = self._stack[-1]
        frame.size += size
        if not frame.mapping:
            frame.items.append(node)
        elif frame.key:
            text, line, column, merge = frame.key
            frame.key = None
            if merge:
                frame.merged.extend(self._mappings(node, line, column))
            else:
                frame.members[text] = Member(node, line, column)

    def _mappings(self, node: Node, line: int, column: int) -> tuple[Node, ...]:
        nodes = node.value if isinstance(node.value, tuple) else (node,)
        if not all(isinstance(item.value, Mapping) for item in nodes):
            raise self._error("<< takes a mapping, or a list of mappings", line, column)
        return nodes

    def _with_merged(self, frame: _Open) -> dict[str, Member]:
        members = dict(frame.members)
        for node in frame.merged:
            for key, member in node.members.items():
                members.setdefault(key, member)
        return members

    def _spend(self, size: int, place: tuple[int, int]) -> None:
        self._spent += size
        if self._spent > MAX_NODES:
            raise self._error(f"more than {MAX_NODES:,} values, counted through aliases", *place)

    def _encodable(self, text: str, place: tuple[int, int]) -> str:
        """Escapes can spell what no file may hold: half a character, which JSON writes in pairs, and NUL."""
        if "\0" in text:
            raise self._error("a NUL character is spelled here", *place)
        if text.isascii():
            return text
        try:
            return text.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            raise self._error("half a character is spelled here (a lone surrogate)", *place) from None

    def _resolve(self, text: str, place: tuple[int, int]) -> Scalar:
        if text in _NULL:
            return None
        if text in _TRUE or text in _FALSE:
            return text in _TRUE
        if _INT.fullmatch(text):
            if len(text) > 20 or not -(2**63) <= int(text) < 2**63:
                raise self._error("this number does not fit into 64 bits", *place)
            return int(text)
        if _NOT_FINITE.fullmatch(text):
            raise self._error(f"{text} is no number to configure anything with", *place)
        if _FLOAT.fullmatch(text):
            number = float(text) if len(text) <= 400 else math.inf
            if not math.isfinite(number):
                raise self._error("this number is too large", *place)
            return number
        return text

    def _error(self, message: str, line: int, column: int) -> ConfigError:
        return ConfigError(message, file=self.file, line=line, column=column)
