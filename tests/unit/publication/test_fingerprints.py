from __future__ import annotations

from dataclasses import replace

import pytest

from lanewise.domain.build import BuildFile, Manifest
from lanewise.domain.project import Check, Column, DeclaredChange, History, PartitionSpec, Project, Source, Table
from lanewise.errors import ConfigError
from lanewise.publication.fingerprints import fingerprints

SETTINGS = {"retries": 3, "rate": "1.5"}


def manifest(**changed: str) -> Manifest:
    paths = ("lanewise.yaml", "pipelines/common.py", "pipelines/orders.py", "pipelines/deep/er/x.sql",
             "requirements.txt", "tests/test_x.py", "README.md", "docs/a.txt")  # fmt: skip
    files = tuple(BuildFile(p, 1, changed.get(p, "sha256:" + p)) for p in sorted(paths))
    return Manifest("shop", files, "cpython-3.11", lock="requirements.txt")


def project(**tables: Table) -> Project:
    return Project("shop", Source(("**",)), "python -m pipelines", tables=tables or {"orders": Table("orders")})


def of(found: Project, built: Manifest | None = None, settings: dict[str, object] | None = None) -> dict[str, str]:
    return fingerprints(found, built or manifest(), SETTINGS if settings is None else settings)


def test_equal_builds_give_equal_fingerprints():
    assert of(project()) == of(project())
    assert of(project())["orders"].startswith("sha256:")


@pytest.mark.parametrize("path", ["pipelines/orders.py", "pipelines/deep/er/x.sql", "requirements.txt"])
def test_changed_code_is_a_new_version(path):
    assert of(project(), manifest(**{path: "sha256:other"})) != of(project())


@pytest.mark.parametrize("path", ["tests/test_x.py", "README.md", "docs/a.txt", "lanewise.yaml"])
def test_tests_docs_and_the_project_file_itself_compute_nothing(path):
    assert of(project(), manifest(**{path: "sha256:other"})) == of(project())


@pytest.mark.parametrize(
    "changed",
    [
        {"checks": (Check("n", "not_null", {"columns": ["id"]}),)},
        {"tolerance": {"id": "1"}},
        {"changes": (DeclaredChange("values", "on purpose"),)},
        {"history": History.INHERIT},
    ],
)
def test_what_only_judges_a_table_does_not_change_its_version(changed):
    assert of(project(orders=replace(Table("orders"), **changed))) == of(project())


@pytest.mark.parametrize(
    "changed",
    [{"partition": PartitionSpec("day")}, {"key": ("id",)}, {"columns": (Column("id", "INT"),)}, {"offset": "id"}],
)
def test_what_shapes_a_table_does(changed):
    assert of(project(orders=replace(Table("orders"), **changed))) != of(project())


def test_only_the_files_that_a_table_depends_on_count():
    narrow = project(orders=Table("orders", depends=("pipelines/*.py",)))
    assert of(narrow, manifest(**{"pipelines/deep/er/x.sql": "sha256:other"})) == of(narrow)
    assert of(narrow, manifest(**{"pipelines/common.py": "sha256:other"})) != of(narrow)
    deep = project(orders=Table("orders", depends=("pipelines/**",)))
    assert of(deep, manifest(**{"pipelines/deep/er/x.sql": "sha256:other"})) != of(deep)


def test_the_lock_file_counts_even_where_it_is_not_named():
    narrow = project(orders=Table("orders", depends=("pipelines/orders.py",)))
    assert of(narrow, manifest(**{"requirements.txt": "sha256:other"})) != of(narrow)


def test_a_glob_that_matches_nothing_is_an_error_with_the_nearest_file():
    with pytest.raises(ConfigError, match="matches no file") as error:
        of(project(orders=Table("orders", depends=("pipelines/order.py",))))
    assert "pipelines/orders.py" in error.value.hint


def test_only_named_settings_count_and_unknown_ones_are_an_error():
    assert of(project(), settings={"retries": 9}) == of(project())
    named = project(orders=Table("orders", settings=("retries",)))
    assert of(named, settings={"retries": 9}) != of(named)
    with pytest.raises(ConfigError, match="retrys"):
        of(project(orders=Table("orders", settings=("retrys",))))


def test_a_change_upstream_is_a_change_downstream():
    def made(depends: str) -> Project:
        return project(
            a=Table("a", depends=(depends,)), b=Table("b", depends=("pipelines/orders.py",), upstream=("a",))
        )

    one, other = of(made("pipelines/common.py")), of(made("pipelines/orders.py"))
    assert one["a"] != other["a"]
    assert one["b"] != other["b"]


def test_a_circle_of_tables_is_an_error_that_shows_it():
    with pytest.raises(ConfigError, match="a -> b -> a"):
        of(project(a=Table("a", upstream=("b",)), b=Table("b", upstream=("a",))))


def test_interpreter_images_wheels_and_command_count():
    for changed in ({"interpreter": "cpython-3.12"}, {"images": {"i": "x@sha256:1"}}, {"wheels": {"w": "sha256:1"}}):
        assert of(project(), replace(manifest(), **changed)) != of(project())
    assert of(replace(project(), run="python other.py")) != of(project())
