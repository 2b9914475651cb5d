"""`lane config` from the outside."""

from __future__ import annotations

import json
import os

import pytest
from tests.unit.config.files import DESIGN, LANEWISE
from typer.testing import CliRunner

from lanewise.cli.config import app
from lanewise.config.schema import published
from lanewise.errors import ConfigError, NotFound

LAPTOP = DESIGN.replace("    approvals: {count: 1, from: [data-leads]}\n", "")


@pytest.fixture
def lane(tmp_path, monkeypatch):
    (tmp_path / "lanewise.yaml").write_text(LANEWISE)
    (tmp_path / "environments.yaml").write_text(LAPTOP)
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("LANEWISE")]:
        monkeypatch.delenv(name)
    runner = CliRunner()

    def call(*arguments: str, text: str | None = None, code: int = 0):
        found = runner.invoke(app, list(arguments), input=text)
        if found.exception and not isinstance(found.exception, SystemExit):
            raise found.exception
        assert found.exit_code == code, found.output
        return found

    return call


def test_show_prints_values_and_no_secret(lane):
    lines = lane("show", "prod").stdout.splitlines()
    assert lines[0].split() == ["key", "value"]
    assert any(line.split() == ["settings.retries", "3"] for line in lines)
    assert any("vault:secret/data/prod/postgres#password" in line for line in lines)


def test_explain_prints_the_merge_order_on_top_and_every_origin(lane, monkeypatch):
    monkeypatch.setenv("LANEWISE__PROD__RETRIES", "7")
    lines = lane("show", "prod", "--explain").stdout.splitlines()
    assert lines[0].endswith("built in, defaults, extends, the environment, LANEWISE__* variables")
    found = {line.split()[0]: line for line in lines[1:]}
    assert found["settings.schema"].endswith("environments.yaml:12 (environments.prod)")
    assert found["settings.bucket"].endswith("environments.yaml:4 (defaults)")
    assert found["settings.retries"].split()[1:] == ["7", "LANEWISE__PROD__RETRIES"]
    assert found["rules.opens_next"].endswith("built in")


def test_show_as_json_keeps_types_and_places(lane):
    found = json.loads(lane("show", "prod", "--format", "json").stdout)
    assert found["settings"]["retries"] == 3
    by_key = {row["key"]: row for row in found["values"]}
    assert by_key["settings.retries"]["origin"] == {
        "layer": "environments.prod", "file": "environments.yaml", "line": 12, "column": 57,
    }  # fmt: skip


SERVED = """\
environments: {stage: {schema: shop}, prod: {schema: shop}}
connections:
  "warehouse_{env}": {type: postgres, host: pg, database: orders, user: svc, password: "env:PG"}
"""


def test_show_says_in_a_line_how_it_is_kept_apart(lane):
    assert lane("show", "prod").stdout.splitlines()[-1] == "prod is kept apart from dev and stage by files of its own"


def test_show_warns_of_the_weaker_ways_and_says_what_to_do(lane, tmp_path):
    (tmp_path / "environments.yaml").write_text(SERVED)
    found = lane("show", "prod")
    last = "prod is kept apart from stage by suffix alone; one login for all roles, shared with stage"
    assert last in found.stdout.splitlines()
    assert found.stderr.count("warning: ") == found.stderr.count("  hint: ") == 3
    data = json.loads(lane("show", "prod", "--format", "json").stdout)["separation"]
    assert data["walls"] == {"stage": "suffix"}
    assert data["logins"] == {"runner": "svc", "publisher": "svc", "reader": "svc"}
    assert [one["kind"] for one in data["weaknesses"]] == ["suffix", "login", "runner"]


def test_check_warns_and_does_not_fail(lane, tmp_path):
    (tmp_path / "environments.yaml").write_text(SERVED)
    lines = lane("check", "environments.yaml").stdout.splitlines()
    assert "warning: stage is kept apart from prod by suffix alone" in lines[0]
    assert all(one["warning"] for one in json.loads(lane("check", "environments.yaml", "--format", "json").stdout))


def test_show_writes_what_pipeline_code_reads(lane, tmp_path):
    lane("show", "dev")
    document = json.loads((tmp_path / ".lanewise" / "compiled" / "dev.json").read_text())
    assert document["settings"]["bucket"] == "raw-data-dev"


