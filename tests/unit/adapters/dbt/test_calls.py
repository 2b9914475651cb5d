"""What dbt is called with, and what is laid beside its project: decided without dbt."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lanewise.adapters.orchestrators.dbt.connections import variables_of
from lanewise.adapters.orchestrators.dbt.folder import DbtFolder
from lanewise.adapters.orchestrators.dbt.profile import duckdb_profile, postgres_profile
from lanewise.adapters.orchestrators.dbt.words import Stretch, between, choosing, split, stretches
from lanewise.domain.environment import Connection, Environment, SecretRef
from lanewise.domain.project import Grain, PartitionSpec, Project, Source, Table, TableKind
from lanewise.errors import Refused, RunFailed, SecretUnavailable


def project(grain: Grain | None = Grain.DAY, **more: Table) -> Project:
    cut = PartitionSpec("day", grain) if grain else None
    tables = {"daily": Table("daily", TableKind.PARTITION if cut else TableKind.FULL, cut), **more}
    return Project("shop", Source(("**",)), "dbt build", tables=tables)


@pytest.mark.parametrize(
    ("grain", "partitions", "found"),
    [
        (Grain.DAY, ["2013-02-28", "2013-03-01"], [("2013-02-28T00:00:00", "2013-03-02T00:00:00")]),
        (
            Grain.DAY,
            ["2013-01-05", "2013-01-01", "2013-01-02"],
            [("2013-01-01T00:00:00", "2013-01-03T00:00:00"), ("2013-01-05T00:00:00", "2013-01-06T00:00:00")],
        ),
        (Grain.MONTH, ["2012-12", "2013-01"], [("2012-12-01T00:00:00", "2013-02-01T00:00:00")]),
        (Grain.HOUR, ["2013-01-01T23"], [("2013-01-01T23:00:00", "2013-01-02T00:00:00")]),
        (Grain.VALUE, ["EU"], []),
        (None, ["all"], []),
        (Grain.DAY, [], []),
    ],
)
def test_partitions_become_stretches_of_time_without_gaps(grain, partitions, found):
    assert stretches(partitions, project(grain)) == tuple(Stretch(*pair) for pair in found)


def test_a_range_goes_from_the_first_stretch_to_the_last():
    found = stretches(["2013-01-01", "2013-01-05"], project())
    assert between(found) == ["--event-time-start", "2013-01-01T00:00:00", "--event-time-end", "2013-01-06T00:00:00"]
    assert between(()) == []


def test_the_builds_own_words_are_kept_but_for_a_full_refresh_and_its_vars():
    words, said = split(["dbt", "build", "--full-refresh", "--select", "tag:nightly", "--vars", "{country: PT}"])
    assert (words, said) == (
        ["build", "--select", "tag:nightly", "--exclude-resource-type", "snapshot"],
        {"country": "PT"},
    )
    assert split(["dbt", "run", "--vars={a: 1}"]) == (["run"], {"a": 1})
    with pytest.raises(RunFailed, match="no mapping"):
        split(["dbt", "run", "--vars", "[1]"])


def test_only_what_is_wanted_is_computed_unless_the_build_chooses_itself():
    both = project(regions=Table("mart.regions"))
    some = project(**{"mart.regions": Table("mart.regions")})
    assert choosing(["build"], ["daily", "regions"], both) == []
    assert choosing(["build"], ["mart.regions"], some)[:2] == ["--select", "+regions"]
    assert choosing(["build", "--select=tag:x"], ["daily"], some) == []


@pytest.mark.parametrize("text", [
    duckdb_profile("prod", "/rooms/1/room.duckdb", "/rooms/1/spill", 4).text,
    postgres_profile("prod", {"host": "db.example", "user": "run_prod", "dbname": "shop"}, "rooms", 4).text,
])  # fmt: skip
def test_a_profile_is_named_after_the_environment_and_holds_no_value(text: str):
    outputs = json.loads(text.partition("\n")[2])["lanewise"]["outputs"]
    assert list(outputs) == ["prod"]
    assert not any(value in text for value in ("/rooms", "db.example", "run_prod", "shop"))


def test_connections_become_variables_and_a_secret_that_is_away_is_left_out():
    def resolve(reference: SecretRef) -> str:
        if reference.text == "env:AWAY":
            raise SecretUnavailable("env:AWAY is not set")
        return "s3cret"

    connections = {
        "db": Connection("db", "postgres", {"host": "h", "port": 1},
                         {"password": SecretRef("env:P"), "key": SecretRef("env:AWAY")}),
        "tool": Connection("tool", "dbt", {"executable": "dbt"}),
    }  # fmt: skip
    lane = Environment("prod", 0, {"src_conn": "db", "orchestrator_conn": "tool", "retries": 1}, connections)
    found = variables_of(lane, resolve)
    assert found == {"LANEWISE_SRC_HOST": "h", "LANEWISE_SRC_PORT": "1", "LANEWISE_SRC_PASSWORD": "s3cret"}


def test_a_projects_own_naming_stands_aside_in_the_copy_and_its_other_macros_stay(tmp_path: Path):
    (tmp_path / "dbt_project.yml").write_text("name: shop\nmacro-paths: [own]\n")
    (tmp_path / "own").mkdir()
    own = "{%- macro generate_schema_name(custom, node) -%}x{%- endmacro -%}{% macro cents(c) %}{{ c }}{% endmacro %}"
    (tmp_path / "own" / "naming.sql").write_text(own)
    folder = DbtFolder.of(tmp_path, project())
    folder.lay_macros("postgres")
    folder.lay_package({"inputs": {}, "note": '100% {{ not }} {# a #} macro\'s "text"'})
    text = (tmp_path / "own" / "naming.sql").read_text()
    assert "macro generate_schema_name(" not in text
    assert "macro cents(c)" in text
    assert "macro generate_schema_name(" in (tmp_path / "own" / "lanewise.sql").read_text()
    room = (tmp_path / "dbt_packages/lanewise/macros/room.sql").read_text()
    assert (room.count("{{"), room.count("{%"), room.count("{#")) == (1, 2, 0)


@pytest.mark.parametrize(("text", "said"), [(None, "there is no"), ("a: [", "is no YAML"), ("- a", "no dbt project")])
def test_a_folder_that_is_no_dbt_project_is_refused(tmp_path: Path, text: str | None, said: str):
    if text is not None:
        (tmp_path / "dbt_project.yml").write_text(text)
    with pytest.raises(Refused, match=said):
        DbtFolder.of(tmp_path, project())
