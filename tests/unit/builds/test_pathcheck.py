from __future__ import annotations

import os
import unicodedata
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanewise.builds.pathcheck import check_path, check_paths
from lanewise.errors import WrongInput

HOSTILE = [
    "", "/", "/etc/passwd", "..", ".", "../x", "a/../b", "a/..", "./a", "a/.", "a//b", "a/", "//a", "~/../x/..",
    "a\\b", "..\\x", "C:", "C:/x", "a:stream", "a\0b", "a\nb", "a\x7f", "a\u202eb", "a\u2028b", "a\ud800",
    "con", "CON", "nul.txt", "a/Aux/b", "com1", "LPT9.py", "COM¹", "conin$", "nul .txt", "a.", "a ", "a/b./c", "...",
    "e\u0301.py", "x" * 256, "ö" * 128, "/".join(["d" * 100] * 11), "a*", "a?", "a|b", 'a"', "<a", "a>",
]  # fmt: skip
FINE = [
    "a", "a.py", ".hidden", "a/b/c.py", "größe.sql", "データ/表.sql", "a b.txt", "console.py", "nulls.sql", "com10.py",
    "a..b", "-x", "x" * 255, "{{a}}", "a#b", "a%b", "a'b", "$HOME", "~x", "common/aux_data.py", "😀.md", "a,b;c=d@e",
]  # fmt: skip


@pytest.mark.parametrize("path", HOSTILE)
def test_a_hostile_path_is_refused_in_printable_words(path: str) -> None:
    with pytest.raises(WrongInput) as caught:
        check_path(path)
    assert caught.value.message.isprintable()


@pytest.mark.parametrize("path", FINE)
def test_an_ordinary_path_passes(path: str) -> None:
    check_path(path)
    check_paths([path, "zz"])


PIECES = st.sampled_from(["..", ".", "", "a", "B", "con", "x.", "é", "e\u0301", "\\", "\0", ":", " ", "c.py", "/", "~"])


@given(st.lists(PIECES, max_size=6).map("/".join) | st.text(max_size=20))
def test_whatever_passes_stays_inside_and_reads_the_same_everywhere(path: str) -> None:
    try:
        check_path(path)
    except WrongInput:
        return
    inside = os.path.normpath(PurePosixPath("/into", path))
    assert inside == f"/into/{path}"
    assert unicodedata.normalize("NFC", path) == path
    assert path.encode().decode() == path
    names = path.split("/")
    assert all(name.strip(". ") and name == name.rstrip(". ") for name in names)
    assert not any(c in name for name in names for c in '\\:*?"<>|\0')


@given(st.text(alphabet="aAnNuUlLcCoO.-/0", min_size=1, max_size=12))
def test_the_quick_way_and_the_thorough_way_agree(path: str) -> None:
    def passes(text: str) -> bool:
        try:
            check_path(text)
        except WrongInput:
            return False
        return True

    assert passes(path) == passes("é/" + path)  # a path with é never takes the quick way


@pytest.mark.parametrize(
    "paths",
    [
        ["A.py", "a.py"], ["a/x", "A/y"], ["a", "A/b"], ["a", "a/b"], ["a/b", "a"], ["a/b/c", "a/b"], ["a", "a"],
        ["straße", "STRASSE"], ["É", "é"], ["ﬁ", "fi"], ["x/Ü/1", "x/ü/2"], ["ok", "../no"],
    ],
)  # fmt: skip
def test_paths_that_would_fall_together_are_refused(paths: list[str]) -> None:
    with pytest.raises(WrongInput):
        check_paths(paths)


def test_paths_that_only_look_alike_pass() -> None:
    check_paths(["a", "a.py", "ab/c", "a-b/c", "a_b", "b/a", "c/a"])
