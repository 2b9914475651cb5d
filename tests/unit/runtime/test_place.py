from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import lanewise
from lanewise.errors import BuildTampered, ConfigError, NotFound
from lanewise.runtime.compiled import parse
from lanewise.runtime.place import orchestrator

DIGEST = "sha256:" + "ab" * 32
OTHER = "sha256:" + "cd" * 32


def test_a_laptop_without_a_word_is_in_dev(compile_for):
    compile_for("dev")
    assert lanewise.current().environment == "dev"


def test_the_variable_names_the_environment(compile_for, monkeypatch):
    compile_for("prod")
    monkeypatch.setenv("LANEWISE_ENV", "prod")
    assert lanewise.current().environment == "prod"


def test_the_projects_own_variable_names_it_too(compile_for, monkeypatch):
    compile_for("dev", variable="DEPLOY_ENV")
    compile_for("stage", variable="DEPLOY_ENV")
    monkeypatch.setenv("DEPLOY_ENV", "stage")
    assert lanewise.current().environment == "stage"


def test_two_variables_that_disagree_are_refused(compile_for, monkeypatch):
    compile_for("dev", variable="DEPLOY_ENV")
    monkeypatch.setenv("DEPLOY_ENV", "stage")
    monkeypatch.setenv("LANEWISE_ENV", "prod")
    with pytest.raises(ConfigError, match="DEPLOY_ENV=stage disagree"):
        lanewise.current()


@pytest.mark.parametrize(
    "mark",
    ["AIRFLOW_HOME", "AIRFLOW_CTX_DAG_ID", "DAGSTER_HOME", "PREFECT__FLOW_RUN_ID", "KUBERNETES_SERVICE_HOST", "CI"],
)
def test_an_orchestrator_without_a_word_is_an_error_and_never_prod(compile_for, monkeypatch, mark):
    compile_for("dev")
    compile_for("prod")
    monkeypatch.setenv(mark, "something")
    with pytest.raises(ConfigError, match=mark):
        lanewise.current()


def test_an_orchestrator_that_names_the_environment_is_fine(compile_for, monkeypatch):
    compile_for("prod")
    monkeypatch.setenv("AIRFLOW_HOME", "/srv/airflow")
    monkeypatch.setenv("LANEWISE_ENV", "prod")
    assert lanewise.current().environment == "prod"


def test_ci_switched_off_is_a_laptop(monkeypatch):
    monkeypatch.setenv("CI", "false")
    assert orchestrator() == ""


def test_an_empty_variable_counts_as_unset(compile_for, monkeypatch):
    compile_for("dev")
    monkeypatch.setenv("LANEWISE_ENV", "")
    assert lanewise.current().environment == "dev"


def test_a_missing_file_says_which_command_writes_it_and_what_there_is(compile_for):
    compile_for("dev")
    with pytest.raises(NotFound) as caught:
        lanewise.current("stage")
    assert "lane config show stage" in caught.value.hint
    assert "there is dev" in caught.value.hint


@pytest.mark.parametrize("name", ["../dev", "..", "a/b"])
def test_an_environments_name_is_no_path(compile_for, name):
    compile_for("dev")
    with pytest.raises(ConfigError, match="no environment's name"):
        lanewise.current(name)


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"format": 99}', "\x00"])
def test_a_broken_file_is_one_clear_error(compile_for, content):
    compile_for("dev").write_text(content)
    with pytest.raises(ConfigError) as caught:
        lanewise.current()
    assert "dev.json" in caught.value.message
    assert "lane config show dev" in caught.value.hint


def test_outside_of_any_project_the_error_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NotFound, match="project around this code"):
        exec(compile("import lanewise; lanewise.current()", "<nowhere>", "exec"))


def test_a_changed_config_makes_the_compiled_file_stale(compile_for, tree):
    source = tree / "environments.yaml"
    source.write_text("a: 1\n")
    known = {"size": 5, "mtime_ns": source.stat().st_mtime_ns, "sha256": "0" * 64}
    compile_for("dev", sources={"environments.yaml": known})
    assert lanewise.current().environment == "dev"
    source.write_text("a: 22\n")
    with pytest.raises(ConfigError, match=r"stale: environments\.yaml has changed"):
        lanewise.current()


def test_a_touched_but_equal_config_is_not_stale(compile_for, tree):
    import hashlib

    source = tree / "environments.yaml"
    source.write_text("a: 1\n")
    known = {"size": 5, "mtime_ns": 1, "sha256": hashlib.sha256(b"a: 1\n").hexdigest()}
    compile_for("dev", sources={"environments.yaml": known})
    assert lanewise.current().environment == "dev"


