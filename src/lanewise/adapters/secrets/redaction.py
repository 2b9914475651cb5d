"""Hiding values in text, in the forms that programs usually print them in."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

MASK = "***"
_SHORTEST = 4  # shorter ones would blot out ordinary words
_SHORTEST_CORE = 8  # of base64 inside a longer text


class Redactor:
    """Remembers values, for this alone, and replaces them in text."""

    def __init__(self) -> None:
        self._values: set[str] = set()
        self._forms: set[str] = set()
        self._pattern: re.Pattern[str] | None = None

    def remember(self, value: str) -> None:
        """From now on this value, each line of it and their usual encodings are hidden, from 4 characters on."""
        if value in self._values:
            return
        self._values.add(value)
        for part in {value, *(line.strip() for line in value.splitlines())}:
            self._forms.update(form for form in _forms(part) if len(form) >= _SHORTEST and len(part) >= _SHORTEST)
        longest_first = sorted(self._forms, key=lambda form: (-len(form), form))
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def redact(self, text: str) -> str:
        """``text`` with every remembered value replaced by ``***``."""
        return self._pattern.sub(MASK, text) if self._pattern else text


def _forms(value: str) -> Iterator[str]:
    yield value
    yield from (json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1])
    yield repr(value)[1:-1]  # how Python prints a dict of variables
    yield from (quote(value), quote(value, safe=""), quote_plus(value), html.escape(value))
    raw = value.encode(errors="surrogateescape")
    yield raw.hex()
    for encoded in (base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode()):
        yield from (encoded, encoded.rstrip("="))
    yield from _base64_cores(raw)


def _base64_cores(raw: bytes) -> Iterator[str]:
    """What base64 shows of ``raw`` wherever it stands in a longer text, ``user:password`` in an HTTP header say."""
    for shift in range(3):
        padded = b"\0" * shift + raw
        whole = padded[: len(padded) // 3 * 3]
        core = base64.b64encode(whole)[4 if shift else 0 :].decode()
        if len(core) >= _SHORTEST_CORE:
            yield from (core, core.replace("+", "-").replace("/", "_"))
