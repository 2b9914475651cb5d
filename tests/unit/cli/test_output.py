"""How figures and long lines are printed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanewise.cli.output import bytes_of, counted, few, hanging, paint


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (1499, "1.5 kB"), (999_499, "999 kB"), (999_500, "1 MB"),
     (7_190, "7.19 kB"), (3_000_000_000, "3 GB"), (10**15, "1e+03 TB")],
)  # fmt: skip
def test_bytes_are_told_in_three_digits(number: int, text: str) -> None:
    assert bytes_of(number) == text


def test_one_is_no_plural() -> None:
    assert [counted(n, "partition") for n in (0, 1, 2, 1200)] == [
        "0 partitions", "1 partition", "2 partitions", "1,200 partitions",
    ]  # fmt: skip


def test_a_long_list_shows_its_begin_and_its_end() -> None:
    assert few(("a", "b", "c", "d")) == "a, b, c, d"
    assert few(("a", "b", "c", "d", "e", "f")) == "a, b, c, d … f"
    assert few(()) == ""


@given(st.text(alphabet="abc ", max_size=300), st.integers(0, 90))
def test_folding_loses_no_word(text: str, indent: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "100")
        assert hanging(text, indent, terminal=True).split() == text.split()
        assert hanging(text, indent, terminal=False) == text


def test_where_there_is_no_room_nothing_is_folded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    assert hanging("word " * 30, 20, terminal=True) == "word " * 30


def test_no_color_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert paint("x", fg="red") != "x"
    monkeypatch.setenv("NO_COLOR", "1")
    assert paint("x", fg="red") == "x"
