"""What a deployment is made of, from a build's files alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lanewise.adapters.orchestrators.prefect.deployment import Ground, body
from lanewise.adapters.orchestrators.prefect.specification import keep, kept, specify
from lanewise.domain.environment import Connection
from lanewise.domain.serving import AS_WRITTEN, Served
from lanewise.errors import ConfigError, Refused

PROJECT = """\
project: sales
source: {include: ["**"]}
run: "true"
tables:
"""
DAILY = "  daily: {kind: partition, partition: {column: day, grain: day, timezone: Europe/Zurich}}\n"


def served(folder: Path, prefect: str = "", tables: str = DAILY, **fields: Any) -> Served:
    folder.mkdir(exist_ok=True)
    (folder / "lanewise.yaml").write_text(PROJECT + tables)
    if prefect:
        (folder / "prefect.yaml").write_text(prefect)
    found = {"entry": "flow.py:sales", "schedule": AS_WRITTEN, **fields}
    return Served("sales", "prod", "sha256:" + "ab" * 32, "sha256:cc", folder, folder / "x.json", **found)


def posted(one: Served, **fields: Any) -> dict[str, Any]:
    connection = Connection("prefect_prod", "prefect", {"work_pool": "lanes", **fields})
    return body(Ground(connection, "f1", one.directory / ".lanewise"), one, specify(one), live=True)


@pytest.mark.parametrize(
    ("written", "clock"),
    [
        ('cron: "0 6 * * *", timezone: Europe/Zurich', {"cron": "0 6 * * *", "timezone": "Europe/Zurich"}),
        ("interval: 600, anchor_date: 2026-01-01", {"interval": 600, "anchor_date": "2026-01-01"}),
        ("rrule: FREQ=DAILY", {"rrule": "FREQ=DAILY"}),
    ],
)  # fmt: skip
def test_schedules_are_those_that_the_build_writes(tmp_path: Path, written: str, clock: dict[str, Any]):
    one = served(tmp_path, f"deployments: [{{name: x, entrypoint: 'flow.py:sales', schedules: [{{{written}}}]}}]")
    assert posted(one)["schedules"] == [{"schedule": clock, "active": True}]


def test_a_schedule_without_a_clock_is_refused(tmp_path: Path):
    with pytest.raises(Refused, match="neither cron, interval nor rrule"):
        specify(served(tmp_path, "deployments: [{entrypoint: 'flow.py:sales', schedule: {timezone: UTC}}]"))


def test_an_entry_may_name_a_deployment_of_prefect_yaml(tmp_path: Path):
    text = "deployments: [{name: other, entrypoint: 'a.py:a'}, {name: sales, entrypoint: 'b.py:b'}]"
    assert specify(served(tmp_path, text, entry="sales")).entrypoint == "b.py:b"


def test_of_several_deployments_of_the_flow_the_one_named_as_the_environment_counts(tmp_path: Path):
    text = "deployments: [{name: dev, entrypoint: 'flow.py:sales', tags: [a]}, {name: prod, entrypoint: 'flow.py:sales', tags: [b]}]"  # noqa: E501
    assert specify(served(tmp_path, text)).own == {"tags": ["b"]}


def test_a_build_that_names_no_flow_is_refused_with_the_line_to_write(tmp_path: Path):
    with pytest.raises(Refused, match="does not say which flow") as caught:
        specify(served(tmp_path, entry="sales"))
    assert "entries: {prefect:" in caught.value.hint


@pytest.mark.parametrize("elsewhere", ["/srv/other/flow.py:sales", "../other/flow.py:sales"])
def test_a_flow_that_is_not_the_builds_own_is_refused(tmp_path: Path, elsewhere: str):
    text = f"deployments: [{{name: sales, entrypoint: '{elsewhere}'}}]"
    with pytest.raises(Refused, match="outside of the build"):
        specify(served(tmp_path, text, entry="sales"))


def test_a_prefect_yaml_that_is_none_is_refused(tmp_path: Path):
    with pytest.raises(Refused, match=r"prefect\.yaml of build abababab can't be read"):
        specify(served(tmp_path, "deployments: ["))


@pytest.mark.parametrize(
    ("tables", "cut"),
    [
        (DAILY, ("day", "Europe/Zurich")),
        ("  all_of_it: {kind: full}\n", ("", "UTC")),
        (DAILY + "  monthly: {kind: partition, partition: {column: m, grain: month}}\n", ("value", "UTC")),
    ],
)
def test_the_clock_follows_the_tables_where_they_agree(tmp_path: Path, tables: str, cut: tuple[str, str]):
    found = specify(served(tmp_path, tables=tables))
    assert (found.grain, found.timezone) == cut


def test_the_environment_may_say_another_clock_in_the_time_zone_of_the_tables(tmp_path: Path):
    found = posted(served(tmp_path, schedule="0 5 * * *"))
    assert found["schedules"] == [{"schedule": {"cron": "0 5 * * *", "timezone": "Europe/Zurich"}, "active": True}]


def test_the_work_pool_is_the_environments_before_the_builds(tmp_path: Path):
    text = (
        "deployments: [{entrypoint: 'flow.py:sales', work_pool: {name: built, job_variables: {image: x, env: {A: b}}}}]"
    )
    one = served(tmp_path, text)
    assert posted(one)["work_pool_name"] == "lanes"
    assert posted(one, work_pool="")["work_pool_name"] == "built"
    found = posted(one, job_variables={"image": "y"})["job_variables"]
    assert (found["image"], found["env"]["A"], found["env"]["LANEWISE_ENV"]) == ("y", "b", "prod")
    with pytest.raises(ConfigError, match="names no work pool"):
        posted(served(tmp_path / "other"), work_pool="")


def test_a_specification_is_kept_whole_and_a_torn_one_is_none(tmp_path: Path):
    one = served(tmp_path, "deployments: [{entrypoint: 'flow.py:sales', schedule: {cron: '0 6 * * *'}}]")
    keep(tmp_path, one, specify(one))
    assert kept(tmp_path, one) == specify(one)
    next(tmp_path.glob("prefect/prod/*.json")).write_text("{")
    assert kept(tmp_path, one) is None
