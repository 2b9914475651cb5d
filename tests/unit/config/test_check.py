"""A lone snippet is judged: same keys everywhere, no inline secret, prod at least as strict as stage."""

from __future__ import annotations

import json
import textwrap

import pytest

from lanewise.config import check_snippet
from lanewise.errors import ConfigError

from .files import DESIGN, LANEWISE

GOOD = """\
dev:   {src_conn: postgres_dev, bucket: raw-dev, retries: 0, sla: 2h}
stage: {src_conn: postgres_stage, bucket: raw-stage, retries: 1, sla: 1h}
prod:  {src_conn: postgres_prod, bucket: raw-prod, retries: 3, sla: 30m}
"""


def findings(text: str) -> list[tuple[str, str, str]]:
    found = check_snippet(textwrap.dedent(text), "snippet")
    assert all(one.file == "snippet" and one.line >= 1 and one.column >= 1 for one in found)
    return [(one.rule, f"{one.line}:{one.column}", one.message) for one in found]


@pytest.mark.parametrize("text", [GOOD, DESIGN, LANEWISE, "environments:\n" + textwrap.indent(GOOD, "  ")])
def test_a_good_file_gives_no_finding(text):
    assert findings(text) == []


def test_json_is_judged_like_yaml():
    text = json.dumps({"dev": {"retries": 1, "token": "hunter2"}, "prod": {"retries": 0}}, indent="\t")
    assert [rule for rule, _, _ in findings(text)] == ["secret", "keys", "strictness"]


def test_a_key_that_one_environment_lacks_is_found_and_its_misspelling_named():
    found = check_snippet("dev: {bucket: a}\nstage: {buckt: a}\nprod: {bucket: a}\n", "s")
    assert [(one.rule, one.line, one.message) for one in found] == [
        ("keys", 1, "dev lacks the key 'buckt'"),
        ("keys", 2, "stage lacks the key 'bucket'"),
        ("keys", 3, "prod lacks the key 'buckt'"),
    ]
    assert found[1].hint == "did you mean buckt?"


def test_a_nested_key_counts_and_a_missing_mapping_is_one_finding():
    assert findings("a: {s: {x: 1, y: 2}}\nb: {s: {x: 1}}\nc: {}\n") == [
        ("keys", "2:1", "b lacks the key 's.y'"),
        ("keys", "3:1", "c lacks the key 's'"),
    ]


def test_a_type_that_changes_is_found():
    assert findings("a: {n: 1}\nb: {n: '1'}\n") == [("types", "2:8", "n is text in b and a number in a")]


def test_an_inline_secret_is_found_and_not_repeated():
    found = check_snippet("dev: {password: hunter2}\nprod: {password: hunter3}\n", "s")
    assert [(one.rule, one.line, one.column) for one in found] == [("secret", 1, 17), ("secret", 2, 18)]
    assert "hunter" not in repr(found)


@pytest.mark.parametrize(
    "value",
    ["env:DB", "vault:kv/db#pw", "${DB_PASSWORD}", "$DB_PASSWORD", "{{ var.value.pw }}", "<from the vault>", "", "***",
     "arn:aws:secretsmanager:eu-west-1:123456789012:secret:db"],
)  # fmt: skip
def test_a_reference_in_anybody_s_form_is_no_secret(value):
    assert findings(f"dev: {{password: '{value}'}}\nprod: {{password: '{value}'}}\n") == []


def test_a_uri_that_takes_its_password_from_elsewhere_is_no_secret():
    assert findings("dev: {url: 'postgres://u:${PW}@h/d'}\n") == []
    assert [rule for rule, _, _ in findings("dev: {url: 'postgres://u:hunter2@h/d'}\n")] == ["secret"]


LAX = {
    "fewer retries": ("retries: 3", "retries: 1", "prod retries 1 times and stage retries 3 times"),
    "a longer sla": ("sla: 30m", "sla: 1h", "the sla of prod is longer"),
    "a longer sla in numbers": ("sla: 30", "sla: 60", "the sla of prod is longer"),
    "no sla": ("sla: 30m", "sla: ", "prod has no sla"),
    "a gate less": ("gates: [tests, quality]", "gates: [tests]", "skips gates that stage asks for: quality"),
    "a gate less, with arguments": ("gates: [soak: {runs: 1}]", "gates: []", "skips gates that stage asks for: soak"),
    "fewer approvals": ("approvals: 2", "approvals: 1", "asks for 1 approvals and stage for 2"),
    "fewer approvals in the long form": ("approvals: {count: 2}", "approvals: {count: 1}", "1 approvals"),
    "no approval": ("approval: true", "approval: false", "asks for 0 approvals and stage for 1"),
    "fewer named approvers": ("approvals: [a, b]", "approvals: [a]", "asks for 1 approvals"),
}


@pytest.mark.parametrize("name", LAX)
def test_production_is_at_least_as_strict_as_the_stage(name):
    stage, prod, message = LAX[name]
    (found,) = findings(f"stage: {{{stage}}}\nprod: {{{prod}}}\n")
    assert found[0] == "strictness"
    assert found[1].startswith("2:")
    assert message in found[2]
    assert findings(f"stage: {{{prod}}}\nprod: {{{stage}}}\n") == []
    assert findings(f"stage: {{{stage}}}\nprod: {{{stage}}}\n") == []


def test_production_is_known_by_name_whatever_the_order():
    assert [rule for rule, _, _ in findings("production: {retries: 0}\nstaging: {retries: 1}\n")] == ["strictness"]
    assert [rule for rule, _, _ in findings("one: {retries: 1}\ntwo: {retries: 0}\n")] == ["strictness"]


def test_a_full_file_is_judged_after_merging():
    assert findings(DESIGN.replace("stage: {data", "stage: {retries: 3, data")) == []
    (found,) = findings(DESIGN.replace("stage: {data", "stage: {retries: 4, data"))
    assert found[0] == "strictness"
    assert found[1] == "12:57"


def test_a_full_file_s_rules_are_judged():
    (found,) = findings(DESIGN.replace("stage: {gates: [tests, quality]}", "stage: {gates: [tests, parity]}"))
    assert found == ("strictness", "23:12", "prod skips gates that stage asks for: parity")


def test_a_full_file_that_can_t_be_loaded_gives_that_finding():
    (found,) = findings(DESIGN.replace("retries: 3", "retires: 3"))
    assert found[0] == "file"
    assert "'retires'" in found[2]


def test_all_secrets_of_a_file_are_found_not_only_the_first():
    text = (
        DESIGN.replace("vault:secret/data/{env}/postgres#password", "hunter2") + "ledger: postgresql://a:hunter2@b/c\n"
    )
    assert [rule for rule, _, _ in findings(text)] == ["secret", "secret"]


def test_a_project_file_is_judged_too():
    (found,) = findings(LANEWISE.replace("kind: partition", "kind: fulll"))
    assert found[0] == "file"


@pytest.mark.parametrize("text", ["", "just text", "[1, 2]", "a: 1\nb: 2\n", "a: [", "a: {b: 1, b: 2}"])
def test_what_can_t_be_parsed_or_is_no_config_is_an_error(text):
    with pytest.raises(ConfigError) as caught:
        check_snippet(text, "snippet")
    assert caught.value.line >= 1
