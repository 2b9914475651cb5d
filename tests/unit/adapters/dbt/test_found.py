"""What dbt found, read back: its results as findings, its manifest as lineage, its complaints as a sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lanewise.adapters.orchestrators.dbt.lineage import lineage_of
from lanewise.adapters.orchestrators.dbt.results import read_findings
from lanewise.adapters.orchestrators.dbt.trial import complaint, demand_tables
from lanewise.domain.build import BuildFile, Manifest
from lanewise.domain.project import Project, Source, Table
from lanewise.errors import Refused
from lanewise.publication.fingerprints import fingerprints
from lanewise.publication.lineage import read_lineage, write_lineage

PROJECT = Project("shop", Source(("**",)), "dbt build", inputs=("raw.sales",), tables={n: Table(n) for n in ("a", "b")})
FILES = tuple(BuildFile(f"models/{name}.sql", 1, f"sha256:{name}") for name in "abc")


def model(name: str, *parents: str, **more: Any) -> dict[str, Any]:
    return {
        "name": name, "unique_id": f"model.shop.{name}", "resource_type": "model", "package_name": "shop",
        "original_file_path": f"models/{name}.sql",
        "checksum": {"name": "sha256", "checksum": f"sum-of-{name}"}, "raw_code": f"select {name}", "columns": {},
        "config": {"materialized": "table"}, "unrendered_config": {},
        "depends_on": {"nodes": list(parents), "macros": []}, **more,
    }  # fmt: skip


def manifest(*nodes: dict[str, Any], macros: dict[str, str] | None = None) -> dict[str, Any]:
    found = {
        f"macro.shop.{name}": {"macro_sql": sql, "package_name": "shop", "depends_on": {"macros": []}}
        for name, sql in (macros or {}).items()
    }
    source = {"name": "sales", "source_name": "raw", "schema": "raw", "identifier": "sales", "resource_type": "source",
              "original_file_path": "models/s.yml", "unrendered_config": {}}  # fmt: skip
    return {"metadata": {"project_name": "shop"}, "macros": found, "sources": {"source.raw.sales": source},
            "nodes": {f"model.shop.{node['name']}": node for node in nodes}}  # fmt: skip


def versions(found: dict[str, Any], said: dict[str, Any] | None = None, **settings: Any) -> dict[str, str]:
    lineage = lineage_of(found, said or {}, FILES, PROJECT)
    return fingerprints(PROJECT, Manifest("shop", FILES, "cpython-3.11"), settings, lineage)


A, B = model("a"), model("b", "model.shop.a")


@pytest.mark.parametrize(
    ("changed", "said", "forked"),
    [
        (manifest(A, B, model("c")), {}, set()),
        (manifest(A, model("b", "model.shop.a", checksum={"name": "sha256", "checksum": "new"})), {}, {"b"}),
        (manifest(model("a", checksum={"name": "sha256", "checksum": "new"}), B), {}, {"a", "b"}),
        (manifest(A, model("b", "model.shop.a", unrendered_config={"unique_key": "x"})), {}, {"b"}),
        (manifest(A, model("b", "model.shop.a", unrendered_config={"tags": ["x"]})), {}, set()),
        (manifest(A, B), {"vars": {"rate": 2}}, {"a", "b"}),
        (manifest(A, B), {"clean-targets": ["target"]}, set()),
    ],
)
def test_a_change_forks_the_tables_that_it_concerns(changed, said, forked):
    before, after = versions(manifest(A, B)), versions(changed, said)
    assert {name for name in before if before[name] != after[name]} == forked


def test_a_macro_and_a_setting_fork_the_tables_that_ask_for_them():
    b = model("b", raw_code="{{ cents(var('rate')) }}", depends_on={"nodes": [], "macros": ["macro.shop.cents"]})
    before = versions(manifest(A, b, macros={"cents": "x"}), rate=1, other=1)
    assert versions(manifest(A, b, macros={"cents": "x"}), rate=1, other=2) == before
    for after in (versions(manifest(A, b, macros={"cents": "x"}), rate=2, other=1),
                  versions(manifest(A, b, macros={"cents": "y"}), rate=1, other=1)):  # fmt: skip
        assert (after["a"] == before["a"], after["b"] == before["b"]) == (True, False)


def test_a_changed_test_has_the_tables_that_it_looks_at_computed_anew():
    def found(text: str) -> dict[str, str]:
        test = model("t", "model.shop.b", resource_type="test", raw_code=text)
        return versions(manifest(A, B, test))

    before, after = found("select 1"), found("select 2")
    assert (after["a"] == before["a"], after["b"] == before["b"]) == (True, False)


def test_a_lineage_is_believed_of_its_own_files_alone():
    lineage = lineage_of(manifest(A, B), {}, FILES, PROJECT)
    text = write_lineage(lineage)
    assert read_lineage(text, Manifest("shop", FILES, "cpython-3.11")) == lineage
    assert read_lineage(text, Manifest("shop", FILES[:2], "cpython-3.11")) is None
    assert read_lineage("{}", Manifest("shop", FILES, "cpython-3.11")) is None


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (manifest(A), "no model or seed of the dbt project computes the table b"),
        (manifest(A, model("b", config={"materialized": "ephemeral"})), "b is ephemeral"),
    ],
)
def test_a_table_that_nothing_makes_is_refused(found, said):
    with pytest.raises(Refused, match=said):
        demand_tables(found, PROJECT)


def test_a_source_that_is_no_input_is_refused_once_it_is_read():
    found = manifest(A, model("b", "source.raw.sales"))
    demand_tables(found, PROJECT)
    found["sources"]["source.raw.sales"].update(name="prices", identifier="prices")
    with pytest.raises(Refused, match=r"source raw\.prices is no input"):
        demand_tables(found, PROJECT)


def test_results_become_findings_with_the_failed_ones_first(tmp_path: Path):
    nodes = {
        "model.shop.a": {**A, "contract": {"enforced": True}}, "model.shop.b": B,
        "test.shop.t.1": {"name": "t", "config": {"severity": "ERROR"}, "original_file_path": "tests/t.sql"},
        "test.shop.w.2": {"name": "w", "config": {"severity": "warn"}},
    }  # fmt: skip
    results = [
        {"unique_id": "model.shop.a", "status": "success", "message": "OK"},
        {"unique_id": "test.shop.w.2", "status": "warn", "failures": 2, "message": "Got 2 results"},
        {"unique_id": "test.shop.t.1", "status": "fail", "failures": 3, "message": "Got 3 results"},
        {"unique_id": "model.shop.b", "status": "skipped", "message": None},
    ]
    (tmp_path / "manifest.json").write_text(json.dumps({"nodes": nodes}))
    (tmp_path / "run_results.json").write_text(json.dumps({"results": results}))
    found = read_findings(tmp_path)
    assert [(f.name, f.kind, f.passed, f.severe) for f in found] == [
        ("w", "test", False, False), ("t", "test", False, True), ("b", "task", None, True),
        ("a", "task", True, True), ("contract of a", "check", True, True),
    ]  # fmt: skip
    assert found[1].message == "tests/t.sql: 3 failing: Got 3 results"
    assert read_findings(tmp_path / "nowhere") == ()


def test_a_broken_contract_is_a_finding_and_the_reason_of_a_batch_is_found_in_what_was_printed(tmp_path: Path):
    results = [
        {"unique_id": "model.shop.a", "status": "error", "message": "This model has an enforced contract that failed."},
        {"unique_id": "model.shop.b", "status": "error", "message": "ERROR"},
    ]
    (tmp_path / "manifest.json").write_text(
        json.dumps({"nodes": {"model.shop.a": {**A, "contract": {"enforced": True}}}})
    )
    (tmp_path / "run_results.json").write_text(json.dumps({"results": results}))
    found = {f.name: f for f in read_findings(tmp_path, "12:00:00 x\n  Binder Error: no column z\n  LINE 1\nmore")}
    assert found["contract of a"].passed is False
    assert "Binder Error: no column z LINE 1" in found["shop.b"].message


def test_a_complaint_is_one_line_without_stamps_and_tracebacks():
    said = "12:00:01  Running\n12:00:02  Encountered an error:\nCompilation Error\n  no node 'x'\n"
    said += "Traceback (most recent call last):\n  File"
    assert complaint(said) == "Compilation Error no node 'x'"
    assert complaint("12:00:01  Parsing Error\n  bad yaml") == "Parsing Error bad yaml"