def test_a_misspelt_environment_is_told(lane):
    with pytest.raises(NotFound) as caught:
        lane("show", "stge")
    assert caught.value.hint == "did you mean stage?"


def test_diff_lists_what_differs_and_where_from(lane):
    lines = lane("diff", "stage", "prod").stdout.splitlines()
    assert lines[0].split() == ["key", "stage", "prod", "stage", "from", "prod", "from"]
    (retries,) = [line.split() for line in lines if line.startswith("settings.retries")]
    assert retries[1:3] == ["0", "3"]
    assert not any(line.startswith("connections.dst.type") for line in lines)
    found = json.loads(lane("diff", "stage", "prod", "--format", "json").stdout)
    assert {one["key"] for one in found["differences"]} == {line.split()[0] for line in lines[1:]}


def test_diff_of_one_with_itself_is_nothing(lane):
    assert lane("diff", "prod", "prod").stdout == ""


def test_check_finds_nothing_in_a_good_file(lane):
    assert lane("check", "environments.yaml").stdout == ""
    assert json.loads(lane("check", "environments.yaml", "--format", "json").stdout) == []


def test_check_exits_1_with_places_when_something_is_found(lane, tmp_path):
    (tmp_path / "s.yaml").write_text("stage: {retries: 2, password: hunter2}\nprod: {retries: 1, password: 'env:P'}\n")
    found = lane("check", "s.yaml", code=1)
    assert "s.yaml:1:31: stage.password: a secret where a reference belongs [secret]" in found.stdout
    assert "s.yaml:2:17: prod retries 1 times" in found.stdout
    assert "hunter2" not in found.output
    rules = [one["rule"] for one in json.loads(lane("check", "s.yaml", "--format", "json", code=1).stdout)]
    assert rules == ["secret", "strictness"]


def test_check_reads_standard_input(lane):
    assert (
        "<stdin>:2:1: prod lacks the key 'a' [keys]"
        in lane("check", "-", text="dev: {a: 1}\nprod: {}\n", code=1).stdout
    )


def test_check_of_what_can_t_be_parsed_is_wrong_input(lane):
    with pytest.raises(ConfigError) as caught:
        lane("check", "-", text="dev: [")
    assert caught.value.exit_code == 2
    with pytest.raises(NotFound):
        lane("check", "nowhere.yaml")


def test_check_needs_no_project(lane, tmp_path):
    (tmp_path / "lanewise.yaml").unlink()
    lane("check", "-", text="dev: {a: 1}\n")


@pytest.mark.parametrize("name", ["lanewise", "environments"])
def test_schema_prints_the_published_schema(lane, name):
    assert lane("schema", name).stdout == published(name)


def test_apply_pins_the_file_and_show_can_show_the_pinned_one(lane, tmp_path):
    with pytest.raises(NotFound, match="no pinned config"):
        lane("show", "prod", "--pinned")
    assert lane("apply", "--yes").stdout.startswith("applied ")
    assert "in force already" in lane("apply", "--yes").stdout
    (tmp_path / "environments.yaml").write_text(LAPTOP.replace("retries: 3", "retries: 4"))
    pinned = json.loads(lane("show", "prod", "--pinned", "--format", "json").stdout)
    assert pinned["settings"]["retries"] == 3
    found = lane("apply", "--yes")
    assert "settings.retries: 3 → 4" in found.stderr


def test_apply_asks_first_and_no_is_no(lane):
    lane("apply", text="n\n", code=1)
    with pytest.raises(NotFound, match="no pinned config"):
        lane("show", "prod", "--pinned")


def test_apply_of_a_guarded_change_proposes_it_and_its_author_can_t_approve(lane, tmp_path):
    from lanewise.errors import ApprovalRefused

    (tmp_path / "environments.yaml").write_text(DESIGN)
    lane("apply", "--yes")
    (tmp_path / "environments.yaml").write_text(DESIGN.replace("retries: 3", "retries: 4"))
    found = json.loads(lane("apply", "--yes", "--format", "json").stdout)
    assert found["state"] == "awaiting approval"
    assert found["needed"]["prod"]["count"] == 1
    with pytest.raises(ApprovalRefused, match="nobody approves their own request"):
        lane("approve", found["digest"][:15])
