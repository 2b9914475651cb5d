from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from lanewise.builds.difference import BuildDiff, diff_builds
from lanewise.builds.stored import digest_of
from lanewise.domain.build import BuildFile, Manifest

CONTENT = st.tuples(st.sampled_from([b"1", b"2"]), st.booleans())
TREES = st.dictionaries(st.sampled_from(["a", "b", "c/d", "e"]), CONTENT)


def manifest(tree: dict[str, tuple[bytes, bool]]) -> Manifest:
    files = [BuildFile(path, len(data), digest_of(data), x) for path, (data, x) in sorted(tree.items())]
    return Manifest("orders", tuple(files), "cpython-3.11")


@given(TREES, TREES)
def test_a_difference_turns_the_one_into_the_other(
    a: dict[str, tuple[bytes, bool]], b: dict[str, tuple[bytes, bool]]
) -> None:
    found = diff_builds(manifest(a), manifest(b))
    kept = {path: content for path, content in a.items() if path not in {*found.removed, *found.changed}}
    assert kept | {path: b[path] for path in (*found.added, *found.changed)} == b
    assert found.same == (manifest(a).digest == manifest(b).digest)
    back = diff_builds(manifest(b), manifest(a))
    assert (back.added, back.removed, back.changed) == (found.removed, found.added, found.changed)


def test_lock_interpreter_images_and_wheels_show() -> None:
    old = manifest({"requirements.txt": (b"1", False), "uv.lock": (b"1", False)})
    locked = replace(old, lock="requirements.txt", images={"a": "x", "b": "y"})
    new = replace(old, lock="uv.lock", interpreter="cpython-3.12", project="o", images={"b": "z"}, wheels={"w": "1"})
    digest = digest_of(b"1")
    assert diff_builds(locked, new) == BuildDiff(
        project=("orders", "o"),
        interpreter=("cpython-3.11", "cpython-3.12"),
        lock=(f"requirements.txt@{digest}", f"uv.lock@{digest}"),
        images={"a": ("x", ""), "b": ("y", "z")},
        wheels={"w": ("", "1")},
    )
    assert diff_builds(old, locked).lock == ("", f"requirements.txt@{digest}")
