"""Markdown for comments of GitHub and GitLab, in which other people's words do nothing: no markup, no HTML, no table
cell, no mention, no reference, no command of the site comes out of a name, a value or a sentence."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterable, Sequence

_LONGEST = 300
"""Characters of one name, value or sentence that are shown."""

_PLAIN = re.compile(r"[\w .,:;/=+()*'\"?!#@%$&<>{}\[\]~^-]*")
"""What a code span may hold as it is, in a cell of a table too."""

_STARTS = re.compile(r"([@#!%~$&])(?=[\w\"'`])")
"""How a mention or a reference begins: to a person, an issue, a merge request, a milestone, a label, a snippet."""

_APART = "\u200b"  # seen by nobody, and no part of a name
_MARKUP = {ord(sign): f"&#{ord(sign)};" for sign in "\\`*[]|~{}"}
_EDGE = re.compile(r"(?<![^\W_])_|_(?![^\W_])")  # an underscore within a word marks nothing
_BLOCK = re.compile(r"^(\d*)([#>+=.):/-])")  # how a title, a list, a quotation or a command begins


def marker(*names: str) -> str:
    """A line that nobody sees, by which a comment is known again. Equal names, equal line."""
    told = " ".join(re.sub(r"[^A-Za-z0-9_.]+|(?<![A-Za-z0-9])-|-(?![A-Za-z0-9])", "-", name) for name in names)
    return f"<!-- lanewise {re.sub(r'-{2,}', '-', told)} -->"


def quoted(value: str) -> str:
    """A name or a value, in the letters of code."""
    text = _clipped(_visible(value))
    if text.strip() and _PLAIN.fullmatch(text):
        return f"`{text}`"
    inside = "".join(c if c.isalnum() or c == " " else f"&#{ord(c)};" for c in text)
    return f"<code>{_kept_apart(inside) or ' '}</code>"


def prose(sentence: str) -> str:
    """A sentence in which somebody's names or words may stand."""
    text = _STARTS.sub(rf"\1{_APART}", _clipped(_visible(sentence)))
    text = re.sub(r"(?i)\b(www)(?=\.)|(:)(?=//)", lambda found: found[0] + _APART, text)
    marked = _EDGE.sub("&#95;", html.escape(text, quote=False).translate(_MARKUP))
    return _BLOCK.sub(lambda found: f"{found[1]}&#{ord(found[2])};", marked)


def table(titles: Sequence[str], rows: Iterable[Sequence[str]], *, right: Sequence[str] = ()) -> list[str]:
    """Lines of a table; cells are Markdown without a bare ``|``. The columns in ``right`` are figures."""
    rule = ["--:" if title in right else "---" for title in titles]
    return [f"| {' | '.join(row)} |" for row in (titles, rule, *rows)]


def folded(summary: str, lines: Sequence[str]) -> list[str]:
    """Lines that a reader opens. ``summary`` is text of our own."""
    return ["<details>", f"<summary>{html.escape(summary)}</summary>", "", *lines, "", "</details>"]


def _visible(text: str) -> str:
    """What is not seen, or turns what is, is told by its number; lines and tabs are blanks."""
    blank = re.sub(r"\s+", " ", text[: 2 * _LONGEST]).strip()
    return "".join(c if unicodedata.category(c) not in {"Cc", "Cf", "Cs", "Co", "Cn"} else f"<U+{ord(c):04X}>"
                   for c in blank)  # fmt: skip


def _clipped(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _kept_apart(inside: str) -> str:
    """An address in it becomes no link."""
    return inside.replace("&#64;", f"&#64;{_APART}")
