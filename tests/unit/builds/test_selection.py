from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanewise.builds.selection import Selection
from lanewise.domain.project import Source
from lanewise.errors import ConfigError


def takes(glob: str, path: str) -> bool:
    return Selection(Source((glob,))).takes(path)


@pytest.mark.parametrize(
    ("glob", "yes", "no"),
    [
        ("pipelines/**", ["pipelines/a.py", "pipelines/a/b/c"], ["pipelines", "xpipelines/a", "pipelinesx/a"]),
        ("pipelines", ["pipelines", "pipelines/a.py", "pipelines/a/b"], ["pipelines2", "a/pipelines"]),
        ("pipelines/", ["pipelines/a.py"], ["pipelines"]),
        ("./a.py", ["a.py"], ["b/a.py", "aXpy"]),
        ("*.py", ["a.py", ".py"], ["b/a.py", "a.pyx"]),
        ("**/*.sql", ["a.sql", "b/a.sql", "c/b/a.sql"], ["a.py", "a.sql/b"]),
        ("a/**/b", ["a/b", "a/x/b", "a/x/y/b", "a/b/inside"], ["a/xb", "b"]),
        ("a/*/c", ["a/b/c", "a/b/c/d"], ["a/c", "a/b/b/c"]),
        ("a?c", ["abc"], ["ac", "a/c", "abbc"]),
        ("a[bx-z]c", ["abc", "ayc"], ["aac", "a/c"]),
        ("a[!b]c", ["axc"], ["abc", "a/c"]),
        ("a[^]c", ["a^c"], ["abc"]),
        ("a[]]c", ["a]c"], ["ac"]),
        ("a[c", ["a[c"], ["ac"]),
        ("a[z-a]c", [], ["abc", "azc"]),
        ("a+(b).txt", ["a+(b).txt"], ["aab.txt"]),
        ("**", ["a", "b/c", ".hidden"], []),
    ],
)
def test_a_glob_takes_what_it_says(glob: str, yes: list[str], no: list[str]) -> None:
    assert [path for path in yes if not takes(glob, path)] == []
    assert [path for path in no if takes(glob, path)] == []


GLOBS = st.lists(st.sampled_from(["**", "*", "a", "b*", "?", "[ab]"]), min_size=1, max_size=4).map("/".join)
PATHS = st.lists(st.sampled_from(["a", "b", "ab", "c"]), min_size=1, max_size=5).map("/".join)


@given(st.lists(GLOBS, min_size=1, max_size=2), st.lists(GLOBS, max_size=2), PATHS)
def test_no_folder_on_the_way_to_a_taken_file_is_skipped(include: list[str], exclude: list[str], path: str) -> None:
    selection = Selection(Source(tuple(include), tuple(exclude)))
    if selection.takes(path):
        folders = path.split("/")[:-1]
        assert all(selection.reaches("/".join(folders[: at + 1])) for at in range(len(folders)))


def test_an_excluded_folder_is_not_entered() -> None:
    selection = Selection(Source(("**",), (".venv/**", "node_modules", "a/*/c/**")))
    assert not any(map(selection.reaches, [".venv", "node_modules", "a/b/c"]))
    assert all(map(selection.reaches, [".venv2", "a", "a/b", "b/node_modules"]))


def test_the_project_file_is_taken_even_when_it_is_excluded() -> None:
    assert Selection(Source((), ("**",))).takes("lanewise.yaml")


@pytest.mark.parametrize(
    "glob", ["../x", "a/../../b", "/etc/**", "~/x", "..", "C:/x", "", " ", "a\\b", "*.{py,sql}", "."]
)
@pytest.mark.parametrize("key", ["include", "exclude"])
def test_a_glob_that_leaves_the_folder_or_means_something_else_is_an_error(glob: str, key: str) -> None:
    source = Source((glob,)) if key == "include" else Source(("a",), (glob,))
    with pytest.raises(ConfigError) as caught:
        Selection(source)
    assert caught.value.message.startswith(f"lanewise.yaml: source.{key}")
