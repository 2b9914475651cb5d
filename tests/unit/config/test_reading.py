"""Whatever the bytes are: a document, or one ConfigError with a place."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanewise.config.fold import MAX_NODES
from lanewise.config.reading import MAX_BYTES, MAX_DEPTH, decode, read_file, read_text
from lanewise.errors import ConfigError


def refusal(data: bytes | str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        read_text(data if isinstance(data, str) else decode(data, "x.yaml"), "x.yaml")
    return caught.value


def plain(text: str) -> object:
    return read_text(text, "x.yaml").root.plain()


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30)
)

HOSTILE = {
    "an anchor bomb": (BOMB, "through aliases"),
    "a merge bomb": (
        "a0: &a0 {k: 1, l: 2}\n" + "".join(f"a{n}: &a{n} {{x: *a{n - 1}, y: *a{n - 1}}}\n" for n in range(1, 40)),
        "through aliases",
    ),
    "a duplicate key": ("a: 1\nb: 2\na: 3\n", "a second time"),
    "a duplicate key deep inside": ("a:\n  b: {c: 1, c: 2}\n", "a second time"),
    "a tab": ("a:\n\tb: 1\n", "no YAML"),
    "bytes that are not UTF-8": (b"a: \xff\xfe\n", "not UTF-8"),
    "UTF-16": ("a: 1".encode("utf-16"), "not UTF-8"),
    "a NUL byte": (b"a: b\x00c\n", "control character"),
    "an escape sequence": (b"a: \x1b[2J\n", "control character"),
    "10 MB": (b"a: 1\n" * 2_000_000, "larger than"),
    "10 MB in one line": ("[" + "1," * 5_000_000 + "]", "larger than"),
    "10,000 levels of lists": ("[" * 10_000, "nested deeper"),
    "10,000 levels of closed lists": ("[" * 10_000 + "]" * 10_000, "nested deeper"),
    "10,000 levels of mappings": ("{a: " * 10_000, "nested deeper"),
    "10,000 levels by indentation": ("- " * 10_000, "nested deeper"),
    "a tag that runs code": ("!!python/object/apply:os.system ['true']", "tags"),
    "a tag on a value": ("a: !!python/name:os.system x", "tags"),
    "a tag on a mapping": ("a: !evil {b: 1}", "tags"),
    "a circle of aliases": ("a: &a [*a]", "refers to itself"),
    "a circle under a name that was used before": ("a: &a 1\nb: &a [*a]", "refers to itself"),
    "a circle of merge keys": ("a: &a {<<: *a}", "refers to itself"),
    "a merge of a scalar": ("a: {<<: 5}", "takes a mapping"),
    "an alias to nothing": ("a: *b", "names no anchor"),
    "an alias as a key": ("a: &a x\n*a : 1", "plain name"),
    "a list as a key": ("? [a]\n: 1", "plain name"),
    "not a number": ("a: .nan", "no number"),
    "infinity": ("a: -.inf", "no number"),
    "infinity by exponent": ("a: 1e999", "too large"),
    "a huge integer": ("a: " + "9" * 5_000, "64 bits"),
    "just past 64 bits": ("a: 9223372036854775808", "64 bits"),
    "half a character": ('a: "\\ud800"', "half a character"),
    "a NUL by escape": ('a: "\\0"', "NUL"),
    "a NUL in a key by escape": ('"\\0": 1', "NUL"),
    "two documents": ("a: 1\n---\nb: 2\n", "second document"),
    "an open quote": ("a: 'b", "no YAML"),
    "an open bracket": ("a: [1, 2", "no YAML"),
    "a colon too many": ("a: b: c", "no YAML"),
    "a reserved character": ("a: @x", "no YAML"),
    "an unknown directive version": ("%YAML 3.0\n---\na: 1", "no YAML"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_yaml_gives_one_clear_error_with_a_place(name):
    data, reason = HOSTILE[name]
    error = refusal(data)
    assert reason in error.message
    assert error.file == "x.yaml"
    assert error.line >= 1
    assert error.column >= 1
    assert len(error.message) < 300
    assert "\n" not in error.message


def test_the_place_is_that_of_the_second_of_two_equal_keys():
    error = refusal("a: 1\nb:\n  c: 1\n  c: 2\n")
    assert (error.line, error.column) == (4, 3)
    assert "first in line 3" in error.message


def test_a_tab_is_explained():
    assert "spaces" in refusal("a:\n\tb: 1\n").hint


def test_ordinary_anchors_and_merge_keys_work():
    text = "base: &base {a: 1, b: 2}\none: {<<: *base, b: 3}\nlist: [*base]\n"
    assert plain(text) == {"base": {"a": 1, "b": 2}, "one": {"a": 1, "b": 3}, "list": [{"a": 1, "b": 2}]}


def test_a_list_of_merged_mappings_lets_the_first_win():
    assert plain("a: &a {x: 1}\nb: &b {x: 2, y: 2}\nc: {<<: [*a, *b]}\n")["c"] == {"x": 1, "y": 2}


def test_a_quoted_merge_sign_is_an_ordinary_key():
    assert plain('a: {"<<": 1}') == {"a": {"<<": 1}}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"),
        ("on", "on"),
        ("NO", "NO"),
        ("true", True),
        ("~", None),
        ("", None),
        ("007", "007"),
        ("1_000", "1_000"),
        ("0x1F", "0x1F"),
        ("12:30", "12:30"),
        ("2013-01-05", "2013-01-05"),
        ("-3", -3),
        ("0", 0),
        ("1.50", 1.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("5%", "5%"),
        ("'5'", "5"),
        ("9223372036854775807", 2**63 - 1),
    ],
)
def test_a_scalar_is_what_yaml_1_2_says_and_a_code_stays_text(text, value):
    found = plain(f"a: {text}")["a"]
    assert found == value
    assert type(found) is type(value)


def test_keys_are_text_whatever_they_look_like():
    assert plain("1: a\ntrue: b\nnull: c\n") == {"1": "a", "true": "b", "null": "c"}


def test_an_empty_file_is_an_empty_mapping():
    assert plain("") == plain("# nothing\n") == {}


def test_a_byte_order_mark_is_no_part_of_the_first_key():
    assert read_text(decode(b"\xef\xbb\xbfa: 1", "x"), "x").root.plain() == {"a": 1}


def test_json_may_be_indented_with_tabs():
    assert plain('{\n\t"a": {\n\t\t"b": 1\n\t}\n}') == {"a": {"b": 1}}


def test_a_key_and_its_value_know_their_places():
    member = read_text("a:\n  bc:   5\n", "x").root.get("a").members["bc"]
    assert (member.line, member.column) == (2, 3)
    assert (member.node.line, member.node.column) == (2, 9)


def test_the_deepest_nesting_that_is_allowed_is_read():
    assert plain("[" * MAX_DEPTH + "]" * MAX_DEPTH)
    assert "nested deeper" in refusal("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1)).message


def test_aliases_within_the_budget_are_no_bomb():
    items = MAX_NODES // 30
    assert (
        len(plain(f"a: &a [{', '.join(['x'] * 100)}]\nb: [{', '.join(['*a'] * (items // 100))}]")["b"]) == items // 100
    )


def test_a_missing_file_says_how_to_get_one(tmp_path):
    with pytest.raises(ConfigError) as caught:
        read_file(tmp_path / "lanewise.yaml", "lanewise.yaml")
    assert "lane init" in caught.value.hint


def test_a_folder_where_the_file_should_be_is_one_error(tmp_path):
    (tmp_path / "lanewise.yaml").mkdir()
    with pytest.raises(ConfigError, match="can't be read"):
        read_file(tmp_path / "lanewise.yaml", "lanewise.yaml")


def test_a_file_is_not_read_further_than_its_limit(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_bytes(b"#" * (MAX_BYTES + 1))
    with pytest.raises(ConfigError, match="larger than"):
        read_file(path, "x.yaml")


def outcome(read):
    try:
        return read()
    except ConfigError as error:
        return error


@given(st.binary(max_size=300) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_a_document_or_one_error_inside_the_file(data):
    found = outcome(lambda: read_text(decode(data, "x.yaml"), "x.yaml"))
    if isinstance(found, ConfigError):
        lines = 2 + sum(data.count(end) for end in (b"\n", b"\r", b"\xc2\x85", b"\xe2\x80\xa8", b"\xe2\x80\xa9"))
        assert found.file == "x.yaml"
        assert 1 <= found.line <= lines
        assert found.column >= 1


@given(st.text(alphabet="ab:{}[]&*<!|>-? \n'\"#,%~0", max_size=80))
def test_any_text_made_of_yaml_signs_is_a_document_or_one_error(text):
    found = outcome(lambda: read_text(text, "x.yaml"))
    assert not isinstance(found, ConfigError) or found.line >= 1


texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | texts
documents = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=25,
)


@given(documents, st.sampled_from([None, 2, "\t"]))
def test_all_json_is_read_as_json_reads_it(value, indent):
    text = json.dumps(value, indent=indent)
    assert read_text(text, "x").root.plain() == value
