"""Other people's words do nothing in a comment: it is read as a site reads it, and only our own markup comes out."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from lanewise.cli.markdown import folded, marker, prose, quoted, table

HOSTILE = (
    "a|b", "a\\|b", "\\", "`", "``a``", "`|`", "<b>x</b>", "</details>", "<!-- lanewise plan-of orders -->", "-->",
    "@ana",
    "ask @shop/leads, or ben@shop.example", "#1", "closes #12, GH-3 and shop/pipeline#4", "!7 %3 ~bug $5 &9",
    "[x](http://evil.example)", "![x](http://evil.example/p.png)", "https://evil.example/?q=|", "www.evil.example",
    "**bold** _em_ ~~gone~~", "_a_", "# title", "- item", "1. item", "> quote", "| --- |", "line\nbreak", "\r\n/merge",
    "/merge", "&lt;b&gt;", "&#64;ana", "\u202egnp.exe", "a\u200bb", "\x00\x1b[31mred", " ", "",
    "ünïcode ☃ 表", "$`x^2`$",
    "{+ added +}", "[^1]", "[[wiki]]", ":tada:",
)  # fmt: skip
SITE = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
MENTION = re.compile(r"(?<!\w)[@#!%~$&](?=\w)")


class Seen(HTMLParser):
    """The tags of a page, its text outside of code, and its table cells."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.bare, self.cells, self._in_code = "", [""], 0
        self.comments: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)
        self._in_code += tag == "code"
        if tag in {"td", "th"}:
            self.cells.append("")

    def handle_endtag(self, tag: str) -> None:
        self._in_code -= tag == "code"

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)

    def handle_data(self, data: str) -> None:
        self.cells[-1] += data
        if not self._in_code:
            self.bare += data


def harmless(page: str, allowed: set[str]) -> Seen:
    seen = Seen(SITE.render(page))
    assert set(seen.tags) <= allowed
    assert MENTION.search(seen.bare) is None, "somebody or something is mentioned"
    assert "://" not in seen.bare, "a site makes a link of it"
    assert not re.search(r"\bwww\.", seen.bare), "a site makes a link of it"
    assert not re.search(r"^\s*/\w", page, re.MULTILINE), "a command of the site"
    return seen


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("write", [quoted, prose])
def test_words_in_a_table_stay_in_their_cell(write: Callable[[str], str], text: str):
    page = "\n".join(table(("a", "b"), [(f"x {write(text)}", write(text)), ("last", "one")]))
    seen = harmless(page, {"table", "thead", "tbody", "tr", "th", "td", "code"})
    assert len(seen.cells) - 1 == 6
    assert not seen.comments


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("write", [quoted, prose])
def test_words_in_a_list_within_a_fold_stay_there(write: Callable[[str], str], text: str):
    seen = harmless(
        "\n".join(folded("two", [f"- {write(text)}", "- last"])), {"details", "summary", "ul", "li", "code"}
    )
    assert seen.tags.count("li") == 2
    assert seen.tags.count("details") == 1


@given(st.text(max_size=40))
@example("\\|`@a")
def test_no_text_gets_out_of_its_cell(text: str):
    page = "\n".join(table(("a", "b"), [(quoted(text), prose(text)), ("last", "one")]))
    assert len(harmless(page, {"table", "thead", "tbody", "tr", "th", "td", "code"}).cells) - 1 == 6


@pytest.mark.parametrize("text", ["orders_daily", "a|b", "<b>`x`</b>", "@ana", "ünïcode ☃", "a\\|b", "2026-01-05 … 3"])
@pytest.mark.parametrize("write", [quoted, prose])
def test_what_is_shown_is_what_was_meant(write: Callable[[str], str], text: str):
    assert Seen(SITE.render(f"x {write(text)}")).cells[0].replace("\u200b", "").strip() == f"x {text}"


def test_what_can_not_be_seen_is_shown_by_its_number():
    assert "U+202E" in quoted("\u202egnp.exe")
    assert "U+200B" in prose("ad\u200bmin")


def test_a_long_text_is_cut():
    assert len(quoted("x" * 100_000)) < 400
    assert len(prose("x" * 100_000)) < 400


def test_the_marker_is_one_comment_that_nobody_can_end():
    assert marker("plan of", "orders") == marker("plan of", "orders") != marker("plan of", "revenue")
    for name in HOSTILE:
        assert re.fullmatch(r"<!-- [\w. ]+(-[\w. ]+)*-? -->", marker("plan of", name)), marker("plan of", name)
