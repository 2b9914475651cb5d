"""Bytes to a document, in bounded time and space whatever the bytes are.

The parser's events are folded by hand: nothing is constructed from tags, depth and size are bounded before
anything recurses, a duplicate key is an error, and an alias counts as much as what it stands for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from lanewise.config.fold import Fold
from lanewise.config.node import Document
from lanewise.errors import ConfigError

MAX_BYTES = 1_000_000
MAX_DEPTH = 50

_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|[\ufeff]")


def read_file(path: Path, name: str) -> Document:
    """Read a file of the project; ``name`` is what messages call it."""
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise ConfigError("the file is missing", file=name, hint="`lane init` writes one") from error
    except OSError as error:
        raise ConfigError(f"the file can't be read: {error.strerror}", file=name) from error
    return read_text(decode(data, name), name)


def decode(data: bytes, name: str) -> str:
    """UTF-8, with or without a byte order mark; anything else is an error that points at the first wrong byte."""
    if len(data) > MAX_BYTES:
        raise ConfigError(f"the file is larger than {MAX_BYTES:,} bytes", file=name, line=1, column=1)
    try:
        return data.removeprefix(b"\xef\xbb\xbf").decode()
    except UnicodeDecodeError as error:
        line, column = _place(data[: error.start].decode())
        message = f"byte 0x{data[error.start]:02x} is not UTF-8"
        raise ConfigError(message, file=name, line=line, column=column, hint="save the file as UTF-8") from None


def read_text(text: str, name: str) -> Document:
    """Parse YAML 1.2 or JSON into a document."""
    if len(text) > MAX_BYTES:
        raise ConfigError(f"the file is larger than {MAX_BYTES:,} characters", file=name, line=1, column=1)
    if wrong := _UNPRINTABLE.search(text):
        line, column = _place(text[: wrong.start()])
        message = f"a control character (U+{ord(wrong[0]):04X}) stands here"
        raise ConfigError(message, file=name, line=line, column=column, hint="save the file as plain text")
    fold = Fold(name)
    try:
        for event in _events(_untabbed(text)):
            _take(fold, event)
    except MarkedYAMLError as error:
        raise _syntax_error(error, text, name) from None
    except (YAMLError, ValueError) as error:
        raise ConfigError(f"this is no YAML: {type(error).__name__}", file=name, line=1, column=1) from None
    return Document(name, fold.root())


def _events(text: str) -> Iterator[Any]:
    yield from YAML(typ="safe", pure=True).parse(text)


def _take(fold: Fold, event: Any) -> None:
    line, column = event.start_mark.line + 1, event.start_mark.column + 1
    if isinstance(event, DocumentStartEvent):
        fold.begin(line, column)
    elif isinstance(event, AliasEvent):
        fold.alias(event.anchor, line, column)
    elif isinstance(event, MappingEndEvent | SequenceEndEvent):
        fold.close()
    elif isinstance(event, ScalarEvent | MappingStartEvent | SequenceStartEvent):
        if event.tag is not None:
            raise ConfigError("tags (!) are not used here", file=fold.file, line=line, column=column)
        if isinstance(event, ScalarEvent):
            fold.scalar(event.value, event.anchor, (line, column), plain=event.style is None)
        elif fold.depth >= MAX_DEPTH:
            raise ConfigError(f"nested deeper than {MAX_DEPTH} levels", file=fold.file, line=line, column=column)
        else:
            fold.open(event.anchor, (line, column), mapping=isinstance(event, MappingStartEvent))


def _untabbed(text: str) -> str:
    """JSON may be indented with tabs, YAML may not. In valid JSON a tab stands only between tokens."""
    if "\t" not in text or not text.lstrip().startswith(("{", "[")):
        return text
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return text
    return text.replace("\t", " ")


def _syntax_error(error: MarkedYAMLError, text: str, name: str) -> ConfigError:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    lines = text.splitlines()
    here = lines[line - 1] if line <= len(lines) else ""
    hint = ""
    if "\t" in here[: max(column, 1)]:
        hint = "indent with spaces: YAML does not allow tabs"
    return ConfigError(f"this is no YAML: {_problem(error)}", file=name, line=line, column=column, hint=hint)


def _problem(error: MarkedYAMLError) -> str:
    # The parser's own words name single characters and tokens, never a value.
    problem = str(error.problem or "it can't be parsed").replace("\t", "\\t")
    return problem if len(problem) <= 120 and "\n" not in problem else "it can't be parsed"


def _place(before: str) -> tuple[int, int]:
    return before.count("\n") + 1, len(before) - before.rfind("\n")
