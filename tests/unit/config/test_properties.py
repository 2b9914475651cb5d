"""What holds for any settings."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from lanewise.config import from_document
from lanewise.config.environments import build_config
from lanewise.config.reading import read_text
from lanewise.config.scaffold import scaffold
from lanewise.config.tree import Leaf, leaves, merge, plain
from lanewise.config.values import decimal_text, parse_duration, parse_share, show_duration, show_share
from lanewise.domain.environment import Origin
from lanewise.errors import ConfigError

from .files import PROJECT, config, project

keys = st.from_regex(r"[a-m][a-m0-9_]{0,8}", fullmatch=True)
texts = st.text(st.characters(exclude_characters="{}\0:=@", exclude_categories=["Cs"]), max_size=12)
scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | texts | st.floats(-1e9, 1e9)
values = st.recursive(
    scalars, lambda inner: st.lists(scalars, max_size=3) | st.dictionaries(keys, inner, max_size=4), max_leaves=20
)
own = st.dictionaries(keys, values, max_size=5).map(
    lambda found: {key: value for key, value in found.items() if key not in {"data", "extends", "bucket"}}
)


@given(own)
def test_any_deep_settings_come_back_as_they_were_written(given_settings):
    text = json.dumps({"defaults": given_settings, "environments": {"a": {}, "b": {}}})
    found = config(text)
    for name in ("a", "b"):
        lane = found.environment(name)
        assert {key: lane.settings[key] for key in given_settings} == given_settings


@given(own)
def test_every_leaf_has_an_origin_inside_the_file(given_settings):
    text = json.dumps({"defaults": given_settings, "environments": {"a": {}}}, indent=1)
    lane = config(text).environment("a")
    lines = text.count("\n") + 1
    for path, leaf in leaves({key: _leaf(value) for key, value in lane.settings.items()}):
        origin = lane.origins[".".join(("settings", *path))]
        assert origin.layer == "built in" or 1 <= origin.line <= lines, (path, leaf)


def _leaf(value):
    return (
        {key: _leaf(inner) for key, inner in value.items()}
        if isinstance(value, dict) and value
        else Leaf(value, Origin("x"))
    )


@given(own)
def test_a_pinned_config_is_the_config(given_settings):
    found = config(json.dumps({"environments": {"b": given_settings, "a": given_settings}}))
    again = from_document(json.loads(json.dumps(found.document, sort_keys=True)), PROJECT, {})
    assert again == found
    assert again.digest == found.digest
    assert {name: lane.digest for name, lane in again.environments.items()} == {
        name: lane.digest for name, lane in found.environments.items()
    }


shapes = st.dictionaries(
    st.sampled_from("abc"),
    st.integers(0, 3) | st.dictionaries(st.sampled_from("xyz"), st.integers(0, 3), max_size=3),
    max_size=3,
)


def _alike(layer):
    """Layers agree on what is a mapping: where they don't, the typed check refuses them. Here: a and b are."""
    return {
        key: {inner: Leaf(n, Origin("l")) for inner, n in value.items()} or Leaf({}, Origin("l"))
        if isinstance(value, dict)
        else Leaf(value, Origin("l"))
        for key, value in layer.items()
        if isinstance(value, dict) == (key in "ab")
    }


@given(shapes.map(_alike), shapes.map(_alike), shapes.map(_alike))
def test_merging_layers_is_associative_and_nothing_is_lost(low, middle, high):
    left = merge(merge(low, middle), high)
    assert left == merge(low, merge(middle, high))
    assert merge(low, {}) == low == merge({}, low)
    assert merge(low, low) == low
    assert set(left) == {*low, *middle, *high}
    for path, leaf in leaves(high):
        if leaf.value != {}:
            found = plain(left)
            for key in path:
                found = found[key]
            assert found == leaf.value


MUTATIONS = st.lists(
    st.tuples(st.integers(0, 900), st.sampled_from(list("{}[]:,'\"&*!|>#%@ \n-x0\t")), st.booleans()),
    min_size=1,
    max_size=4,
)


@settings(max_examples=150)
@given(MUTATIONS, st.booleans())
def test_an_error_in_a_damaged_file_always_has_a_place_inside_it(mutations, environments):
    from .files import DESIGN, LANEWISE

    text, build, name = (DESIGN, config, "environments.yaml") if environments else (LANEWISE, project, "lanewise.yaml")
    for at, sign, insert in mutations:
        here = at % len(text)
        text = text[:here] + sign + text[here + (not insert) :]
    error = _outcome(build, text)
    if error is not None:
        assert error.file == name
        assert 1 <= error.line <= text.count("\n") + 1
        assert 1 <= error.column <= max(map(len, text.split("\n"))) + 1
        assert "\n" not in error.message


def _outcome(build, text):
    try:
        build(text)
    except ConfigError as error:
        return error
    return None


names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,20}", fullmatch=True)


@given(
    names, st.lists(names, min_size=1, max_size=9, unique_by=lambda name: name.upper().replace("-", "_")), st.booleans()
)
def test_what_init_writes_is_valid(name, environments, example):
    files = scaffold(name, environments, example=example)
    found = project(files["lanewise.yaml"])
    lanes = build_config(read_text(files["environments.yaml"], "environments.yaml"), found, {})
    assert found.name == name
    assert list(lanes.environments) == environments
    assert bool(found.tables) is example


@given(st.integers(0, 10**6), st.integers(0, 4))
def test_a_share_is_shown_as_it_is_read(digits, places):
    share = parse_share(f"{digits / 10**places:.{places}f}%")
    assert parse_share(show_share(share)) == share
    assert "E" not in decimal_text(share)


@given(st.integers(0, 10**7))
def test_a_duration_is_shown_as_it_is_read(seconds):
    assert parse_duration(show_duration(parse_duration(f"{seconds}s"))) == parse_duration(f"{seconds}s")
