"""How environments are kept apart where they publish, and what is told of the weaker ways."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lanewise.config.check import check_snippet
from lanewise.config.environments import build_config
from lanewise.config.reading import read_text
from lanewise.config.separation import Separation, Wall, separations
from lanewise.domain.project import Table
from lanewise.errors import ConfigError

from .files import PROJECT, config

PG = "{type: postgres, host: pg.example, database: shop, user: svc}"
OWN = "runner: 'run_{env}', publisher: 'pub_{env}', reader: 'read_{env}'"


def text(connection: str = PG, environments: str = "{stage: {}, prod: {}}") -> str:
    return f"environments: {environments}\nconnections:\n  'warehouse_{{env}}': {connection}\n"


def prod(connection: str = PG, environments: str = "{stage: {}, prod: {}}") -> Separation:
    return separations(config(text(connection, environments)).environments)["prod"]


WALLS = {
    "embedded warehouses": ("{type: duckdb}", "{stage: {}, prod: {}}", Wall.FILES),
    "a server each": ("{type: postgres, host: '{env}.db', database: shop}", "{stage: {}, prod: {}}", Wall.SERVER),
    "a database each": ("{type: postgres, host: pg, database: 'shop_{env}'}", "{stage: {}, prod: {}}", Wall.DATABASE),
    "the default schemas": (PG, "{stage: {}, prod: {}}", Wall.SCHEMA),
    "one schema": (PG, "{stage: {schema: s}, prod: {schema: s}}", Wall.SUFFIX),
    "one schema, prod without a suffix": (PG, '{stage: {schema: s}, prod: {schema: s, table_suffix: ""}}', Wall.SUFFIX),
}


@pytest.mark.parametrize("name", WALLS)
def test_the_strongest_wall_that_config_tells_of_is_named(name):
    connection, environments, wall = WALLS[name]
    assert prod(connection, environments).walls == {"stage": wall}


def test_several_names_of_this_machine_are_one_server():
    connections = (
        "connections:\n  warehouse_stage: {type: postgres, host: localhost, database: shop}\n"
        "  warehouse_prod: {type: postgres, host: 127.0.0.1, port: 5432, database: shop}\n"
    )
    found = separations(config("environments: {stage: {}, prod: {}}\n" + connections).environments)
    assert found["prod"].walls == {"stage": Wall.SCHEMA}


def test_warehouses_of_different_types_have_nothing_in_common():
    connections = "connections: {warehouse_stage: {type: duckdb}, warehouse_prod: {type: postgres, database: shop}}"
    found = separations(config("environments: {stage: {}, prod: {}}\n" + connections).environments)
    assert found["prod"].sentence.startswith("kept apart from stage by another kind of warehouse; ")


def test_a_line_says_it():
    apart = prod(f"{{type: postgres, host: pg, database: 'shop_{{env}}', {OWN}}}")
    assert apart.sentence == "kept apart from stage by database; 3 logins of its own"
    assert apart.weaknesses == ()
    three = prod(PG, "{dev: {}, stage: {schema: s}, prod: {schema: s}}")
    assert three.sentence == (
        "kept apart from stage by suffix alone, from dev by schema; one login for all roles, shared with dev and stage"
    )
    assert prod("{type: duckdb}", "{prod: {}}").sentence == "the only environment"
    assert prod("{type: duckdb}").sentence == "kept apart from stage by files of its own"


def test_each_weaker_way_is_told_with_what_to_do():
    kinds = {one.kind: one for one in prod(PG, "{stage: {schema: s}, prod: {schema: s}}").weaknesses}
    assert set(kinds) == {"suffix", "login", "runner"}
    assert "stage" in kinds["suffix"].message
    assert "schema" in kinds["suffix"].hint
    assert "svc" in kinds["login"].message
    assert all("lane provision prod" in kinds[kind].hint for kind in ("login", "runner"))
    assert kinds["suffix"].origin.line == 1
    assert kinds["login"].origin.line == 3


def test_a_login_is_shared_across_the_databases_of_a_server_and_not_across_servers():
    assert [w.kind for w in prod("{type: postgres, host: pg, database: 'd_{env}', user: svc}").weaknesses] == [
        "login", "runner",
    ]  # fmt: skip
    apart = prod("{type: postgres, host: '{env}.db', database: d, user: svc}")
    assert [w.kind for w in apart.weaknesses] == ["runner"]
    assert prod("{type: postgres, host: pg, database: d, user: 'u_{env}', runner: 'r_{env}'}").weaknesses == ()


NOT_AT_ALL = {
    "the same schema and suffix": (
        PG, "{stage: {schema: s, table_suffix: x}, prod: {schema: s, table_suffix: x}}", "1:85", "the same views",
    ),
    "no suffix at all": (PG, '{a: {schema: s, table_suffix: ""}, b: {schema: s, table_suffix: ""}}', "", "views"),
    "one store": (PG.replace("}", ", store: st}"), "{stage: {}, prod: {}}", "3:91", "versions in the same schema"),
    "a store where the other's runs write": (
        PG, "{a: {}, lanewise_a_runs: {schema: lanewise_a_runs}}", "", "versions in the same schema",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NOT_AT_ALL)
def test_environments_that_are_not_kept_apart_are_an_error_at_their_place(refused, name):
    connection, environments, where, message = NOT_AT_ALL[name]
    error = refused(config, text(connection, environments), where)
    assert "not kept apart" in error.message
    assert message in error.message
    assert error.hint


def test_a_suffix_that_makes_the_same_view_of_two_tables_keeps_nothing_apart():
    written = text(PG, '{dev: {schema: s}, prod: {schema: s, table_suffix: ""}}')
    found = config(written).environments
    assert separations(found, ["orders"])["prod"].walls == {"dev": Wall.SUFFIX}
    assert separations(found, ["orders", "orders_dev"])["prod"].walls == {"dev": Wall.NOTHING}
    tables = {name: Table(name) for name in ("orders", "orders_dev")}
    with pytest.raises(ConfigError, match="not kept apart"):
        build_config(read_text(written, "environments.yaml"), replace(PROJECT, tables=tables), {})


def test_check_warns_of_each_place_once_and_does_not_fail():
    found = check_snippet(text(PG, "{dev: {schema: s}, stage: {schema: s}, prod: {schema: t}}"), "e.yaml")
    assert all(one.warning and one.rule == "separation" and one.hint for one in found)
    assert [(one.line, one.message.split()[0]) for one in found if "suffix" in one.message] == [
        (1, "dev"),
        (1, "stage"),
    ]
    assert len([one for one in found if "log in as" in one.message]) == 2
