"""Config as people see it."""

from __future__ import annotations

import pytest

from lanewise.config import config_diff
from lanewise.config.show import rows, show_origin
from lanewise.domain.environment import Origin
from lanewise.errors import NotFound

from .files import DESIGN, config


def test_every_row_of_an_environment_has_a_value_and_an_origin():
    found = {row.key: row for row in rows(config(DESIGN).environment("prod"))}
    assert found["settings.schema"].value == "analytics"
    assert found["settings.table_suffix"].value == '""'
    assert found["connections.postgres_prod.password"].value == "vault:secret/data/prod/postgres#password"
    assert show_origin(found["connections.postgres_prod.password"].origin) == "environments.yaml:18 (connections)"
    assert found["rules.gates"].value == 'tests, quality, soak {"runs": 1}'
    assert found["rules.rollout.canary"].value == "5%, 25%, 100%"
    assert found["rules.rollback_window"].value == "14d"
    assert show_origin(found["rules.rollback_window"].origin) == "built in"
    assert all(row.value and row.origin.layer for row in found.values())


def test_a_value_stays_on_its_line():
    found = {row.key: row.value for row in rows(config('environments: {d: {q: "a\\nb\\e[2J"}}').environment("d"))}
    assert found["settings.q"] == '"a\\nb\\u001b[2J"'


def test_a_difference_shows_both_values_and_both_places():
    found = {one.key: one for one in config_diff(config(DESIGN), "stage", "prod")}
    retries = found["settings.retries"]
    assert (retries.a, retries.b) == ("0", "3")
    assert retries.origin_a.layer == "defaults"
    assert (retries.origin_b.layer, retries.origin_b.line) == ("environments.prod", 12)


def test_connections_are_compared_by_the_setting_that_names_them():
    found = {one.key: (one.a, one.b) for one in config_diff(config(DESIGN), "stage", "prod")}
    assert found["connections.src.host"] == ("stage.db", "prod.db")
    assert "connections.dst.type" not in found


def test_what_only_one_environment_has_is_a_difference():
    found = {one.key: one for one in config_diff(config(DESIGN), "dev", "stage")}
    assert found["data.refresh_from"].a == "-"
    assert found["data.refresh_from"].origin_a == Origin("not set")


def test_an_environment_does_not_differ_from_itself():
    assert config_diff(config(DESIGN), "prod", "prod") == ()


def test_a_misspelt_environment_is_told():
    with pytest.raises(NotFound) as caught:
        config_diff(config(DESIGN), "prod", "stge")
    assert caught.value.hint == "did you mean stage?"


def test_the_rows_differ_exactly_where_the_digest_does():
    one = config(DESIGN).environment("prod")
    for text, same in (("retries: 3", True), ("retries: 4", False)):
        other = config(DESIGN.replace("retries: 3", text)).environment("prod")
        assert (one.digest == other.digest) is same
        assert ({r.key: r.value for r in rows(one)} == {r.key: r.value for r in rows(other)}) is same