def test_a_deleted_source_is_stale(compile_for):
    compile_for("dev", sources={"environments.yaml": {"size": 5, "mtime_ns": 1, "sha256": ""}})
    with pytest.raises(ConfigError, match="stale"):
        lanewise.current()


def call_from(folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a module of ``folder`` from elsewhere: the code's own location is what counts."""
    (folder / "pipeline.py").write_text(
        "import lanewise, lanewise.errors\n"
        "try: print(lanewise.current().build)\n"
        "except lanewise.errors.LaneError as e: print(type(e).__name__, e.message)\n"
    )
    return subprocess.run(
        [sys.executable, str(folder / "pipeline.py")], cwd="/", capture_output=True, text=True, check=True,
        env={"PATH": os.environ["PATH"], **variables},
    )  # fmt: skip


def test_code_finds_its_unpacked_build_from_its_own_location(compile_for, tree):
    folder = tree / ".lanewise" / "unpacked" / ("ab" * 32)
    folder.mkdir(parents=True)
    (folder / "lanewise.yaml").write_text("project: orders\n")
    compile_for("dev", build=DIGEST)
    assert call_from(folder).stdout.strip() == DIGEST


def test_a_compiled_file_of_another_build_is_refused(compile_for, tree):
    folder = tree / ".lanewise" / "unpacked" / ("ab" * 32)
    folder.mkdir(parents=True)
    path = compile_for("dev", build=OTHER)
    said = call_from(folder, LANEWISE_COMPILED=str(path)).stdout
    assert said.startswith(BuildTampered.__name__)
    assert "belongs to build cdcdcdcd, and this code is build abababab" in said


def test_a_working_trees_file_is_no_builds(compile_for, tree):
    folder = tree / ".lanewise" / "unpacked" / ("ab" * 32)
    folder.mkdir(parents=True)
    path = compile_for("dev", build="")
    assert "NotFound no compiled file" in call_from(folder).stdout
    assert "belongs to build (a working tree)" in call_from(folder, LANEWISE_COMPILED=str(path)).stdout


def test_a_copied_file_of_another_build_is_refused(compile_for, tree):
    folder = tree / ".lanewise" / "unpacked" / ("ab" * 32)
    folder.mkdir(parents=True)
    right = compile_for("dev", build=DIGEST)
    right.write_text(compile_for("dev", build=OTHER).read_text())
    assert call_from(folder).stdout.startswith("BuildTampered")


def test_a_build_unpacked_elsewhere_is_named_by_its_stamp(compile_for, tree):
    folder = tree / ".lanewise" / "elsewhere"
    folder.mkdir(parents=True)
    (folder / ".lanewise-build.json").write_text(json.dumps({"digest": DIGEST, "variable": "DEPLOY_ENV"}))
    compile_for("prod", build=DIGEST, variable="DEPLOY_ENV")
    assert call_from(folder, DEPLOY_ENV="prod").stdout.strip() == DIGEST
    (folder / ".lanewise-build.json").write_text("{")
    assert "can't be read" in call_from(folder, DEPLOY_ENV="prod").stdout


def test_inside_a_run_the_runs_own_file_wins(compile_for, monkeypatch):
    compile_for("dev")
    path = compile_for("prod")
    monkeypatch.setenv("LANEWISE_COMPILED", str(path))
    assert lanewise.current().environment == "prod"
    with pytest.raises(ConfigError, match="about prod, and dev was asked for"):
        lanewise.current("dev")


def test_importing_lanewise_and_calling_current_loads_the_standard_library_alone(compile_for, tree):
    compile_for("dev")
    code = (
        "import sys; before = set(sys.modules); import lanewise; lanewise.current(); print(*set(sys.modules) - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tree, capture_output=True, text=True, check=True,
                          env={"PATH": os.environ["PATH"]})  # fmt: skip
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert loaded - set(sys.stdlib_module_names) == {"lanewise"}
    assert not loaded & {
        "typing",
        "pathlib",
        "dataclasses",
        "difflib",
        "hashlib",
        "inspect",
        "subprocess",
        "logging",
        "json",
        "re",
    }


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.dictionaries(st.text(), JSON), st.booleans(), st.sampled_from([None, 1]))
def test_the_quick_way_to_read_json_reads_what_json_reads(value, ascii_only, indent):
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent) + "\n"
    assert parse(text) == json.loads(text) == value


@given(
    st.text()
    | st.sampled_from(
        ['{"a": 1} x', '{"a": }', '{"a": 1', "{'a': 1}", '{"a": "\t"}', " {}", "", "[", "\ufeff{}", "0\x1f"]
    )
)
def test_what_json_refuses_the_quick_way_refuses_alike(text):
    assert outcome(parse, text) == outcome(json.loads, text)


def outcome(read, text: str) -> str:
    try:
        return repr(read(text))
    except ValueError as error:
        return f"refused: {error}"
