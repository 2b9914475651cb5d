"""A column that readers select goes away, on a real server: told in the plan, refused while a view stands upon it, and
then made without taking anything else with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lanewise.testing.postgres import Server

from .road import ENVIRONMENTS, PROJECT, SCRIPT, lane, on_postgres, write_project

DROPS = PROJECT.replace("day: DATE not null, orders: BIGINT, ", "day: DATE not null, ").replace(
    "signs its rows}]", "signs its rows}, {what: column_dropped, columns: [orders], reason: nobody reads it}]"
)
WITHOUT = SCRIPT.replace("echo day,orders,build", "echo day,build").replace('-$day,3,@BUILD@"', '-$day,@BUILD@"')
UNDECLARED = PROJECT.replace("    columns: {day: DATE not null, orders: BIGINT, build: VARCHAR}\n", "")
TEXT = SCRIPT.replace('-$day,3,@BUILD@"', '-$day,many,@BUILD@"')
AT_ONCE = ENVIRONMENTS.replace("    rollout: {canary: [25%, 50%, 100%]}\n", "").replace(
    "quality, schema, ", "quality, "
)
VIEW = "create view reporting.totals as select day, orders from orders_prod.totals_daily_prod"


@pytest.fixture
def database(server: Server) -> str:
    return server.database()


def released(root: Path, server: Server, database: str, project: str) -> Path:
    """v1 is live, and somebody has built a view upon it."""
    write_project(root, on_postgres(server, database, AT_ONCE), project)
    promote(root, "v1", SCRIPT)
    with server.connect(database) as somebody:
        somebody.execute("create schema reporting")
        somebody.execute(VIEW)
    return root


def promote(root: Path, name: str, script: str, *arguments: str, code: int = 0) -> str:
    (root / "pipelines" / "orders.sh").write_text(script.replace("@BUILD@", name))
    said = lane(root, *(arguments or ("promote", "--to", "prod")))
    assert said.code == code, said.err
    return said.out + said.err


def columns(server: Server, database: str, relation: str) -> list[str]:
    with server.connect(database) as connection:
        return [column.name for column in connection.execute(f"select * from {relation} limit 0").description or ()]


def test_a_declared_break_is_planned_refused_and_then_carried_out(
    tmp_path: Path, server: Server, database: str
) -> None:
    root = released(tmp_path / "orders", server, database, PROJECT)
    (root / "lanewise.yaml").write_text(DROPS)
    said = promote(root, "v2", WITHOUT, "plan", "--to", "prod", code=1)
    assert "orders is dropped, and reporting.totals is built upon it" in said
    assert "drop or change reporting.totals first; nothing is ever dropped with CASCADE" in said
    assert "reporting.totals" in promote(root, "v2", WITHOUT, code=1)
    assert columns(server, database, "reporting.totals") == ["day", "orders"]
    with server.connect(database) as somebody:
        somebody.execute("drop view reporting.totals")
    planned = promote(root, "v2", WITHOUT, "plan", "--to", "prod")
    assert planned.count("column orders is dropped") == 1
    assert "the view is made anew in the publishing transaction" in planned
    promote(root, "v2", WITHOUT)
    assert columns(server, database, "orders_prod.totals_daily_prod") == ["day", "build"]
    lane(root, "rollback", "prod")
    assert columns(server, database, "orders_prod.totals_daily_prod") == ["day", "orders", "build"]


def test_columns_that_only_the_run_tells_of_are_looked_at_before_anything_is_shown(
    tmp_path: Path, server: Server, database: str
) -> None:
    root = released(tmp_path / "orders", server, database, UNDECLARED)
    said = promote(root, "v2", TEXT, code=1)
    assert "reporting.totals is built upon it" in said
    with server.connect(database) as reader:
        builds = reader.execute("select distinct build from orders_prod.totals_daily_prod").fetchall()
    assert builds == [("v1",)]


@pytest.mark.parametrize("setting", ["schema: elsewhere", "table_suffix: _new"])
def test_config_that_renames_what_is_published_is_refused_when_it_is_planned(
    tmp_path: Path, server: Server, database: str, setting: str
) -> None:
    root = released(tmp_path / "orders", server, database, PROJECT)
    file = root / "environments.yaml"
    file.write_text(file.read_text().replace("prod: {data:", f"prod: {{{setting}, data:", 1))
    said = promote(root, "v2", SCRIPT, "plan", "--to", "prod", code=1)
    assert f"another {setting.partition(':')[0]}" in said
    assert columns(server, database, "orders_prod.totals_daily_prod") == ["day", "orders", "build"]


def test_another_login_or_more_patience_moves_no_warehouse_and_another_database_does(
    tmp_path: Path, server: Server, database: str
) -> None:
    root = released(tmp_path / "orders", server, database, PROJECT)
    file = root / "environments.yaml"
    first = file.read_text()
    file.write_text(first.replace("{type: postgres,", "{type: postgres, patience: 5, readers: [bi], reader: r,"))
    assert "SUCCEEDED" in promote(root, "v2", SCRIPT)
    file.write_text(first.replace(f"database: {database}", "database: another"))
    assert f"database {database} to another" in promote(root, "v3", SCRIPT, "plan", "--to", "prod", code=1)
